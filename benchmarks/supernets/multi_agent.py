"""Multi-agent feedback on rewards without noise or drift: the recorded accuracies of NAS-Bench-201.

All 15,625 cells are candidates. In each round the path that the sampler draws is evaluated by its recorded validation
accuracy (CIFAR-10, 200 epochs, mean of the seeds), exactly or as the share of correct predictions on 64 images; tau is
that of the sampler's scores against recorded test accuracy. The baselines are uniform sampling with the same
regression, which shows the contribution of the policy, and the number of parameters, which costs nothing. Prints a
table and writes `multi_agent.csv`, a row a run. Needs nb201 in $TAURANK_DATA; about three minutes.

    OMP_NUM_THREADS=1 python -m benchmarks.supernets.multi_agent
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau
from torch import Tensor

from benchmarks.common.paired import positive
from benchmarks.common.recorded import data_folder
from taurank.spaces import get_space
from taurank.trainables.supernet import Paths
from taurank.trainables.supernet.samplers import MultiAgentSampler, Outcome

OUT = Path(__file__).parent / "results" / "multi_agent.csv"
ROUNDS = (200, 500, 1000, 3000)
VARIANTS: dict[str, dict[str, Any]] = {
    "least-squares": {},
    "least-squares, uniform": {"uniform_until": 1.0},
    "credit": {"feedback": "credit"},
    "credit, uniform": {"feedback": "credit", "uniform_until": 1.0},
}


class RecordedJudge:
    """Evaluates a path by its recorded accuracy; ``images`` is the size of the batch, 0 for no noise."""

    def __init__(self, accuracies: dict[str, float], images: int, generator: np.random.Generator) -> None:
        self.accuracies, self.images, self.generator = accuracies, images, generator
        self.seen: list[float] = []

    def look(self, paths: Sequence[str]) -> list[Outcome]:
        (path,) = paths
        accuracy = self.accuracies[path]
        self.seen.append(accuracy)
        correct = self.generator.binomial(self.images, accuracy) if self.images else accuracy
        return [Outcome(path, torch.tensor(torch.nan), torch.tensor(correct).double(), self.images or 1)]

    def backpropagate(self, path: str, gates: Sequence[Tensor]) -> Outcome:
        raise NotImplementedError("no agent learns by gradients")


def measure(
    paths: Paths, judge: RecordedJudge, variant: str, rounds: int, generator: np.random.Generator
) -> MultiAgentSampler:
    sampler = MultiAgentSampler(paths, **VARIANTS[variant])
    for step in range(rounds):
        (path,) = sampler.draw(generator, judge, step / rounds).paths
        sampler.learn([Outcome(path, torch.tensor(torch.nan), torch.tensor(0), 1)], judge)
    return sampler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=positive, default=5, help="of each variant, with other draws")
    options = parser.parse_args()
    recorded = data_folder() / "nb201" / "nb201_cifar10.parquet"
    if not recorded.is_file():
        sys.exit(f"recorded trainings are missing: {recorded}; set TAURANK_DATA")
    table = pd.read_parquet(recorded).set_index("arch_str")
    space = get_space("nasbench201")
    paths = Paths(space, tuple(table.index))
    live = np.array([space.is_live(space.parse(code)) for code in paths.codes])
    truth = table["c10_test_hp200_mean"].to_numpy()
    accuracies = dict(table["c10_val_hp200_mean"] / 100)
    rows = []
    for images in (0, 64):
        for rounds in ROUNDS:
            for variant in VARIANTS:
                for run in range(options.runs):
                    generator = np.random.default_rng([run, rounds])
                    judge = RecordedJudge(accuracies, images, generator)
                    scores = measure(paths, judge, variant, rounds, generator).scores(paths.codes)
                    row = {"images": images, "rounds": rounds, "variant": variant, "run": run}
                    row |= {"tau": kendalltau(scores, truth)[0], "tau_live": kendalltau(scores[live], truth[live])[0]}
                    rows.append(row | {"late_accuracy": np.mean(judge.seen[-rounds // 10 :])})
                pd.DataFrame(rows).round(4).to_csv(OUT, index=False)
    frame = pd.DataFrame(rows)
    means = frame.groupby(["images", "rounds", "variant"], sort=False)[["tau", "tau_live", "late_accuracy"]]
    print(means.agg(["mean", "std"]).round(3).to_string())
    parameters = table["c10_params_M"].to_numpy()
    print(
        f"number of parameters: tau {kendalltau(parameters, truth)[0]:.3f},"
        f" live cells {kendalltau(parameters[live], truth[live])[0]:.3f}"
    )


if __name__ == "__main__":
    main()
