"""Own training code under schedulers that pause, through real Ray trials, killed once on the way; what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from ray import tune

from taurank.orchestrator.evidence.log import EvidenceLog
from tests.orchestrator.processes import finished

ROOT = Path(__file__).parents[3]
MODULE = """
import time
from pathlib import Path

def train(candidate, *, epochs, seed, device, checkpoint):
    file = checkpoint / "epoch"
    begun = int(file.read_text()) if file.exists() else 0
    for epoch in range(begun + 1, epochs + 1):
        time.sleep(0.05)
        file.write_text(str(epoch))
        with (Path(__file__).parent / "trained.log").open("a") as log:
            log.write(f"{candidate['width']} {epochs} {seed} {epoch}\\n")
        yield {"epoch": epoch, "val_loss": 50 / candidate["width"] + 1 / epoch, "width": candidate["width"]}
"""
EXPERIMENT = """
name: own
trainable: my_widths:train
metric: {name: val_loss, mode: min}
candidates: [{width: 2}, {width: 3}, {width: 5}, {width: 7}, {width: 11}]
recipe: {epochs: 9}
budget: 1x
trainings:
  - {epochs: 6, scheduler: uniform, budget_epochs: 18}
  - {epochs: 4, scheduler: ray-asha}
baseline: null
loggers: [csv, tensorboard]
keep_tune: true
checkpoints: best
resources: {cpus: 2, cpus_per_trial: 1}
"""

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose driver was killed once in the middle of its first stage."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.yaml").write_text(EXPERIMENT)
    (folder / "my_widths.py").write_text(MODULE)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.Popen([sys.executable, "-m", "taurank", "run", "own.yaml"], cwd=folder, env=environment)
    try:
        end = time.monotonic() + 240
        while time.monotonic() < end:
            files = list((folder / "runs").glob("*/evidence.sqlite"))
            if files and len(EvidenceLog(files[0]).evidence()) >= 6:
                break
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait()
    (found,) = (folder / "runs").glob("[!.]*")
    command = [sys.executable, "-m", "taurank", "resume", str(found)]
    resumed = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert finished(found)
    return found


def test_policies_of_ours_and_of_ray_take_the_metric_in_its_direction(run):
    log = EvidenceLog(run / "evidence.sqlite")
    rows = log.evidence().query("metric == 'val_loss'")
    uniform = rows.query("stage == 'training-6:uniform'")
    assert uniform["epochs"].sum() <= 18
    # The policy has paused and resumed: all have begun, none was first trained to its end.
    assert uniform.groupby("architecture")["epoch"].max().min() >= 3
    asha = rows.query("stage == 'training-4:ray-asha'").groupby("architecture")["epoch"].max()
    assert asha['{"width": 11}'] == 4
    order = pd.read_csv(run / "ranking.csv")["architecture"].tolist()
    assert order == [f'{{"width": {width}}}' for width in (11, 7, 5, 3, 2)]


def test_only_what_was_not_saved_is_trained_twice(run):
    lines = (run.parents[1] / "trained.log").read_text().splitlines()
    repeated = len(lines) - len(set(lines))
    assert repeated <= 2  # an epoch of each worker that was killed with the driver


def test_weights_of_the_best_epoch_load_safely(run):
    files = sorted((run / "weights").glob("*.pt"))
    assert len(files) == 10
    content = torch.load(files[0], weights_only=True)
    assert content["candidate"].startswith('{"width": ')
    assert content["weights"]["files"]["epoch"].numpy().tobytes().decode() == str(content["epoch"])


def test_ray_opens_its_results_and_loggers_name_the_architectures(run):
    stage = run / "tune" / "training-4-ray-asha"
    analysis = tune.ExperimentAnalysis(str(stage))
    assert len(analysis.trials) == 5
    assert analysis.get_best_config(metric="val_loss", mode="min")["trial"] == "training-4:ray-asha/width=11/seed 0"
    (folder,) = stage.glob("width=11-*")
    curve = pd.read_csv(folder / "progress.csv")
    assert curve["epoch"].tolist() == [1, 2, 3, 4]
    assert curve["width"].eq(11).all()
    assert not {"evidence", "unsaved"} & set(curve.columns)
    assert list(folder.glob("events.out.tfevents.*"))
