"""The study of nine networks on MNIST as its source ran it, the source's table beside ours, and its open proposal.

Settings are those of the shipped experiment `nine-subnets-reference`: the source's pooling, initialisation and recipe
(AdamW, 1e-4, batches of 32, 3 epochs alone and for `uniform`, one for `epsilon-greedy`, seed 1187), running statistics
shared by all paths, accuracies on the images that were trained on. Beside these stand accuracies on the 10,000 test
images, with the same statistics and recalibrated for each path.

The source proposes to take contenders out of the supernet and to train them on, and did not do so. Here contenders by
recalibrated accuracy are trained for one epoch on a fifth of the images and ranked again among themselves, for
supernets of two seeds.

Each finished training adds rows to `rows.csv` in `--state`, and each finished epoch is saved there, so the script
continues where it was ended. At the end, or with `--report` at any time, the rows are written to `nine_networks.csv`
and the correlations with the networks trained alone to `nine_networks_agreement.csv`. Needs mnist in $TAURANK_DATA.
One thread, about an hour of one quiet core on all images.

    OMP_NUM_THREADS=1 python -m benchmarks.supernets.nine_networks --state FOLDER
    OMP_NUM_THREADS=1 python -m benchmarks.supernets.nine_networks --state FOLDER --report
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.supernets.standalone import HERE, SEEDS, Study, make_study, read_truth
from taurank.orchestrator.ranker.contenders import find_contenders, rank_again
from taurank.orchestrator.tau import agreement
from taurank.spaces import Architecture, measure_size
from taurank.spaces.mnist_blocks import DEPTHS
from taurank.trainables.data import ImageSet, less_data, load_dataset, make_splits
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, extract, make_supernet
from taurank.trainables.training.training import Training

SEED, SECOND_SEED = 1187, 1188
EPOCHS = {"uniform": 3, "epsilon-greedy": 1}
SHARE = 0.2
"""Of the images, for the one epoch of a contender."""
ALL = 60_000
BATCH = 64
"""Images in a batch of an evaluation: half the processor time of batches of 512, the same predictions."""
PUBLISHED = pd.DataFrame(
    {
        "uniform": [0.853600, 0.941300, 0.951867, 0.935967, 0.962083, 0.968833, 0.947317, 0.969000, 0.971383],
        "alone": [0.950733, 0.977233, 0.988917, 0.963383, 0.983217, 0.989100, 0.965817, 0.983167, 0.990533],
        "epsilon-greedy": [0.45045, 0.71024, 0.78290, 0.63340, 0.75484, 0.77347, 0.72526, 0.89172, 0.96905],
    },
    index=[f"{first},{second}" for first, second in product(DEPTHS, DEPTHS)],
)
"""Accuracies on the training images, github.com/basic-go-ahead/supernet-mnist."""


@dataclass(frozen=True)
class Unit:
    """One training: of a supernet, of a network alone, or of a contender that was taken out of a supernet."""

    kind: str
    seed: int
    architecture: str = ""

    @property
    def name(self) -> str:
        return "-".join(filter(None, [self.kind, str(self.seed), self.architecture.replace(",", "x")]))


def make_reference_study(images: int) -> Study:
    """The list with its recipe; trains on ``images`` of the 60,000, validates and tests on the 10,000 test images."""
    dataset = load_dataset("mnist", download=False)
    data = make_splits(
        dataset, seed=0, validation=1, test=None, evaluate_on="training", train=None if images == ALL else images
    )
    assert dataset.test is not None
    return replace(make_study("mnist"), data=replace(data, validation=dataset.test, test=dataset.test))


@torch.no_grad()
def accuracy(training: Training, images: ImageSet) -> float:
    """Share of correct predictions with the running statistics of the training."""
    training.model.eval()
    hits = [(training.model(pixels).argmax(1) == labels).sum() for pixels, labels in training.batches(images, BATCH)]
    return float(torch.stack(hits).sum()) / len(images)


def finish(training: Training, saved: Path) -> list[float]:
    """Trains to the end, from the last saved epoch on; the training loss of each epoch, in nats."""
    losses: list[float] = []
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        losses = list(state.pop("losses"))
        training.load_state_dict(state)
    while not training.finished:
        losses.append(training.step_epoch()["train_loss"])
        partly = saved.with_suffix(".part")
        torch.save(training.state_dict() | {"losses": losses}, partly)
        partly.replace(saved)
    return losses


class Trainings:
    """The trainings of a study; their weights are kept in ``state``."""

    def __init__(self, study: Study, state: Path) -> None:
        self.study, self.state = study, state
        self._task = {"input_shape": study.data.input_shape, "classes": len(study.data.classes)}

    def build(self, code: str) -> torch.nn.Module:
        space = self.study.space
        return space.build(Architecture(space.name, code), **self._task)

    def supernet(self, unit: Unit) -> tuple[SupernetTraining, list[float]]:
        study = self.study
        training = SupernetTraining(
            lambda: make_supernet(study.space, **self._task),
            study.recipe.of_length(EPOCHS[unit.kind]),
            study.data,
            paths=Paths(study.space, study.codes),
            config=SupernetConfig(sampler=unit.kind),
            seed=unit.seed,
        )
        return training, finish(training, self.state / f"{unit.name}.pt")

    def measure_supernet(self, unit: Unit) -> pd.DataFrame:
        """One row a network; running statistics first, because recalibrating replaces them."""
        training, losses = self.supernet(unit)
        rows = []
        for code in self.study.codes:
            training.supernet.activate(code)
            rows.append({"architecture": code, "updates": training.updates[code]} | self.accuracies(training, unit))
        for row in rows:
            score = training.score(str(row["architecture"]))
            row |= {"recalibrated": score.accuracy, "recalibrated_sd": score.accuracy_sd}
        return pd.DataFrame(rows).assign(losses=" ".join(f"{loss:.4f}" for loss in losses))

    def accuracies(self, training: Training, unit: Unit) -> dict[str, object]:
        """On the test images; of the trainings of the source's table also on the training images, as there."""
        table = {"test_accuracy": accuracy(training, self.study.data.test)}
        if unit.seed == SEED and unit.kind in PUBLISHED:
            table["train_accuracy"] = accuracy(training, self.study.data.train)
        return dict(table)

    def measure_alone(self, unit: Unit, *, after: Unit | None = None) -> pd.DataFrame:
        """One row: from initial weights, or one epoch on ``SHARE`` of the images from those of a supernet."""
        study, build = self.study, partial(self.build, unit.architecture)
        # Only the accuracies after the last epoch are of use.
        unused = study.data.test.take(np.arange(2))
        data = replace(study.data, validation=unused, test=unused)
        if after is None:
            training = Training(build, study.recipe, data, seed=unit.seed)
        else:
            supernet = self.supernet(after)[0].supernet
            training = Training(
                lambda: extract(supernet, unit.architecture, build()),
                study.recipe.of_length(1),
                less_data(data, share=SHARE, seed=unit.seed),
                seed=unit.seed,
                epoch_share=SHARE,
            )
        losses = finish(training, self.state / f"{unit.name}.pt")
        row = {"architecture": unit.architecture, "losses": " ".join(f"{loss:.4f}" for loss in losses)}
        return pd.DataFrame([row | self.accuracies(training, unit)])


