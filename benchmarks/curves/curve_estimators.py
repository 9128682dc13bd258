"""How well scores of unfinished trainings order the finished ones: Kendall tau-b at fixed cuts of recorded curves.

All trials of a draw are cut at the same share of the schedule; the truth is the test accuracy for spikenas and the last
value elsewhere (see `recorded_curves`). For forecasts also: the share of last values inside the 90 % interval, the root
mean square error in points of accuracy, and the tau that the model itself expects. Cells that cannot be scored (no
training loss) are empty. Prints a table of taus and keeps one row for each cell in `curve_estimators.csv` beside this
file; rows of other sets and methods are kept. Methods that are in the file only were removed, because others order
better.

    python -m benchmarks.curves.curve_estimators --draws 50
    python -m benchmarks.curves.curve_estimators --sets a4nn --methods "last value" "freeze-thaw" --draws 10

To measure another method add it to `METHODS`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from benchmarks.curves.recorded_curves import CURVE_SETS, RecordedCurves, load_curves
from taurank.schedulers.curves.ensemble import CurveEnsemble
from taurank.schedulers.curves.estimators import (
    best_so_far,
    last_value,
    training_speed_late,
)
from taurank.schedulers.curves.forecast import Forecast
from taurank.schedulers.curves.freeze_thaw import FreezeThaw
from taurank.schedulers.curves.ladder import Ladder
from taurank.schedulers.curves.matrix import CurveMatrix, Floats

OUT = Path(__file__).parent / "results" / "curve_estimators.csv"
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
KEY = ["set", "method", "share"]
LATE = 0.25


def late_training(curves: CurveMatrix) -> Floats:
    return training_speed_late(curves, max(1, int(np.ceil(LATE * curves.counts.max()))))


def without_features(curves: CurveMatrix) -> Forecast:
    return FreezeThaw().forecast(replace(curves, features=None))


Method = Callable[[CurveMatrix], Floats | Forecast]
METHODS: dict[str, Method] = {
    "last value": last_value,
    "best so far": best_so_far,
    "TSE-E, last quarter": late_training,
    "ensemble": CurveEnsemble().forecast,
    "ensemble, each alone": CurveEnsemble(pooled=False).forecast,
    "freeze-thaw": FreezeThaw().forecast,
    "freeze-thaw, no features": without_features,
    "ladder": Ladder().forecast,
}
NEEDS_TRAINING = ("TSE-E, last quarter",)


def score(name: str, curves: RecordedCurves, share: float) -> dict[str, float]:
    """One cell of one draw; the trials of a draw are in random order, so the first ones are a random sample."""
    cut = curves.cut(share)
    begin = time.perf_counter()
    found = METHODS[name](cut)
    line = {"epochs": float(cut.epochs[cut.counts.min() - 1]), "seconds": time.perf_counter() - begin}
    scores = found.scores if isinstance(found, Forecast) else found
    # With the same score for all, or none, there is no order.
    line["tau"] = kendalltau(scores, curves.truth, nan_policy="propagate").statistic
    if isinstance(found, Forecast):
        error = found.means - curves.matrix.values[:, -1]
        line["coverage90"] = float(np.mean(np.abs(error) <= 1.6449 * found.sds))
        line["rmse_points"] = 100 * float(np.sqrt(np.mean(error**2)))
        line["expected_tau"] = found.expected_tau()
    return line


def measure(options: argparse.Namespace) -> Iterator[pd.DataFrame]:
    """Yields the rows set by set."""
    for name in options.sets:
        curves = load_curves(name, options.data_dir)
        methods = [m for m in options.methods if curves.matrix.training is not None or m not in NEEDS_TRAINING]
        rows = []
        for draw in range(options.draws):
            drawn = curves.draw(options.candidates, np.random.default_rng([options.seed, draw]))
            for method in methods:
                cells = [{"set": name, "method": method, "share": s, **score(method, drawn, s)} for s in SHARES]
                rows += [cell | {"candidates": len(drawn.truth)} for cell in cells]
            print(f"{name}: draw {draw + 1} of {options.draws}", file=sys.stderr)
        found = pd.DataFrame(rows)
        groups = found.groupby(KEY, sort=False)
        yield groups.mean().assign(tau_sd=groups["tau"].std(), draws=options.draws).reset_index()


def keep(rows: pd.DataFrame) -> pd.DataFrame:
    """Replaces the rows of the same cells; returns all rows."""
    everything = pd.concat([pd.read_csv(OUT), rows]) if OUT.is_file() else rows
    everything = everything.drop_duplicates(KEY, keep="last")
    order = {"set": list(CURVE_SETS), "method": list(METHODS), "share": list(SHARES)}
    places = everything[KEY].apply(lambda column: column.map({v: i for i, v in enumerate(order[column.name])}))
    everything = everything.iloc[np.lexsort(places.to_numpy().T[::-1])]
    everything.round(4).to_csv(OUT, index=False)
    return everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--sets", nargs="+", choices=CURVE_SETS, default=list(CURVE_SETS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = pd.DataFrame()
    for found in measure(options):
        rows = keep(found)
    for value in ("tau", "coverage90"):
        table = rows.pivot_table(value, ["method"], ["set", "share"], sort=False).round(2)
        for name in options.sets:
            print(f"\n{value}, {name}")
            print(table[name].dropna(how="all").to_string())


if __name__ == "__main__":
    main()
