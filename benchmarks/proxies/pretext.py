"""Pretext tasks against supervised training on the same list of architectures.

24 cells of `nasbench201` (8 channels, one cell a stage) on 6,000 images of CIFAR-10 at 16 x 16, 1,000 more are held
out. Trained with labels for 6 epochs, two seeds each: the mean test accuracy is the truth, the agreement of the two
seeds the ceiling. Trained by rotation for 2 epochs, by colorization for 3, by jigsaw for 3, one seed each: the
score is the accuracy in the task on the held-out images after the last epoch. All by one recipe (SGD, half a cosine),
which a task scales as `PretextTask.recipe` says.

`tau` is Kendall's, with its 95 % interval (`tau.agreement`); that of Spearman's rho is by Fisher's z with
the variance of Bonett and Wright (2000), (1 + rho^2 / 2) / (n - 3). `given_parameters` is the partial tau given the
number of parameters of the candidate's own network. `cost` is in epoch-equivalents. The published figures are
Spearman's rho of 100 epochs on CIFAR-10 with supervised accuracy on ImageNet, on 500 other architectures each (Liu et
al. 2020, arXiv 2003.12056): another size, length and question than here.

Each training is a row of `pretext_scores.csv` and is not repeated; the table is printed and written
to `pretext.csv`. One thread; half an hour of CPU time beside other work.

    python -m benchmarks.proxies.pretext
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from taurank.orchestrator.tau import agreement, partial_tau
from taurank.spaces import Architecture, get_space, measure_size
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.pretext import PretextTraining, get_task
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Training

OUT = Path(__file__).parent / "results" / "pretext.csv"
SCORES = OUT.with_name("pretext_scores.csv")
SPACE = get_space("nasbench201", width=8, cells_per_stage=1)
CELLS = 24
RECIPE = Recipe(epochs=6)
SUPERVISED = "supervised"
EPOCHS = {"rotation": 2, "colorization": 3, "jigsaw": 3}
RUNS = [(SUPERVISED, 1), *((task, 0) for task in EPOCHS), (SUPERVISED, 2)]
"""The trainings with their seeds, candidate by candidate."""
PUBLISHED = {
    "rotation": (0.82, 0.74),
    "colorization": (0.77, 0.69),
    "jigsaw": (0.87, 0.79),
    SUPERVISED: (0.90, 0.80),
}
"""Spearman's rho with ImageNet: cells of DARTS, cells of NAS-Bench-101."""


def make_training(task: str, seed: int, architecture: Architecture, data: ImageData) -> Training:
    def build(input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return SPACE.build(architecture, input_shape=input_shape, classes=classes)

    if task == SUPERVISED:
        return Training(lambda: build(data.input_shape, len(data.classes)), RECIPE, data, seed=seed)
    return PretextTraining(get_task(task), build, RECIPE.of_length(EPOCHS[task]), data, seed=seed)


def train(task: str, seed: int, architecture: Architecture, data: ImageData) -> dict[str, object]:
    size = measure_size(SPACE, architecture, input_shape=data.input_shape, classes=len(data.classes))
    began, cost = time.process_time(), 0.0
    training = make_training(task, seed, architecture, data)
    while not training.finished:
        last = training.step_epoch()
        cost += training.spent
    accuracy = last["test_accuracy" if task == SUPERVISED else "validation_accuracy"]
    return {
        "architecture": SPACE.short(architecture), "task": task, "seed": seed, "accuracy": round(accuracy, 6),
        "cost": round(cost, 4), "seconds": round(time.process_time() - began, 2),
        "parameters": size.parameters, "flops": size.flops,
    }  # fmt: skip


def spearman_interval(rho: float, n: int) -> tuple[float, float]:
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)


def table_of(scores: pd.DataFrame) -> pd.DataFrame:
    by = scores.pivot(index="architecture", columns=["task", "seed"], values="accuracy")
    truth = by[SUPERVISED].mean(axis=1)
    size = scores.groupby("architecture")[["parameters", "flops"]].first().loc[by.index]
    spent = scores.groupby("task")[["cost", "seconds"]].mean()
    orders: list[tuple[str, pd.Series, pd.Series]] = [(task, by[task][0], truth) for task in EPOCHS]
    orders += [(name, size[name], truth) for name in size]
    orders.append(("one seed with labels by the other", by[SUPERVISED][1], by[SUPERVISED][2]))
    lines = []
    for name, values, against in orders:
        found = agreement(values, against)
        low, high = spearman_interval(found.spearman, found.n)
        line: dict[str, object] = {
            "order_by": name, "cells": found.n, "tau": found.tau, "tau_low": found.low, "tau_high": found.high,
            "spearman": found.spearman, "spearman_low": low, "spearman_high": high,
        }  # fmt: skip
        if name not in size:
            line["given_parameters"] = partial_tau(values, against, size["parameters"]).value
            known = name if name in EPOCHS else SUPERVISED
            line |= {"cost": spent["cost"][known], "seconds": spent["seconds"][known]}
            line |= {"least": values.min(), "most": values.max()}
            published = PUBLISHED[known]
            line |= {"published_imagenet_darts": published[0], "published_imagenet_nb101": published[1]}
        lines.append(line)
    return pd.DataFrame(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = make_splits(load_dataset("cifar10"), seed=0, validation=1000, test=None, train=6000, size=16)
    scores = pd.read_csv(SCORES) if SCORES.exists() else pd.DataFrame(columns=["architecture", "task", "seed"])
    there = set(zip(scores["architecture"], scores["task"], scores["seed"], strict=True))
    for architecture in SPACE.sample(CELLS, np.random.default_rng(0)):
        for task, seed in RUNS:
            if (SPACE.short(architecture), task, seed) in there:
                continue
            row = train(task, seed, architecture, data)
            pd.DataFrame([row]).to_csv(SCORES, mode="a", header=not SCORES.exists(), index=False)
            print(*row.values(), flush=True)
    table = table_of(pd.read_csv(SCORES))
    table.round(4).to_csv(OUT, index=False)
    with pd.option_context("display.width", 250, "display.max_columns", None):
        print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
