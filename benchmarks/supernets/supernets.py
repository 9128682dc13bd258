"""Supernets against standalone trainings: tau of each sampler's order, with contenders, and its cost.

The list, its images and its recipe are those of `standalone.py`, whose tables are the truth (mean test accuracy of two
seeds). Every sampler trains as many epoch-equivalents; scores are taken three ways (batch norm recalibrated for each
path, by batch statistics, by the running statistics of the training). On the recalibrated scores contenders are trained
further from their weights and ranked again among themselves.

Writes `supernet_scores_STUDY.csv`, a row for each method and candidate, continuing an existing file; then prints
`supernets_STUDY.csv`. `--report` only prints. One thread.

    python -m benchmarks.supernets.supernets cells
    python -m benchmarks.supernets.supernets mnist
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.supernets.standalone import HERE, Study, make_study, read_truth
from taurank.orchestrator.ranker.contenders import find_contenders, rank_again
from taurank.orchestrator.ranker.views import normal_scores
from taurank.orchestrator.tau import agreement, tau_b
from taurank.spaces import Architecture
from taurank.trainables.data import less_data
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, extract, make_supernet, score_paths
from taurank.trainables.training.training import Training

SAMPLERS = (
    "uniform", "fair", "sandwich", "epsilon-greedy", "ucb", "thompson", "greedy", "gumbel", "multi-agent", "shrinking",
)  # fmt: skip
METHODS = {name: SupernetConfig(sampler=name) for name in SAMPLERS} | {
    "few-shot": SupernetConfig(split_after=0.5),
}
BATCH_NORMS = "recalibrated", "batch", "running"


@dataclass(frozen=True)
class Budget:
    """Settings of a study's supernets, in epochs of the recipe.

    Attributes:
        epochs: of the supernet.
        share: of the training images for one epoch of each contender.
        most: maximal number of contenders.
        trained_on: methods whose contenders are trained further.
    """

    epochs: int
    share: float
    most: int | None
    trained_on: tuple[str, ...]


# The source of the nine networks has two samplers; contenders cost more there than all the rest.
BUDGETS = {
    "mnist": Budget(1, 0.18, None, ("uniform", "epsilon-greedy")),
    "cells": Budget(24, 0.5, 16, tuple(METHODS)),
}


def train(study: Study, method: str, seed: int, epochs: int) -> SupernetTraining:
    shape, classes = study.data.input_shape, len(study.data.classes)
    training = SupernetTraining(
        lambda: make_supernet(study.space, input_shape=shape, classes=classes),
        study.recipe.of_length(epochs),
        study.data,
        paths=Paths(study.space, study.codes),
        config=METHODS[method],
        seed=seed,
    )
    while not training.finished:
        training.step_epoch()
    return training


def train_on(study: Study, supernet: SupernetTraining, code: str, share: float, seed: int) -> float:
    """Validation accuracy of a contender after one further epoch from its inherited weights."""
    shape, classes = study.data.input_shape, len(study.data.classes)

    def build() -> torch.nn.Module:
        network = study.space.build(Architecture(study.space.name, code), input_shape=shape, classes=classes)
        return extract(supernet.supernet, code, network)

    data = less_data(study.data, share=share, seed=seed)
    training = Training(build, study.recipe.of_length(1), data, seed=seed, epoch_share=share)
    while not training.finished:
        row = training.step_epoch()
    return float(row["validation_accuracy"])


def measure(study: Study, method: str, seed: int, budget: Budget) -> pd.DataFrame:
    """One row for each candidate."""
    began = time.perf_counter()
    training = train(study, method, seed, budget.epochs)
    trained = time.perf_counter() - began
    table = pd.DataFrame({"method": method, "seed": seed, "architecture": study.codes, "epochs": budget.epochs})
    own = training.sampler.scores(study.codes)
    table["sampler_score"] = math.nan if own is None else own
    # Running statistics first: the other two change them.
    for batch_norm in reversed(BATCH_NORMS):
        training.config = replace(training.config, batch_norm=batch_norm)
        began = time.perf_counter()
        scores = score_paths(training)
        table[batch_norm] = [score.accuracy for score in scores]
        if batch_norm == "recalibrated":
            scored = time.perf_counter() - began
            for column in ("accuracy_sd", "loss", "updates", "option_updates"):
                table[column] = [getattr(score, column) for score in scores]
    contenders: tuple[int, ...] = ()
    if method in budget.trained_on:
        found, sds = table["recalibrated"].to_numpy(), table["accuracy_sd"].to_numpy()
        contenders = find_contenders(found, sds, most=budget.most)
    began = time.perf_counter()
    table["trained_on"] = math.nan
    for place in contenders:
        table.loc[place, "trained_on"] = train_on(study, training, study.codes[place], budget.share, seed)
    seconds = {"train_seconds": trained, "score_seconds": scored, "contender_seconds": time.perf_counter() - began}
    table["score_epochs"] = training.cost_per_score
    table["contender_epochs"] = np.where(table["trained_on"].notna(), budget.share, 0.0)
    return table.assign(**{name: value / len(table) for name, value in seconds.items()})


def summarise(study: Study, name: str) -> pd.DataFrame:
    """One row for each order: its tau with the truth, its interval, its cost."""
    scores = pd.read_csv(scores_of(name))
    truth = read_truth(name).reindex(list(study.codes))
    seeds = [column for column in truth.columns if isinstance(column, int)]
    final = truth[seeds].mean(axis=1).to_numpy()
    full = len(study.codes) * study.recipe.epochs
    sizes = normal_scores(truth["parameters"].to_numpy(dtype=float))
    lines: list[dict[str, object]] = []

    def add(order: str, seed: object, values: np.ndarray, epochs: float = math.nan) -> None:
        found = agreement(values, final)
        lines.append(
            {
                "order": order,
                "seed": seed,
                "tau": found.tau,
                "low": found.low,
                "high": found.high,
                "epochs": epochs,
                "cheaper": full / epochs if epochs == epochs else math.nan,
            }
        )

    for metric in ("parameters", "flops"):
        add(f"{metric} only", "", truth[metric].to_numpy(dtype=float), 0.0 or math.nan)
    if len(seeds) > 1:
        add("ceiling: one seed by the other", "", np.full(len(final), math.nan))
        lines[-1]["tau"] = tau_b(truth[seeds[0]], truth[seeds[1]])
    for (method, seed), own in scores.groupby(["method", "seed"], sort=False):
        own = own.set_index("architecture").reindex(list(study.codes))
        cost = float(own["epochs"].iloc[0] + own["score_epochs"].sum())
        for batch_norm in BATCH_NORMS:
            kind = "" if batch_norm == "recalibrated" else f", {batch_norm} statistics"
            add(f"{method}{kind}", seed, own[batch_norm].to_numpy(), cost)
        if own["sampler_score"].notna().any():
            add(f"{method}, sampler's own", seed, own["sampler_score"].to_numpy(), float(own["epochs"].iloc[0]))
        values, sds = own["recalibrated"].to_numpy(), own["accuracy_sd"].to_numpy()
        if own["trained_on"].notna().any():
            again = rank_again(values, sds, own["trained_on"].to_numpy())
            add(f"{method} + contenders", seed, again, cost + float(own["contender_epochs"].sum()))
        add(f"{method} with parameters", seed, normal_scores(values) + sizes, cost)
    return pd.DataFrame(lines)


def scores_of(name: str) -> Path:
    return HERE / f"supernet_scores_{name}.csv"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=list(BUDGETS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 3])
    parser.add_argument("--report", action="store_true", help="no trainings, only the table of those that are there")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    study, out = make_study(options.study), scores_of(options.study)
    done = pd.read_csv(out) if out.exists() else pd.DataFrame({"method": [], "seed": []})
    there = set(zip(done["method"], done["seed"], strict=True))
    for seed in [] if options.report else options.seeds:
        for method in options.methods:
            if (method, seed) not in there:
                rows = measure(study, method, seed, BUDGETS[options.study])
                rows.round(6).to_csv(out, mode="a", header=not out.exists(), index=False)
                print(f"{method}  seed {seed}  {rows.filter(like='_seconds').sum().round().to_dict()}", flush=True)
    table = summarise(study, options.study)
    table.round(4).to_csv(HERE / f"supernets_{options.study}.csv", index=False)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