def run(study: Study, state: Path) -> None:
    """Does what is not in the rows yet: the supernets, the networks alone, the contenders, then the second seed."""
    state.mkdir(parents=True, exist_ok=True)
    trainings = Trainings(study, state)
    for unit, measure in remaining(trainings, state / "rows.csv"):
        began, worked = time.perf_counter(), time.process_time()
        rows = measure().assign(training=unit.kind, seed=unit.seed, images=len(study.data.train))
        # After a restart these cover what was left to do.
        rows["cpu_seconds"] = (time.process_time() - worked) / len(rows)
        rows = rows.reindex(columns=COLUMNS).round(6)
        rows.to_csv(state / "rows.csv", mode="a", header=not (state / "rows.csv").exists(), index=False)
        print(f"{unit.name}  {time.process_time() - worked:.0f} s CPU, {time.perf_counter() - began:.0f} s", flush=True)


COLUMNS = [
    "images", "seed", "training", "architecture", "train_accuracy", "test_accuracy", "recalibrated", "recalibrated_sd",
    "updates", "losses", "cpu_seconds",
]  # fmt: skip


def remaining(trainings: Trainings, rows: Path) -> Iterator[tuple[Unit, Callable[[], pd.DataFrame]]]:
    def done(unit: Unit) -> bool:
        if not rows.exists():
            return False
        table = pd.read_csv(rows)
        same = (table["training"] == unit.kind) & (table["seed"] == unit.seed)
        return bool((same & (table["architecture"] == unit.architecture if unit.architecture else True)).any())

    for seed in (SEED, SECOND_SEED):
        for sampler in EPOCHS:
            unit = Unit(sampler, seed)
            if not done(unit):
                yield unit, partial(trainings.measure_supernet, unit)
        for code in trainings.study.codes if seed == SEED else ():
            unit = Unit("alone", seed, code)
            if not done(unit):
                yield unit, partial(trainings.measure_alone, unit)
        for sampler in EPOCHS:
            own = pd.read_csv(rows).query("training == @sampler and seed == @seed")
            found = find_contenders(own["recalibrated"].to_numpy(), own["recalibrated_sd"].to_numpy())
            for code in own["architecture"].to_numpy()[list(found)]:
                unit = Unit(f"{sampler}, trained on", seed, str(code))
                if not done(unit):
                    yield unit, partial(trainings.measure_alone, unit, after=Unit(sampler, seed))


