"""Measures the forecasts that come with taurank: replays of recorded trainings over candidates and budgets.

Writes `orchestrator/planning/forecasts.csv` after each cell. Cells with as many draws are not run again, so the
benchmark can be interrupted, resumed, and run in parts. The draws have seed 1000: those of
`taurank replay --seed 0` are others. NAS-Bench-201 is replayed with its proxies and without.

    python -m benchmarks.ranker.forecast_grid --jobs 2
    python -m benchmarks.ranker.forecast_grid --tables nasbench201 --most 300 --draws 2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from benchmarks.common.recorded import NAAP440, NASBENCH201, SPIKENAS, read_recorded
from taurank.orchestrator.planning.replayed_taus import FEWEST_DRAWS, ReplayedTau, summarise_cell
from taurank.orchestrator.replay import Bench, choose_cheap, make_bench, plan_replay, replay_draws

OUT = Path(__file__).resolve().parents[2] / "orchestrator" / "forecasts.csv"
SEED = 1000
BUDGETS = (2.5, 5.0, 10.0, 20.0, 50.0, 100.0)
MANY = 500
"""With more candidates a budget of 2.5x is omitted: it is close to full training, and slow."""
KEY = ["space", "proxies", "n", "budget"]


@dataclass(frozen=True)
class Cell:
    table: str
    proxies: str
    candidates: int
    budget: float

    @property
    def draws(self) -> int:
        return 8 if self.candidates <= 100 else 4 if self.candidates <= MANY else 2


SIZES = {NASBENCH201: (50, 100, 300, 1000), SPIKENAS: (100, 300), NAAP440: (100, 300, 400)}
PROXIES = {NASBENCH201: ("none", "all"), SPIKENAS: ("none",), NAAP440: ("none",)}
CELLS = [
    Cell(table, proxies, candidates, budget)
    for table, sizes in SIZES.items()
    for proxies in PROXIES[table]
    for candidates in sizes
    for budget in BUDGETS
    if budget > BUDGETS[0] or candidates <= MANY
]


@cache
def make_table_bench(name: str, folder: Path | None) -> Bench:
    among, truth = ("live", "seeds 1,2") if name == NASBENCH201 else ("all", "test")
    return make_bench(read_recorded(name, folder), truth=truth, among=among)


def measure(bench: Bench, cell: Cell, draws: int, jobs: int) -> ReplayedTau:
    cheap = choose_cheap(bench.table, proxies=cell.proxies, supernets="")
    plan = plan_replay(bench, candidates=cell.candidates, budget=f"{cell.budget:g}x", seed=SEED, workers=8, cheap=cheap)
    info = bench.table.info
    rows = list(replay_draws(bench, plan, draws, jobs=jobs))
    return summarise_cell(rows, space=info.space, data=info.data, proxies=len(cheap.proxies))


def wanted(options: argparse.Namespace) -> Iterator[Cell]:
    for cell in CELLS:
        known = cell.table in options.tables and cell.candidates <= options.most
        if known and (not options.budgets or cell.budget in options.budgets):
            yield cell


def keep(found: ReplayedTau) -> None:
    """Another process may have written in the meantime: the file is read again, and replaced atomically."""
    new = pd.DataFrame([asdict(found)])
    rows = pd.concat([read(), new]) if OUT.is_file() else new
    draft = OUT.with_suffix(".part")
    rows.drop_duplicates(KEY, keep="last").sort_values(KEY).round(5).to_csv(draft, index=False)
    draft.replace(OUT)


def read() -> pd.DataFrame:
    return pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame(columns=KEY)


def has(cell: Cell, draws: int) -> bool:
    rows = read()
    same = (rows["space"] == cell.table) & (rows["n"] == cell.candidates) & (rows["budget"] == cell.budget)
    found = rows[same & ((rows["proxies"] > 0) == (cell.proxies == "all"))]
    return bool(len(found)) and int(found["draws"].iloc[0]) >= draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--tables", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--budgets", nargs="+", type=float, choices=BUDGETS, help="only these")
    parser.add_argument("--most", type=int, default=2000, help="leave out cells with more candidates")
    parser.add_argument("--draws", type=int, help="default: 8 up to 200 candidates, 5 up to 500, 3 above")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--fresh", action="store_true", help="measure all cells again")
    options = parser.parse_args()
    if options.draws is not None and options.draws < FEWEST_DRAWS:
        parser.error(f"--draws: {options.draws}; how much draws differ takes {FEWEST_DRAWS}")
    for cell in wanted(options):
        draws = options.draws or cell.draws
        if not options.fresh and has(cell, draws):
            continue
        found = measure(make_table_bench(cell.table, options.data_dir), cell, draws, options.jobs)
        keep(found)
        print(f"{cell}: tau {found.tau:.3f}, retained {found.retained:.3f}, {draws} draws", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
