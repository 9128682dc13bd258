"""Tau at equal seconds: short trainings that are equally long, against ones that are longer for fast candidates.

The order is that of validation accuracies alone, on draws of 24 from our own recordings, against the mean of two full
trainings. ``equal`` trains each for 3 epochs. At the same seconds, ``longer if fast`` trains the fastest for 4 epochs
and the others for 2, ``longer if slow`` the slowest. ``shifted`` adds to accuracies after 2 epochs what 4 epochs have
more in the mean of all candidates, which a run could only estimate: an upper bound of what a correction reaches.

Prints a table and writes the rows to `unequal_lengths.csv` in `results`.

    python -m benchmarks.ranker.unequal_lengths
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.tau import tau_b

LISTS = Path(__file__).parents[1] / "real_lists"
OUT = Path(__file__).parent / "results" / "unequal_lengths.csv"
NAMES = ("own_code", "own_code_fashion", "mobile")
FULL, EQUAL, SHORTER, LONGER = 40, 3, 2, 4
DRAWS, N = 20, 24

Floats = NDArray[np.float64]


def main() -> None:
    rows = pd.DataFrame([row for name in NAMES for row in measure(name)])
    rows.round(5).to_csv(OUT, index=False)
    print(rows.groupby(["table", "variant"], sort=False)["tau"].mean().unstack().round(3).to_string())


def measure(name: str) -> list[dict[str, object]]:
    """The taus of all draws of a list."""
    recorded = pd.read_parquet(LISTS / f"{name}.parquet")
    trained = recorded[recorded["source"] == "training"]
    full = trained[trained["schedule_epochs"] == FULL]
    truth = full[full["metric"] == "test_accuracy"].groupby("architecture")["value"].mean()
    seconds = full.groupby("architecture")["seconds"].sum()
    validated = trained[(trained["metric"] == "validation_accuracy") & (trained["epoch"] == trained["schedule_epochs"])]
    by_length = validated.groupby(["schedule_epochs", "architecture"])["value"].mean()
    table = pd.DataFrame({length: by_length[length] for length in (SHORTER, EQUAL, LONGER)}).loc[truth.index]
    rows: list[dict[str, object]] = []
    for draw in range(DRAWS):
        codes = np.random.default_rng(draw).choice(truth.index, N, replace=False)
        cost = seconds[codes].to_numpy()
        for variant, scores in orders(table.loc[codes], cost).items():
            rows.append(
                {"table": name, "draw": draw, "variant": variant, "tau": tau_b(scores, truth[codes].to_numpy())}
            )
    return rows


def orders(accuracy: pd.DataFrame, seconds: Floats) -> dict[str, Floats]:
    """The accuracies that each variant orders by, (candidates,)."""
    shorter, longer = accuracy[SHORTER].to_numpy(), accuracy[LONGER].to_numpy()
    gain = float((longer - shorter).mean())
    found = {"equal": accuracy[EQUAL].to_numpy()}
    for kind, order in (("fast", np.argsort(seconds)), ("slow", np.argsort(-seconds))):
        long = longer_ones(seconds, order)
        found[f"longer if {kind}"] = np.where(long, longer, shorter)
        found[f"longer if {kind}, shifted"] = np.where(long, longer, shorter + gain)
    return found


def longer_ones(seconds: Floats, order: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which are trained longer: the first of an order, as many as all of the seconds allow."""
    left = (EQUAL - SHORTER) * float(seconds.sum())
    chosen = np.zeros(len(seconds), dtype=bool)
    for place in order:
        extra = (LONGER - SHORTER) * float(seconds[place])
        if extra <= left:
            chosen[place], left = True, left - extra
    return chosen


if __name__ == "__main__":
    main()
