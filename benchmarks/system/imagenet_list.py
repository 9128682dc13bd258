"""`imagenet-90` in small through Ray: twelve models by name on packed images of 100 classes, interrupted and resumed.

The images of `synthetic_ilsvrc`, 400 to 500 pixels a side, are packed by `taurank data pack`, decoded as they are used,
and ranked at 64 pixels by trainings of two and four epochs. The run is interrupted by Ctrl-C after four trainings and
resumed. Prints what the commands print, and writes `imagenet_list.csv`: rank, interval and epochs trained of each
model; the last rows count images, classes, and the trainings before the interruption, in all, and failed.

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
from typing import Any

import pandas as pd

from benchmarks.system.synthetic_ilsvrc import write_layout
from taurank.orchestrator.evidence import EvidenceLog
from taurank.trainables.data import known_images

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
data: {{name: "packed:{file}", size: 64, validation: {validation}}}
recipe: {{name: imagenet-90, epochs: 4, batch_size: 32}}
families: null
proxies: null
knowledge: null
budget: 1.3x
supernets: []
trainings: [{{epochs: 2}}, {{epochs: 4, candidates: 3}}]
resources: {{cpus: 1}}
"""
PATIENCE = 3600.0


def ended(work: Path) -> list[str]:
    """How each training that has ended did."""
    logs = list(work.glob("runs/*/evidence.sqlite"))
    outcomes = EvidenceLog(logs[0]).outcomes() if logs else {}
    return [event for trial, (event, _) in outcomes.items() if trial.startswith("training-")]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=500)
    parser.add_argument("--validation", type=int, default=100, help="of the training images")
    parser.add_argument("--test", type=int, default=100)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_layout(work / "ilsvrc", train=options.train, validation=options.test)
        models = ", ".join(f'"{model}"' for model in MODELS)
        experiment = EXPERIMENT.format(models=models, file=work / "images.packed", validation=options.validation)
        (work / "list.yaml").write_text(experiment)
        taurank = [sys.executable, "-m", "taurank"]
        settings: dict[str, Any] = {"cwd": work, "env": os.environ | {"PYTHONPATH": str(ROOT)}}
        pack = ["data", "pack", f"imagenet:{work / 'ilsvrc'}", "--out", "images.packed"]
        subprocess.run([*taurank, *pack], check=True, **settings)
        began = time.perf_counter()
        first = subprocess.Popen([*taurank, "run", "list.yaml"], **settings)
        while len(ended(work)) < 4 and first.poll() is None and time.perf_counter() - began < PATIENCE:
            time.sleep(1.0)
        first.send_signal(signal.SIGINT)
        first.wait(PATIENCE)
        before = len(ended(work))
        (folder,) = (work / "runs").glob("[!.]*")
        subprocess.run([*taurank, "resume", str(folder)], check=True, **settings)
        print(f"{time.perf_counter() - began:.0f} s of wall time")
        log = EvidenceLog(folder / "evidence.sqlite")
        epochs = log.evidence().query("metric == 'validation_accuracy'").groupby("architecture").size()
        table = pd.read_csv(folder / "ranking.csv")[["architecture", "rank", "rank_low", "rank_high"]]
        table["epochs"] = table["architecture"].map(epochs)
        events = ended(work)
        data = known_images(f"packed:{work / 'images.packed'}")
        trainings = {
            "images": data.train + data.test,
            "classes": data.classes,
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
