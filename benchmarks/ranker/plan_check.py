"""Accuracy of forecasts: predicted tau against the mean tau of replays, on draws that the forecasts do not contain.

NAS-Bench-201 on CIFAR-10 (live cells; seed 0 is the evidence, the mean of seeds 1 and 2 the truth), draws of seed 0;
the forecasts come from draws of seed 1000 (`forecast_grid.py`). Prints a table and keeps one row per draw in
`plan_check.csv` beside this file; cases with as many draws are not run again. Aim: within .03.

    python -m benchmarks.ranker.plan_check --draws 5 --jobs 2
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path

import pandas as pd

from benchmarks.common.recorded import NASBENCH201, read_recorded
from taurank.orchestrator.planning.forecast import forecast
from taurank.orchestrator.replay import Bench, choose_cheap, make_bench, plan_replay, replay_draws

OUT = Path(__file__).parent / "results" / "plan_check.csv"
CANDIDATES = (100, 300, 1000)
BUDGETS = (5.0, 10.0, 20.0, 50.0)
BAR = 0.03
KEY = ["proxies", "n", "budget"]
KEPT = [*KEY, "draw", "tau", "retained", "ceiling", "expected_tau", "shorts", "fulls", "cost"]


def run_case(bench: Bench, proxies: str, n: int, budget: float, options: argparse.Namespace) -> pd.DataFrame:
    cheap = choose_cheap(bench.table, proxies=proxies, supernets="")
    plan = plan_replay(bench, candidates=n, budget=f"{budget}x", seed=0, workers=8, cheap=cheap)
    rows = [row | {"proxies": proxies} for row in replay_draws(bench, plan, options.draws, jobs=options.jobs)]
    return pd.DataFrame(rows)[KEPT]


def compare(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for (proxies, n, budget), own in rows.groupby(KEY):
        found = forecast(NASBENCH201, int(n), float(budget), proxies=proxies == "all")
        difference = found.tau - own["tau"].mean()
        inside = own["tau"].between(found.low, found.high).mean()
        line = {"proxies": proxies, "n": n, "budget": budget, "draws": len(own), "tau": own["tau"].mean()}
        line |= {"predicted": found.tau, "low": found.low, "high": found.high, "difference": difference}
        lines.append(line | {"draws inside": inside, "within .03": "yes" if abs(difference) <= BAR else "NO"})
    return pd.DataFrame(lines).round(3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--most", type=int, default=1000, help="leave out cases with more candidates")
    parser.add_argument("--budgets", nargs="+", type=float, choices=BUDGETS, default=BUDGETS)
    parser.add_argument("--proxies", nargs="+", choices=("all", "none"), default=("all", "none"))
    parser.add_argument("--fresh", action="store_true", help="run all cases again")
    options = parser.parse_args()
    bench = make_bench(read_recorded(NASBENCH201, options.data_dir), truth="seeds 1,2", among="live")
    rows = pd.read_csv(OUT) if OUT.is_file() and not options.fresh else pd.DataFrame(columns=KEPT)
    for proxies, n, budget in product(options.proxies, CANDIDATES, options.budgets):
        own = rows[(rows["proxies"] == proxies) & (rows["n"] == n) & (rows["budget"] == budget)]
        if n > options.most or len(own) >= options.draws:
            continue
        found = run_case(bench, proxies, n, budget, options)
        print(f"{n} candidates, {budget:g}x, proxies {proxies}: tau {found['tau'].mean():.3f}", file=sys.stderr)
        others = rows.drop(own.index)
        rows = pd.concat([others, found], ignore_index=True) if len(others) else found
        rows.round(5).to_csv(OUT, index=False)
    print(compare(rows).to_string(index=False))


if __name__ == "__main__":
    main()
