"""Stages under each scheduler, through real Ray trials, killed once on the way."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator.evidence.log import EvidenceLog
from tests.orchestrator.processes import finished

ROOT = Path(__file__).parents[3]
EXPERIMENT = """
name: scheduled
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 5
data: {name: digits, validation: 200, test: 200, train: 300}
recipe: {epochs: 27, batch_size: 128, learning_rate: 0.025}  # short trainings: half the batch, twice the rate
budget: 1x
trainings:
  - {epochs: 9, scheduler: uniform, budget_epochs: 20}
  - {epochs: 8, scheduler: {name: penguin, options: {tolerance_points: 20}}}
  - {epochs: 9, scheduler: ray-asha, budget_epochs: 15}
  - {epochs: 9, scheduler: ray-hyperband}
supernets: []
baseline: null
"""

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose driver was killed once in the middle of its first stage."""
    folder = tmp_path_factory.mktemp("scheduled")
    (folder / "scheduled.yaml").write_text(EXPERIMENT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.Popen([sys.executable, "-m", "taurank", "run", "scheduled.yaml"], cwd=folder, env=environment)
    try:
        end = time.monotonic() + 240
        while time.monotonic() < end:
            files = list((folder / "runs").glob("*/evidence.sqlite"))
            if files and len(EvidenceLog(files[0]).evidence().query("metric == 'train_loss'")) >= 3:
                break
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait()
    (found,) = (folder / "runs").glob("[!.]*")
    resume(found)
    return found


def resume(run: Path) -> None:
    done = finished(run.parent, "resume", run)
    assert done.returncode == 0, done.stdout + done.stderr


def epochs_by_trial(run: Path, stage: str) -> pd.Series:
    rows = EvidenceLog(run / "evidence.sqlite").evidence().query("metric == 'validation_accuracy'")
    return rows[rows["stage"] == stage].groupby("trial")["epoch"].max()


def outcomes(run: Path, stage: str) -> dict[str, tuple[str, str]]:
    ended = EvidenceLog(run / "evidence.sqlite").outcomes()
    return {trial: outcome for trial, outcome in ended.items() if trial.startswith(f"{stage}/")}


def checkpoint_name(trial: str) -> str:
    return hashlib.sha256(trial.encode()).hexdigest()[:20]


STAGES = {
    "training-9:uniform": {"frozen"},
    "training-8:penguin": {"completed", "stopped"},
    "training-9:ray-asha": {"completed", "stopped"},
    "training-9:ray-hyperband": {"completed", "stopped"},
}


@pytest.mark.parametrize("stage", STAGES)
def test_every_trial_comes_to_an_end_with_a_whole_curve(run: Path, stage: str) -> None:
    ended = outcomes(run, stage)
    assert len(ended) == 5
    assert {event for event, _ in ended.values()} <= STAGES[stage]
    rows = EvidenceLog(run / "evidence.sqlite").evidence().query("metric == 'validation_accuracy'")
    for trial, curve in rows[rows["stage"] == stage].groupby("trial"):
        assert sorted(curve["epoch"]) == list(range(1, len(curve) + 1)), trial


def test_ray_asha_ends_at_its_budget(run: Path) -> None:
    # What is in flight when the budget runs out may still come in: two workers, an epoch each.
    assert 15 <= epochs_by_trial(run, "training-9:ray-asha").sum() <= 15 + 2


def test_a_policy_keeps_to_its_budget_and_its_checkpoints(run: Path) -> None:
    assert epochs_by_trial(run, "training-9:uniform").tolist() == [4] * 5
    log = EvidenceLog(run / "evidence.sqlite")
    assert log.spent_in("training-9:uniform")[1] == 20
    assert {reason.partition(";")[2] for _, reason in outcomes(run, "training-9:uniform").values()} == {
        " after epoch 4, 5 epochs saved"
    }
    events = log.events().query("stage == 'training-9:uniform' and trial != ''")
    assert (events.loc[events["event"] == "started", "reason"].str.startswith("to epoch 4: ")).all()
    assert (events["event"] == "resumed").any()  # after the kill
    assert (events["event"] == "paused").sum() >= 5
    # Those of the trainings that are complete are gone. Who was stopped in its first epoch may have one that it never
    # reported: the state is written before the result is sent.
    begun = log.last_epochs()
    ended = {trial: event for stage in STAGES for trial, (event, _) in outcomes(run, stage).items()}
    unfinished = {trial for trial, event in ended.items() if event != "completed"}
    kept = {file.stem for file in (run / "checkpoints").glob("*.pt")}
    assert {checkpoint_name(trial) for trial in unfinished & begun.keys()} <= kept
    assert kept <= {checkpoint_name(trial) for trial in unfinished}


def test_a_larger_budget_thaws_what_was_left(run: Path, tmp_path: Path) -> None:
    raised = tmp_path / "raised"
    shutil.copytree(run, raised)
    file = raised / "experiment.yaml"
    text = file.read_text()
    assert text.count("budget_epochs: 20") == 1
    file.write_text(text.replace("budget_epochs: 20", "budget_epochs: 35"))
    resume(raised)
    before, after = (EvidenceLog(folder / "evidence.sqlite") for folder in (run, raised))
    assert epochs_by_trial(raised, "training-9:uniform").tolist() == [7] * 5
    assert after.spent_in("training-9:uniform")[1] == 35
    assert {event for event, _ in outcomes(raised, "training-9:uniform").values()} == {"frozen"}
    new = after.evidence().iloc[len(before.evidence()) :]
    assert set(new["stage"]) == {"training-9:uniform"}  # the other stages stay as they are
    assert new["epoch"].min() == 5


def test_penguin_keeps_a_prediction_for_whom_it_stops(run: Path) -> None:
    stopped = {trial for trial, (event, _) in outcomes(run, "training-8:penguin").items() if event == "stopped"}
    assert stopped, "with a tolerance of 20 points the predictions settle at once"
    rows = EvidenceLog(run / "evidence.sqlite").evidence().query("metric == 'predicted_accuracy'")
    assert set(rows.loc[rows["stage"] == "training-8:penguin", "trial"]) == stopped
    assert rows.loc[rows["stage"] == "training-8:penguin", "value"].between(0, 1).all()


def test_ray_hyperband_runs_the_best_to_the_end(run: Path) -> None:
    epochs = epochs_by_trial(run, "training-9:ray-hyperband")
    assert epochs.max() == 9
    assert len(epochs) == 5


def test_the_ranking_uses_them(run: Path) -> None:
    ranking = pd.read_csv(run / "ranking.csv")
    assert len(ranking) == 5
    assert ranking["evidence"].str.contains("penguin").all()
