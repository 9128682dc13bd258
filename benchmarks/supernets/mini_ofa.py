"""A small once-for-all network on Fashion-MNIST: progressive shrinking, and six checks of the result.

Two stages of at most two blocks, kernels 3 and 5, expansions 2 and 3, images of 20 and 28 pixels; 6,000 images to train
on. The supernet is trained by progressive shrinking, eight of its networks also alone for two epochs. Checks:

1. extracted networks compute the same as in the supernet (largest difference of logits);
2. sorting channels does not change the largest network, and the first channels have the largest L1 norm;
3. with identity matrices a smaller kernel is the centre of the larger one;
4. recalibration lifts the smallest network's accuracy;
5. phases come in order, each with all options of the one before, with finite losses; tau of inherited accuracies with
   those of the networks trained alone, compared with that of the number of parameters;
6. an evolution under a limit of latency, summed from a table, returns no network beyond it (`latency.py` checks sums).

Writes `mini_ofa.csv`, one row for each figure. One thread.

    python -m benchmarks.supernets.mini_ofa
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from taurank.orchestrator.search.evolution import evolve
from taurank.orchestrator.tau import agreement
from taurank.spaces import Architecture, get_space, measure_size
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.latency.measure import measure_table
from taurank.trainables.latency.parts import latency_keys
from taurank.trainables.supernet import (
    OnceForAllSupernet,
    Paths,
    SupernetConfig,
    SupernetTraining,
    extract,
    make_supernet,
)
from taurank.trainables.supernet.elastic import ElasticDepthwise
from taurank.trainables.supernet.samplers import ProgressiveSampler
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Training

OUT = Path(__file__).parent / "results" / "mini_ofa.csv"
SPACE = get_space("once_for_all", variant="mini")
RECIPE = Recipe(learning_rate=0.05, epochs=2)
ALONE = 8
LIMITED = 60
"""Networks whose parts are in the latency table, and whose median is the limit."""


class Report:
    """Figures, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(self, check: int, figure: str, value: float, holds: bool | None = None) -> None:
        self.rows.append({"check": check, "figure": figure, "value": round(float(value), 6), "holds": holds})
        print(f"{check}  {figure}: {value:.4g}  {'' if holds is None else 'holds' if holds else 'FAILS'}", flush=True)


@torch.no_grad()
def logits_of(supernet: OnceForAllSupernet, path: str, images: Tensor) -> Tensor:
    supernet.activate(path)
    found: Tensor = supernet.eval()(images)
    return found


def train(training: SupernetTraining, report: Report) -> None:
    sampler = training.sampler
    assert isinstance(sampler, ProgressiveSampler)
    phases: list[int] = []
    losses: list[float] = []
    while not training.finished:
        losses.append(training.step_epoch()["train_loss"])
        phases.append(sampler.phase)
        print(f"epoch {training.epoch}  {sampler.phases[sampler.phase].name}  loss {losses[-1]:.3f}", flush=True)
    options = [sampler.phases[phase].options for phase in dict.fromkeys(phases)]
    grow = all(before[kind] <= after[kind] for before, after in pairwise(options) for kind in before)
    report.add(5, "phases that were trained", len(options), len(options) == len(sampler.phases))
    report.add(5, "phases in order, options only added", float(grow), grow and phases == sorted(phases))
    report.add(5, "training loss of the last epoch", losses[-1], all(map(math.isfinite, losses)))


def check_networks(training: SupernetTraining, report: Report) -> None:
    supernet = copy.deepcopy(training.supernet)
    assert isinstance(supernet, OnceForAllSupernet)
    data = training.data
    images, _ = next(iter(training.batches(data.validation, 64)))
    shape, classes = data.input_shape, len(data.classes)
    differences = []
    for architecture in SPACE.sample(20, np.random.default_rng(1)):
        alone = extract(supernet, architecture.code, SPACE.build(architecture, input_shape=shape, classes=classes))
        with torch.no_grad():
            own = alone.eval()(images)
        differences.append(float((own - logits_of(supernet, architecture.code, images)).abs().max()))
    report.add(1, "largest difference of logits, 20 networks taken out", max(differences), max(differences) < 1e-5)

    largest = SPACE.choose([len(options) - 1 for options in SPACE.decisions]).code
    before = logits_of(supernet, largest, images)
    supernet.sort_channels(0)
    moved = float((logits_of(supernet, largest, images) - before).abs().max())
    report.add(2, "change of the largest network's logits by sorting", moved, moved < 1e-4)
    norms = [
        weight.abs().sum(dim=(0, 2, 3))
        for key, weight in supernet.state_dict().items()
        if "stages" in key and key.endswith("project.conv.weight")
    ]
    rising = max(float(norm.diff().max()) for norm in norms)
    report.add(2, "largest rise of the L1 norm from a channel to the next", rising, rising <= 1e-6)

    kernels = [layer for layer in supernet.modules() if isinstance(layer, ElasticDepthwise)]
    with torch.no_grad():
        learned = max(float((layer.transforms["5to3"] - torch.eye(9)).abs().max()) for layer in kernels)
        for layer in kernels:
            layer.transforms["5to3"].copy_(torch.eye(9))
    channels = 4
    centre = max(
        float((layer.kernel(3, channels) - layer.weight[:channels, :, 1:4, 1:4]).detach().abs().max())
        for layer in kernels
    )
    report.add(3, "difference to the centre with identity matrices", centre, centre == 0.0)
    report.add(3, "largest entry that training has moved the matrices by", learned, learned > 0)


