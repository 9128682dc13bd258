"""What short trainings of few optimiser steps gain by smaller batches and higher learning rates.

Trains the networks of the recorded lists in a tenth of the epochs, on all training images and on a quarter of them,
with the batch and learning rate of full training, and with others. Training of few steps ends before networks have
learned enough to be compared; `Experiment.short_recipe_of` says what a run does about it. Everything finished is a line
of a journal in `--out`: an interrupted call is continued by the next.

Writes `few_steps.csv`: tau of each order with the mean of the two recorded full trainings, by validation accuracy and
by training loss; the mean accuracy; CPU seconds of one thread.

    python -m benchmarks.real_lists.few_steps --out recorded
    python -m benchmarks.real_lists.few_steps --out recorded --lists own_code digits60
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.real_lists.record import HERE, SHORT_SEED, Journal, RealList, read_list
from taurank.orchestrator.tau import tau_b
from taurank.spaces import Architecture
from taurank.trainables.data import ImageData, less_data
from taurank.trainables.table import read_table
from taurank.trainables.training import Training
from taurank.trainables.training.training import NonFiniteLossError

OUT = HERE / "results" / "few_steps.csv"
WAYS = {"as in full training": (1, 1.0), "half, twice": (2, 2.0), "quarter, half": (4, 0.5), "same, twice": (1, 2.0)}
"""By which number the batch is divided and the learning rate multiplied."""
QUARTER = 0.25
EXAMPLES: list[tuple[str, float]] = [
    *((name, 1.0) for name in ("digits60", "own_code", "zoo", "own_code_fashion", "mobile")),
    *((name, QUARTER) for name in ("own_code_fashion", "mobile", "zoo")),
]
"""Lists, and shares of the training images."""


def train(each: RealList, code: str, data: ImageData, epochs: int, way: str) -> dict[str, Any]:
    """Numbers of one training; the worst ones where it diverges."""
    smaller, times = WAYS[way]
    recipe = each.experiment.recipe_of(code).of_length(epochs)
    recipe = replace(recipe, batch_size=recipe.batch_size // smaller, learning_rate=recipe.learning_rate * times)
    shape, classes = data.input_shape, len(data.classes)
    began, row = time.process_time(), {"validation_accuracy": 0.0, "train_loss": math.inf}
    try:
        training = Training(
            lambda: each.space.build(Architecture(each.space.name, code), input_shape=shape, classes=classes),
            recipe,
            data,
            seed=SHORT_SEED,
        )
        while not training.finished:
            row = training.step_epoch()
    except NonFiniteLossError:
        pass
    kept = {name: row[name] for name in ("validation_accuracy", "train_loss")}
    return kept | {"seconds": time.process_time() - began}


def measure(name: str, share: float, journal: Journal) -> list[dict[str, object]]:
    """A row for each way."""
    each, table = read_list(name), read_table(HERE / f"{name}.parquet")
    full, seeds = table.full_epochs, each.experiment.baseline
    assert seeds is not None
    truth = sum(table.final("test_accuracy", schedule_epochs=full, seed=seed) for seed in seeds.seeds)
    data = less_data(each.data, share=share, seed=SHORT_SEED)
    epochs = full // 10
    steps = epochs * math.ceil(len(data.train) / each.experiment.recipe.batch_size)
    rows = []
    for way in WAYS:
        found = []
        for code in truth.index:
            about = {"list": name, "images": len(data.train), "way": way, "code": str(code)}
            if not journal.has(**about):
                journal.append(about | train(each, str(code), data, epochs, way))
            found.append(next(entry for entry in journal.entries if about.items() <= entry.items()))
        trained = pd.DataFrame(found)
        rows.append(
            {
                "list": name,
                "candidates": len(trained),
                "images": len(data.train),
                "steps": steps,
                "batch_and_rate": way,
                "tau_accuracy": tau_b(trained["validation_accuracy"].to_numpy(), truth.to_numpy()),
                "tau_loss": tau_b(-trained["train_loss"].to_numpy(), truth.to_numpy()),
                "accuracy": float(np.mean(trained["validation_accuracy"])),
                "seconds": float(trained["seconds"].sum()),
            }
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted({name for name, _ in EXAMPLES})
    parser.add_argument("--out", type=Path, required=True, help="folder of the journal")
    parser.add_argument("--lists", nargs="+", default=names, choices=names, metavar="LIST")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    journal = Journal(options.out / "few_steps.jsonl")
    key = ["list", "images"]
    for name, share in EXAMPLES:
        if name in options.lists:
            found = pd.DataFrame(measure(name, share, journal)).round(4)
            print(found.to_string(index=False), flush=True)
            if OUT.is_file():
                there = pd.read_csv(OUT)
                found = pd.concat([there[~there.set_index(key).index.isin(found.set_index(key).index)], found])
            found.sort_values(["steps", *key], kind="stable").to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
