"""A complete search with real trainings: `taurank search` with a latency constraint measured on the same machine.

Cells of NAS-Bench-201 (8 channels, one cell a stage) on 4,000 images of Fashion-MNIST. Each method has the same number
of trainings, from its first proposal to its ranking, through Ray Tune. Then the first of each ranking, and the first
three trained ones, are trained again with two other seeds; the result is their test accuracy.

Writes `search_run.csv`, a row for each architecture that a method ranked, and prints a line for each method.
Two cores; about a quarter of an hour for each method. Needs fashion-mnist in $TAURANK_DATA.

    python -m benchmarks.search.search_run
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.runs.image_loading import load_images
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.search.proposals import proposed_codes
from taurank.spaces import Architecture
from taurank.trainables.training.training import Training

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "results" / "search_run.csv"
METHODS = ("posterior", "random")
CHOSEN = 3
"""Number of the first of a ranking that are trained again."""
OTHER_SEEDS = (1, 2)


def search(method: str, work: Path, options: argparse.Namespace) -> tuple[Run, float]:
    """Runs the command; gives the run and its wall time in seconds."""
    content = {
        "name": method,
        "space": {"name": "nasbench201", "options": {"width": 8, "cells_per_stage": 1}},
        "search": {"method": method, "evaluations": options.evaluations},
        "constraints": [f"latency <= {options.milliseconds}ms"],
        "data": {"name": "fashion-mnist", "train": 4000, "validation": 1000, "test": 5000},
        "recipe": {"epochs": options.epochs},
        "share_results": False,
    }
    file = work / f"{method}.yaml"
    file.write_text(yaml.safe_dump(content))
    began = time.perf_counter()
    command = [sys.executable, "-m", "taurank", "search", str(file), "--out", str(work / method)]
    subprocess.run(command, cwd=ROOT, check=True)
    seconds = time.perf_counter() - began
    (folder,) = (work / method).glob("[!.]*")
    return Run.open(folder), seconds


def table_of(run: Run, method: str, seconds: float) -> pd.DataFrame:
    """One row for each architecture of the ranking, in its order."""
    ranking = pd.read_csv(run.folder / "ranking.csv")
    front = pd.read_csv(run.folder / "front.csv").set_index("architecture")
    order = {code: number for number, code in enumerate(proposed_codes(run.log), start=1)}
    validated = validation_accuracies(run.log)
    codes = ranking["architecture"]
    return pd.DataFrame(
        {
            "method": method,
            "architecture": codes,
            "proposed": codes.map(order).astype("Int64"),
            "rank": ranking["rank"],
            "rank_low": ranking["rank_low"],
            "rank_high": ranking["rank_high"],
            "validation_accuracy": codes.map(validated),
            "latency_ms": codes.map(front["latency_ms"]),
            "wall_seconds": round(seconds),
        }
    )


def validation_accuracies(log: EvidenceLog) -> pd.Series:
    """At the end of the training, by code."""
    rows = log.evidence().query("stage == 'search' and metric == 'validation_accuracy'")
    return rows.groupby("architecture")["value"].last()


def train_anew(run: Run, codes: Sequence[str]) -> dict[str, float]:
    """Mean test accuracy with other seeds."""
    experiment = run.experiment
    space, data = experiment.space.make(), load_images(experiment.data, root=None, download=False)
    shape, classes = data.input_shape, len(data.classes)
    found = {}
    for code in codes:
        architecture = Architecture(space.name, code)
        accuracies = []
        for seed in OTHER_SEEDS:
            training = Training(
                lambda one=architecture: space.build(one, input_shape=shape, classes=classes),
                experiment.recipe_of(code),
                data,
                seed=seed,
            )
            while not training.finished:
                last = training.step_epoch()
            accuracies.append(last["test_accuracy"])
        found[code] = float(np.mean(accuracies))
    return found


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A line for each method: cost, result, and whether the constraint was satisfied."""
    lines = []
    for method, own in table.groupby("method", sort=False):
        trained = own[own["proposed"].notna()]
        lines.append(
            {
                "method": method,
                "trained": len(trained),
                "minutes": own["wall_seconds"].iloc[0] / 60,
                "slowest_ms": own["latency_ms"].max(),
                "mean of trained": trained["validation_accuracy"].mean(),
                "best of trained": trained["validation_accuracy"].max(),
                f"first {CHOSEN} anew, test": trained["test_accuracy"].head(CHOSEN).mean(),
                "first anew, test": own["test_accuracy"].iloc[0],
            }
        )
    return pd.DataFrame(lines).round(4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--milliseconds", type=float, default=1.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables = []
    with tempfile.TemporaryDirectory() as work:
        for method in METHODS:
            run, seconds = search(method, Path(work), options)
            table = table_of(run, method, seconds)
            trained = table.loc[table["proposed"].notna(), "architecture"].head(CHOSEN)
            chosen = list(dict.fromkeys([*trained, table["architecture"].iloc[0]]))
            table["test_accuracy"] = table["architecture"].map(train_anew(run, chosen))
            tables.append(table)
            pd.concat(tables).round(4).to_csv(OUT, index=False)
    print(summary(pd.read_csv(OUT)).to_string(index=False))


if __name__ == "__main__":
    main()
