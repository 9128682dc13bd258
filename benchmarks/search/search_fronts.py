"""Searches for accuracy against latency on recorded NAS-Bench-201, CIFAR-10: the area that their fronts cover.

As in `search.py` all searchers search the 5,389 connected cells that differ as functions, in batches of ten, and
receive the validation accuracy of one 200-epoch training; `nsga2` also receives the recorded latency of a device. The
front of a search are the evaluated cells that are not dominated, by that validation accuracy. The measure is the area
that it dominates by recorded test accuracy (mean over seeds), above the median cell's accuracy and below the highest
latency, as a share of the area of the true front.

Keeps a row for each method, device, seed and cost in `search_fronts.csv`, continues that file, and prints means
with 95 % intervals. One thread; needs nb201 in $TAURANK_DATA.

    OMP_NUM_THREADS=1 python -m benchmarks.search.search_fronts
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.recorded import data_folder
from benchmarks.search.pareto_fronts import DEVICES, HARDWARE, hypervolume
from benchmarks.search.search import BATCH, SPACE, Table, interval
from taurank.orchestrator.hardware.pareto import front
from taurank.orchestrator.search import Observation, make_searcher
from taurank.orchestrator.search.drawing import listed
from taurank.orchestrator.search.searcher import Direction

OUT = Path(__file__).parent / "results" / "search_fronts.csv"
COSTS = (20, 50, 100, 200)
METHODS = ("random", "evolution", "nsga2", "posterior")
TRIED = ("edge GPU (Jetson TX2)", "Raspberry Pi 4", "Pixel 3")
BOTH = "nsga2"
"""The searcher with both objectives."""


class Device:
    """Latencies of all cells, and the area of the true front."""

    def __init__(self, latency: pd.Series, table: Table) -> None:
        self._codes = [one.code for one in listed(SPACE) or ()]
        self.latency, self._table = latency, table
        accuracy, cost = self._of(self._codes)
        self._worst = float(np.median(accuracy)), float(cost.max())
        self._whole = hypervolume(accuracy, cost, self._worst)

    def _of(self, codes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([self._table.test[code] for code in codes]), self.latency.loc[list(codes)].to_numpy(dtype=float)

    def covered(self, codes: Sequence[str]) -> float:
        """Share of the true front's area that the front of the evaluated cells covers."""
        accuracy, cost = self._of(codes)
        validated = np.array([self._table.validation[code] for code in codes])
        chosen = front(validated, cost)
        return hypervolume(accuracy[chosen], cost[chosen], self._worst) / self._whole


def search(method: str, seed: int, device: Device, table: Table) -> list[str]:
    """Codes in the order of their evaluation."""
    objectives: dict[str, Direction] = {"accuracy": "higher"}
    if method == BOTH:
        objectives["latency"] = "lower"
    searcher = make_searcher(method, SPACE, seed=seed, objectives=objectives)
    while len(searcher.observations) < COSTS[-1]:
        asked = searcher.ask(BATCH)
        if not asked:
            break
        searcher.tell(
            Observation(
                one, {"accuracy": table.validation[one.code], "latency": float(device.latency[one.code])}, cost=1.0
            )
            for one in asked
        )
    return [observation.architecture.code for observation in searcher.observations]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    folder = data_folder()
    table = Table(folder / "nb201")
    hardware = pd.read_parquet(folder / HARDWARE).set_index("arch_str")
    devices = {name: Device(hardware[DEVICES[name]], table) for name in TRIED}
    results = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame({"method": [], "seed": []})
    for method, seed in product(METHODS, range(options.seeds)):
        if ((results["method"] == method) & (results["seed"] == seed)).any():
            continue
        rows, codes = [], None
        for name, device in devices.items():
            # A searcher without the latency evaluates the same cells for all devices.
            codes = search(method, seed, device, table) if codes is None or method == BOTH else codes
            rows += [
                {
                    "method": method,
                    "seed": seed,
                    "device": name,
                    "cost": cost,
                    "covered": round(device.covered(codes[:cost]), 4),
                }
                for cost in COSTS
                if cost <= len(codes)
            ]
        results = pd.concat([results, pd.DataFrame(rows)], ignore_index=True).astype({"seed": int, "cost": int})
        results.to_csv(OUT, index=False)
    for name, own in results.groupby("device", sort=False):
        print(f"{name}: share of the true front's area, mean and 95 % interval over seeds")
        cells = own.pivot_table(index="method", columns="cost", values="covered", aggfunc=interval)
        print(cells.reindex(METHODS).to_string(), end="\n\n")


if __name__ == "__main__":
    main()
