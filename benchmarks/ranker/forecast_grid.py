"""Measures the forecasts that come with taurank: replays of recorded trainings over candidates and budgets.

Six lists: NAS-Bench-201 on CIFAR-10 (with proxies and without) and on CIFAR-100 (distinct cells; seed 0 is the
evidence, the mean of seeds 1 and 2 the truth), a spiking version of it, naap440, MetaQNN and deep residual networks
(one seed each: the truth is another measurement where one is recorded, else the last value of the same training).

Keeps one row per draw in `results/forecast_draws.csv` and writes the cells to `orchestrator/planning/forecasts.csv`.
Cells with as many draws are not run again, so the benchmark can be interrupted, resumed, and run in parts. The draws
have seed 1000: those of `taurank replay --seed 0` are others.

    python -m benchmarks.ranker.forecast_grid --jobs 2
    python -m benchmarks.ranker.forecast_grid --tables nasbench201 --most 300 --draws 2
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from benchmarks.common.recorded import (
    DEEP_RESNETS,
    METAQNN,
    NAAP440,
    NASBENCH201,
    NASBENCH201_C100,
    SPIKENAS,
    read_recorded,
)
from taurank.orchestrator.planning.replayed_taus import FEWEST_DRAWS, FORECASTS, Setting, summarise_cell
from taurank.orchestrator.replay import Bench, choose_cheap, make_bench, plan_replay, replay_draws

DRAWS = Path(__file__).parent / "results" / "forecast_draws.csv"
SEED = 1000
BUDGETS = (2.5, 5.0, 10.0, 20.0, 50.0, 100.0)
MANY = 500
"""With more candidates a budget of 2.5x is omitted: it is close to full training, and slow."""
CELL = ["space", "data", "full_epochs", "proxies", "n", "budget"]
MEASURED = ["tau", "tau_low", "tau_high", "retained", "ceiling", "expected_tau", "expected_low", "expected_high"]
MEASURED += ["coverage90", "shorts", "fulls", "cost"]


@dataclass(frozen=True)
class Cell:
    table: str
    proxies: bool
    candidates: int
    budget: float

    @property
    def draws(self) -> int:
        return 12 if self.candidates <= 100 else 4 if self.candidates <= MANY else 2


SMALL = (12, 24, 50, 100)
SIZES = {
    NASBENCH201: (*SMALL, 300, 1000),
    NASBENCH201_C100: (*SMALL, 300, 1000),
    SPIKENAS: (*SMALL, 300),
    NAAP440: (*SMALL, 300),
    METAQNN: (*SMALL, 300),
    DEEP_RESNETS: (*SMALL, 300),
}
DISTINCT = (NASBENCH201, NASBENCH201_C100)
CELLS = [
    Cell(table, proxies, candidates, budget)
    for table, sizes in SIZES.items()
    for proxies in ((False, True) if table == NASBENCH201 else (False,))
    for candidates in sizes
    for budget in BUDGETS
    if budget > BUDGETS[0] or candidates <= MANY
]


@cache
def make_table_bench(name: str, folder: Path | None) -> Bench:
    truths = {NASBENCH201: "seeds 1,2", NASBENCH201_C100: "seeds 1,2", SPIKENAS: "test", NAAP440: "test"}
    among = "distinct" if name in DISTINCT else "all"
    return make_bench(read_recorded(name, folder), truth=truths.get(name, "last"), among=among)


def measure(bench: Bench, cell: Cell, draws: int, jobs: int) -> pd.DataFrame:
    cheap = choose_cheap(bench.table, proxies="all" if cell.proxies else "none", supernets="")
    plan = plan_replay(bench, candidates=cell.candidates, budget=f"{cell.budget:g}x", seed=SEED, workers=8, cheap=cheap)
    own = asdict(bench.setting) | {"proxies": len(cheap.proxies), "n": cell.candidates, "budget": cell.budget}
    rows = [own | {"draw": draw} | row for draw, row in enumerate(replay_draws(bench, plan, draws, jobs=jobs))]
    return pd.DataFrame(rows)[[*CELL, "draw", *MEASURED]]


def keep(found: pd.DataFrame) -> None:
    """Another process may have written in the meantime: the file is read again, and replaced atomically."""
    rows = pd.concat([read(), found]).drop_duplicates([*CELL, "draw"], keep="last").sort_values([*CELL, "draw"])
    _replace(rows.round(5), DRAWS)
    cells = [
        asdict(summarise_cell(own.to_dict("records"), Setting(*key[:3]), proxies=key[3]))
        for key, own in rows.groupby(CELL)
        if len(own) >= FEWEST_DRAWS
    ]
    _replace(pd.DataFrame(cells).round(5), Path(str(FORECASTS)))


def _replace(rows: pd.DataFrame, file: Path) -> None:
    draft = file.with_suffix(".part")
    rows.to_csv(draft, index=False)
    draft.replace(file)


def read() -> pd.DataFrame:
    return pd.read_csv(DRAWS) if DRAWS.is_file() else pd.DataFrame(columns=[*CELL, "draw"])


def has(bench: Bench, cell: Cell, draws: int) -> bool:
    rows = read()
    of_table = (rows["space"] == bench.setting.space) & (rows["data"] == bench.setting.data)
    of_cell = (rows["n"] == cell.candidates) & (rows["budget"] == cell.budget) & ((rows["proxies"] > 0) == cell.proxies)
    return int((of_table & of_cell).sum()) >= draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--tables", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--budgets", nargs="+", type=float, choices=BUDGETS, help="only these")
    parser.add_argument("--most", type=int, default=2000, help="leave out cells with more candidates")
    parser.add_argument("--draws", type=int, help="default: 12 up to 100 candidates, 4 up to 500, 2 above")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="measure all cells again")
    options = parser.parse_args()
    if options.draws is not None and options.draws < FEWEST_DRAWS:
        parser.error(f"--draws: {options.draws}; how much draws differ takes {FEWEST_DRAWS}")
    for cell in CELLS:
        if cell.table not in options.tables or cell.candidates > options.most:
            continue
        if options.budgets and cell.budget not in options.budgets:
            continue
        draws = options.draws or cell.draws
        bench = make_table_bench(cell.table, options.data_dir)
        if not options.fresh and has(bench, cell, draws):
            continue
        found = measure(bench, cell, draws, options.jobs)
        keep(found)
        print(f"{cell}: tau {found['tau'].mean():.3f}, {draws} draws", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
