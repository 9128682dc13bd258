"""Searches inside a supernet of NAS-Bench-201: the cell of the options with the best scores.

The supernet has 8 channels and one cell a stage and is trained on 3,000 images of CIFAR-10 for 30 epochs, half of them
(a quarter for `manas`) held out for learning the scores. Sources: 16 channels, five cells, all images, 250 epochs. The
logits of `gdas` and `darts` learn at 3e-3, ten times the sources' rate, for there are a hundred times fewer steps; the
temperature falls from 10 to .1 over the training, and weights learn as in the NAS-Bench-201 study of GDAS. An epoch is
as much work as a pass of one path over all images, so that `darts` has fewer steps.

Recorded test accuracies (%, CIFAR-10, 200 epochs) of the selected cell, with the number of
its edges that are `skip_connect`, `none` and convolutions; and the mean over the ten best proposals of the searcher.
For comparison: random cells of the searchers' space, with the distance of the mean over seeds from theirs in standard
errors, and published figures. Prints a table and writes a row for each search to `search_supernet.csv`, which is
continued. 80 processor seconds per search, four minutes on 9,000 images, twelve on 27,000. Needs CIFAR-10 and nb201 in
$TAURANK_DATA.

    OMP_NUM_THREADS=1 python -m benchmarks.search.search_supernet
    OMP_NUM_THREADS=1 python -m benchmarks.search.search_supernet --methods gdas --images 9000 --seeds 5
    OMP_NUM_THREADS=1 python -m benchmarks.search.search_supernet --methods gdas --images 27000 --seeds 5
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from taurank.orchestrator.search import make_searcher
from taurank.orchestrator.search.inside_supernet import best_sums
from taurank.spaces import get_space
from taurank.spaces.nasbench201 import parse_code
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, make_supernet
from taurank.trainables.training.recipe import Recipe

OUT = Path(__file__).parent / "results" / "search_supernet.csv"
SPACE = get_space("nasbench201", width=8, cells_per_stage=1)
METHODS = {"darts": "mixture", "gdas": "gumbel", "manas": "multi-agent"}
"""Searchers, with the sampler of each."""
RATE = 3e-3
PUBLISHED = {"gdas": "93.51 ± .13", "darts": "54.30 (skip connections alone)", "manas": "no figure for this table"}
"""On all of CIFAR-10, from memory."""
KEY = ("method", "seed", "images", "epochs", "rate")
BEST, RANDOM = 10, 1_000


def search(
    method: str, seed: int, *, images: int, epochs: int, rate: float, accuracies: pd.Series
) -> dict[str, object]:
    data = make_splits(load_dataset("cifar10"), seed=0, validation=1000, test=None, train=images)
    recipe = Recipe(epochs=epochs, batch_size=64, learning_rate=0.025, clip_gradient_norm=5.0)
    began = time.process_time()
    training = SupernetTraining(
        lambda: make_supernet(SPACE, input_shape=data.input_shape, classes=len(data.classes)),
        recipe,
        data,
        paths=Paths.covering(SPACE),
        config=SupernetConfig(METHODS[method], {"learning_rate": rate} if rate else {}),
        seed=seed,
    )
    spent = 0.0
    while not training.finished:
        row = training.step_epoch()
        spent += training.spent
    scores = training.sampler.option_scores()
    assert scores is not None
    ((choices, _),) = islice(best_sums(scores.tolist()), 1)
    cell = SPACE.choose(choices).code
    proposals = make_searcher(method, SPACE, scores=scores.tolist()).ask(BEST)
    operations = parse_code(cell)
    return {
        "method": method,
        "seed": seed,
        "images": images,
        "epochs": epochs,
        "rate": rate,
        "spent_epochs": round(spent, 2),
        "work_of_a_step": round(training.work, 3),
        "train_accuracy": round(row["train_accuracy"], 3),
        "cell": cell,
        "test_accuracy": accuracies[cell],
        "skips": operations.count("skip_connect"),
        "nones": operations.count("none"),
        "convolutions": sum(name.startswith("nor_conv") for name in operations),
        "mean_of_ten": round(float(np.mean([accuracies[one.code] for one in proposals])), 3),
        "cpu_seconds": round(time.process_time() - began, 1),
        "scores": " ".join(f"{score:.4f}" for score in scores.ravel()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=positive, default=3)
    parser.add_argument("--images", type=positive, default=3_000)
    parser.add_argument("--epochs", type=positive, default=30)
    parser.add_argument("--rate", type=float, default=RATE, help="of the logits; the sources' is 3e-4")
    options = parser.parse_args()
    recorded = data_folder() / "nb201" / "nb201_cifar10.parquet"
    if not recorded.is_file():
        sys.exit(f"recorded trainings are missing: {recorded}; set TAURANK_DATA")
    torch.set_num_threads(1)
    accuracies = pd.read_parquet(recorded).set_index("arch_str")["c10_test_hp200_mean"]
    table = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame(columns=list(KEY))
    for seed in range(options.seeds):
        for method in options.methods:
            rate = 0.0 if method == "manas" else options.rate  # its agents have none
            if (table[list(KEY)] == [method, seed, options.images, options.epochs, rate]).all(axis=1).any():
                continue
            size = {"images": options.images, "epochs": options.epochs, "rate": rate}
            row = search(method, seed, **size, accuracies=accuracies)
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
            table.to_csv(OUT, index=False)
            short = SPACE.short(SPACE.parse(str(row["cell"])))
            print(f"{method:6} seed {seed}  {short}  {row['test_accuracy']:.2f} %", flush=True)
    drawn = [accuracies[one.code] for one in SPACE.sample(RANDOM, np.random.default_rng(0))]
    for (method, images, epochs, rate), own in table.groupby(["method", "images", "epochs", "rate"]):
        shown = own[["test_accuracy", "mean_of_ten", "skips", "nones", "convolutions", "cpu_seconds"]].mean()
        found = own["test_accuracy"]
        error = found.std() / len(found) ** 0.5
        print(
            f"{method}, {images} images, {epochs} epochs, rate {rate:g}, {len(own)} seeds: {found.mean():.2f} +-"
            f" {error:.2f}, {(found.mean() - np.mean(drawn)) / error:+.1f} standard errors from random;"
            f" published {PUBLISHED[method]}; means:"
        )
        print("  " + "  ".join(f"{name} {value:.2f}" for name, value in shown.items()))
    print(
        f"{RANDOM:,} random cells: {np.mean(drawn):.2f}, median {np.median(drawn):.2f}; best of all {accuracies.max()}"
    )


if __name__ == "__main__":
    main()
