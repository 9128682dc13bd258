"""Variants of the ranker on the same draws of recorded cells: each measured once, compared in pairs.

NAS-Bench-201 on CIFAR-10, live cells with three seeds; seed 0 is the evidence, the mean of seeds 1 and 2 the truth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.recorded import NASBENCH201, read_recorded
from taurank.orchestrator.replay import Bench, ReplayError, ReplayPlan, Row, choose_cheap, make_bench, plan_replay

SEED = 0
KEY = ["variant", "n", "budget", "draw"]
KEPT = ["tau", "retained", "tau_top20", "expected_tau", "coverage90", "cost", "shorts", "fulls", "ranker_seconds"]
"""Columns of a replay that are kept, one row per draw."""


@dataclass(frozen=True)
class Task:
    """One variant on one draw."""

    variant: str
    n: int
    budget: str
    draw: int
    data_dir: Path | None

    @property
    def key(self) -> tuple[str, int, str, int]:
        return self.variant, self.n, self.budget, self.draw

    @property
    def bench(self) -> Bench:
        return live_cells(self.data_dir)

    @property
    def plan(self) -> ReplayPlan:
        """The evidence of the full method."""
        cheap = choose_cheap(self.bench.table, proxies="all", supernets="")
        return plan_replay(self.bench, candidates=self.n, budget=self.budget, seed=SEED, workers=8, cheap=cheap)


@cache
def live_cells(folder: Path | None) -> Bench:
    return make_bench(read_recorded(NASBENCH201, folder), truth="seeds 1,2", buy_seed=0, among="live")


def positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


def compare(
    description: str,
    measure: Callable[[Task], Row],
    variants: Collection[str],
    *,
    reference: str,
    candidates: Sequence[int],
    out: Path,
) -> pd.DataFrame:
    """Measures the variants of the command line that are missing in ``out``; returns all rows of ``out``.

    The reference is measured with any of them: without it there are no pairs.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--draws", type=positive, default=10)
    parser.add_argument("--candidates", type=positive, nargs="+", default=candidates, metavar="N")
    parser.add_argument("--budget", nargs="+", default=["10x"], metavar="10x")
    parser.add_argument("--only", nargs="+", choices=variants, metavar="VARIANT", help=f"of {', '.join(variants)}")
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--jobs", type=positive, default=1, help="processes; seconds are only comparable with one")
    parser.add_argument("--fresh", action="store_true", help="measure again what is in the CSV")
    options = parser.parse_args()
    rows = pd.read_csv(out) if out.is_file() else pd.DataFrame(columns=[*KEY, *KEPT])
    asked = options.only or variants
    tasks = [
        Task(variant, n, budget, draw, options.data_dir)
        for n in options.candidates
        for budget in options.budget
        for draw in range(options.draws)
        for variant in variants
        if variant in asked or variant == reference
    ]
    known = set(rows[KEY].itertuples(index=False, name=None))
    missing = [task for task in tasks if task.key not in known or (options.fresh and task.variant in asked)]
    try:
        for task, row in zip(missing, _mapped(measure, missing, options.jobs), strict=True):
            print(*task.key, f"tau {row['tau']:.3f}", file=sys.stderr, flush=True)
            others = rows[[key != task.key for key in rows[KEY].itertuples(index=False, name=None)]]
            found = pd.DataFrame([dict(zip(KEY, task.key, strict=True)) | {name: row.get(name) for name in KEPT}])
            rows = pd.concat([others, found], ignore_index=True) if len(others) else found
            rows.round(5).to_csv(out, index=False)
    except ReplayError as error:
        sys.exit(str(error))
    return rows


def _mapped(measure: Callable[[Task], Row], tasks: Sequence[Task], jobs: int) -> Iterator[Row]:
    """Results in the order of the tasks, draw by draw, so that an interrupted run leaves complete pairs."""
    if jobs == 1:
        yield from map(measure, tasks)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        try:
            yield from pool.map(measure, tasks)
        finally:
            pool.shutdown(cancel_futures=True)


def compared(rows: pd.DataFrame, variants: Collection[str], *, reference: str) -> pd.DataFrame:
    """One line per variant: means over its draws, and the mean of tau minus the reference's on the same draws.

    ``error`` is the standard error of that mean; NaN with one pair.
    """
    lines = []
    for (n, budget), case in rows.groupby(["n", "budget"]):
        by_variant = {name: own.set_index("draw") for name, own in case.groupby("variant")}
        for name in (name for name in variants if name in by_variant):
            own = by_variant[name]
            pairs = (own["tau"] - by_variant[reference]["tau"]).dropna() if reference in by_variant else pd.Series()
            line = {"variant": name, "n": n, "budget": budget, "draws": len(own), "tau": own["tau"].mean()}
            line |= {"sd": own["tau"].std(ddof=0), "retained": own["retained"].mean()}
            line |= {"top 20 %": own["tau_top20"].mean(), "difference": pairs.mean()}
            line |= {"error": pairs.std(ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.nan}
            line |= {"expected": own["expected_tau"].mean(), "covers 90 %": own["coverage90"].mean()}
            line |= {"cost": own["cost"].mean(), "shorts": own["shorts"].mean(), "fulls": own["fulls"].mean()}
            lines.append(line | {"seconds": own["ranker_seconds"].mean()})
    return pd.DataFrame(lines)
