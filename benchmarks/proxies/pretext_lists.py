"""Pretext tasks against labels at equal cost, on the recorded lists of networks.

Rotation for one epoch and jigsaw for one epoch, which have four views of an image each, cost as much as four epochs
with labels: a tenth of full training. Each candidate is trained once by each task, on the images, the split and with
the recipe of the list's experiment file; the score is the accuracy in the task on the validation images. The truth is
the mean test accuracy of the two recorded full trainings with labels. The short trainings with labels (four epochs on a
schedule of their own) are recorded too. Colorization needs images with colours, which these lists do not have;
`pretext.py` has it.

Tau and Spearman's rho have 95 % intervals as in `pretext.py`; there is also tau given the number of parameters. The
trainings are rows of `pretext_lists_scores.csv`, which is continued. Writes `pretext_lists.csv`. One thread; some
minutes.

    python -m benchmarks.proxies.pretext_lists
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.proxies.pretext import spearman_interval
from benchmarks.real_lists.record import HERE, SHORT_SEED, RealList, read_list
from taurank.orchestrator.tau import agreement, partial_tau
from taurank.spaces import Architecture
from taurank.trainables.pretext import PretextTraining, get_task
from taurank.trainables.table import RecordedTable, read_table

OUT = Path(__file__).parent / "results" / "pretext_lists.csv"
SCORES = OUT.with_name("pretext_lists_scores.csv")
TASKS = ("rotation", "jigsaw")
LISTS = ("own_code_fashion", "mobile")
"""Without `own_code`: turned and cut digits of 8 x 8 pixels are no longer legible."""


def train(each: RealList, code: str, task: str) -> dict[str, object]:
    began, cost = time.process_time(), 0.0
    architecture = Architecture(each.space.name, code)
    training = PretextTraining(
        get_task(task),
        lambda input_shape, classes: each.space.build(architecture, input_shape=input_shape, classes=classes),
        each.experiment.recipe_of(code).of_length(1),
        each.data,
        seed=SHORT_SEED,
    )
    while not training.finished:
        row = training.step_epoch()
        cost += training.spent
    return {
        "list": each.name, "architecture": code, "task": task, "accuracy": round(row["validation_accuracy"], 6),
        "cost": round(cost, 4), "seconds": round(time.process_time() - began, 2),
    }  # fmt: skip


def record(each: RealList, codes: Sequence[str]) -> None:
    there = pd.read_csv(SCORES) if SCORES.is_file() else pd.DataFrame(columns=["list", "architecture", "task"])
    done = set(zip(there["list"], there["architecture"], there["task"], strict=True))
    order = [codes[place] for place in np.random.default_rng(0).permutation(len(codes))]
    for code in order:
        for task in TASKS:
            if (each.name, code, task) not in done:
                row = pd.DataFrame([train(each, code, task)])
                row.to_csv(SCORES, mode="a", header=not SCORES.is_file(), index=False)


def lines(each: RealList, table: RecordedTable, scores: pd.DataFrame) -> Iterator[dict[str, object]]:
    """A line for each order; on the candidates that all tasks have scored."""
    baseline, full = each.experiment.baseline, table.full_epochs
    assert baseline is not None
    by_task = scores.pivot(index="architecture", columns="task", values="accuracy").dropna()
    codes = list(by_task.index)
    tests = [table.final("test_accuracy", schedule_epochs=full, seed=seed).loc[codes] for seed in baseline.seeds]
    truth, sizes, epochs = sum(tests) / len(tests), table.wide("size").loc[codes], full // 10
    short = table.at("validation_accuracy", epoch=epochs, schedule_epochs=epochs, seed=SHORT_SEED).loc[codes]
    costs = scores.groupby("task")["cost"].mean().to_dict()
    orders = [(task, by_task[task], truth, costs[task]) for task in TASKS]
    orders += [("with labels", short, truth, float(epochs)), ("parameters", sizes["parameters"], truth, 0.0)]
    orders.append(("one full training, by the other", tests[0], tests[1], float(full)))
    for name, values, against, cost in orders:
        found = agreement(values, against)
        low, high = spearman_interval(found.spearman, found.n)
        yield {
            "list": each.name, "order_by": name, "candidates": found.n, "epochs": cost, "tau": found.tau,
            "tau_low": found.low, "tau_high": found.high, "spearman": found.spearman, "spearman_low": low,
            "spearman_high": high, "given_parameters": partial_tau(values, against, sizes["parameters"]).value,
            "least": values.min(), "most": values.max(),
        }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", nargs="+", choices=LISTS, default=LISTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for name in options.lists:
        each, table = read_list(name), read_table(HERE / f"{name}.parquet")
        record(each, table.architectures)
        scores = pd.read_csv(SCORES).query("list == @name and architecture in @table.architectures")
        found = pd.DataFrame(lines(each, table, scores))
        others = pd.read_csv(OUT).query("list != @name") if OUT.is_file() else pd.DataFrame()
        pd.concat([others, found]).round(4).to_csv(OUT, index=False)
        print(found.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
