"""Sums of a latency table against latencies of whole networks, here and on recorded devices.

`here`: 30 random networks of each of three spaces, batch 1, one thread. The table's parts and the whole networks are
timed in the same rounds, a pass of each in turn; then the whole networks once more, whose tau with the first
measurement is the ceiling for a table. Error and bias are of the sum, as a share of the whole.

`fbnet`: a table of all options of `fbnet` at 224 x 224 on this machine, summed over the 5,000 networks of HELP's
recordings, and their FLOPs, against each of the devices. `nasbench201`: the 30 networks measured here, and FLOPs of 500
others, against HW-NAS-Bench's and HELP's devices ($TAURANK_DATA). Each batch size of a device counts as a
device.

Writes `latency.csv`. One thread.

    python -m benchmarks.system.latency
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from taurank.orchestrator.tau import agreement
from taurank.spaces import Architecture, SearchSpace, get_space, measure_size
from taurank.trainables.latency.measure import measure_in_turn, measure_table
from taurank.trainables.latency.options import every_option, measure_options
from taurank.trainables.latency.parts import Part, parts_of
from taurank.trainables.latency.table import LatencyTable

OUT = Path(__file__).parent / "results" / "latency.csv"
NETWORKS = 30
SIZED = 500
PROXYLESS, CELLS, ELASTIC = "proxyless", "nasbench201", "once_for_all"
# Space, its options, images; the elastic one at the resolution of the images: resizing is in no part.
SPACES: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    PROXYLESS: ({}, (3, 64, 64)),
    CELLS: ({}, (3, 32, 32)),
    ELASTIC: ({"resolutions": [96]}, (3, 96, 96)),
}
IMAGENET = (3, 224, 224)


class Table:
    """Rows of the result, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(self, study: str, what: str, against: str, ours: NDArray[Any], truth: NDArray[Any], *, unit: bool) -> None:
        """`unit`: both are milliseconds, so that errors can be computed."""
        known = np.isfinite(truth)
        ours, truth = np.asarray(ours, dtype=float)[known], np.asarray(truth, dtype=float)[known]
        found = agreement(ours, truth)
        row: dict[str, object] = {
            "study": study,
            "what": what,
            "against": against,
            "networks": len(ours),
            "tau": round(found.tau, 4),
            "low": round(found.low, 4),
            "high": round(found.high, 4),
        }
        if unit:
            ratio = ours / truth
            row |= {
                "median_error": round(float(np.median(np.abs(ratio - 1))), 4),
                "bias": round(float(np.mean(ratio - 1)), 4),
                "r2": round(float(np.corrcoef(ours, truth)[0, 1] ** 2), 4),
            }
        self.rows.append(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)


def measure_here(name: str, repeats: int, table: Table) -> dict[str, float]:
    """Latencies of the whole networks, by code."""
    options, shape = SPACES[name]
    space = get_space(name, **options)
    drawn = space.sample(NETWORKS, np.random.default_rng(0))
    of_network: list[list[Part]] = [parts_of(space, one, input_shape=shape, classes=10) for one in drawn]
    parts = {part.key: part for network in of_network for part in network}
    networks = [(space.build(one, input_shape=shape, classes=10), shape) for one in drawn]
    both = measure_in_turn([*((part.module, part.input_shape) for part in parts.values()), *networks], repeats=repeats)
    again = measure_in_turn(networks, repeats=repeats)
    milliseconds = dict(zip(parts, (latency.median for latency in both[: len(parts)]), strict=True))
    sums = np.array([sum(milliseconds[part.key] for part in network) for network in of_network])
    first = np.array([latency.median for latency in both[len(parts) :]])
    second = np.array([latency.median for latency in again])
    flops = np.array([measure_size(space, one, input_shape=shape, classes=10).flops for one in drawn])
    print(f"{name}: {len(parts)} parts, {first.min():.2f} to {first.max():.2f} ms", flush=True)
    table.add(name, "table", "whole, same rounds", sums, first, unit=True)
    table.add(name, "table", "whole, later", sums, second, unit=True)
    table.add(name, "whole", "whole, later", first, second, unit=True)
    table.add(name, "FLOPs", "whole, same rounds", flops, first, unit=False)
    return {one.code: float(value) for one, value in zip(drawn, first, strict=True)}


def by_option(space: SearchSpace, latencies: LatencyTable) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Milliseconds and FLOPs (options,) of each decision."""
    measured = measure_options(space, latencies, input_shape=IMAGENET, classes=1000)
    return (
        [np.array([option.milliseconds for option in options]) for options in measured],
        [np.array([option.capacity for option in options]) for options in measured],
    )


def against_fbnet(root: Path, repeats: int, table: Table) -> None:
    recorded = pd.read_parquet(root / "help_latency" / "fbnet_5000_latency.parquet")
    space = get_space("fbnet")
    latencies = measure_table(space, every_option(space), input_shape=IMAGENET, classes=1000, repeats=repeats)
    milliseconds, flops = by_option(space, latencies)
    taken = np.array([[int(digit) for digit in code.split(",")] for code in recorded["op_idx"]])  # (networks, layers)
    places = range(taken.shape[1])
    for what, values in (("table", milliseconds), ("FLOPs", flops)):
        sums = sum(values[place][taken[:, place]] for place in places)
        for device in sorted(set(recorded.columns) - {"op_idx"}):
            table.add("fbnet", what, device.removesuffix("_ms"), sums, recorded[device].to_numpy(), unit=False)


def against_cells(root: Path, here: dict[str, float], table: Table) -> None:
    recorded = pd.read_parquet(root / "nb201" / "nb201_cifar10_hardware.parquet").set_index("arch_str")
    space = get_space(CELLS)
    shape = SPACES[CELLS][1]
    devices = sorted(column for column in recorded.columns if "latency" in column or column.endswith("_ms"))
    codes = recorded.index[np.random.default_rng(1).permutation(len(recorded))[:SIZED]]
    flops = np.array(
        [measure_size(space, Architecture(CELLS, code), input_shape=shape, classes=10).flops for code in codes]
    )
    measured = np.array(list(here.values()))
    for device in devices:
        name = device.removeprefix("c10_").removeprefix("help_").removesuffix("_latency").removesuffix("_ms")
        source = "HELP" if device.startswith("help_") else "HW-NAS-Bench"
        table.add(
            CELLS, "whole", f"{name} ({source})", measured, recorded.loc[list(here), device].to_numpy(), unit=False
        )
        table.add(CELLS, "FLOPs", f"{name} ({source})", flops, recorded.loc[codes, device].to_numpy(), unit=False)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=60)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if "TAURANK_DATA" not in os.environ:
        parser.error("TAURANK_DATA is not set; it is the folder of the recordings")
    table = Table()
    here = {name: measure_here(name, options.repeats, table) for name in SPACES}
    root = Path(os.environ["TAURANK_DATA"])
    against_fbnet(root, options.repeats // 4, table)
    against_cells(root, here[CELLS], table)
    pd.DataFrame(table.rows).to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
