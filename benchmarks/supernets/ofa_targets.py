"""Once-for-All in small: cost for 1, 4 and 40 deployment targets, progressive shrinking, networks trained alone.

The elastic network of `mini_ofa.py` on 800 images of Fashion-MNIST; 500 images to select by, 2,000 to test on. A
target is a limit on FLOPs; 40 limits are spread evenly over those of 100 random networks, of which searches choose.

- Elastic network: 30 epochs of progressive shrinking, and 30 of uniform paths from the start, which cost as much (an
  epoch is the work of a pass over the images, whatever the paths of a step). `--seeds` of both. Test accuracies of 10
  networks: the largest, the smallest and eight random ones.
- Alone: the eight random networks for 10 epochs each.
- Search with the elastic network: 60 of them scored (forward passes, booked as a third of a training pass),
  a perceptron over their decisions, the best predicted of the 100 within a limit; its test accuracy is with
  inherited weights. Another target costs no epoch.
- Search without: random networks within a limit, each trained alone for 10 epochs, the best by validation accuracy;
  expected values over all orders of the eight. A search each for a target.

Rows of `ofa_targets.csv`, which is continued: `networks` (accuracies), `targets` (the selected network by limit) and
`cost` in epochs. Prints the comparisons. One thread; some three minutes of CPU time.

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

from benchmarks.common.alone import train_alone
from benchmarks.common.paired import positive
from taurank.spaces import Architecture, get_space, measure_size
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, make_supernet
from taurank.trainables.training.recipe import Recipe

OUT = Path(__file__).parent / "results" / "ofa_targets.csv"
SPACE = get_space("once_for_all", variant="mini")
RECIPE = Recipe(learning_rate=0.05, batch_size=16)
ELASTIC_EPOCHS, ALONE_EPOCHS = 30, 10
NETWORKS, SCORED, ALONE, TARGETS = 100, 60, 8, (1, 4, 40)
CALIBRATED = 256
FORWARD = 1 / 3
"""Work of a forward pass in training passes."""


def train_elastic(data: ImageData, sampler: str, seed: int) -> SupernetTraining:
    drawn = SPACE.sample(60, np.random.default_rng(0))
    training = SupernetTraining(
        lambda: make_supernet(SPACE, input_shape=data.input_shape, classes=len(data.classes)),
        RECIPE.of_length(ELASTIC_EPOCHS),
        data,
        paths=Paths(SPACE, tuple(one.code for one in drawn)),
        config=SupernetConfig(sampler=sampler, calibration_images=CALIBRATED),
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
    model = MLPRegressor(hidden_layer_sizes=(400, 400, 400), random_state=seed, max_iter=100, n_iter_no_change=100)
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


def measure(data: ImageData, seeds: int, there: pd.DataFrame) -> Iterator[list[dict[str, object]]]:
    """The rows that are missing, in parts."""
    shape, classes = data.input_shape, len(data.classes)
    drawn = SPACE.sample(NETWORKS, np.random.default_rng(0))
    ends = [SPACE.choose([take * (len(options) - 1) for options in SPACE.decisions]) for take in (1, 0)]
    every, pool = list(dict.fromkeys([*ends, *drawn])), drawn[:ALONE]
    flops = np.array([measure_size(SPACE, one, input_shape=shape, classes=classes).flops for one in every])
    for one in pool:
        if not ((there["training"] == "alone") & (there["network"] == one.code)).any():
            row = train_alone(SPACE, one, RECIPE.of_length(ALONE_EPOCHS), data)
            about = {"part": "networks", "training": "alone", "seed": 1, "network": one.code}
            yield [about | {"accuracy": row["test_accuracy"], "validation": row["validation_accuracy"]}]
    for seed in range(seeds):
        for sampler in ("progressive", "uniform"):
            if ((there["training"] == sampler) & (there["seed"] == seed)).any():
                continue
            training, about = train_elastic(data, sampler, seed), {"training": sampler, "seed": seed}
            rows: list[dict[str, object]] = [
                {"part": "networks"} | about | {"network": one.code, "accuracy": accuracy}
                for one, accuracy in zip([*ends, *pool], tested(training, [*ends, *pool]), strict=True)
            ]
            if sampler == "progressive":
                for limit, place, accuracy in selected(training, every, flops, seed):
                    target = {"limit": limit, "network": every[place].code, "accuracy": accuracy}
                    rows.append({"part": "targets"} | about | target)
            yield rows
    if not (there["part"] == "cost").any():
        scoring = SCORED * FORWARD * (len(data.validation) + CALIBRATED) / len(data.train)
        yield [
            {"part": "cost", "targets": count, "training": name, "epochs": epochs}
            for count in TARGETS
            for name, epochs in (
                ("elastic", ELASTIC_EPOCHS + scoring),
                *((f"{trainings} alone each", count * trainings * ALONE_EPOCHS) for trainings in (1, 4, 8)),
            )
        ]


def selected(
    training: SupernetTraining, every: Sequence[Architecture], flops: NDArray[np.float64], seed: int
) -> list[tuple[float, int, float]]:
    """Limit, place of the selected network and its test accuracy, for each target."""
    predicted = predict(training, every, seed)
    limits = np.quantile(flops, np.arange(1, max(TARGETS) + 1) / max(TARGETS))
    chosen = [int(np.flatnonzero(flops <= limit)[predicted[flops <= limit].argmax()]) for limit in limits]
    places = sorted(set(chosen))
    reached = dict(zip(places, tested(training, [every[place] for place in places]), strict=True))
    return [(float(limit), place, reached[place]) for limit, place in zip(limits, chosen, strict=True)]


def against_alone(rows: pd.DataFrame, data: ImageData) -> pd.DataFrame:
    """The targets, with what the best of some networks alone within the limit is expected to have.

    Columns: `within`, how many of the networks alone keep the limit; `one_alone` and `best_alone`, expected accuracy of
    one and of the best of all of these; `trainings` until the expected accuracy is that with the elastic network.
    """
    alone, targets = rows[rows["training"] == "alone"], rows[rows["part"] == "targets"]
    task = {"input_shape": data.input_shape, "classes": len(data.classes)}
    flops = np.array([measure_size(SPACE, SPACE.parse(code), **task).flops for code in alone["network"]])
    lines = []
    for limit, accuracy in zip(targets["limit"], targets["accuracy"], strict=True):
        within = alone[flops <= limit + 0.5]
        validation, test = within["validation"].to_numpy(), within["accuracy"].to_numpy()
        best = [expected_best(validation, test, count) for count in range(1, len(within) + 1)]
        enough = [count for count, value in enumerate(best, start=1) if value >= accuracy]
        ends = (best[0], best[-1]) if best else (np.nan, np.nan)
        lines.append((len(within), *ends, enough[0] if enough else np.nan))
    return targets.assign(**pd.DataFrame(lines, targets.index, ["within", "one_alone", "best_alone", "trainings"]))


def show(rows: pd.DataFrame, data: ImageData) -> None:
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
    targets = against_alone(rows, data)
    print(targets.groupby("seed")[["accuracy", "within", "one_alone", "best_alone", "trainings"]].mean().to_string())
    known = targets[targets["within"] > 0]
    less = (known["accuracy"] - known["one_alone"]).groupby(known["network"]).mean()
    half = stats.t.ppf(0.975, len(less) - 1) * less.sem()
    print(f"selected less one alone: {100 * less.mean():.2f} ± {100 * half:.2f} points, {len(less)} networks selected")
    print(f"reached by trainings alone: {known['trainings'].notna().mean():.2f} of {len(known)} targets")
    print(rows[rows["part"] == "cost"].pivot(index="training", columns="targets", values="epochs").to_string())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=positive, default=3, help="of the elastic network")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    images = load_dataset("fashion-mnist", root=None, download=False)
    data = make_splits(images, seed=0, validation=500, test=2_000, train=800)
    there = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame(columns=["part", "training", "seed", "network"])
    for rows in measure(data, options.seeds, there):
        there = pd.concat([there, pd.DataFrame(rows)], ignore_index=True) if len(there) else pd.DataFrame(rows)
        there.round(5).to_csv(OUT, index=False)
    show(there, data)


if __name__ == "__main__":
    main()
