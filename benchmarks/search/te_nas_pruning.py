"""The pruning search of TE-NAS on NAS-Bench-201: the cell that remains of a network of all operations.

As in the source the network has 3 channels and one cell a stage, regions are counted on one cell of one channel, three
initialisations are averaged, and `none` is removed before the search; `from_none` is a search that includes it.
Smaller than in the source: 16 images for the kernel instead of 72. Each search has its own images, weights and crops.
Prints a table and writes `te_nas_pruning.csv`, which is continued: recorded test accuracy (%, 200 epochs) of the
remaining cell, and the share of all 15,625 cells that are worse. The cost is stated in hours of one core; a GPU that is
no slower than a core needs at most as many GPU-hours. Needs CIFAR-10 and nb201 in $TAURANK_DATA. A search takes one and
a half minutes of one core with 16 images and about eight with 64.

    OMP_NUM_THREADS=1 python -m benchmarks.search.te_nas_pruning
    OMP_NUM_THREADS=1 python -m benchmarks.search.te_nas_pruning --images 64
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import pandas as pd
import torch
from scipy.stats import t

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from taurank.spaces import get_space
from taurank.spaces.nasbench201 import OPERATIONS, format_code
from taurank.spaces.nasbench201.code import EDGES
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.proxies import draw_batch
from taurank.trainables.proxies.averaged_network import AveragedNetwork
from taurank.trainables.proxies.pruning import prune_by_importance

OUT = Path(__file__).parent / "results" / "te_nas_pruning.csv"
KEY = ["search", "from_none", "images", "repeats"]
PUBLISHED, GPU_HOURS = 93.9, 0.5
"""Test accuracy and cost of a search on a GTX 1080 Ti, Chen et al. 2021 (arXiv 2102.11535), table 4."""


def search(seed: int, *, none: bool, images: int, repeats: int) -> dict[str, object]:
    data = make_splits(load_dataset("cifar10"), seed=0, validation=1000, test=None)
    batch = draw_batch(data, images=images, seed=seed)
    measure = AveragedNetwork(batch.images, classes=batch.classes)
    operations = OPERATIONS if none else tuple(name for name in OPERATIONS if name != "none")
    began, worked = time.perf_counter(), time.process_time()
    found = prune_by_importance([operations] * len(EDGES), measure, seeds=range(repeats * seed, repeats * (seed + 1)))
    return {
        "search": seed,
        "from_none": none,
        "images": images,
        "repeats": repeats,
        "removals_tried": found.tried,
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - worked, 1),
        "cell": format_code([name for (name,) in found.active]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=positive, default=5)
    parser.add_argument("--from-none", action="store_true", help="search with `none` among the operations")
    parser.add_argument("--images", type=positive, default=16)
    parser.add_argument("--repeats", type=positive, default=3)
    options = parser.parse_args()
    recorded = data_folder() / "nb201" / "nb201_cifar10.parquet"
    if not recorded.is_file():
        sys.exit(f"recorded trainings are missing: {recorded}; set TAURANK_DATA")
    torch.set_num_threads(1)
    space = get_space("nasbench201")
    accuracies = pd.read_parquet(recorded).set_index("arch_str")["c10_test_hp200_mean"]
    table = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame(columns=KEY)
    for seed in range(options.searches):
        none = options.from_none
        if (table[KEY] == [seed, none, options.images, options.repeats]).all(axis=1).any():
            continue
        row = search(seed, none=none, images=options.images, repeats=options.repeats)
        accuracy = accuracies[str(row["cell"])]
        row["test_accuracy"], row["share_worse"] = round(accuracy, 2), round((accuracies < accuracy).mean(), 4)
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        table.to_csv(OUT, index=False)
        short = space.short(space.parse(str(row["cell"])))
        print(f"search {seed}  {row['cpu_seconds']:8.1f} s  {short}  {accuracy:.2f} %", flush=True)
    for (none, images, repeats), own in table.groupby(KEY[1:]):
        found, hours = own["test_accuracy"], own["cpu_seconds"].mean() / 3600
        half = t.ppf(0.975, len(found) - 1) * found.std() / len(found) ** 0.5 if len(found) > 1 else math.nan
        print(
            f"{images} images, {repeats} repeats{', from none' if none else ''}, {len(found)} searches:"
            f" {found.mean():.2f} +- {half:.2f} % (95 %; published {PUBLISHED}), better than"
            f" {own['share_worse'].mean():.1%} of all cells; {hours:.3f} core-hours (published {GPU_HOURS} GPU-hours)"
        )


if __name__ == "__main__":
    main()
