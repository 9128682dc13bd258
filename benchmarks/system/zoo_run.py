"""Models by name on a folder of images, end to end: `taurank run --models ... --data folder:...` with a baseline.

Writes the first images of CIFAR-10 as PNG files in class folders, then runs the command of the README on them with 16
models of torchvision and timm of eight kinds, a tenth of the cost for the ranking and full training of all to score it.
Prints what the command prints, and writes `zoo_run.csv`: rank and interval of each model beside its accuracy after
full training, its parameters and FLOPs; the last rows are Kendall's tau of the ranking and of size alone.

    python -m benchmarks.system.zoo_run
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.tau import agreement
from taurank.trainables.data import load_dataset

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "results" / "zoo_run.csv"
MODELS = (
    "torchvision:resnet18", "torchvision:mobilenet_v2", "torchvision:mobilenet_v3_small", "torchvision:squeezenet1_1",
    "torchvision:shufflenet_v2_x0_5", "torchvision:regnet_y_400mf", "timm:resnet10t", "timm:mobilenetv4_conv_small",
    "timm:efficientnet_b0", "timm:lcnet_050", "timm:repvgg_a0", "timm:convnext_atto", "timm:vit_tiny_patch16_224",
    "timm:mobilevit_xxs", "timm:pit_ti_224", "timm:test_vit",
)  # fmt: skip


def write_folder(folder: Path, train: int, test: int) -> None:
    """``train/CLASS/*.png`` and ``test/CLASS/*.png``."""
    published = load_dataset("cifar10")
    for part, images, labels, count in (
        ("train", published.train.images, published.train.labels, train),
        ("test", published.test.images, published.test.labels, test),
    ):
        for place in range(count):
            file = folder / part / published.classes[labels[place]] / f"{place:05}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), np.ascontiguousarray(images[place][..., ::-1]))


def table_of(run: Run) -> pd.DataFrame:
    """One row for each model, best first, then the taus."""
    ranking = pd.read_csv(run.folder / "ranking.csv").set_index("architecture")
    rows = run.log.evidence()
    final = rows.query("stage == 'baseline' and metric == 'test_accuracy'")
    truth = final.groupby("architecture")["value"].last().reindex(ranking.index)
    sizes = rows.query("source == 'size'").pivot(index="architecture", columns="metric", values="value")
    table = ranking[["rank", "rank_low", "rank_high"]].assign(truth=truth).join(sizes).reset_index()
    orders = {"the ranking": -table["rank"], "parameters": table["parameters"], "FLOPs": table["flops"]}
    for name, values in orders.items():
        found = agreement(values.to_numpy(dtype=float), truth.to_numpy())
        row = {"architecture": f"tau of {name}", "tau": found.tau, "low": found.low, "high": found.high}
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=1250, help="training images")
    parser.add_argument("--test", type=int, default=1000, help="test images")
    parser.add_argument("--epochs", type=int, default=10, help="of full training")
    parser.add_argument("--budget", default="10x")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_folder(work / "photos", options.train, options.test)
        command = [
            sys.executable, "-m", "taurank", "run", "--models", ",".join(MODELS), "--data", "folder:photos",
            "--size", "32", "--epochs", str(options.epochs), "--budget", options.budget, "--baseline",
            "--cache", "cache",
        ]  # fmt: skip
        began = time.perf_counter()
        subprocess.run(command, cwd=work, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
        print(f"{time.perf_counter() - began:.0f} s of wall time")
        (folder,) = (work / "runs").glob("[!.]*")
        table_of(Run.open(folder)).round(4).to_csv(OUT, index=False)
    print(f"written: {OUT.name}")


if __name__ == "__main__":
    main()
