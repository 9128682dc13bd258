"""Seconds that a searcher takes for a proposal, after 10, 100 and 1,000 observations.

A small space that is listed (NAS-Bench-201, 5,389 cells) and a large one that is not (Once-for-All, about 10^19 codes);
synthetic accuracies. `first` is the proposal right after a `tell`, when models are fitted; `next` is another one before
the next `tell`, mean of four. Processor time of one thread, median over repetitions with other seeds. Prints a table
and writes `searcher_time.csv`. Not included are `te_nas`, whose time is that of measuring networks (see
`te_nas_pruning.csv`), `pnas`, whose later levels cannot be reached with random observations, and the searchers with a
supernet.

    OMP_NUM_THREADS=1 python -m benchmarks.search.searcher_time
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.paired import positive
from taurank.orchestrator.search import Observation, list_searchers, make_searcher
from taurank.spaces import Architecture, SearchSpace, get_space

OUT = Path(__file__).parent / "results" / "searcher_time.csv"
NEXT = 4
ELSEWHERE = ("te_nas", "pnas", "gdas", "manas", "darts")


def made_up(space: SearchSpace, count: int, seed: int) -> list[Observation]:
    """Random architectures; their accuracies are linear in the features, with noise."""
    generator = np.random.default_rng(seed)
    drawn = space.sample(count, generator)
    features = np.array([space.features(one) for one in drawn])
    features = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    slope = generator.normal(0, 1, features.shape[1]) / np.sqrt(features.shape[1])
    accuracy = 1 / (1 + np.exp(-features @ slope - generator.normal(0, 0.1, count)))
    return [Observation(one, {"accuracy": float(value)}) for one, value in zip(drawn, accuracy, strict=True)]


def seconds(name: str, space: SearchSpace, observations: list[Observation], seed: int) -> tuple[float, float]:
    """Seconds of the first proposal and of another, NaN if missing."""
    searcher = make_searcher(name, space, seed=seed)
    searcher.load(observations)
    began = time.process_time()
    first: list[Architecture] = searcher.ask()
    between = time.process_time()
    further = searcher.ask(NEXT)
    ended = time.process_time()
    return between - began if first else np.nan, (ended - between) / len(further) if further else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=positive, nargs="+", default=(10, 100, 1000))
    parser.add_argument("--repetitions", type=positive, default=1)
    options = parser.parse_args()
    lines = []
    for space_name in ("nasbench201", "once_for_all"):
        space = get_space(space_name)
        make_searcher("random", space).ask()  # lists the space
        for name in [name for name in list_searchers() if name not in ELSEWHERE]:
            for count in options.observations:
                runs = range(options.repetitions)
                took = [seconds(name, space, made_up(space, count, seed), seed) for seed in runs]
                first, further = np.median(took, axis=0).round(5)
                line = {"space": space_name, "searcher": name, "observations": count}
                lines.append(line | {"first_seconds": first, "next_seconds": further})
                print(f"{space_name:14} {name:10} {count:6,} results {first:8.4f} s, then {further:8.4f} s", flush=True)
    pd.DataFrame(lines).to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
