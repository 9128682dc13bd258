"""Rank quality of small lists: our order beside simple ones on the same draws of recorded trainings.

A row per draw: tau of the ranking, of the log-rank sum of (short trainings, parameters, jacov), of each of its sources,
and of size (the mean of the normal scores of parameters and FLOPs); the expected tau and the coverage of the 90 %
intervals. The sources are those of the draw's own candidates: every one has a short training there, of the length that
the replay's split has chosen. NAS-Bench-201: candidates that differ as functions, seed 0 is the evidence, the mean of
seeds 1 and 2 the truth. Proxies were recorded on CIFAR-10 only; their order hardly depends on the images, so the scores
and the FLOPs of the same cells stand in for those on CIFAR-100.

Prints a table and keeps the rows in `small_lists.csv` in `results`; draws that are there are not run again.

    python -m benchmarks.ranker.small_lists --draws 20
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.common.recorded import (
    DEEP_RESNETS,
    METAQNN,
    NAAP440,
    NASBENCH201,
    NASBENCH201_C100,
    SPIKENAS,
    read_recorded,
)
from taurank.orchestrator.replay import (
    Bench,
    ReplayPlan,
    choose_cheap,
    draw_candidates,
    make_bench,
    plan_replay,
    replay_draw,
)
from taurank.orchestrator.tau import tau_b
from taurank.trainables.table import RecordedTable

OUT = Path(__file__).parent / "results" / "small_lists.csv"
CELLS = (NASBENCH201, NASBENCH201_C100)
TABLES = (*CELLS, NAAP440, SPIKENAS, METAQNN, DEEP_RESNETS)
TRUTHS = dict.fromkeys(CELLS, "seeds 1,2") | dict.fromkeys((NAAP440, SPIKENAS), "test")
TRUTHS |= dict.fromkeys((METAQNN, DEEP_RESNETS), "last")
SIZES = (12, 24, 50, 100, 300, 1000)
MOST_DRAWS = {300: 8, 1000: 4}
"""Of large lists, which take minutes."""
BARS = {12: 0.0, 24: 0.0, 50: 0.0, 100: 0.005, 300: 0.025, 1000: 0.05}
"""What the order has to be above the log-rank sum by, on both data sets of NAS-Bench-201 at 10x."""
KEY = ["table", "budget", "n"]
KEPT = [
    "draw",
    "tau",
    "tau_top20",
    "expected_tau",
    "coverage90",
    "width90",
    "cost",
    "shorts",
    "fulls",
    "ranker_seconds",
]


@cache
def read_table(name: str, folder: Path | None) -> RecordedTable:
    """A recorded table; that of CIFAR-100 with the cheap scores of CIFAR-10."""
    table = read_recorded(name, folder)
    if name != NASBENCH201_C100:
        return table
    other = read_recorded(NASBENCH201, folder)
    cheap = other.rows["source"].astype(str).str.startswith("proxy:") | (other.rows["metric"] == "flops")
    info = dataclasses.replace(table.info, metrics=other.info.metrics | table.info.metrics)
    both = [
        part.astype(dict.fromkeys(("architecture", "source", "metric"), str))
        for part in (table.rows, other.rows[cheap])
    ]
    return RecordedTable(info, pd.concat(both, ignore_index=True))


def cheap_orders(bench: Bench, plan: ReplayPlan, candidates: list[str]) -> dict[str, pd.Series]:
    """Every source without full training by name, higher is better, NaN where it has no value."""
    orders = {name: bench.sizes[name] for name in ("parameters", "flops") if name in bench.sizes}
    orders |= {name: bench.proxies[name] for name in ("jacov", "nwot") if name in bench.proxies}
    for spec in plan.trainings[:1]:
        at = {"epoch": spec.last_epoch, "schedule_epochs": spec.epochs, "seed": spec.seed}
        orders["short"] = bench.table.at("validation_accuracy", **at)
    return {name: order.reindex(candidates) for name, order in orders.items()}


def log_rank_sum(orders: list[pd.Series]) -> pd.Series:
    """Sum of ``log(rank / n)``, the worst at rank 1; a candidate without a value is in the middle of that source."""
    return sum(np.log(order.fillna(order.median()).rank() / len(order)) for order in orders)


def normal_mean(orders: list[pd.Series]) -> pd.Series:
    """Mean of the normal scores."""
    return sum(pd.Series(stats.norm.ppf((order.rank() - 0.5) / len(order)), order.index) for order in orders)


def measure(bench: Bench, plan: ReplayPlan, draw: int) -> dict[str, float]:
    found = replay_draw(bench, plan, draw)
    candidates = draw_candidates(bench, plan, draw)
    truth = bench.truth.values.loc[candidates]
    orders = cheap_orders(bench, plan, candidates)
    summed = [orders[name] for name in ("short", "parameters", "jacov") if name in orders]
    sizes = [orders[name] for name in ("parameters", "flops") if name in orders]
    row = {name: found[name] for name in KEPT} | {"tau_log_rank": tau_b(log_rank_sum(summed), truth)}
    row["tau_size"] = tau_b(normal_mean(sizes), truth)
    return row | {f"tau_{name}": tau_b(order.fillna(order.median()), truth) for name, order in orders.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--candidates", nargs="+", type=int, choices=SIZES, default=SIZES[:4])
    parser.add_argument("--budgets", nargs="+", default=["10x"])
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    rows = pd.read_csv(options.out) if options.out.is_file() else pd.DataFrame(columns=[*KEY, "draw"])
    for name, budget, count in product(options.tables, options.budgets, options.candidates):
        case = {"table": name, "budget": budget, "n": count}
        there = rows[np.logical_and.reduce([rows[key] == value for key, value in case.items()])]["draw"]
        wanted = sorted(set(range(min(options.draws, MOST_DRAWS.get(count, options.draws)))) - set(there))
        if not wanted:
            continue
        table = read_table(name, options.data_dir)
        bench = make_bench(table, truth=TRUTHS[name], among="distinct")
        if count > len(bench.pool):
            continue
        cheap = choose_cheap(table, proxies="all", supernets="")
        plan = plan_replay(bench, candidates=count, budget=budget, seed=0, workers=8, cheap=cheap)
        for draw in wanted:
            row = case | measure(bench, plan, draw)
            print(case, f"draw {draw}: {row['tau']:.3f}, log-rank sum {row['tau_log_rank']:.3f}", file=sys.stderr)
            rows = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
        rows.round(5).to_csv(options.out, index=False)
    print(summarise(rows).to_string(index=False))


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per case: means, the gain on the log-rank sum with its standard error, the best single source."""
    lines = []
    for (table, budget, count), own in rows.groupby(KEY, sort=False):
        gain, below = own["tau"] - own["tau_log_rank"], own["tau_size"] - own["tau"]
        singles = own[["tau_short", "tau_parameters", "tau_flops", "tau_jacov", "tau_nwot"]].mean()
        line = {"table": table, "budget": budget, "n": count, "draws": len(own), "tau": own["tau"].mean()}
        line |= {"log-rank sum": own["tau_log_rank"].mean(), "gain": gain.mean(), "se": gain.sem()}
        line |= {"bar": BARS[count] if table in CELLS and budget == "10x" else np.nan}
        line |= {"best single": singles.max(), "which": str(singles.idxmax()).removeprefix("tau_")}
        line |= {"size": own["tau_size"].mean(), "most below size": below.max(), "top 20 %": own["tau_top20"].mean()}
        line |= {"expected": own["expected_tau"].mean(), "bias": (own["expected_tau"] - own["tau"]).mean()}
        line |= {"covers 90 %": own["coverage90"].mean(), "width": own["width90"].mean(), "fulls": own["fulls"].mean()}
        lines.append(line)
    return pd.DataFrame(lines).round(3)


if __name__ == "__main__":
    main()
