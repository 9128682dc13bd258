"""Stages under each scheduler, through real Ray trials, killed once on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.evidence import EvidenceLog

ROOT = Path(__file__).parents[2]
EXPERIMENT = """
name: scheduled
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 5
data: {name: digits, validation: 200, test: 200, train: 300}
recipe: {epochs: 27, batch_size: 64, learning_rate: 0.05}
budget: 1x
trainings:
  - {epochs: 9, scheduler: asha, budget_epochs: 30}
  - {epochs: 8, scheduler: {name: penguin, options: {tolerance_points: 20}}}
  - {epochs: 9, scheduler: hyperband}
supernets: []
baseline: null
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose driver was killed once in the middle of its first stage."""
    folder = tmp_path_factory.mktemp("scheduled")
    (folder / "scheduled.yaml").write_text(EXPERIMENT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "run", "scheduled.yaml"], cwd=folder, env=environment
    )
    try:
        end = time.monotonic() + 240
        while time.monotonic() < end:
            files = list((folder / "runs").glob("*/evidence.sqlite"))
            if files and len(EvidenceLog(files[0]).evidence().query("metric == 'train_loss'")) >= 8:
                break
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait()
    (found,) = (folder / "runs").iterdir()
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "resume", str(found)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return found


def epochs_by_trial(run: Path, stage: str) -> pd.Series:
    rows = EvidenceLog(run / "evidence.sqlite").evidence().query("metric == 'validation_accuracy'")
    return rows[rows["stage"] == stage].groupby("trial")["epoch"].max()


def outcomes(run: Path, stage: str) -> dict[str, tuple[str, str]]:
    ended = EvidenceLog(run / "evidence.sqlite").outcomes()
    return {trial: outcome for trial, outcome in ended.items() if trial.startswith(f"{stage}/")}


@pytest.mark.parametrize("stage", ["training-9:asha", "training-8:penguin", "training-9:hyperband"])
def test_every_trial_comes_to_an_end_with_a_whole_curve(run: Path, stage: str) -> None:
    ended = outcomes(run, stage)
    assert len(ended) == 5
    assert {event for event, _ in ended.values()} <= {"completed", "stopped"}
    rows = EvidenceLog(run / "evidence.sqlite").evidence().query("metric == 'validation_accuracy'")
    for trial, curve in rows[rows["stage"] == stage].groupby("trial"):
        assert sorted(curve["epoch"]) == list(range(1, len(curve) + 1)), trial


def test_asha_ends_some_early_and_keeps_to_its_budget(run: Path) -> None:
    epochs = epochs_by_trial(run, "training-9:asha")
    assert epochs.max() == 9
    assert epochs.min() < 9
    # What is in flight when the budget runs out may still come in: two workers, an epoch each.
    assert epochs.sum() <= 30 + 2


def test_penguin_keeps_a_prediction_for_whom_it_stops(run: Path) -> None:
    stopped = {trial for trial, (event, _) in outcomes(run, "training-8:penguin").items() if event == "stopped"}
    assert stopped, "with a tolerance of 20 points the predictions settle at once"
    rows = EvidenceLog(run / "evidence.sqlite").evidence().query("metric == 'predicted_accuracy'")
    assert set(rows["trial"]) == stopped
    assert rows["value"].between(0, 1).all()


def test_hyperband_runs_the_best_to_the_end(run: Path) -> None:
    epochs = epochs_by_trial(run, "training-9:hyperband")
    assert epochs.max() == 9
    assert len(epochs) == 5


def test_the_ranking_uses_all_three(run: Path) -> None:
    ranking = pd.read_csv(run / "ranking.csv")
    assert len(ranking) == 5
    assert ranking["evidence"].str.contains("penguin").all()
