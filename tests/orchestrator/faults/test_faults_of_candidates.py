"""Candidates that fail in every way, and images that are gone: what is recorded, and that the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from taurank.orchestrator.campaigns.campaign import run_campaign
from taurank.orchestrator.cluster.cluster import ClusterError
from taurank.orchestrator.evidence import TIMING
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.runs.creation import create_run
from taurank.spaces import NASBench201
from taurank.trainables.data import ImageData, Packing, load_dataset, make_splits, pack_images
from taurank.trainables.data.image_set import ImageSet
from taurank.trainables.data.mapped import MappedImages
from tests.orchestrator.processes import finished

ROOT = Path(__file__).parents[3]
ILL = ("crashes", "hangs", "needs-too-much", "diverges", "misfits", "cannot-be-built")
HEALTHY = 3
SPACE = """
import math, os, signal, time
import torch
from pathlib import Path
from taurank.spaces import NASBench201

CODES = Path(__file__).with_name("codes.txt").read_text().split()
ILL = ("crashes", "hangs", "needs-too-much", "diverges", "misfits", "cannot-be-built")


def fall_ill(how):
    seen = 0

    def hook(network, inputs, output):
        nonlocal seen
        seen += network.training
        healthy = 20 if how in ("crashes", "hangs") else 50  # an epoch has 44 batches
        if not network.training or seen <= healthy:
            return output
        if how == "crashes":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "hangs":
            time.sleep(1e6)
        if how == "needs-too-much":
            torch.empty(10**15)
        return output @ torch.zeros(3, 3) if how == "misfits" else output * math.nan

    return hook


class Ward(NASBench201):
    name = "ward:Ward"

    def build(self, architecture, *, input_shape, classes):
        network = super().build(architecture, input_shape=input_shape, classes=classes)
        place = CODES.index(architecture.code) if architecture.code in CODES else len(ILL)
        if place < len(ILL) and torch.empty(0).device.type != "meta":
            if ILL[place] == "cannot-be-built":
                raise ValueError("no such" + chr(10) + "layer")
            network.register_forward_hook(fall_ill(ILL[place]))
        return network
"""
EXPERIMENT = """
name: ward
space: {{name: "ward:Ward", options: {{width: 4, cells_per_stage: 1}}}}
candidates: {codes}
data: {{name: digits, validation: 200, test: 200}}
recipe: {{epochs: 4, batch_size: 32, learning_rate: 0.05}}
budget: 1x
proxies: null
supernets: []
trainings: [{{epochs: 3}}]
baseline: null
resources: {{hang_minutes: 0.3}}
"""
PATIENCE = 500.0


@pytest.mark.ray
def test_every_failure_has_its_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    drawn = NASBench201().sample(len(ILL) + HEALTHY, np.random.default_rng(3))
    codes = [architecture.code for architecture in drawn]
    (tmp_path / "ward.py").write_text(SPACE)
    (tmp_path / "codes.txt").write_text("\n".join(codes))
    (tmp_path / "ward.yaml").write_text(EXPERIMENT.format(codes=codes))
    done = finished(tmp_path, "run", "ward.yaml", seconds=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (run,) = (tmp_path / "runs").glob("ward-*")
    log = EvidenceLog(run / "evidence.sqlite")
    outcomes = log.outcomes()
    ended = {one.code: outcomes[f"training-3/{NASBench201().short(one)}/seed 0"] for one in drawn}
    reasons = {how: ended[code] for how, code in zip(ILL, codes, strict=False)}
    assert {event for event, _ in reasons.values()} == {"failed"}
    for how, beginning in {
        "crashes": "lost its worker too often: its worker was killed or crashed",
        "hangs": "lost its worker too often: hung: no result for ",
        "needs-too-much": "out of memory: RuntimeError",
        "diverges": "non-finite loss: train_loss is nan in epoch 2",
        "misfits": "could not be trained: RuntimeError: mat1 and mat2 shapes cannot be multiplied",
        "cannot-be-built": "could not be set up: ValueError: no such layer",
    }.items():
        assert reasons[how][1].startswith(beginning), (how, reasons[how])
    assert [ended[code] for code in codes[len(ILL) :]] == [("completed", "")] * HEALTHY

    ranking = pd.read_csv(run / "ranking.csv")
    assert sorted(ranking["architecture"]) == sorted(codes)
    assert ranking["architecture"].iloc[0] in codes[len(ILL) :]


TRUNCATING = """
import os
from taurank.spaces import NASBench201


def cut(network, inputs):
    network.seen = getattr(network, "seen", 0) + network.training
    if network.seen == 50:
        os.truncate(os.environ["TAURANK_TEST_IMAGES"], 4096)


class Cutting(NASBench201):
    name = "cutting:Cutting"

    def build(self, architecture, *, input_shape, classes):
        network = super().build(architecture, input_shape=input_shape, classes=classes)
        network.register_forward_pre_hook(cut)
        return network
"""


def in_a_file(file: Path) -> ImageData:
    """Digits, with the training images in a file."""
    data = make_splits(load_dataset("digits"), seed=0, validation=200, test=200)
    np.save(file, np.asarray(data.train.images))
    return replace(data, train=ImageSet(MappedImages(file), data.train.labels))


def in_a_pack(file: Path) -> ImageData:
    """Digits, packed as PNG files."""
    digits = load_dataset("digits").train
    for place, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        folder = file.parent / "digits" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / f"{place}.png").exists():
            cv2.imwrite(str(folder / f"{place}.png"), image)
    file.unlink(missing_ok=True)
    pack_images(f"folder:{file.parent / 'digits'}", file, Packing(None))
    return make_splits(load_dataset(f"packed:{file}", size=8), seed=0, validation=200, test=200)


@pytest.mark.ray
@pytest.mark.parametrize(
    ("make", "name"), [(in_a_file, "images.npy"), pytest.param(in_a_pack, "images.pack", marks=pytest.mark.slow)]
)
def test_images_that_are_cut_short_end_the_run_and_no_candidate(
    make: Callable[[Path], ImageData], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tmp_path / name
    monkeypatch.setenv("TAURANK_TEST_IMAGES", str(images))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{tmp_path}")
    (tmp_path / "cutting.py").write_text(TRUNCATING)
    text = EXPERIMENT.replace("ward:Ward", "cutting:Cutting").format(codes=3)
    experiment = parse_experiment(text, where="cutting.yaml")
    data = make(images)
    run = create_run(experiment, tmp_path / "runs", data)
    with pytest.raises(ClusterError, match=rf"the images are gone: .*{name}.*; bring them back, then: taurank resume"):
        run_campaign(run, data, console=Console(quiet=True))
    assert not any(event == "failed" for event, _ in run.log.outcomes().values())

    (tmp_path / "cutting.py").write_text(TRUNCATING.replace("== 50", "== -1"))
    run_campaign(run, make(images), console=Console(quiet=True))
    outcomes = run.log.outcomes()
    assert [event for trial, (event, _) in outcomes.items() if trial != TIMING] == ["completed"] * 3
