"""Policies through real Ray Tune: small networks on Fashion-MNIST, two workers, equal epochs, against full training.

One run trains every network to the end: with seed 0, whose curves are recorded, and with seeds 1 and 2, whose mean test
accuracy is the truth. Then every policy has a fifth of the epochs of seed 0 through `taurank run`. The trained prefixes
are ranked by the ladder; wall seconds are those of the whole command. `same_as_replay` is the share of networks that
reached the same epoch as in a replay of the recorded curves (two workers may report in another order).
Prints a table and writes `policies_through_ray.csv`, and the decisions of order-settling beside it. Needs Fashion-MNIST
in $TAURANK_DATA; takes 40 minutes on two idle cores. Images are halved to 14 x 14 so that enough of
them can be used: with 640 images the orders of two seeds are unrelated.

    python -m benchmarks.curves.policies_through_ray
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from benchmarks.common.paired import positive

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(__file__).parent / "results" / "policies_through_ray.csv"
DECISIONS = OUT.with_name("policies_through_ray_decisions.csv")
WORKERS = 2
EXPERIMENT = """
name: {name}
space: {{name: nasbench201, options: {{width: 4, cells_per_stage: 1}}}}
candidates: {networks}
data: {{name: fashion-mnist, train: {images}, validation: 1000, test: 2000, size: 14}}
recipe: {{epochs: {epochs}, batch_size: 64}}
budget: 1x
trainings: [{{epochs: {epochs}, candidates: all, scheduler: {scheduler}{budget}}}]
supernets: []
baseline: {baseline}
resources: {{cpus: {workers}}}
"""
POLICIES = ("order-settling", "uniform", "asha", "hyperband", "successive-halving", "ray-asha", "ray-hyperband", "full")
REPLAYED = ("order-settling", "uniform", "asha", "hyperband", "successive-halving", "full")
"""taurank's policies; Ray's own do not run outside Ray."""


def run(folder: Path, options: argparse.Namespace, name: str, **settings: object) -> tuple[Path, float]:
    """Runs `taurank run`; the folder of the run, and seconds."""
    file = folder / f"{name}.yaml"
    file.write_text(
        EXPERIMENT.format(
            name=name,
            networks=options.networks,
            images=options.images,
            epochs=options.epochs,
            workers=WORKERS,
            **settings,
        )
    )
    began = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "taurank", "run", str(file)]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    return next((folder / "runs").glob(f"{name}*")), seconds


class Outcome:
    """The trainings in the log of a run."""

    def __init__(self, folder: Path) -> None:
        from taurank.orchestrator.evidence import BASELINE
        from taurank.orchestrator.runs.run import Run
        from taurank.orchestrator.stages.scheduling import features_by_code, logged_curves

        self.run = Run.open(folder)
        self.rows = self.run.log.evidence()
        self.events = self.run.log.events()
        trained = self.rows[(self.rows["source"] == "training") & (self.rows["stage"] != BASELINE)]
        self.stage = str(trained["stage"].iloc[0])
        self.codes = dict(zip(trained["trial"], trained["architecture"], strict=True))
        features = features_by_code(self.run.problem.encoding)
        self.curves = {
            self.codes[curve.trial]: replace(
                curve, trial=self.codes[curve.trial], features=features[self.codes[curve.trial]]
            )
            for curve in logged_curves(self.run.log, self.stage, list(self.codes))
        }

    def truth(self) -> pd.Series:
        """Mean test accuracy of the baseline's seeds, by architecture."""
        from taurank.orchestrator.evidence import BASELINE

        last = self.rows[(self.rows["stage"] == BASELINE) & (self.rows["metric"] == "test_accuracy")]
        return last.groupby("architecture")["value"].mean()

    def ladder(self, epochs: int) -> tuple[pd.Series, float]:
        from taurank.schedulers.curves.ladder import Ladder
        from taurank.schedulers.policies import Limits
        from taurank.schedulers.policies.policy import curve_matrix

        forecast = Ladder().forecast(curve_matrix(self.curves, Limits(epochs)))
        return pd.Series(forecast.scores, index=list(self.curves)).fillna(-np.inf), forecast.expected_tau()

    def decisions(self) -> pd.DataFrame:
        events = self.events[self.events["stage"] == self.stage]
        return events[events["trial"] != ""]