def check_recalibration(training: SupernetTraining, report: Report) -> None:
    smallest = SPACE.choose([0] * len(SPACE.decisions)).code
    config = training.config
    training.config = replace(config, batch_norm="running")
    running = training.score(smallest).accuracy
    training.config = config
    own = training.score(smallest).accuracy
    report.add(4, "smallest network's accuracy, running statistics", running)
    report.add(4, "smallest network's accuracy, recalibrated", own, own > running + 0.1)


def check_order(training: SupernetTraining, report: Report) -> None:
    shape, classes = training.data.input_shape, len(training.data.classes)
    chosen = SPACE.sample(ALONE, np.random.default_rng(2))
    inherited = [training.score(architecture.code).accuracy for architecture in chosen]
    alone, sizes = [], []
    for architecture in chosen:
        own = Training(
            lambda architecture=architecture: SPACE.build(architecture, input_shape=shape, classes=classes),
            RECIPE,
            training.data,
            seed=1,
        )
        row = {}
        while not own.finished:
            row = own.step_epoch()
        alone.append(row["test_accuracy"])
        sizes.append(measure_size(SPACE, architecture, input_shape=shape, classes=classes).parameters)
    tau, by_size = agreement(inherited, alone), agreement(sizes, alone)
    report.add(5, f"tau of {ALONE} inherited accuracies with training alone", tau.tau, tau.tau > by_size.tau - 0.2)
    report.add(5, "low end of its 95 % interval", tau.low)
    report.add(5, "high end", tau.high)
    report.add(5, "tau of the number of parameters", by_size.tau)


def check_latency(training: SupernetTraining, report: Report) -> None:
    shape, classes = training.data.input_shape, len(training.data.classes)
    drawn = SPACE.sample(LIMITED, np.random.default_rng(3))
    table = measure_table(SPACE, drawn, input_shape=shape, classes=classes)

    def latency(architecture: Architecture) -> float:
        return table.total(latency_keys(SPACE, architecture, input_shape=shape, classes=classes))

    totals = np.array([latency(architecture) for architecture in drawn])
    limit = float(np.median(totals))
    known = set(table.milliseconds)

    def feasible(architecture: Architecture) -> bool:
        keys = latency_keys(SPACE, architecture, input_shape=shape, classes=classes)
        return known.issuperset(keys) and table.total(keys) <= limit

    found = evolve(
        SPACE,
        lambda new: [training.score(architecture.code).accuracy for architecture in new],
        generator=np.random.default_rng(0),
        feasible=feasible,
        generations=4,
        population=16,
    )
    beyond = sum(latency(architecture) > limit for architecture, _ in found)
    report.add(6, f"networks beyond the limit among {len(found)} that the evolution returned", beyond, beyond == 0)
    report.add(6, "its best inherited accuracy", found[0][1])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=24)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    images = load_dataset("fashion-mnist", root=None, download=False)
    data = make_splits(images, seed=0, validation=2_000, test=2_000, train=6_000)
    drawn = SPACE.sample(60, np.random.default_rng(0))
    training = SupernetTraining(
        lambda: make_supernet(SPACE, input_shape=data.input_shape, classes=len(data.classes)),
        RECIPE.of_length(options.epochs),
        data,
        paths=Paths(SPACE, tuple(architecture.code for architecture in drawn)),
        config=SupernetConfig(sampler="progressive"),
        seed=0,
    )
    report = Report()
    train(training, report)
    check_networks(training, report)
    check_recalibration(training, report)
    check_order(training, report)
    check_latency(training, report)
    pd.DataFrame(report.rows).to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
