"""Policies at equal cost on recorded curves: tau of all trials, tau in the true top fifth, regret of the best one.

Every policy spends up to a share of the epochs of full training; the trained prefixes are ranked by its own rule
(`own`) and by the ladder (`ladder`). Rules that choose their own budget (median, penguin, beating, full) run without
one, and breadth-first is run with the epochs that they used. Prints a table and keeps one row per draw in
`curve_policies.csv`; rows of other sets, policies and budgets are kept. Clearly inferior or slow policies have fewer
draws (`MOST_DRAWS`).

    python -m benchmarks.curves.curve_policies --draws 50
    python -m benchmarks.curves.curve_policies --sets naap440 --policies order-settling asha --budgets .1 .2
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from benchmarks.common.paired import positive
from benchmarks.curves.recorded_curves import CURVE_SETS, RecordedCurves, load_curves
from taurank.schedulers.curves.ladder import Ladder
from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.schedulers.policies import Limits, make_policy
from taurank.schedulers.policies.orders import by_best_so_far, by_epochs_and_value, by_last_value
from taurank.schedulers.policies.simulation import Simulation, simulate

OUT = Path(__file__).parent / "results" / "curve_policies.csv"
BUDGETS = (0.05, 0.1, 0.2, 0.3)
TOP = 0.2
OWN = {"uniform": by_last_value, "uniform, best so far": by_best_so_far}
"""Policies that are not ranked by (epochs, value)."""
POLICIES: dict[str, tuple[str, dict[str, object]]] = {
    "uniform": ("uniform", {}),
    "uniform, best so far": ("uniform", {}),
    "order-settling": ("order-settling", {}),
    "order-settling, top": ("order-settling", {"goal": "top"}),
    "order-settling, best": ("order-settling", {"goal": "best"}),
    "successive-halving": ("successive-halving", {}),
    "hyperband": ("hyperband", {}),
    "asha": ("asha", {}),
    "pasha": ("pasha", {}),
}
UNBOUNDED = {name: (name, {}) for name in ("median", "penguin", "beating")}
"""Rules that choose their own budget."""
MOST_DRAWS = {"penguin": 3, "beating": 3} | dict.fromkeys(("asha", "pasha", "hyperband", "median"), 20)
"""Penguin and beating fit every curve after every epoch."""


@dataclass(frozen=True)
class Task:
    """One draw of one set under one policy."""

    data: str
    policy: str
    budget: float
    draw: int
    candidates: int

    def drawn(self) -> RecordedCurves:
        return load_curves(self.data).draw(self.candidates, np.random.default_rng([self.draw, 1]))


def measured(task: Task) -> list[dict[str, object]]:
    curves = task.drawn()
    name, options = (POLICIES | UNBOUNDED)[task.policy]
    began = time.process_time()
    try:
        result = replayed(name, options, curves.matrix, task.budget)
    except ValueError as error:
        print(f"{task.data} {task.policy} {task.budget:g}: {error}", file=sys.stderr)
        return []
    seconds = time.process_time() - began
    own = OWN.get(task.policy, by_epochs_and_value)
    rows = []
    if name != "order-settling":  # its own rule is the ladder
        rows.append(described(task, result, curves, "own", own(result.matrix), seconds=seconds))
    rows.append(described(task, result, curves, "ladder", *laddered(result.matrix), seconds=seconds))
    if math.isinf(task.budget):
        share = result.epochs / (len(curves.truth) * int(curves.matrix.epochs[-1]))
        beside = replayed("order-settling", {}, curves.matrix, share)
        row = described(task, beside, curves, "ladder", *laddered(beside.matrix))
        rows.append(row | {"policy": f"order-settling at the epochs of {task.policy}"})
    return rows


def replayed(name: str, options: dict[str, object], matrix: CurveMatrix, share: float) -> Simulation:
    whole = len(matrix.values) * int(matrix.epochs[-1])
    points = tuple(int(epoch) for epoch in matrix.epochs)
    limits = Limits(points[-1], budget_epochs=share * whole, metric=matrix.metric, points=points)
    return simulate(make_policy(name, **options), limits, matrix)


def laddered(matrix: CurveMatrix) -> tuple[Floats, float]:
    forecast = Ladder().forecast(matrix)
    return np.nan_to_num(forecast.scores, nan=-np.inf), forecast.expected_tau()


def described(
    task: Task,
    result: Simulation,
    curves: RecordedCurves,
    ranked_by: str,
    scores: Floats,
    expected: float = math.nan,
    seconds: float = math.nan,
) -> dict[str, object]:
    truth = curves.truth
    top = truth >= np.quantile(truth, 1 - TOP)
    best = scores == scores.max()
    return {
        "set": task.data,
        "policy": task.policy,
        "ranked_by": ranked_by,
        "budget": task.budget,
        "draw": task.draw,
        "candidates": len(truth),
        "epochs": result.epochs / (len(truth) * int(curves.matrix.epochs[-1])),
        "tau": kendalltau(scores, truth).statistic,
        "tau_top": kendalltau(scores[top], truth[top]).statistic,
        "regret_points": 100 * float(truth.max() - truth[best].mean()),
        "expected_tau": expected,
        "pauses": len(result.steps) - len(truth),
        "seconds": seconds,
    }


def tasks_of(options: argparse.Namespace) -> Iterator[Task]:
    for data in options.sets:
        for policy in options.policies:
            for budget in (math.inf,) if policy in UNBOUNDED else options.budgets:
                draws = min(options.draws, MOST_DRAWS.get(policy, options.draws))
                yield from (Task(data, policy, budget, draw, options.candidates) for draw in range(draws))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.assign(budget=rows["budget"].map(lambda share: "own" if math.isinf(share) else f"{share:.0%}"))
    by = rows.groupby(["set", "budget", "policy", "ranked_by"], sort=False)
    table = by[["epochs", "tau", "tau_top", "regret_points", "expected_tau", "pauses"]].mean()
    return table.assign(draws=by.size(), error=by["tau"].sem()).round(3).reset_index()


def kept(rows: pd.DataFrame, out: Path) -> pd.DataFrame:
    """The new rows and the rows of other cells in the file."""
    if not out.is_file():
        return rows
    cell = ["set", "policy", "budget"]
    old = pd.read_csv(out)
    measured_now = pd.MultiIndex.from_frame(rows[cell])
    return pd.concat([old[~pd.MultiIndex.from_frame(old[cell]).isin(measured_now)], rows], ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*POLICIES, *UNBOUNDED]
    parser.add_argument("--draws", type=positive, default=50)
    parser.add_argument("--candidates", type=positive, default=100)
    parser.add_argument("--sets", nargs="+", choices=CURVE_SETS, default=CURVE_SETS)
    parser.add_argument("--policies", nargs="+", choices=known, default=known, metavar="POLICY")
    parser.add_argument("--budgets", nargs="+", type=float, default=BUDGETS, help="shares of full training")
    parser.add_argument("--jobs", type=positive, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.jobs) as pool:
        rows = pd.DataFrame([row for found in pool.map(measured, tasks_of(options), chunksize=5) for row in found])
    rows = kept(rows, options.out)
    rows.round(4).to_csv(options.out, index=False)
    with pd.option_context("display.width", 200, "display.max_rows", None, "display.max_columns", None):
        print(summary(rows).to_string(index=False))


if __name__ == "__main__":
    main()