def replayed(policy: str, full: Mapping[str, object], epochs: int, budget: float) -> dict[str, int]:
    """Epochs that every network reaches in a replay of the whole curves."""
    from taurank.schedulers.policies import Limits, make_policy
    from taurank.schedulers.policies.policy import curve_matrix
    from taurank.schedulers.policies.simulation import simulate

    limits = Limits(epochs, budget_epochs=budget, slots=WORKERS)
    recorded = curve_matrix(full, Limits(epochs))  # type: ignore[arg-type]
    result = simulate(make_policy(policy), limits, recorded, trials=list(full))
    return {trial: curve.last_epoch for trial, curve in result.curves.items()}


def measure(options: argparse.Namespace, folder: Path) -> tuple[list[dict[str, object]], pd.DataFrame]:
    every = options.networks * options.epochs
    budget = round(options.share * every)
    where, seconds = run(folder, options, "everything", scheduler="full", budget="", baseline="{seeds: [1, 2]}")
    print(f"everything: {seconds:.0f} s", flush=True)
    whole = Outcome(where)
    truth = whole.truth()
    by_seed = whole.rows[whole.rows["metric"] == "test_accuracy"].pivot_table(
        index="architecture", columns="seed", values="value"
    )
    ceiling = kendalltau(by_seed[1], by_seed[2]).statistic
    print(f"tau of one full training to another: {ceiling:.3f}", flush=True)
    lines: list[dict[str, object]] = []
    decisions = pd.DataFrame()
    for policy in options.policies:
        limit = "" if policy == "full" and options.unbounded_full else f", budget_epochs: {budget}"
        where, seconds = run(folder, options, policy, scheduler=policy, budget=limit, baseline="null")
        found = Outcome(where)
        reached = {code: curve.last_epoch for code, curve in found.curves.items()}
        scores, expected = found.ladder(options.epochs)
        common = truth.index.intersection(scores.index)
        ranked = scores.reindex(truth.index).fillna(-np.inf)
        line: dict[str, object] = {
            "policy": policy,
            "networks": options.networks,
            "epochs": sum(reached.values()) / every,
            "begun": len(common),
            "tau": kendalltau(ranked, truth).statistic,
            "expected_tau": expected,
            "tau_top_fifth": top_tau(ranked, truth),
            "regret_points": 100 * float(truth.max() - truth[ranked.idxmax()]),
            "ceiling": ceiling,
            "wall_seconds": seconds,
            "steps": int(found.decisions()["event"].isin(["started", "resumed"]).sum()),
        }
        if policy in REPLAYED:
            limit_epochs = float("inf") if not limit else float(budget)
            other = replayed(policy, whole.curves, options.epochs, limit_epochs)
            line["same_as_replay"] = float(np.mean([reached.get(code, 0) == epoch for code, epoch in other.items()]))
        if policy == "order-settling":
            decisions = found.decisions()
        print({name: round(v, 3) if isinstance(v, float) else v for name, v in line.items()}, flush=True)
        lines.append(line)
    return lines, decisions


def top_tau(scores: pd.Series, truth: pd.Series) -> float:
    top = truth[truth >= truth.quantile(0.8)].index
    return float(kendalltau(scores[top], truth[top]).statistic)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=positive, default=48)
    parser.add_argument("--epochs", type=positive, default=12, help="length of the schedule")
    parser.add_argument("--images", type=positive, default=4000, help="training images")
    parser.add_argument("--share", type=float, default=0.2, help="of the epochs of full training")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES, metavar="POLICY")
    parser.add_argument("--unbounded-full", action="store_true", help="let `full` train everything, not the first few")
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        lines, decisions = measure(options, Path(folder))
    table = pd.DataFrame(lines)
    table.round(4).to_csv(OUT, index=False)
    decisions.to_csv(DECISIONS, index=False)
    with pd.option_context("display.width", 200, "display.max_columns", None):
        print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
