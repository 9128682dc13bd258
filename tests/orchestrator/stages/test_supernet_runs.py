"""Supernets through real Ray trials: training, scores, contenders; killed on the way; one that fails."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator.evidence import TIMING
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.stages.supernet_runs import SupernetRun
from taurank.trainables.data import ImageData, load_dataset, make_splits
from tests.orchestrator.processes import start

ROOT = Path(__file__).parents[3]
PATIENCE = 240
"""Seconds for a machine that is busy otherwise."""
HEALTHY, FAILING = "supernet:uniform", "supernet:uniform-few-shot"
EXPERIMENT = """
name: shared
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 18
data: {name: digits, validation: 200, test: 200, train: 300}
recipe: {epochs: 10, batch_size: 64, learning_rate: 0.1}
budget: 1x
trainings: [{epochs: 1, candidates: 4}]
supernets:
  - {epochs: 3, contenders: {most: 4, epochs: 2, share: 0.5}}
  - {epochs: 2, split_after: 0.5, learning_rate: 1.0e+30}
baseline: null
resources: {cpus_per_trial: 1, cpus: 1}
"""

pytestmark = pytest.mark.ray


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    return output


def kill_when(folder: Path, process: subprocess.Popen[str], ready: Callable[[EvidenceLog], bool]) -> EvidenceLog:
    """Kills the driver as soon as its log says so."""
    end = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end and process.poll() is None:
            for file in (folder / "runs").glob("*/evidence.sqlite"):
                log = EvidenceLog(file)
                if ready(log):
                    return log
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    raise AssertionError("the run did not come so far")


def ended(log: EvidenceLog, part: str) -> list[str]:
    return [trial for trial, (event, _) in log.outcomes().items() if trial.startswith(part) and event == "completed"]


def numbers(log: EvidenceLog) -> pd.DataFrame:
    keys = ["stage", "trial", "architecture", "epoch", "metric"]
    rows = log.evidence()
    return rows[rows["stage"] != TIMING].sort_values(keys).reset_index(drop=True)[[*keys, "value", "epochs"]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A finished run and what it printed."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "shared.yaml").write_text(EXPERIMENT)
    output = finish(start(folder, "run", "shared.yaml"))
    (found,) = (folder / "runs").glob("[!.]*")
    return Run.open(found), output


@pytest.fixture(scope="module")
def data(undisturbed: tuple[Run, str]) -> ImageData:
    spec = undisturbed[0].experiment.data
    return make_splits(load_dataset("digits"), seed=spec.seed, validation=200, test=200, train=300)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvidenceLog, list[pd.DataFrame]]:
    """The log of the same run, killed after the supernet was trained and after some candidates were scored.

    Beside it the rows that were there each time.
    """
    folder = tmp_path_factory.mktemp("killed")
    (folder / "shared.yaml").write_text(EXPERIMENT)
    rows = []
    log = kill_when(folder, start(folder, "run", "shared.yaml"), lambda log: bool(ended(log, f"{HEALTHY}/")))
    rows.append(log.evidence())
    run = str(log.path.parent)
    log = kill_when(folder, start(folder, "resume", run), lambda log: bool(ended(log, f"{HEALTHY} scores/1/")))
    rows.append(log.evidence())
    finish(start(folder, "resume", run))
    return log, rows


def test_everybody_is_scored_and_every_number_is_there(undisturbed: tuple[Run, str]) -> None:
    run, _ = undisturbed
    rows = run.log.evidence()
    own = rows[rows["source"] == HEALTHY]
    metrics = ["validation_accuracy", "validation_accuracy_sd", "validation_loss", "updates", "option_updates"]
    for metric in metrics:
        assert set(own.loc[own["metric"] == metric, "architecture"]) == set(run.candidates)
    updates = own.loc[own["metric"] == "updates", "value"]
    assert updates.sum() == 3 * 5  # 5 batches an epoch, a path each
    assert len(ended(run.log, f"{HEALTHY} scores/")) == 2


def test_contenders_train_on_and_no_more_than_were_asked_for(undisturbed: tuple[Run, str]) -> None:
    run, _ = undisturbed
    rows = run.log.evidence()
    contenders = rows[rows["source"] == f"{HEALTHY}:contenders"]
    assert 2 <= contenders["architecture"].nunique() <= 4
    # Two epochs on half of the images each.
    assert contenders["epochs"].sum() == pytest.approx(contenders["architecture"].nunique() * 2 * 0.5, rel=0.05)
    assert set(contenders["stage"]) == {HEALTHY}


def test_each_part_costs_what_was_planned_and_is_booked_as_its_own(
    undisturbed: tuple[Run, str], data: ImageData
) -> None:
    run, _ = undisturbed
    spec = (run.experiment.supernets or [])[0]
    stages = SupernetRun(run.experiment, spec, run.candidates, run.candidates, run.folder, data).planned
    assert [stage.title for stage in stages] == [HEALTHY, f"{HEALTHY} scores", f"{HEALTHY} contenders"]
    assert [stage.name for stage in stages] == [HEALTHY] * 3
    training, scores, contenders = stages
    assert training.spent(run.log) == pytest.approx(training.cost) == pytest.approx(3.0)
    # 200 validation images and 300 to recalibrate on, a third of 300 each.
    assert scores.spent(run.log) == pytest.approx(scores.cost) == pytest.approx(18 * 500 / 900)
    assert contenders.cost == 4.0
    rows = run.log.evidence()
    trained_on = rows.loc[rows["source"] == f"{HEALTHY}:contenders", "epochs"].sum()
    whole = run.log.spent_in(HEALTHY)[1]
    assert whole == pytest.approx(training.spent(run.log) + scores.spent(run.log) + trained_on)


def test_a_supernet_that_fails_leaves_a_row_and_the_run_goes_on(undisturbed: tuple[Run, str]) -> None:
    run, output = undisturbed
    rows = run.log.evidence()
    failed = rows[rows["stage"] == FAILING]
    assert failed["value"].isna().any()
    assert set(failed["architecture"]) == {""}
    ((event, reason),) = [outcome for trial, outcome in run.log.outcomes().items() if trial.startswith(f"{FAILING}/")]
    assert event == "failed"
    assert reason
    assert rows.loc[rows["stage"] == "training-1", "architecture"].nunique() == 4
    assert "Traceback" not in output
    assert "how far supernets can be trusted" in output
    assert "4 by training-1" in output
    assert len(pd.read_csv(run.folder / "ranking.csv")) == 18


def test_resuming_repeats_nothing(
    undisturbed: tuple[Run, str], resumed: tuple[EvidenceLog, list[pd.DataFrame]]
) -> None:
    log, before = resumed
    scored = [rows[(rows["source"] == HEALTHY) & (rows["metric"] == "updates")]["architecture"] for rows in before]
    assert [len(codes) for codes in scored] == [0, 16]
    for rows in before:
        pd.testing.assert_frame_equal(log.evidence().iloc[: len(rows)], rows)
    begun = log.events().query("event == 'started' and trial != ''")["trial"]
    assert (begun == ended(log, f"{HEALTHY}/")[0]).sum() == 1
    assert (begun == ended(log, f"{HEALTHY} scores/1/")[0]).sum() == 1
    pd.testing.assert_frame_equal(numbers(log), numbers(undisturbed[0].log))
