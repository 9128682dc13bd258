"""Models of timm sized on the meta device: seconds per model, and the models that cannot be sized.

Each model is built without weights for its native image size and 1,000 classes, and run once to count its
multiply-accumulates. A row a model: parameters, FLOPs, family, seconds of the wall and of the CPU, and the error, if
any. With $TAURANK_DATA the parameters are compared with those that timm publishes (timm/results-imagenet.csv.gz, in
millions).

    python -m benchmarks.system.zoo_sizes --models 1000 --output benchmarks/system/results/zoo_sizes.csv
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from taurank.spaces import SpaceError, get_space, measure_size

CLASSES = 1000


def measure(pattern: str, count: int, seed: int) -> pd.DataFrame:
    space = get_space("zoo", models=[pattern])
    codes = list(space.enumerate())
    if count < len(codes):
        chosen = np.random.default_rng(seed).choice(len(codes), count, replace=False)
        codes = [codes[place] for place in sorted(chosen)]
    rows = []
    for architecture in codes:
        shape = space.usual_shape(architecture)  # type: ignore[attr-defined]
        row = {"model": architecture.code, "side": shape[1]}
        began, worked = time.perf_counter(), time.process_time()
        try:
            size = measure_size(space, architecture, input_shape=shape, classes=CLASSES)
            row |= {"parameters": size.parameters, "flops": size.flops, "failure": ""}
        except SpaceError as error:
            row |= {"failure": str(error)}
        row["seconds"] = round(time.perf_counter() - began, 3)
        row["cpu_seconds"] = round(time.process_time() - worked, 3)
        if not row["failure"]:
            row["family"] = space.family(architecture)
        rows.append(row)
        if len(rows) % 100 == 0:
            print(f"{len(rows)} of {len(codes)}", flush=True)
    return pd.DataFrame(rows).astype({"parameters": "Int64", "flops": "Int64"})


def published(folder: Path) -> dict[str, float]:
    """Millions of parameters by model; of several trained weights of one model the first."""
    table = pd.read_csv(folder / "timm" / "results-imagenet.csv.gz", thousands=",")
    bare = "timm:" + table["model"].str.partition(".")[0]
    return dict(zip(bare[::-1], table["param_count"][::-1], strict=True))


def tell(table: pd.DataFrame) -> None:
    failed = table[table["failure"] != ""]
    for name in ("seconds", "cpu_seconds"):
        taken = table[name]
        print(
            f"{len(table)} models, {name}: {taken.sum():.0f} in all, median {taken.median():.2f}, "
            f"90 % within {taken.quantile(0.9):.2f}, most {taken.max():.2f}"
        )
    if os.environ.get("TAURANK_DATA"):
        known = table["model"].map(published(Path(os.environ["TAURANK_DATA"])))
        millions = table["parameters"].astype(float) / 1e6
        both = known.notna() & millions.notna()
        differs = both & ((known - millions).abs() > 0.0051)
        print(f"{both.sum()} with published parameters, {differs.sum()} of them differ:")
        for place in table.index[differs]:
            print(f"  {table['model'][place]}: {millions[place]:.2f} here, {known[place]:.2f} published")
    print(table["family"].value_counts().to_string())
    print(f"{len(failed)} failures")
    for failure in failed["failure"]:
        print(f"  {failure}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pattern", default="timm:*")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/system/results/zoo_sizes.csv"))
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    table = measure(asked.pattern, asked.models, asked.seed)
    table.to_csv(asked.output, index=False)
    tell(table)


if __name__ == "__main__":
    main()
