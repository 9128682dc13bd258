"""Tau at equal seconds: candidates chosen by information per second, against chosen by information alone.

Both see the same draws of recorded trainings and the same budget in recorded seconds, and end when it is spent.
``plain`` chooses as if all candidates took equally long, and trains them in the order of their choice.

Prints a table and keeps the rows in `cost_aware.csv` in `results`; draws that are there are not run again.

    python -m benchmarks.ranker.cost_aware --draws 20
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.recorded import NASBENCH201, read_recorded
from taurank.orchestrator.evidence import EvidenceLog
from taurank.orchestrator.experiment import TrainingSpec
from taurank.orchestrator.planning import Purse
from taurank.orchestrator.ranker import Spending
from taurank.orchestrator.replay import (
    Bench,
    ReplayPlan,
    choose_cheap,
    make_bench,
    plan_replay,
    replay_draw,
)
from taurank.orchestrator.replay.launching import ClockLaunch
from taurank.trainables.table import read_table

OUT = Path(__file__).parent / "results" / "cost_aware.csv"
OWN_LISTS = Path(__file__).parents[1] / "real_lists"
OWN_CODE, OWN_CODE_FASHION, ZOO = "own_code", "own_code_fashion", "zoo"
CELLS = (
    (NASBENCH201, 100, "30x seconds"),
    (NASBENCH201, 100, "60x seconds"),
    (NASBENCH201, 300, "10x seconds"),
    (OWN_CODE, 24, "3x seconds"),
    (OWN_CODE, 24, "30x seconds"),
    (OWN_CODE, 24, "60x seconds"),
    (OWN_CODE_FASHION, 24, "3x seconds"),
    (OWN_CODE_FASHION, 24, "30x seconds"),
    (OWN_CODE_FASHION, 24, "60x seconds"),
    (ZOO, 16, "3x seconds"),
    (ZOO, 16, "10x seconds"),
    (ZOO, 16, "30x seconds"),
)
"""Table, candidates and budget: those where not every candidate is trained, so that there is a choice. An epoch of the
slowest candidate takes 6 times as long as one of the fastest in NAS-Bench-201, 26 times in `own_code`, and 47 times in
`own_code_fashion`."""
KEY = ["table", "n", "budget", "variant", "draw"]
KEPT = ["tau", "retained", "tau_top20", "cost", "shorts", "fulls", "seconds_trainings"]


@dataclass(frozen=True)
class PlainPurse(Purse):
    """A budget in time that is spent as if all candidates took equally long."""

    def spending(self, spec: TrainingSpec, most_epochs: float) -> Spending:
        found = super().spending(spec, most_epochs)
        return replace(found, costs=np.full_like(found.costs, found.costs.mean()))

    def in_order(self, codes: Sequence[str]) -> list[str]:
        return list(codes)

    def worth(self, spec: TrainingSpec, codes: Sequence[str]) -> float:
        return spec.cost(len(codes))


class PlainLaunch(ClockLaunch):
    """Trainings on the simulated clock, with such a budget."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "purse" and isinstance(value, Purse):
            value = PlainPurse(value.budget, value.log, value.candidates, value.full_epochs, value.clock)
        super().__setattr__(name, value)


@cache
def read_bench(name: str, folder: Path | None) -> Bench:
    if name in (OWN_CODE, OWN_CODE_FASHION, ZOO):
        return make_bench(read_table(OWN_LISTS / f"{name}.parquet"), truth="test seeds 2", buy_seed=1)
    return make_bench(read_recorded(name, folder), truth="seeds 1,2")


def measure(bench: Bench, plan: ReplayPlan, variant: str, draw: int) -> dict[str, float]:
    launcher = None
    if variant == "plain":

        def launcher(log: EvidenceLog, draw: int) -> PlainLaunch:
            return PlainLaunch(bench, log, plan.workers)

    return {name: value for name, value in replay_draw(bench, plan, draw, launcher).items() if name in KEPT}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    options = parser.parse_args()
    rows = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame(columns=[*KEY, *KEPT])
    there = set(rows[KEY].itertuples(index=False, name=None))
    for table, n, budget in CELLS:
        bench = read_bench(table, options.data_dir)
        names = [name for name in ("jacov", "jacob_cov") if name in bench.proxies]
        cheap = choose_cheap(bench.table, proxies=",".join(names) or "none", supernets="")
        plan = plan_replay(bench, candidates=n, budget=budget, seed=0, workers=8, cheap=cheap)
        for draw in range(options.draws):
            for variant in ("aware", "plain"):
                key = (table, n, budget, variant, draw)
                if key in there:
                    continue
                row = dict(zip(KEY, key, strict=True)) | measure(bench, plan, variant, draw)
                print(*key, f"tau {row['tau']:.3f}", file=sys.stderr, flush=True)
                rows = pd.DataFrame([*rows.to_dict("records"), row])
                rows.round(5).to_csv(OUT, index=False)
    print(summary(rows).round(3).to_string(index=False))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per cell: mean tau of both, and the mean and standard error of their difference on the same draws."""
    lines = []
    for (table, n, budget), cell in rows.groupby(["table", "n", "budget"], sort=False):
        tau = cell.pivot(index="draw", columns="variant", values="tau")
        gain = tau["aware"] - tau["plain"]
        trained = cell.groupby("variant")[["shorts", "fulls"]].mean()
        lines.append(
            {"table": table, "n": n, "budget": budget, "draws": len(gain), "aware": tau["aware"].mean()}
            | {"plain": tau["plain"].mean(), "gain": gain.mean(), "error": gain.std() / np.sqrt(len(gain))}
            | {f"{kind} {variant}": trained.loc[variant, kind] for kind in trained for variant in trained.index}
        )
    return pd.DataFrame(lines)


if __name__ == "__main__":
    main()
