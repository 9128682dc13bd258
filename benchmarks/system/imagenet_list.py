"""`imagenet-90` in small through Ray: twelve models by name on a synthetic folder of images, interrupted and resumed.

Images of 80 x 96 pixels of six classes (stripes of a direction each, with noise, in random colours) are written as JPEG
files in the layout of ImageNet, and ranked at 64 pixels by trainings of two and four epochs. The run is interrupted by
Ctrl-C after four trainings and resumed. Prints what the commands print, and writes `imagenet_list.csv`: rank, interval
and epochs trained of each model; the last rows count the trainings before the interruption, in all, and failed.

    python -m benchmarks.system.imagenet_list
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import EvidenceLog

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "results" / "imagenet_list.csv"
MODELS = (
    "torchvision:resnet18", "torchvision:mobilenet_v2", "torchvision:mobilenet_v3_small", "torchvision:mnasnet0_5",
    "torchvision:shufflenet_v2_x0_5", "torchvision:squeezenet1_1", "timm:resnet10t", "timm:lcnet_050",
    "timm:mobilenetv4_conv_small_050", "timm:test_efficientnet", "timm:test_resnet", "timm:test_vit",
)  # fmt: skip
EXPERIMENT = """
name: imagenet-list
space: zoo
candidates: [{models}]
data: {{name: "imagenet:{folder}", size: 64, validation: 60}}
recipe: {{name: imagenet-90, epochs: 4, batch_size: 32}}
families: null
proxies: null
knowledge: null
budget: 1.3x
supernets: []
trainings: [{{epochs: 2}}, {{epochs: 4, candidates: 3}}]
resources: {{cpus: 1}}
"""
CLASSES = 6
PATIENCE = 1800.0


def write_images(folder: Path, train: int, test: int) -> None:
    """``train/SYNSET/*.JPEG`` and ``val/SYNSET/*.JPEG``."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:80, :96] / 8.0
    for part, count in (("train", train), ("val", test)):
        for place in range(count):
            label = place % CLASSES
            angle, phase = np.pi * label / CLASSES, generator.uniform(0, 6)
            wave = np.sin(rows * np.cos(angle) * 2 + columns * np.sin(angle) * 2 + phase)[..., None]
            pixels = 128 + wave * generator.uniform(20, 80, 3) + generator.normal(0, 25, (80, 96, 3))
            file = folder / part / f"n{label:08}" / f"{place:05}.JPEG"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), pixels.clip(0, 255).astype(np.uint8))


def ended(work: Path) -> int:
    """Trainings that have ended."""
    logs = list(work.glob("runs/*/evidence.sqlite"))
    return len(EvidenceLog(logs[0]).outcomes()) if logs else 0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=180)
    parser.add_argument("--test", type=int, default=60)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_images(work / "ilsvrc", options.train, options.test)
        experiment = EXPERIMENT.format(models=", ".join(f'"{model}"' for model in MODELS), folder=work / "ilsvrc")
        (work / "list.yaml").write_text(experiment)
        taurank = [sys.executable, "-m", "taurank"]
        settings = {"cwd": work, "env": os.environ | {"PYTHONPATH": str(ROOT)}}
        began = time.perf_counter()
        first = subprocess.Popen([*taurank, "run", "list.yaml", "--cache", "cache"], **settings)
        while ended(work) < 4 and first.poll() is None and time.perf_counter() - began < PATIENCE:
            time.sleep(1.0)
        first.send_signal(signal.SIGINT)
        first.wait(PATIENCE)
        before = ended(work)
        (folder,) = (work / "runs").glob("[!.]*")
        subprocess.run([*taurank, "resume", str(folder), "--cache", "cache"], check=True, **settings)
        print(f"{time.perf_counter() - began:.0f} s of wall time")
        log = EvidenceLog(folder / "evidence.sqlite")
        epochs = log.evidence().query("metric == 'validation_accuracy'").groupby("architecture").size()
        table = pd.read_csv(folder / "ranking.csv")[["architecture", "rank", "rank_low", "rank_high"]]
        table["epochs"] = table["architecture"].map(epochs)
        events = [event for event, _ in log.outcomes().values()]
        trainings = {
            "trainings before the interruption": before,
            "in all": len(events),
            "failed": events.count("failed"),
        }
        rows = pd.DataFrame([{"architecture": what, "epochs": count} for what, count in trainings.items()])
        table = pd.concat([table, rows], ignore_index=True)
        table.to_csv(OUT, index=False)
        print(table.to_string())


if __name__ == "__main__":
    main()
