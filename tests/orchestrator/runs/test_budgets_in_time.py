"""Runs with a budget in time, without Ray: an epoch of each candidate takes as long as is made up here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from taurank.orchestrator.candidates import MeasuredPace
from taurank.orchestrator.cluster import Slot
from taurank.orchestrator.evidence.log import Evidence
from taurank.orchestrator.experiment.budget import BudgetError
from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.planning import planned_epochs, timing_epochs
from taurank.orchestrator.runs import creation, extension
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.extension import Changes, extend
from taurank.orchestrator.runs.image_loading import load_images
from taurank.orchestrator.runs.run import Run
from taurank.trainables.data import ImageData
from taurank.trainables.training import EpochTime

TEXT = """
name: timed
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 8
data: {name: digits, validation: 200, test: 200, train: 200}
recipe: {epochs: 20, batch_size: 64}
proxies: null
"""


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images(parse_experiment(TEXT, where="test").data, root=None, download=False)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replaces the workers: an epoch of the k-th candidate takes k seconds, its measurement half a second."""
    asked: list[list[str]] = []

    def measure(experiment: Experiment, codes: Sequence[str], data: ImageData, **_: Any) -> MeasuredPace:
        asked.append(list(codes))
        found = MeasuredPace(Slot(1.0), 2)
        found.found |= {code: EpochTime(1.0 + place, 0.5, 0.1) for place, code in enumerate(codes)}
        found.ended = found.began
        return found

    monkeypatch.setattr(creation, "check_room_for_trials", lambda *_: None)
    monkeypatch.setattr(extension, "check_room_for_trials", lambda *_: None)
    monkeypatch.setattr(creation, "measure_paces", measure)
    monkeypatch.setattr(extension, "measure_paces", measure)
    return asked


def make(text: str, data: ImageData, folder: Path) -> Run:
    return create_run(parse_experiment(TEXT + text, where="test"), folder, data, say=lambda _: None)


def stages(run: Run) -> list[tuple[int, Any]]:
    return [(spec.epochs, spec.candidates) for spec in run.experiment.trainings or []]


def test_ten_times_cheaper_in_seconds(data: ImageData, tmp_path: Path, asked: list[list[str]]) -> None:
    run = make("budget: 10x seconds", data, tmp_path)
    assert asked == [list(run.candidates)]
    assert stages(run) == [(1, "all")]  # 2 epochs each, less the measurement of 4 seconds
    assert run.speed_up == 10.0
    assert run.purse is not None
    assert run.purse.left() == pytest.approx(20 * 36 / 10 - 4.0)


def test_time_on_the_clock(data: ImageData, tmp_path: Path) -> None:
    run = make("budget: 2m", data, tmp_path)
    # Two at once take 18 s for an epoch of each of the eight, 360 for all of their epochs.
    assert run.speed_up == pytest.approx(3.0)
    assert stages(run)[0] == (4, "all")


@pytest.mark.parametrize("budget", ["1h", "363s", "1x seconds", "20 core-minutes"])
def test_what_covers_full_training_trains_all_to_the_end(budget: str, data: ImageData, tmp_path: Path) -> None:
    # 360 s on two workers, 720 s of cores; the measurement takes 4 of these.
    run = make(f"budget: {budget}", data, tmp_path)
    assert stages(run) == [(20, "all")]
    assert run.experiment.supernets == []
    assert run.purse is not None


def test_what_the_measurement_leaves_of_it_does_not_cover_it(data: ImageData, tmp_path: Path) -> None:
    assert stages(make("budget: 361s", data, tmp_path)) == [(4, "all"), (20, 6)]


def test_opened_again_it_is_the_same(data: ImageData, tmp_path: Path, asked: list[list[str]]) -> None:
    run = make("budget: 2m", data, tmp_path)
    again = Run.open(run.folder)
    assert again.pace == run.pace
    assert again.speed_up == run.speed_up
    assert len(asked) == 1


