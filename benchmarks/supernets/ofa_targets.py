"""Once-for-All in small: cost for 1, 4 and 40 deployment targets, progressive shrinking, networks trained alone.

The elastic network of `mini_ofa.py` on 800 images of Fashion-MNIST; 500 images to select by, 2,000 to test on. A
target is a limit on FLOPs; 40 limits are spread evenly over those of 100 random networks, of which searches choose.

- Elastic network: 30 epochs of progressive shrinking, and 30 of uniform paths from the start, which cost as much (an
  epoch is the work of a pass over the images, whatever the paths of a step). Three seeds. Test accuracies of 10
  networks: the largest, the smallest and eight random ones.
- Alone: the eight random networks for 10 epochs each.
- Search with the elastic network: 60 of them scored (forward passes, booked as a third of a training pass),
  a perceptron over their decisions, the best predicted of the 100 within a limit; its test accuracy is with
  inherited weights. Another target costs no epoch.
- Search without: random networks within a limit, each trained alone for 10 epochs, the best by validation accuracy;
  expected values over all orders of the eight. A search each for a target.

Rows of `ofa_targets.csv`: `networks` (accuracies), `targets` (accuracy of both searches by limit, `trainings` alone
until the expected accuracy is that of the elastic network, empty where all eight within the limit do not suffice) and
`cost` in epochs. One thread; some three minutes of CPU time.

    python -m benchmarks.supernets.ofa_targets
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from benchmarks.common.paired import positive
from taurank.spaces import Architecture, get_space, measure_size
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, make_supernet
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Training

OUT = Path(__file__).parent / "results" / "ofa_targets.csv"
SPACE = get_space("once_for_all", variant="mini")
RECIPE = Recipe(learning_rate=0.05, batch_size=16)
ELASTIC_EPOCHS, ALONE_EPOCHS = 30, 10
NETWORKS, SCORED, ALONE, TARGETS = 100, 60, 8, (1, 4, 40)
FORWARD = 1 / 3
"""Work of a forward pass in training passes."""


def train_elastic(data: ImageData, sampler: str, seed: int) -> SupernetTraining:
    drawn = SPACE.sample(60, np.random.default_rng(0))
    training = SupernetTraining(
        lambda: make_supernet(SPACE, input_shape=data.input_shape, classes=len(data.classes)),
        RECIPE.of_length(ELASTIC_EPOCHS),
        data,
        paths=Paths(SPACE, tuple(one.code for one in drawn)),
        config=SupernetConfig(sampler=sampler, calibration_images=256),
        seed=seed,
    )
    while not training.finished:
        training.step_epoch()
    return training


def tested(training: SupernetTraining, architectures: Sequence[Architecture]) -> list[float]:
    """Test accuracies with inherited weights."""
    data = training.data
    training.data = replace(data, validation=data.test)
    try:
        return [training.score(one.code).accuracy for one in architectures]
    finally:
        training.data = data


def train_alone(architecture: Architecture, data: ImageData) -> dict[str, float]:
    training = Training(
        lambda: SPACE.build(architecture, input_shape=data.input_shape, classes=len(data.classes)),
        RECIPE.of_length(ALONE_EPOCHS),
        data,
        seed=1,
    )
    row: dict[str, float] = {}
    while not training.finished:
        row = training.step_epoch()
    return row


def one_hot(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    widths = [len(options) for options in SPACE.decisions]
    starts = np.cumsum([0, *widths[:-1]])
    columns = np.zeros((len(architectures), sum(widths)))
    for row, one in enumerate(architectures):
        columns[row, starts + np.array(SPACE.choices(one))] = 1.0
    return columns


def predict(training: SupernetTraining, every: Sequence[Architecture], seed: int) -> NDArray[np.float64]:
    """Accuracy of every network as predicted from some scores."""
    generator = np.random.default_rng(seed)
    scored = [every[place] for place in generator.choice(len(every), SCORED, replace=False)]
    values = np.array([training.score(one.code).accuracy for one in scored])
    model = MLPRegressor((400, 400, 400), random_state=seed, max_iter=100, n_iter_no_change=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so many epochs are what the source has
        model.fit(one_hot(scored), (values - values.mean()) / values.std())
    found: NDArray[np.float64] = model.predict(one_hot(every))
    return found


def expected_best(validation: NDArray[np.float64], test: NDArray[np.float64], count: int) -> float:
    """Expected test accuracy of the best by validation among so many of these, drawn without repeats."""
    order = np.argsort(validation, kind="stable")
    chances = [comb(place, count - 1) / comb(len(order), count) for place in range(len(order))]
    return float(np.dot(chances, test[order]))


def measure(data: ImageData, seeds: int) -> Iterator[dict[str, object]]:
    drawn = SPACE.sample(NETWORKS, np.random.default_rng(0))
    ends = [SPACE.choose([take * (len(options) - 1) for options in SPACE.decisions]) for take in (1, 0)]
    every = list(dict.fromkeys([*ends, *drawn]))
    shape, classes = data.input_shape, len(data.classes)
    flops = np.array([measure_size(SPACE, one, input_shape=shape, classes=classes).flops for one in every])
    pool = drawn[:ALONE]
    place_of = {one: place for place, one in enumerate(every)}
    alone = [train_alone(one, data) for one in pool]
    for one, row in zip(pool, alone, strict=True):
        yield {
            "part": "networks",
            "training": "alone",
            "seed": 1,
            "network": one.code,
            "accuracy": row["test_accuracy"],
        }
    own_flops = flops[[place_of[one] for one in pool]]
    validation, test = (np.array([row[f"{name}_accuracy"] for row in alone]) for name in ("validation", "test"))
    limits = np.quantile(flops, np.arange(1, max(TARGETS) + 1) / max(TARGETS))
    for seed in range(seeds):
        for sampler in ("progressive", "uniform"):
            training = train_elastic(data, sampler, seed)
            for one, accuracy in zip([*ends, *pool], tested(training, [*ends, *pool]), strict=True):
                about = {"part": "networks", "training": sampler, "seed": seed, "network": one.code}
                yield about | {"accuracy": accuracy}
            if sampler == "uniform":
                continue
            predicted = predict(training, every, seed)
            chosen = [int(np.flatnonzero(flops <= limit)[predicted[flops <= limit].argmax()]) for limit in limits]
            selected = sorted(set(chosen))
            reached = dict(zip(selected, tested(training, [every[place] for place in selected]), strict=True))
            for limit, place in zip(limits, chosen, strict=True):
                within = own_flops <= limit
                best = [
                    expected_best(validation[within], test[within], count) for count in range(1, int(within.sum()) + 1)
                ]
                enough = [count for count, value in enumerate(best, start=1) if value >= reached[place]]
                yield {
                    "part": "targets", "seed": seed, "limit": limit, "network": every[place].code,
                    "accuracy": reached[place], "within": int(within.sum()), "one_alone": best[0] if best else np.nan,
                    "best_alone": best[-1] if best else np.nan, "trainings": enough[0] if enough else np.nan,
                }  # fmt: skip
    scoring = SCORED * FORWARD * (len(data.validation) + 256) / len(data.train)
    for count in TARGETS:
        yield {"part": "cost", "targets": count, "training": "elastic", "epochs": ELASTIC_EPOCHS + scoring}
        for trainings in (1, 4, 8):
            epochs = count * trainings * ALONE_EPOCHS
            yield {"part": "cost", "targets": count, "training": f"{trainings} alone each", "epochs": epochs}


def show(rows: pd.DataFrame) -> None:
    networks = rows[rows["part"] == "networks"]
    by = networks.pivot_table(index="network", columns=["training", "seed"], values="accuracy")
    print(networks.groupby(["training", "seed"])["accuracy"].mean().round(4).to_string())
    gains = (by["progressive"] - by["uniform"]).mean()  # by seed
    half = stats.t.ppf(0.975, len(gains) - 1) * gains.sem() if len(gains) > 1 else np.nan
    print(f"progressive less uniform: {100 * gains.mean():.2f} ± {100 * half:.2f} points, {len(gains)} seeds")
    for sampler in ("progressive", "uniform"):
        less = (by[sampler].mean(axis=1) - by["alone"][1]).dropna()
        half = stats.t.ppf(0.975, len(less) - 1) * less.sem()
        print(f"{sampler} less alone: {100 * less.mean():.2f} ± {100 * half:.2f} points, {len(less)} networks")
    targets = rows[rows["part"] == "targets"]
    print(targets.groupby("seed")[["accuracy", "one_alone", "best_alone", "trainings"]].mean().round(4).to_string())
    print(f"reached by trainings alone: {targets['trainings'].notna().mean():.2f} of the targets")
    print(rows[rows["part"] == "cost"].pivot(index="training", columns="targets", values="epochs").to_string())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=positive, default=3)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    images = load_dataset("fashion-mnist", root=None, download=False)
    data = make_splits(images, seed=0, validation=500, test=2_000, train=800)
    rows: list[dict[str, object]] = []
    for row in measure(data, options.seeds):
        rows.append(row)
        pd.DataFrame(rows).round(5).to_csv(OUT, index=False)
    show(pd.DataFrame(rows))


if __name__ == "__main__":
    main()
