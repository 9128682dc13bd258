"""Trainings and compute that progressive search, evolution and random search need for the same accuracy.

Recorded validation accuracies of NAS-Bench-201, the 5,389 connected cells that differ as functions: CIFAR-10 and
CIFAR-100, the trainings of seed 0 and of seed 1, which makes four truths. `pnas` (Gaussian processes, three seeds)
trains for k trainings; the best accuracy among them is the target. The rows of the other searchers hold how many
trainings reach it, and the recorded seconds of these trainings. PNAS begins with small cells, which train faster.

`evolution` is that of `search.py`, 10 seeds of up to 500 trainings; a seed that has not reached the target by then is
`reached` False, and its figures are lower bounds. `random` is exact: of N cells of which m reach the target, in random
order the first one is expected at (N + 1) / (m + 1).

Writes `search_pnas_cost.csv` and prints by target the ratios to `pnas`, with 95 % intervals over truths (t, four). The
source compares with reinforcement learning in a larger space; there is none here. About a minute of one thread; needs
nb201 in $TAURANK_DATA.

    OMP_NUM_THREADS=1 python -m benchmarks.search.search_pnas_cost
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from taurank.orchestrator.search import Observation, make_searcher
from taurank.orchestrator.search.drawing import listed
from taurank.spaces import get_space

OUT = Path(__file__).parent / "results" / "search_pnas_cost.csv"
SPACE = get_space("nasbench201")
TARGETS = (24, 44, 64)
"""Trainings of `pnas`: its first two levels, with the first and with the second 20 of the last one."""
PNAS_SEEDS, MOST = 3, 500
DATA = {"cifar10": "c10", "cifar100": "c100"}


@dataclass(frozen=True)
class Truth:
    """Recorded trainings by code.

    Attributes:
        data: name of the data set.
        training_seed: of the trainings.
        accuracy: validation accuracy, %.
        seconds: of a training.
    """

    data: str
    training_seed: int
    accuracy: Mapping[str, float]
    seconds: Mapping[str, float]

    def trained(self, searcher: str, most: int, batch: int, **options: Any) -> list[str]:
        """Codes in the order in which a searcher trains them."""
        found = make_searcher(searcher, SPACE, **options)
        while len(found.observations) < most:
            asked = found.ask(min(batch, most - len(found.observations)))
            if not asked:
                break
            found.tell(Observation(one, {"accuracy": self.accuracy[one.code]}, cost=1.0) for one in asked)
        return [observation.architecture.code for observation in found.observations]

    def cost(self, codes: Sequence[str], target: float) -> dict[str, object]:
        """Trainings and seconds until one of the codes, in order, reaches the target."""
        reached = np.array([self.accuracy[code] for code in codes]) >= target
        count = int(reached.argmax()) + 1 if reached.any() else len(codes)
        seconds = sum(self.seconds[code] for code in codes[:count])
        return {"trainings": count, "seconds": round(seconds, 1), "reached": bool(reached.any())}

    def random_cost(self, target: float) -> dict[str, object]:
        """Expected trainings and seconds of a random order."""
        codes = [one.code for one in listed(SPACE) or ()]
        accuracy, seconds = (np.array([values[code] for code in codes]) for values in (self.accuracy, self.seconds))
        reaches = accuracy >= target
        expected = (len(codes) + 1) / (reaches.sum() + 1)
        spent = (expected - 1) * seconds[~reaches].mean() + seconds[reaches].mean()
        return {"trainings": round(expected, 3), "seconds": round(float(spent), 1), "reached": True}


def truths(folder: Path) -> Iterator[Truth]:
    for name, prefix in DATA.items():
        table = pd.read_parquet(folder / f"nb201_{name}.parquet").set_index("arch_str")
        seconds = table[f"{prefix}_train_time_200ep_s"].to_dict()
        for seed in (0, 1):
            yield Truth(name, seed, table[f"{prefix}_val_hp200_s{seed}"].to_dict(), seconds)


def measure(truth: Truth, seeds: int) -> Iterator[dict[str, object]]:
    key = {"data": truth.data, "training_seed": truth.training_seed}
    evolved = [truth.trained("evolution", MOST, 10, seed=seed) for seed in range(seeds)]
    for pnas_seed in range(PNAS_SEEDS):
        codes = truth.trained("pnas", max(TARGETS), 10, seed=pnas_seed, regressor="gaussian-process")
        for after in TARGETS:
            target = max(truth.accuracy[code] for code in codes[:after])
            case = key | {"pnas_seed": pnas_seed, "after": after, "target": round(target, 3)}
            spent = sum(truth.seconds[code] for code in codes[:after])
            whole = {"trainings": after, "seconds": round(spent, 1), "reached": True}
            yield case | {"method": "pnas", "seed": pnas_seed} | whole
            yield case | {"method": "random", "seed": -1} | truth.random_cost(target)
            for seed, order in enumerate(evolved):
                yield case | {"method": "evolution", "seed": seed} | truth.cost(order, target)


def ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Trainings and seconds of the others by those of `pnas`, mean and 95 % interval over truths."""
    by = ["data", "training_seed", "after", "method"]
    means = rows.groupby(by, sort=False)[["trainings", "seconds", "reached"]].mean()
    own = means.xs("pnas", level="method")
    lines = []
    for method in ("evolution", "random"):
        others = means.xs(method, level="method")
        logs = np.log(others[["trainings", "seconds"]] / own[["trainings", "seconds"]])
        for after, values in logs.groupby(level="after"):
            line: dict[str, object] = {"method": method, "after": after}
            for column in values:
                middle, error = values[column].mean(), values[column].sem()
                half = stats.t.ppf(0.975, len(values) - 1) * error
                line[column] = f"{np.exp(middle):.2f} ({np.exp(middle - half):.2f} to {np.exp(middle + half):.2f})"
            line["reached"] = others.xs(after, level="after")["reached"].mean().round(3)
            lines.append(line)
    return pd.DataFrame(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=positive, default=10, help="of evolution")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for truth in truths(data_folder() / "nb201"):
        rows += measure(truth, options.seeds)
        pd.DataFrame(rows).to_csv(OUT, index=False)
        print(truth.data, truth.training_seed, "done", flush=True)
    found = pd.DataFrame(rows)
    print(found[found["method"] == "pnas"].groupby(["data", "training_seed", "after"])["target"].mean().to_string())
    print("\ntrainings and seconds relative to pnas, geometric mean over truths with its 95 % interval")
    print(ratios(found).to_string(index=False))


if __name__ == "__main__":
    main()
