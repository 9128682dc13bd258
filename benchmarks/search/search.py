"""Searchers on recorded full trainings of NAS-Bench-201, CIFAR-10: regret against cost, and the final order.

All searchers search the 5,389 connected cells that differ as functions, in batches of ten. The result of a proposal is
the validation accuracy of one 200-epoch training (seed 0). The best cell so far by that accuracy is selected; its
regret is the difference between the best recorded test accuracy of the space and its own (mean over seeds, in points).
The tau is that of the final list (all evaluated cells, and the 20 best predicted of 1,000 others) with the mean
validation accuracy of the other seeds.

`evolution` is regularised evolution with 30 in the population and samples of 10, the best of four settings
tried on this same table. `posterior+size` and `posterior+proxies` have recorded sizes, and these and 11 zero-cost
scores, as free evidence. `pnas` has Gaussian processes, which are faster than its trees. For `te_nas` see
`te_nas_pruning.csv`.

Keeps a row for each method, seed and cost in `search.csv`, continues that file, prints means with 95 % intervals
and draws `search.svg`. One thread; about half an hour. Needs nb201 in $TAURANK_DATA.

    OMP_NUM_THREADS=1 python -m benchmarks.search.search
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from taurank.orchestrator.search import Observation, Searcher, final_list, make_searcher
from taurank.orchestrator.search.drawing import listed
from taurank.orchestrator.tau import tau_b
from taurank.spaces import Architecture, get_space

OUT = Path(__file__).parent / "results" / "search.csv"
PLOT = Path(__file__).parent / "results" / "search.svg"
COSTS = (10, 20, 30, 50, 75, 100, 150, 200, 300)
BATCH = 10
FULL_EPOCHS = 200
UNSEEN = 20
REFERENCES = ("random", "evolution")
SPACE = get_space("nasbench201")


@dataclass(frozen=True)
class Method:
    """A searcher with its number of evaluations and seeds."""

    searcher: str
    most: int = 300
    seeds: int = 50
    free: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


SIZES = ("parameters", "flops")
METHODS = {
    "random": Method("random"),
    "evolution": Method("evolution"),
    "tpe": Method("tpe", 200),
    "nsga2": Method("nsga2", 200),
    "hurricane": Method("hurricane", 150),
    "pnas": Method("pnas", 100, options={"regressor": "gaussian-process"}),
    "predictor": Method("predictor", 150),
    "npenas": Method("npenas", 150),
    "nao": Method("nao"),
    "posterior": Method("posterior", 150),
    "posterior+size": Method("posterior", 150, free=SIZES),
    "posterior+proxies": Method("posterior", 150, free=(*SIZES, "proxies")),
    "ofa": Method("ofa", 150),
}


class Table:
    """The recorded values, by code."""

    def __init__(self, folder: Path) -> None:
        trainings = pd.read_parquet(folder / "nb201_cifar10.parquet").set_index("arch_str")
        self.validation = (trainings["c10_val_hp200_s0"] / 100).to_dict()
        self.test = trainings["c10_test_hp200_mean"].to_dict()
        self.truth = trainings[["c10_val_hp200_s1", "c10_val_hp200_s2"]].mean(axis=1).to_dict()
        proxies = pd.read_parquet(folder / "nb201_cifar10_proxies.parquet").set_index("arch_str")
        proxies = proxies.drop(columns=["arch_index", "c10_val_nbsz"]).rename(columns=lambda name: f"proxy:{name[4:]}")
        self.free = proxies.rename(columns={"proxy:params": "parameters", "proxy:flops": "flops"})
        self.best = max(self.test[one.code] for one in listed(SPACE) or ())

    def free_scores(self, wanted: Sequence[str], architectures: Sequence[Architecture]) -> dict[str, Sequence[float]]:
        names = [name for name in self.free if name in wanted or ("proxies" in wanted and name.startswith("proxy:"))]
        rows = self.free.loc[[one.code for one in architectures], names]
        return {name: rows[name].to_list() for name in names}


def search(method: Method, seed: int, table: Table) -> Searcher:
    free = (lambda architectures: table.free_scores(method.free, architectures)) if method.free else None
    searcher = make_searcher(method.searcher, SPACE, seed=seed, free_scores=free, **method.options)
    while len(searcher.observations) < method.most:
        proposed = searcher.ask(min(BATCH, method.most - len(searcher.observations)))
        if not proposed:
            break
        searcher.tell(Observation(one, {"accuracy": table.validation[one.code]}, cost=1.0) for one in proposed)
    return searcher


def measure(name: str, seed: int, table: Table) -> list[dict[str, object]]:
    began = time.process_time()
    searcher = search(METHODS[name], seed, table)
    seconds = time.process_time() - began
    codes = [observation.architecture.code for observation in searcher.observations]
    ended = final_list(searcher, full_epochs=FULL_EPOCHS, unseen=UNSEEN)
    order = ended.ranking.table["architecture"]
    places, truth = -np.arange(len(order), dtype=float), np.array([table.truth[code] for code in order])
    tau = tau_b(places, truth)
    rows = []
    for cost in COSTS:
        if cost <= len(codes):
            best = max(codes[:cost], key=table.validation.__getitem__)
            rows.append(
                {
                    "method": name,
                    "seed": seed,
                    "cost": cost,
                    "test_accuracy": round(table.test[best], 3),
                    "regret": round(table.best - table.test[best], 3),
                }
            )
    rows[-1] |= {
        "tau_of_list": round(tau, 4),
        "expected_tau": round(ended.ranking.expected_tau, 4),
        "listed": len(order),
        "cpu_seconds": round(seconds, 2),
    }
    return rows


def interval(values: pd.Series) -> str:
    half = (
        stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    )
    return f"{values.mean():.2f} ± {half:.2f}"


def show(results: pd.DataFrame) -> None:
    present = [name for name in METHODS if name in set(results["method"])]
    for column in ("regret", "test_accuracy"):
        cells = results.pivot_table(index="method", columns="cost", values=column, aggfunc=interval)
        print(f"{column}, points, mean and 95 % interval over seeds")
        print(cells.reindex(present).fillna("").to_string(), end="\n\n")
    ends = results.dropna(subset=["tau_of_list"])
    columns = ["tau_of_list", "expected_tau", "listed", "cpu_seconds"]
    last = ends.groupby("method")[columns].mean().round(2)
    last.insert(0, "seeds", ends.groupby("method").size())
    last.insert(1, "looked_at", last["listed"] - UNSEEN)
    print(last.reindex(present).to_string(), end="\n\n")
    for reference in REFERENCES:
        print(f"regret less that of {reference} with the same seed: below 0 is better")
        print(against(results, reference, present).to_string(), end="\n\n")


def against(results: pd.DataFrame, reference: str, names: Sequence[str]) -> pd.DataFrame:
    theirs = results[results["method"] == reference].set_index(["seed", "cost"])["regret"]
    paired = results.join(theirs.rename("reference"), on=["seed", "cost"]).dropna(subset=["reference"])
    paired["less"] = paired["regret"] - paired["reference"]
    cells = paired.pivot_table(index="method", columns="cost", values="less", aggfunc=interval)
    return cells.reindex([name for name in names if name != reference]).fillna("")


def draw(results: pd.DataFrame) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.2))
    means = results.groupby(["method", "cost"])["regret"].mean().unstack("method")
    for name in METHODS:
        if name in means:
            axes.plot(means.index, means[name], marker="o", markersize=3, label=name, linewidth=1.2)
    axes.set(xscale="log", xlabel="full trainings", ylabel="regret, points of test accuracy", ylim=(-0.02, None))
    axes.set_xticks(COSTS, [str(cost) for cost in COSTS])
    axes.minorticks_off()
    axes.legend(fontsize=7, ncols=2)
    figure.tight_layout()
    figure.savefig(PLOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS), metavar="METHOD")
    parser.add_argument("--seeds", type=positive, default=None, help="at most so many of each method")
    options = parser.parse_args()
    table = Table(data_folder() / "nb201")
    results = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame({"method": [], "seed": []})
    for name in options.methods:
        for seed in range(min(METHODS[name].seeds, options.seeds or METHODS[name].seeds)):
            if ((results["method"] == name) & (results["seed"] == seed)).any():
                continue
            new = pd.DataFrame(measure(name, seed, table))
            results = pd.concat([results, new], ignore_index=True).astype({"seed": int, "cost": int})
            results.to_csv(OUT, index=False)
        print(f"{name} done", flush=True)
    show(results)
    draw(results)


if __name__ == "__main__":
    main()
