"""Which way of weakening a recipe for short trainings keeps the order of long ones.

A recipe with RandAugment, mixup, erasing and warm-up trains the networks of a list to the end, with two seeds, and in a
twentieth and a tenth of the epochs. The shares of images that are changed are those of the whole recipe times
the share of the epochs to a power: 0 (kept), 1/2 (as `Recipe.of_length` does), 1 (in proportion), or are none at all.
Warm-up is in proportion each time, and so all that differs is how much is changed at random. Everything finished is a
line of a journal in `--out`: an interrupted call is continued by the next.

Writes `short_recipes.csv`: tau of each short order with the mean of the full trainings, its difference from that of the
square root, with the standard deviation of the difference over bootstrap samples of the networks; the ceiling is the
tau between the two seeds of full training.

    python -m benchmarks.real_lists.short_recipes --out recorded
    python -m benchmarks.real_lists.short_recipes --out recorded --lists own_code own_code_fashion=20
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from benchmarks.real_lists.record import Journal, RealList, read_list
from taurank.orchestrator.tau import tau_b
from taurank.spaces import Architecture
from taurank.trainables.data import Augmentation
from taurank.trainables.training import Recipe, Training

OUT = Path(__file__).parent / "results" / "short_recipes.csv"
POWERS = {"kept": 0.0, "square root": 0.5, "in proportion": 1.0, "none": math.inf}
SHARES = (0.05, 0.1)
FULL_SEEDS, SHORT_SEEDS = (1, 2), (0, 3)
BOOTSTRAPS = 1000


def strong(recipe: Recipe) -> Recipe:
    """The recipe of a list with much of what `of_length` weakens, in large batches, on which policies are fast."""
    augmentation = Augmentation(crop=1, policy="randaugment", policy_share=0.5, magnitude=9, erasing=0.25)
    return replace(
        recipe,
        batch_size=128,
        learning_rate=0.1,
        warmup_epochs=recipe.epochs / 10,
        mixup=0.2,
        augmentation=augmentation,
    )


def weakened(full: Recipe, epochs: int, power: float) -> Recipe:
    """The recipe in so many epochs, with the shares of changed images times the share of the epochs to a power."""
    strength = (epochs / full.epochs) ** power
    mixed = {"mix_share": full.mix_share * strength} if strength else {"mixup": 0.0, "cutmix": 0.0}
    return replace(full.of_length(epochs), **mixed, augmentation=full.augmentation.weakened(strength))  # type: ignore[arg-type]


def trainings(each: RealList) -> Iterator[tuple[str, int, int, Recipe]]:
    """Way of weakening, epochs, seed and recipe of each training of a network, the full ones first."""
    full = strong(each.experiment.recipe)
    for seed in FULL_SEEDS:
        yield "full", full.epochs, seed, full
    for epochs in (round(share * full.epochs) for share in SHARES):
        for way, power in POWERS.items():
            for seed in SHORT_SEEDS:
                yield way, epochs, seed, weakened(full, epochs, power)


def record(each: RealList, journal: Journal) -> None:
    """Trains what the journal lacks."""
    shape, classes = each.data.input_shape, len(each.data.classes)
    for place, code in enumerate(each.codes):
        began = time.process_time()
        for way, epochs, seed, recipe in trainings(each):
            entry = {"code": code, "way": way, "epochs": epochs, "seed": seed}
            if journal.has(**entry):
                continue
            architecture = Architecture(each.space.name, code)
            training = Training(
                lambda architecture=architecture: each.space.build(architecture, input_shape=shape, classes=classes),
                recipe,
                each.data,
                seed=seed,
            )
            while not training.finished:
                row = training.step_epoch()
            journal.append(entry | {name: row[f"{name}_accuracy"] for name in ("validation", "test")})
        print(
            f"{each.name}: {place + 1} of {len(each.codes)}, {time.process_time() - began:.0f} core seconds", flush=True
        )


def taus(short: npt.NDArray[np.float64], full: npt.NDArray[np.float64]) -> float:
    """Mean tau of short orders `(seeds, networks)` with one full order `(networks,)`."""
    return float(np.mean([tau_b(scores, full) for scores in short]))


def evaluate(each: RealList, journal: Journal) -> Iterator[dict[str, object]]:
    """One row for each length and way."""
    table = pd.DataFrame(journal.entries)
    table = table[table["code"].isin(each.codes)]

    def scores(way: str, epochs: int, metric: str) -> npt.NDArray[np.float64]:
        rows = table[(table["way"] == way) & (table["epochs"] == epochs)]
        wide = rows.pivot(index="seed", columns="code", values=metric)[each.codes]
        return wide.to_numpy(dtype=float)

    generator, count = np.random.default_rng(0), len(each.codes)
    samples = generator.integers(0, count, (BOOTSTRAPS, count))
    whole = each.experiment.recipe.epochs
    seeds = scores("full", whole, "test")
    full, ceiling = seeds.mean(0), tau_b(seeds[0], seeds[1])
    for epochs in (round(share * whole) for share in SHARES):
        short = {way: scores(way, epochs, "validation") for way in POWERS}
        for way in POWERS:
            differences = [
                taus(short[way][:, sample], full[sample]) - taus(short["square root"][:, sample], full[sample])
                for sample in samples
            ]
            yield {
                "list": each.name, "networks": count, "epochs": epochs, "full_epochs": whole, "changes": way,
                "tau": taus(short[way], full),
                "less_square_root": taus(short[way], full) - taus(short["square root"], full),
                "deviation": float(np.std(differences)), "ceiling": ceiling,
            }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the journals")
    parser.add_argument("--lists", nargs="+", default=["own_code=24"])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for each in map(read_list, options.lists):
        journal = Journal(options.out / f"short_recipes_{each.name}.jsonl")
        record(each, journal)
        rows += evaluate(each, journal)
    table = pd.DataFrame(rows).round(4)
    table.to_csv(OUT, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
