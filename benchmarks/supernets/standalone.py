"""Trainings of every architecture alone, two seeds each: the reference for the scores of supernets.

`mnist`: the nine networks of `mnist_blocks`, trained as github.com/basic-go-ahead/supernet-mnist trained them (its
pooling, initialisation and recipe, 3 epochs), on 55,000 of the 60,000 training images; the other 5,000 validate, and
the 10,000 test images test. `cells`: 48 cells of `nasbench201` (8 channels, one cell a stage) on 10,000 images of
Fashion-MNIST at 16 x 16, 12 epochs of SGD on half a cosine; 5,000 images validate, 10,000 test.

Writes `standalone_mnist.csv` or `standalone_cells.csv`, one row per epoch, and continues an existing file. One thread
each, so that several lists can be trained in parallel.

    python -m benchmarks.supernets.standalone cells
    python -m benchmarks.supernets.standalone mnist
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from taurank.spaces import Architecture, SearchSpace, get_space, measure_size
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Training

HERE = Path(__file__).parent / "results"
SEEDS = 1, 2
CELLS = 48


@dataclass(frozen=True)
class Study:
    """A list of architectures, the images and the recipe that all are trained with."""

    space: SearchSpace
    architectures: tuple[Architecture, ...]
    recipe: Recipe
    data: ImageData

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(architecture.code for architecture in self.architectures)


def make_study(name: str, root: Path | None = None) -> Study:
    """`mnist` or `cells`, with its images."""
    if name == "mnist":
        space = get_space("mnist_blocks", reference=True)
        recipe = Recipe(
            epochs=3,
            batch_size=32,
            optimizer="adamw",
            learning_rate=1e-4,
            weight_decay=0.01,
            schedule="constant",
            scaling="unit",
        )
        data = make_splits(load_dataset("mnist", root=root, download=False), seed=0, validation=5_000, test=None)
        return Study(space, tuple(space.enumerate()), recipe, data)
    space = get_space("nasbench201", width=8, cells_per_stage=1)
    images = load_dataset("fashion-mnist", root=root, download=False)
    data = make_splits(images, seed=0, validation=5_000, test=None, train=10_000, size=16)
    return Study(space, tuple(space.sample(CELLS, np.random.default_rng(0))), Recipe(epochs=12), data)


def table_of(name: str) -> Path:
    """File of the trainings of a study."""
    return HERE / f"standalone_{name}.csv"


def read_truth(name: str) -> pd.DataFrame:
    """Test accuracy at the end, (architectures, seeds), with `parameters` and `flops`."""
    rows = pd.read_csv(table_of(name)).dropna(subset="test_accuracy")
    truth = rows.pivot(index="architecture", columns="seed", values="test_accuracy")
    return truth.join(rows.groupby("architecture")[["parameters", "flops", "seconds"]].first())


def train_alone(study: Study, architecture: Architecture, seed: int) -> pd.DataFrame:
    """One row an epoch."""
    shape, classes = study.data.input_shape, len(study.data.classes)
    size = measure_size(study.space, architecture, input_shape=shape, classes=classes)
    training = Training(
        lambda: study.space.build(architecture, input_shape=shape, classes=classes),
        study.recipe,
        study.data,
        seed=seed,
    )
    rows = []
    while not training.finished:
        rows.append(training.step_epoch())
    about = {"architecture": architecture.code, "seed": seed, "parameters": size.parameters, "flops": size.flops}
    return pd.DataFrame([about | row for row in rows])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=["mnist", "cells"])
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    study, out = make_study(options.study, options.data), table_of(options.study)
    done = pd.read_csv(out) if out.exists() else pd.DataFrame({"architecture": [], "seed": []})
    there = set(zip(done["architecture"], done["seed"], strict=True))
    for seed in SEEDS:
        for architecture in study.architectures:
            if (architecture.code, seed) in there:
                continue
            rows = train_alone(study, architecture, seed)
            rows.round(6).to_csv(out, mode="a", header=not out.exists(), index=False)
            last = rows.iloc[-1]
            print(
                f"{architecture}  seed {seed}  test {last['test_accuracy']:.4f}  {rows['seconds'].sum():.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
