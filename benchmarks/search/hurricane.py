"""A search in two stages on Fashion-MNIST, against one supernet of the whole space.

`nasbench_macro` with 4 channels, 4,000 images to train on: eight layers of three options, 6,561 codes. Every option of
each layer is measured on this machine; 70 % of the codes are within the limit on the sums.

- Two stages: a supernet of the last four layers with the cheapest first four, then, from its weights, one of the
  first four layers with the best last four.
- A single stage: a supernet of all eight layers.

Eight random networks under the limit are trained alone. The orders of both are compared with these, and with each
other on networks that both have scored. The best network of each is trained alone too. Writes `hurricane.csv`, a row
for each figure. One thread.

    python -m benchmarks.search.hurricane
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.common.alone import train_alone
from benchmarks.search.staged import StagedSupernet, count_steps
from benchmarks.search.two_stage import TwoStages, two_stage
from taurank.orchestrator.tau import agreement
from taurank.spaces import Architecture, get_space, measure_size
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.latency.measure import measure_table
from taurank.trainables.latency.options import every_option, measure_options
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, make_supernet
from taurank.trainables.training.recipe import Recipe

OUT = Path(__file__).parent / "results" / "hurricane.csv"
SPACE = get_space("nasbench_macro", width=4, head_width=64)
RECIPE = Recipe(learning_rate=0.05)
CONFIG = SupernetConfig(calibration_images=256)
STAGES, SINGLE, ALONE_EPOCHS = (7, 4), 16, 4
ALONE = 8
WITHIN = 0.7
"""Share of the codes within the limit."""


class Report:
    """Figures, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(self, figure: str, value: float | str, holds: bool | None = None) -> None:
        shown = value if isinstance(value, str) else round(float(value), 4)
        self.rows.append({"figure": figure, "value": shown, "holds": holds})
        print(f"{figure}: {shown}  {'' if holds is None else 'holds' if holds else 'FAILS'}", flush=True)

    def add_tau(self, figure: str, ours: Sequence[float], truth: Sequence[float]) -> None:
        found = agreement(ours, truth)
        self.add(f"tau of {figure}", found.tau)
        self.add(f"low end of its 95 % interval, of {figure}", found.low)
        self.add(f"high end, of {figure}", found.high)


def measure_sums(data: ImageData) -> tuple[dict[Architecture, float], Architecture]:
    """Sum of the milliseconds of the layers of each architecture, and the cheapest architecture."""
    task = {"input_shape": data.input_shape, "classes": len(data.classes)}
    table = measure_table(SPACE, every_option(SPACE), **task)
    layers = [[option.milliseconds for option in options] for options in measure_options(SPACE, table, **task)]
    sums = {
        one: sum(layer[choice] for layer, choice in zip(layers, SPACE.choices(one), strict=True))
        for one in SPACE.enumerate()
    }
    return sums, min(sums, key=sums.__getitem__)


def train_single(data: ImageData) -> SupernetTraining:
    shape, classes = data.input_shape, len(data.classes)
    every = dict.fromkeys(SPACE.canonical(one) for one in SPACE.enumerate())
    training = SupernetTraining(
        lambda: make_supernet(SPACE, input_shape=shape, classes=classes),
        RECIPE.of_length(SINGLE),
        data,
        paths=Paths(SPACE, tuple(one.code for one in every)),
        config=CONFIG,
        seed=0,
    )
    while not training.finished:
        training.step_epoch()
    return training


def accuracy_alone(architecture: Architecture, data: ImageData) -> float:
    """Test accuracy."""
    return train_alone(SPACE, architecture, RECIPE.of_length(ALONE_EPOCHS), data)["test_accuracy"]


def compare(
    result: TwoStages, single: SupernetTraining, feasible: list[Architecture], data: ImageData, report: Report
) -> None:
    common = [one for one in feasible if not np.isnan(result.additive(one))]
    chosen = [common[place] for place in np.random.default_rng(1).permutation(len(common))]
    joint = {one: single.score(one.code).accuracy for one in chosen[:100]}
    additive = [result.additive(one) for one in joint]
    report.add_tau(f"the additive order with the single stage's, {len(joint)} networks", additive, list(joint.values()))
    alone = [accuracy_alone(one, data) for one in chosen[:ALONE]]
    report.add("spread of the test accuracies alone", max(alone) - min(alone))
    sizes = [
        measure_size(SPACE, one, input_shape=data.input_shape, classes=len(data.classes)).flops
        for one in chosen[:ALONE]
    ]
    report.add_tau(f"the additive order with {ALONE} trainings alone", additive[:ALONE], alone)
    report.add_tau(f"the single stage's order with {ALONE} trainings alone", list(joint.values())[:ALONE], alone)
    report.add_tau(f"FLOPs with {ALONE} trainings alone", sizes, alone)
    best = max(joint, key=joint.__getitem__)
    report.add("best of two stages, test accuracy alone", accuracy_alone(result.best, data))
    report.add(f"best of the single stage among {len(joint)}, test accuracy alone", accuracy_alone(best, data))
    report.add("best of the random ones, test accuracy alone", max(alone))


def main(arguments: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(
        arguments
    )
    torch.set_num_threads(1)
    images = load_dataset("fashion-mnist", root=None, download=False)
    data = make_splits(images, seed=0, validation=1_000, test=4_000, train=4_000)
    report = Report()
    milliseconds, cheapest = measure_sums(data)
    limit = float(np.quantile(list(milliseconds.values()), WITHIN))
    report.add("limit on the sum of the layers, ms", limit)

    began = time.perf_counter()
    result = two_stage(
        SPACE,
        StagedSupernet(SPACE, RECIPE, data, epochs=STAGES, config=CONFIG),
        default=cheapest,
        feasible=lambda one: milliseconds[one] <= limit,
        generator=np.random.default_rng(0),
    )
    report.add("seconds of two stages, scores included", time.perf_counter() - began)
    began = time.perf_counter()
    single = train_single(data)
    report.add("seconds of the single stage, without scores", time.perf_counter() - began)
    steps = count_steps(RECIPE.of_length(SINGLE), images=len(data.train))
    for name, count, share in result.ledger(steps):
        report.add(f"steps of {name}", count)
        report.add(f"share of the single stage's, of {name}", share, share <= 0.7 if name == "both stages" else None)
    for number, stage in enumerate(result.stages, start=1):
        report.add(f"networks scored in stage {number}", len(stage.ranking))
        beyond = sum(milliseconds[one] > limit for one, _ in stage.ranking)
        report.add(f"of them beyond the limit, in stage {number}", beyond, beyond == 0)
    report.add("gain expected of stage 2", result.expected_gain)
    first, second = result.stages
    report.add("gain of stage 2, among its own scores", second.ranking[0][1] - second.scores[first.best])
    feasible = [one for one in milliseconds if milliseconds[one] <= limit and SPACE.canonical(one) == one]
    compare(result, single, feasible, data, report)
    pd.DataFrame(report.rows).to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
