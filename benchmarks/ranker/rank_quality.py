"""Rank quality for cost on recorded trainings: tau of the ranking against the truth, with every cost counted.

NAS-Bench-201 on CIFAR-10 (live cells with three seeds; seed 0 is the evidence, the mean of seeds 1 and 2 the truth) for
several numbers of candidates and budgets, and two other spaces at 10x (truth: test accuracy). Prints a table and keeps
one row per draw in `rank_quality.csv` beside this file; existing cases are not run again.

    python -m benchmarks.ranker.rank_quality --draws 20 --jobs 2
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.recorded import NAAP440, NASBENCH201, SPIKENAS, read_recorded
from taurank.orchestrator.replay import choose_cheap, make_bench, plan_replay, replay_draws

OUT = Path(__file__).parent / "results" / "rank_quality.csv"


@dataclass(frozen=True)
class Case:
    table: str
    candidates: int
    budget: str
    among: str
    truth: str
    bar: float = float("nan")

    @property
    def key(self) -> dict[str, object]:
        return {"table": self.table, "among": self.among, "candidates": self.candidates, "speed_up": self.budget}


CELLS = ("live", "seeds 1,2")
TEST = ("all", "test")
CASES = (
    Case(NASBENCH201, 100, "10x", *CELLS, bar=0.80),
    Case(NASBENCH201, 300, "10x", *CELLS, bar=0.82),
    Case(NASBENCH201, 1000, "10x", *CELLS, bar=0.87),
    Case(NASBENCH201, 1000, "20x", *CELLS, bar=0.84),
    Case(NAAP440, 100, "10x", *TEST),
    Case(NAAP440, 400, "10x", *TEST),
    Case(SPIKENAS, 100, "10x", *TEST),
    Case(SPIKENAS, 400, "10x", *TEST),
    Case(SPIKENAS, 1000, "10x", *TEST),
    Case(NASBENCH201, 1000, "10x", "distinct", "seeds 1,2"),
    Case(NASBENCH201, 5000, "100x", *CELLS, bar=0.835),
    Case(NASBENCH201, 5000, "50x", *CELLS, bar=0.865),
    Case(NASBENCH201, 5000, "10x", *CELLS, bar=0.90),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="run all cases again")
    parser.add_argument("--most", type=int, default=5000, help="leave out cases with more candidates")
    options = parser.parse_args()
    rows = pd.read_csv(OUT) if OUT.is_file() and not options.fresh else pd.DataFrame()
    for case in CASES:
        if case.candidates > options.most or len(_of(rows, case)) >= options.draws:
            continue
        table = read_recorded(case.table, options.data_dir)
        bench = make_bench(table, truth=case.truth, buy_seed=None, among=case.among)
        cheap = choose_cheap(table, proxies="all", supernets="")
        plan = plan_replay(
            bench, candidates=case.candidates, budget=case.budget, seed=options.seed, workers=8, cheap=cheap
        )
        found = []
        for row in replay_draws(bench, plan, options.draws, jobs=options.jobs):
            found.append(case.key | row)
            print(case.key, f"draw {row['draw']}: {row['tau']:.3f}, {row['ranker_seconds']:.1f} s", file=sys.stderr)
        others = rows.drop(_of(rows, case).index) if len(rows) else rows
        rows = pd.concat([others, pd.DataFrame(found)], ignore_index=True)
        rows.round(5).to_csv(OUT, index=False)
    print(_table(rows).to_string(index=False))


def _of(rows: pd.DataFrame, case: Case) -> pd.DataFrame:
    if not len(rows):
        return rows
    return rows[np.logical_and.reduce([rows[name] == value for name, value in case.key.items()])]


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for case in CASES:
        own = _of(rows, case)
        if not len(own):
            continue
        mean = own.mean(numeric_only=True)
        lasts = [name for name in own if name.startswith("tau_training") and own[name].notna().any()]
        line = case.key | {"draws": len(own), "tau": mean["tau"], "sd": own["tau"].std(ddof=0), "bar": case.bar}
        line |= {"retained": mean["retained"], "top 20 %": mean["tau_top20"], "reference": mean["tau_reference"]}
        line["size"] = max(mean.get("tau_parameters", np.nan), mean.get("tau_flops", np.nan))
        line["last value"] = max((mean[name] for name in lasts), default=np.nan)
        line |= {"expected": mean["expected_tau"], "covers 90 %": mean["coverage90"], "cost": mean["cost"]}
        line |= {"shorts": mean["shorts"], "fulls": mean["fulls"], "seconds": mean["ranker_seconds"]}
        lines.append(line)
    return pd.DataFrame(lines).round(3)


if __name__ == "__main__":
    main()