def test_epochs_need_no_measurement(data: ImageData, tmp_path: Path, asked: list[list[str]]) -> None:
    run = make("budget: 10x", data, tmp_path)
    assert not asked
    assert run.purse is None
    assert run.pace is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("budget: 0.5s", "0.5s is less than one epoch of the fastest candidate"),
        ("budget: 3 gpu-hours", "there is no GPU for the trainings: write core-hours"),
        (
            "budget: 4.5 core-minutes\ntrainings: [{epochs: 12}]",
            "the evidence takes up to 3:36 min on the clock, 7:12 min",
        ),
        ("budget: 1000x seconds", "of 1000x seconds too little is left for an epoch of the fastest candidate"),
    ],
)
def test_refused_before_a_folder_is_made(text: str, problem: str, data: ImageData, tmp_path: Path) -> None:
    with pytest.raises((BudgetError, ExperimentError), match=problem) as caught:
        make(text, data, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_extended_by_time_and_candidates(data: ImageData, tmp_path: Path, asked: list[list[str]]) -> None:
    run = make("budget: 1 core-minutes", data, tmp_path)
    longer = extend(run, Changes(budget="4 core-minutes"), data)
    assert longer.experiment.budget == "5 core-minutes"
    assert len(asked) == 1
    more = extend(longer, Changes(candidates=10), data)
    assert asked[1] == list(more.candidates[8:])
    assert more.pace is not None
    assert len(more.pace.epoch_seconds) == 10
    assert more.experiment.budget == "5 core-minutes"


def test_time_added_to_a_run_in_epochs(data: ImageData, tmp_path: Path, asked: list[list[str]]) -> None:
    run = make("budget: 10x", data, tmp_path)
    at = (2, 2, 0, "validation_accuracy", 0.5, 30.0, 2.0)
    run.log.append([Evidence("training-2", "training-2/a", run.candidates[0], "training", *at)])
    longer = extend(run, Changes(budget="2 core-minutes"), data)
    assert longer.experiment.budget == "2.5 core-minutes"
    assert asked == [list(run.candidates)]
    assert longer.purse is not None
    assert longer.purse.left() == pytest.approx(120.0 - 4.0)  # half a minute was spent before


def test_a_plan_of_ours_that_turned_out_slow_is_extended_by_what_time_there_is(data: ImageData, tmp_path: Path) -> None:
    run = make("budget: 2 core-minutes", data, tmp_path)
    for code in run.candidates:
        at = (2, 2, 0, "validation_accuracy", 0.5, 100.0, 2.0)
        run.log.append([Evidence("training-2", f"training-2/{code}", code, "training", *at)])
    longer = extend(run, Changes(budget="1 core-minutes"), data)
    assert longer.experiment.budget == "3 core-minutes"


def test_a_run_extended_beyond_full_training_trains_all(data: ImageData, tmp_path: Path) -> None:
    run = make("budget: 2m", data, tmp_path)
    longer = extend(run, Changes(budget="1h"), data)
    assert stages(longer) == [(4, "all"), (20, "all")]


@pytest.mark.parametrize("more", ["4x", "4x seconds"])
def test_what_timing_has_taken_is_part_of_the_budget_of_an_extended_run(
    more: str, data: ImageData, tmp_path: Path
) -> None:
    run = make("budget: 8x", data, tmp_path)
    assert stages(run) == [(2, "all")]
    slow = MeasuredPace(Slot(1.0), 2)
    slow.found |= {code: EpochTime(1.0, 0.6, 0.6) for code in run.candidates}
    slow.book(run.log)
    longer = extend(run, Changes(budget=more), data)
    assert longer.pace is not None
    timing = timing_epochs(longer.log, longer.pace if longer.purse else None)
    planned = sum(planned_epochs(spec, 8) for spec in longer.experiment.trainings or [])
    assert timing == pytest.approx(4.8)
    assert planned + timing <= 40
