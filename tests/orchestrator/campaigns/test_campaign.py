"""A campaign without Ray: what it asks of the runner of stages, and how often it ranks."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from taurank.orchestrator.campaigns import campaign
from taurank.orchestrator.campaigns.campaign import run_campaign
from taurank.orchestrator.candidates import MeasuredPace
from taurank.orchestrator.cluster import Slot
from taurank.orchestrator.evidence.log import Evidence
from taurank.orchestrator.experiment.experiment import Experiment
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.image_loading import load_images
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.runs.session import RaySession
from taurank.orchestrator.stages.stage import Stage
from taurank.trainables.data import ImageData
from taurank.trainables.training import EpochTime

TEXT = """
name: once
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 6
data: {name: digits, validation: 200, test: 200, train: 200}
recipe: {epochs: 4, batch_size: 64}
budget: 1x
proxies: null
trainings: [{epochs: 2}]
supernets: []
baseline: {seeds: [1]}
"""


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images(parse_experiment(TEXT, where="test").data, root=None, download=False)


class Runner:
    """Books a row for each trial of a stage; its class keeps the names of the stages that were run."""

    stages: list[str]

    def __init__(self, run: Run, on_ray: RaySession, data: ImageData, *, needed: Sequence[Stage]) -> None:
        self._run = run

    def slot(self, *, trials: int) -> Slot:
        return Slot(1.0)

    def train(self, spec: TrainingSpec, codes: list[str]) -> None:
        self._book(spec.stage, codes, spec.epochs, "validation_accuracy", spec.seed)

    def run(self, stage: Stage, data: Any = None, weights: Any = None) -> None:
        codes = [spec.architectures[0] for spec in stage.specs]
        self._book(stage.name, codes, stage.schedule_epochs, "test_accuracy", stage.specs[0].seed)

    def _book(self, stage: str, codes: list[str], epochs: int, metric: str, seed: int) -> None:
        self.stages.append(stage)
        for place, code in enumerate(codes):
            row = (f"{stage}/{code}", code, "training", epochs, epochs, seed, metric, 0.1 * place, 1.0, float(epochs))
            self._run.log.append([Evidence(stage, *row)])
            self._run.log.append_event(stage, row[0], "completed")
        self._run.log.append_event(stage, "", "ended")


said: list[str] = []
skipped: list[tuple[str, float]] = []


def skip(name: str, *, epochs: float, spent: float, how: str = "") -> None:
    skipped.append((name, spent))


@contextmanager
def without_ray(run: Run) -> Iterator[Any]:
    """The session of a run, on no cluster."""
    ignore: Any = SimpleNamespace(doing=print, ranked=list, line=print, say=said.append, skip_stage=skip)

    @contextmanager
    def on_ray(*_: Any, **__: Any) -> Iterator[RaySession]:
        yield RaySession(ignore, ignore, ignore, ignore, ignore)

    yield SimpleNamespace(planned=lambda *_, **__: None, on_ray=on_ray)


def timed(experiment: Experiment, codes: Sequence[str], *_: Any, most_epochs: float, **__: Any) -> MeasuredPace:
    """An epoch of each takes 10 seconds, and half of them are timed, for as many epochs as they may cost."""
    half = len(codes) // 2
    each = EpochTime(10.0, 1.0, most_epochs / half)
    return MeasuredPace(Slot(1.0), 2, dict.fromkeys(codes[:half], each), tuple(codes[half:]))


@pytest.fixture
def ranked(monkeypatch: pytest.MonkeyPatch) -> list[Ranking]:
    """Replaces Ray, and collects the rankings that are made."""
    made: list[Ranking] = []
    rank = Run.rank

    def counted(run: Run) -> Ranking:
        made.append(rank(run))
        return made[-1]

    said.clear()
    skipped.clear()
    monkeypatch.setattr(campaign, "time_candidates", timed)
    monkeypatch.setattr(Runner, "stages", [], raising=False)
    monkeypatch.setattr(campaign, "StageRunner", Runner)
    monkeypatch.setattr(campaign, "run_session", without_ray)
    monkeypatch.setattr(Run, "rank", counted)
    return made


def test_a_session_ranks_once(ranked: list[Ranking], data: ImageData, tmp_path: Path) -> None:
    """Its report shows the ranking that was written before the baseline."""
    run = create_run(parse_experiment(TEXT, where="test"), tmp_path, data)
    out = io.StringIO()
    ranking = run_campaign(run, data, console=Console(file=out, width=200)).ranking
    assert Runner.stages == ["training-2", "baseline"]
    assert [made is ranking for made in ranked] == [True]
    assert (run.folder / "ranking.csv").read_text().count("\n") == 7
    assert "tau" in out.getvalue()
    again = run_campaign(run, data, console=Console(file=out, width=200)).ranking
    assert Runner.stages == ["training-2", "baseline"]
    assert len(ranked) == 2
    assert again.table.equals(ranking.table)


def test_the_hours_of_a_budget_in_epochs_are_stated_before_the_first_stage(
    ranked: list[Ranking], data: ImageData, tmp_path: Path
) -> None:
    run = create_run(parse_experiment(TEXT.replace("1x", "2x"), where="test"), tmp_path, data)
    run_campaign(run, data, console=Console(file=io.StringIO(), width=200))
    (line,) = said
    assert "an epoch takes 10 core seconds (10 to 10; 3 of 6 candidates are timed, the others predicted)" in line
    # 12 epochs of trainings and one of timing are 130 seconds, on two workers.
    assert line.endswith("full training of all would take 2:00 min (0.0667 core-hours), the evidence at most 1:05 min "
                         "(0.0361 core-hours)")  # fmt: skip
    assert skipped == [("timing", pytest.approx(1.0))]
    # Timed once, whatever happens; the plan has it from then on.
    out = io.StringIO()
    run_campaign(run, data, console=Console(file=out, width=200))
    assert len(said) == 1
    assert "an epoch takes" in out.getvalue()
    assert ["timing", "3", "1.0", "4.2%"] in [line.split() for line in out.getvalue().splitlines()]
