"""The ranker with earlier knowledge, without, and with worthless knowledge, on the same draws of recorded trainings.

- NAS-Bench-201: CIFAR-100 knowing the final accuracies on CIFAR-10 and the other way round, mean of three seeds as
  `same-kind` knowledge. Candidates differ as functions, seed 0 is the evidence, the mean of seeds 1 and 2 the truth.
  Proxies were recorded on CIFAR-10 only: the scores and FLOPs of the same cells stand in for those on CIFAR-100.
- TransNAS-Bench-101 micro: `class_object` knowing `autoencoder`, as `other`. One seed is both label and truth, and no
  short training is recorded. `class_object, simulated` adds made-up ones: correlation .85 with the end, errors half
  smooth over the operations and half independent.

`shuffled` permutes the known values, `inverted` negates them, `half` keeps those of a random half of all cells and
`200` of 200 of them, so that the candidates are predicted from the encoding. Keeps one row per draw in
`results/knowledge.csv`; rows that are there are not measured again.

    python -m benchmarks.ranker.knowledge --draws 20
    python -m benchmarks.ranker.knowledge --targets c100 --candidates 1000 --draws 3
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
from scipy import special

from benchmarks.common.paired import SEED, positive
from benchmarks.common.recorded import NASBENCH201, NASBENCH201_C100, data_folder
from benchmarks.ranker.small_lists import read_table as read_cells
from taurank.orchestrator.ranker import KnowledgeSource, normal_scores
from taurank.orchestrator.replay import Bench, choose_cheap, knowledge_of, make_bench, plan_replay, replay_draw
from taurank.trainables.table import Metric, RecordedTable, TableInfo
from taurank.trainables.table.rows import Rows

OUT = Path(__file__).parent / "results" / "knowledge.csv"
KEY = ["target", "knowledge", "n", "budget", "draw"]
KEPT = ["tau", "tau_top20", "expected_tau", "coverage90", "width90", "weight_knowledge", "cost", "shorts", "fulls"]
NONE, KNOWN, SHUFFLED, INVERTED, HALF, FEW = "none", "known", "shuffled", "inverted", "half", "200"
VARIANTS = (NONE, KNOWN, SHUFFLED, INVERTED, HALF, FEW)
CELLS = {"c10": NASBENCH201, "c100": NASBENCH201_C100}
SIMULATED = "class_object, simulated"
OTHER = {"c10": "c100", "c100": "c10", "class_object": "autoencoder", SIMULATED: "autoencoder"}
"""What each target knows."""
TRAINED, SHORT = 25, 2
"""Epochs of a training of TransNAS-Bench-101, and of a simulated short one."""
AGREES = 0.85
"""Correlation of simulated short trainings with the end."""
BARS = {
    ("10x", 12): 0.84, ("10x", 24): 0.86, ("10x", 50): 0.855, ("10x", 100): 0.86, ("10x", 300): 0.87,
    ("10x", 1000): 0.89, ("50x", 12): 0.85, ("50x", 24): 0.855, ("50x", 50): 0.84, ("50x", 100): 0.85,
    ("50x", 300): 0.86, ("50x", 1000): 0.87,
}  # fmt: skip
"""Tau that CIFAR-100 knowing CIFAR-10 is to reach, within .01."""


@cache
def read_table(name: str, folder: Path | None) -> RecordedTable:
    return read_cells(CELLS[name], folder) if name in CELLS else read_transnas(name, folder)


def read_transnas(task: str, folder: Path | None) -> RecordedTable:
    """One task; the operations of the edges describe a cell."""
    frame = pd.read_parquet(data_folder(folder) / "transnas" / "transnas_micro_3tasks.parquet")
    frame = frame[frame["dataset"] == task.partition(",")[0]].reset_index(drop=True)
    rows = Rows(frame["arch"].tolist())
    operations = np.array([[int(part) for part in cell.strip("()").split(",")] for cell in frame["arch"]])
    rows.add(
        "training",
        {"validation_accuracy": frame["val_accuracy"] / 100},
        epoch=TRAINED,
        schedule_epochs=TRAINED,
        seconds=0.0,
    )
    if task == SIMULATED:
        short = {"validation_accuracy": simulated(frame["val_accuracy"].to_numpy(), operations)}
        rows.add("training", short, epoch=SHORT, schedule_epochs=SHORT, seconds=0.0)
    rows.add("size", {"parameters": frame["params"] * 1e6, "flops": frame["flops"] * 1e6}, seconds=0.0)
    for proxy in ("epe_nas", "jacov", "nwot", "synflow"):
        rows.add(f"proxy:{proxy}", {"score": frame[proxy]})
    edges = {f"edge_{edge}": operations[:, edge] for edge in range(operations.shape[1])}
    rows.add("encoding", edges, seconds=0.0)
    metrics = {"validation_accuracy": Metric("higher", "share"), "score": Metric("higher")}
    metrics |= {"parameters": Metric("none", "count"), "flops": Metric("none", "multiply-adds")}
    metrics |= {edge: Metric(category=True) for edge in edges}
    return RecordedTable(TableInfo("transnas_micro", task, metrics), rows.frame())


def simulated(finals: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """Accuracies of short trainings, (cells,), from the final ones and the operations, (cells, edges)."""
    generator = np.random.default_rng([SEED, 12])
    effects = generator.standard_normal((operations.shape[1], operations.max() + 1))
    smooth = normal_scores(effects[np.arange(operations.shape[1]), operations].sum(axis=1))
    errors = (smooth + generator.standard_normal(len(finals))) / np.sqrt(2)
    return special.expit(AGREES * normal_scores(finals) + np.sqrt(1 - AGREES**2) * errors)


@cache
def bench_of(target: str, folder: Path | None) -> Bench:
    if target in CELLS:
        return make_bench(read_table(target, folder), truth="seeds 1,2", buy_seed=0, among="distinct")
    return make_bench(read_table(target, folder), truth="last")


@cache
def known(target: str, folder: Path | None) -> KnowledgeSource:
    other = OTHER[target]
    relation = "same-kind" if target in CELLS else "other"
    return knowledge_of(read_table(other, folder), bench_of(target, folder), name=other, relation=relation)


def changed(source: KnowledgeSource, variant: str, draw: int) -> tuple[KnowledgeSource, ...]:
    """The knowledge of a variant; random ones differ by draw."""
    generator = np.random.default_rng([SEED, 11, draw])
    codes, values = list(source.values), np.array(list(source.values.values()))
    if variant == NONE:
        return ()
    if variant == SHUFFLED:
        values = generator.permutation(values)
    elif variant == INVERTED:
        values = -values
    elif variant in (HALF, FEW):
        count = len(codes) // 2 if variant == HALF else int(FEW)
        places = np.sort(generator.choice(len(codes), count, replace=False))
        codes, values = [codes[place] for place in places], values[places]
    return (dataclasses.replace(source, values=dict(zip(codes, values.tolist(), strict=True))),)


def measure(target: str, variant: str, n: int, budget: str, draw: int, folder: Path | None) -> dict[str, float]:
    bench = bench_of(target, folder)
    plan = plan_replay(
        bench,
        candidates=n,
        budget=budget,
        seed=SEED,
        workers=1,
        cheap=choose_cheap(bench.table, proxies="all", supernets=""),
        knowledge=changed(known(target, folder), variant, draw),
    )
    row = replay_draw(bench, plan, draw)
    return {name: row.get(name, 0.0) for name in KEPT}


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per case: means, and tau minus that without knowledge on the same draws with its standard error."""
    lines = []
    for (target, budget, n), case in rows.groupby(["target", "budget", "n"]):
        by_variant = {name: own.set_index("draw") for name, own in case.groupby("knowledge")}
        for name in (name for name in VARIANTS if name in by_variant):
            own = by_variant[name]
            pairs = (own["tau"] - by_variant[NONE]["tau"]).dropna()
            line = {"target": target, "budget": budget, "n": n, "knowledge": name, "draws": len(own)}
            line |= own[KEPT].mean().to_dict() | {"gain": pairs.mean(), "se": pairs.sem(), "worst": pairs.min()}
            line["bar"] = BARS.get((str(budget), int(str(n))), np.nan) if (target, name) == ("c100", KNOWN) else np.nan
            lines.append(line)
    return pd.DataFrame(lines).round(3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=positive, default=20)
    parser.add_argument("--first", type=int, default=0, help="first draw")
    parser.add_argument("--targets", nargs="+", choices=OTHER, default=tuple(OTHER))
    parser.add_argument("--candidates", type=positive, nargs="+", default=(12, 24, 50, 100, 300), metavar="N")
    parser.add_argument("--budget", nargs="+", default=["10x", "50x"], metavar="10x")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=VARIANTS[:3], metavar="VARIANT")
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    parser.add_argument("--fresh", action="store_true", help="measure again what is in the CSV")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    rows = pd.read_csv(options.out) if options.out.is_file() else pd.DataFrame(columns=[*KEY, *KEPT])
    there = set() if options.fresh else set(rows[KEY].itertuples(index=False, name=None))
    variants = [name for name in VARIANTS if name in options.only or name == NONE]
    draws = range(options.first, options.first + options.draws)
    for target, n, budget, draw, variant in product(
        options.targets, options.candidates, options.budget, draws, variants
    ):
        key = (target, variant, n, budget, draw)
        if key in there:
            continue
        found = dict(zip(KEY, key, strict=True)) | measure(*key, folder=options.data_dir)
        print(*key, f"tau {found['tau']:.3f}", file=sys.stderr, flush=True)
        kept = rows[[other != key for other in rows[KEY].itertuples(index=False, name=None)]]
        rows = pd.concat([kept, pd.DataFrame([found])], ignore_index=True) if len(kept) else pd.DataFrame([found])
        rows.round(5).to_csv(options.out, index=False)
    with pd.option_context("display.width", 250, "display.max_columns", None):
        print(compared(rows).to_string(index=False))


if __name__ == "__main__":
    main()
