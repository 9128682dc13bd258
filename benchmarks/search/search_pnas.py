"""Progressive search level by level: how well the next, larger cells are predicted.

`oracle`: cells of the PNAS space with synthetic accuracies: for each block the effects of its operations and sources
and an interaction of the two operations; the mean over blocks, slightly higher for more blocks. Three oracles. The
share of cells that are better than the best found is counted among all cells of up to two blocks, and among 2,000
random ones of up to four.

`nasbench201`: recorded validation accuracies (CIFAR-10, seed 0), progressive over nodes: cells of two nodes (one edge),
three (three edges), four (six).

For each level: candidates (expansions of the best of the last level), trained so far, and Kendall's tau of the
predictions with the truth, by a single model and by the ensemble, over all candidates and among the 20 chosen; Spearman
as in the source. Writes `search_pnas.csv` and prints means. Some ten minutes of one thread; needs nb201 in
$TAURANK_DATA.

    OMP_NUM_THREADS=1 python -m benchmarks.search.search_pnas
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from taurank.orchestrator.search import Observation
from taurank.orchestrator.search.drawing import listed
from taurank.orchestrator.search.pnas import PnasSearcher
from taurank.orchestrator.search.searcher import Problem
from taurank.orchestrator.tau import tau_b
from taurank.spaces import Architecture, SearchSpace, get_space
from taurank.spaces.cells.pnas import OPERATIONS, PNAS

OUT = Path(__file__).parent / "results" / "search_pnas.csv"
BEAM = 20
RANDOM = 2_000

Truth = Callable[[Architecture], float]


class Oracle:
    """Synthetic accuracies of PNAS cells in [0, 1]."""

    def __init__(self, space: PNAS, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self._space = space
        self._operation = dict(zip(OPERATIONS, generator.normal(0, 1, len(OPERATIONS)), strict=True))
        self._source = generator.normal(0, 0.3, 7)
        self._pair = {(one, other): generator.normal(0, 0.4) for one in OPERATIONS for other in OPERATIONS}

    def __call__(self, architecture: Architecture) -> float:
        cell = self._space.cell(architecture)
        blocks = [
            sum(self._operation[name] + self._source[source] for source, name in block)
            + self._pair[tuple(sorted(name for _, name in block))]
            for block in cell
        ]
        return float(1 / (1 + np.exp(-0.5 * np.mean(blocks) - 0.2 * np.log(len(cell)))))


def levels(space: SearchSpace, truth: Truth, *, seed: int, regressor: str) -> Iterator[dict[str, object]]:
    """A row for each level, after all of it was trained."""
    searcher = PnasSearcher(Problem(space, seed), beam=BEAM, regressor=regressor)
    level, top = 0, getattr(space, "blocks", 3)
    while level < top:
        level += 1
        row: dict[str, object] = {"level": level}
        predicted = {members: searcher.predictions(members=members) for members in (1, 5)} if level > 1 else {}
        asked = searcher.ask(BEAM if level > 1 else 10_000)
        if predicted:
            grown = list(predicted[1])
            true = np.array([truth(one) for one in grown])
            row |= {"candidates": len(grown)}
            for members, scores in predicted.items():
                ours = np.array([scores[one] for one in grown])
                row |= {
                    f"tau_of_{members}": round(tau_b(ours, true), 4),
                    f"spearman_of_{members}": round(float(stats.spearmanr(ours, true)[0]), 4),
                }
            chosen = [truth(one) for one in asked]
            row["tau_of_chosen"] = round(tau_b([predicted[5][one] for one in asked], chosen), 4)
        searcher.tell(Observation(one, {"accuracy": truth(one)}) for one in asked)
        row |= {"candidates": row.get("candidates", len(asked)), "trained": len(searcher.observations)}
        row["best"] = round(max(searcher.scored.values()), 5)
        row["best_architecture"] = searcher.best(1)[0].code
        yield row


def on_oracle(blocks: int, seed: int, regressor: str) -> Iterator[dict[str, object]]:
    space = get_space("pnas", blocks=blocks)
    assert isinstance(space, PNAS)
    oracle = Oracle(space, seed)
    cells = listed(space) or space.sample(RANDOM, np.random.default_rng([seed, 1]))
    values = np.array([oracle(one) for one in cells])
    for row in levels(space, oracle, seed=seed, regressor=regressor):
        yield row | {"share_better": round(float((values > row["best"]).mean()), 5)}


def on_table(seed: int, regressor: str, validation: dict[str, float]) -> Iterator[dict[str, object]]:
    space = get_space("nasbench201")
    values = np.array([validation[one.code] for one in listed(space) or ()])
    for row in levels(space, lambda one: validation[one.code], seed=seed, regressor=regressor):
        yield row | {"share_better": round(float((values > row["best"] + 1e-5).mean()), 5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracles", type=positive, default=3)
    parser.add_argument("--seeds", type=positive, default=5, help="of the ensemble, on the table")
    options = parser.parse_args()
    trainings = pd.read_parquet(data_folder() / "nb201" / "nb201_cifar10.parquet").set_index("arch_str")
    validation = (trainings["c10_val_hp200_s0"] / 100).to_dict()
    rows: list[dict[str, object]] = []
    for regressor in ("gaussian-process", "extra-trees"):
        for seed in range(options.seeds):
            key = {"truth": "nasbench201", "regressor": regressor, "seed": seed}
            rows += [key | row for row in on_table(seed, regressor, validation)]
        for blocks in (2, 4) if regressor == "gaussian-process" else (2,):  # trees take minutes for 16,000 cells
            for seed in range(options.oracles):
                key = {"truth": f"oracle, {blocks} blocks", "regressor": regressor, "seed": seed}
                rows += [key | row for row in on_oracle(blocks, seed, regressor)]
                results = pd.DataFrame(rows)
                results.to_csv(OUT, index=False)
        print(f"{regressor} done", flush=True)
    by = ["truth", "regressor", "level"]
    columns = [name for name in results if name not in (*by, "seed", "best_architecture")]
    print(results.groupby(by, sort=False)[columns].mean().round(3).to_string())


if __name__ == "__main__":
    main()