def wide(rows: pd.DataFrame, training: str, seed: int, column: str) -> pd.Series:
    """A column of one training by network, NaN where there is no row."""
    own = rows[(rows["training"] == training) & (rows["seed"] == seed)]
    return own.set_index("architecture")[column].reindex(PUBLISHED.index)


def compare(rows: pd.DataFrame, parameters: pd.Series) -> pd.DataFrame:
    """One row an order: its correlations with the networks trained alone, by the accuracies of the source and ours."""
    orders: dict[tuple[str, object], pd.Series] = {("parameters", ""): parameters}
    for seed, sampler in product((SEED, SECOND_SEED), EPOCHS):
        for column, label in COLUMN_LABELS.items():
            orders[f"{sampler}, {label}", seed] = wide(rows, sampler, seed, column)
        again = wide(rows, f"{sampler}, trained on", seed, "test_accuracy")
        if again.notna().any():
            scores = wide(rows, sampler, seed, "recalibrated"), wide(rows, sampler, seed, "recalibrated_sd")
            ranked = rank_again(*(one.to_numpy() for one in scores), again.to_numpy())
            orders[f"{sampler}, contenders trained on", seed] = pd.Series(ranked, index=again.index)
    truths = {"train": wide(rows, "alone", SEED, "train_accuracy"), "test": wide(rows, "alone", SEED, "test_accuracy")}
    # Two seeds on 55,000 images by the same recipe, accuracies on the test images.
    truths["standalone.py"] = read_truth("mnist")[list(SEEDS)].mean(axis=1).reindex(PUBLISHED.index)
    lines = [line("published", sampler, "", PUBLISHED[sampler], PUBLISHED["alone"]) for sampler in EPOCHS]
    lines.append(line("published", "parameters", "", parameters, PUBLISHED["alone"]))
    for (order, seed), values in orders.items():
        lines += [line(truth, order, seed, values, alone) for truth, alone in truths.items()]
    return pd.DataFrame([one for one in lines if one["networks"] >= len(DEPTHS)])


COLUMN_LABELS = {
    "train_accuracy": "training images",
    "test_accuracy": "test images",
    "recalibrated": "test images, recalibrated",
}


