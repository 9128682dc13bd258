"""Cost of the ranker: seconds of selecting and ranking by part, and peak memory, by number of candidates.

NAS-Bench-201 at 10x, one draw each, each in a process of its own: up to 5,000 live cells, and all 15,625 (there the
truth is seed 1 alone, which every cell has). Aims: 10 s for 1,000 candidates, 60 s for 15,625, 4 GiB. Prints a table
and keeps it in `ranker_time.csv` beside this file; existing rows are not measured again.

    python -m benchmarks.ranker.ranker_time
    python -m benchmarks.ranker.ranker_time --candidates 300 --fresh
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import wraps
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import pandas as pd

from benchmarks.common.paired import SEED, positive
from benchmarks.common.recorded import NASBENCH201, read_recorded
from taurank.orchestrator.ranker import model
from taurank.orchestrator.replay import ReplayError, choose_cheap, make_bench, plan_replay, replay_draw

OUT = Path(__file__).parent / "results" / "ranker_time.csv"
CANDIDATES = (100, 300, 1000, 3000, 5000, 15625)
LIVE = 5000
"""With more candidates dead cells are included."""
AIMS = {1000: 10.0, 15625: 60.0}
PARTS = {
    "make_views": "views",
    "make_inputs": "inputs",
    "complete_short_runs": "short runs",
    "prior_order": "prior",
    "choose": "design",
    "score_finally": "final",
    "draw_scores": "draws",
}
"""Functions of the model that do not call each other, and the part of the time that each is reported as."""


@contextmanager
def timed_parts() -> Iterator[dict[str, float]]:
    """Seconds spent in each part while it is open."""
    spent = dict.fromkeys(PARTS.values(), 0.0)

    def timed(compute: Callable[..., object], part: str) -> Callable[..., object]:
        @wraps(compute)
        def called(*args: object, **kwargs: object) -> object:
            started = time.perf_counter()
            try:
                return compute(*args, **kwargs)
            finally:
                spent[part] += time.perf_counter() - started

        return called

    with ExitStack() as stack:
        for name, part in PARTS.items():
            stack.enter_context(patch.object(model, name, timed(getattr(model, name), part)))
        yield spent


def peak_gib() -> float:
    """Peak memory of this process so far."""
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(candidates: int, folder: Path | None) -> dict[str, float]:
    table = read_recorded(NASBENCH201, folder)
    truth, among = ("seeds 1,2", "live") if candidates <= LIVE else ("seeds 1", "all")
    bench = make_bench(table, truth=truth, buy_seed=0, among=among)
    cheap = choose_cheap(table, proxies="all", supernets="")
    plan = plan_replay(bench, candidates=candidates, budget="10x", seed=SEED, workers=8, cheap=cheap)
    bench.encoding(bench.pool)
    before = peak_gib()
    with timed_parts() as spent:
        row = replay_draw(bench, plan, 0)
    found = {"n": candidates, "tau": row["tau"], "shorts": row["shorts"], "fulls": row["fulls"]}
    found |= {"seconds": row["ranker_seconds"]} | spent | {"rest": row["ranker_seconds"] - sum(spent.values())}
    return found | {"gib": peak_gib(), "gib_before": before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=positive, nargs="+", default=CANDIDATES, metavar="N")
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--fresh", action="store_true", help="measure again what is in the CSV")
    options = parser.parse_args()
    rows = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame(columns=["n"])
    for candidates in options.candidates:
        if candidates in rows["n"].values and not options.fresh:
            continue
        # A process each: a peak of memory is that of a whole process.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            try:
                found = pool.submit(measure, candidates, options.data_dir).result()
            except ReplayError as error:
                sys.exit(str(error))
        print(f"{candidates}: {found['seconds']:.1f} s, {found['gib']:.2f} GiB", file=sys.stderr, flush=True)
        others = rows[rows["n"] != candidates]
        rows = pd.concat([others, pd.DataFrame([found])], ignore_index=True) if len(others) else pd.DataFrame([found])
        rows.sort_values("n").round(4).to_csv(OUT, index=False)
    print(_table(rows.sort_values("n")).to_string(index=False))


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """Seconds and memory with their aims, and the parts as shares of the seconds."""
    table = rows[["n", "shorts", "fulls", "tau", "seconds"]].round(3)
    table["aim"] = table["n"].map(AIMS)
    table["GiB"], table["of it before"] = rows["gib"].round(2), rows["gib_before"].round(2)
    for part in (*PARTS.values(), "rest"):
        table[part] = (rows[part] / rows["seconds"]).map("{:.0%}".format)
    return table


if __name__ == "__main__":
    main()