def line(truth: str, order: str, seed: object, values: pd.Series, alone: pd.Series) -> dict[str, object]:
    found = agreement(values.to_numpy(dtype=float), alone.to_numpy(dtype=float))
    known = values.notna() & alone.notna()
    return {
        "alone_on": truth,
        "order": order,
        "seed": seed,
        "networks": int(known.sum()),
        "tau": found.tau,
        "low": found.low,
        "high": found.high,
        "spearman": values[known].corr(alone[known], method="spearman"),
        "pearson": values[known].corr(alone[known]),
    }


def check_hypotheses(accuracies: pd.Series) -> dict[str, str]:
    """The source's hypotheses on accuracies by network: three on what helps, and which network is found to be best.

    The fourth is that `epsilon-greedy` finds in one epoch the network that is best when trained alone.
    """
    grid = accuracies.to_numpy().reshape(len(DEPTHS), len(DEPTHS))  # (blocks of stage 1, blocks of stage 2)
    first, second = np.diff(grid, axis=0).ravel(), np.diff(grid, axis=1).ravel()
    steps = np.concatenate([first, second])
    return {
        "1: a further block helps": f"{(steps > 0).sum()} of {len(steps)} steps",
        "2: the second stage is the key": f"mean gain {100 * second.mean():.2f} points, first stage"
        f" {100 * first.mean():.2f}",
        "3: the first stage helps": f"{(first > 0).sum()} of {len(first)} steps",
        "4: best": str(accuracies.idxmax()),
    }


def report(study: Study, state: Path) -> None:
    rows = pd.read_csv(state / "rows.csv")
    kept = HERE / "nine_networks.csv"
    others = pd.read_csv(kept) if kept.exists() else rows.head(0)
    others = others[others["images"] != len(study.data.train)]
    pd.concat([others, rows]).sort_values("images", kind="stable").to_csv(kept, index=False)
    shape, classes = study.data.input_shape, len(study.data.classes)
    sizes = {
        one.code: measure_size(study.space, one, input_shape=shape, classes=classes).parameters
        for one in study.architectures
    }
    parameters = pd.Series(sizes, dtype=float).reindex(PUBLISHED.index)
    table = {f"{name}, published": PUBLISHED[name] for name in PUBLISHED}
    for name in PUBLISHED:
        for seed in (SEED, SECOND_SEED):
            table[f"{name}, {seed}"] = wide(rows, name, seed, "train_accuracy")
            table[f"{name}, {seed}, test"] = wide(rows, name, seed, "test_accuracy")
    print(pd.DataFrame(table).dropna(axis=1, how="all").round(4).to_string())
    agreements = compare(rows, parameters).assign(images=len(study.data.train))
    kept = HERE / "nine_networks_agreement.csv"
    others = pd.read_csv(kept) if kept.exists() else agreements.head(0)
    others = others[others["images"] != len(study.data.train)]
    pd.concat([others, agreements]).sort_values("images", kind="stable").round(4).to_csv(kept, index=False)
    print(agreements.round(3).to_string(index=False))
    for name in PUBLISHED:
        columns = {"published": PUBLISHED[name], "ours": wide(rows, name, SEED, "train_accuracy")}
        if name == "alone":
            truth = read_truth("mnist")
            columns |= {f"standalone.py, seed {seed}": truth[seed].reindex(PUBLISHED.index) for seed in SEEDS}
        for origin, column in columns.items():
            if column.notna().all():
                print(f"{name}, {origin}:", *(f"{key} {value};" for key, value in check_hypotheses(column).items()))
    print(f"{rows['cpu_seconds'].sum() / 60:.1f} minutes of processor time")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True, help="folder of rows and saved epochs")
    parser.add_argument("--images", type=int, default=ALL, help="of the 60,000 to train on")
    parser.add_argument(
        "--report", action="store_true", help="no trainings, only the tables of the rows that are there"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    study = make_reference_study(options.images)
    if not options.report:
        run(study, options.state)
    report(study, options.state)


if __name__ == "__main__":
    main()
