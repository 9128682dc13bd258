"""Seconds of one round of decisions: every policy on half-trained curves of 100 and 1,000 trials x 100 epochs.

A round is one report after the previous round; policies that stop single trials reuse their fits from then. The
curves are synthetic (`c - a x^-b` with noise, a training loss and ten features). Aim: one second. Prints a table and
writes `decision_time.csv`, medians over repetitions in one process and thread.

    OMP_NUM_THREADS=1 python -m benchmarks.curves.decision_time
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.paired import positive
from taurank.schedulers.policies import Curve, Limits, list_policies, make_policy

OUT = Path(__file__).parent / "results" / "decision_time.csv"
EPOCHS, REACHED, AHEAD = 100, 50, 70
FEATURES = 10
OPTIONS: dict[str, dict[str, object]] = {"successive-halving": {"first_rung": 10}}
"""Rungs with decisions."""


def half_trained(trials: int, *, seed: int = 0) -> dict[str, Curve]:
    """All trials at epoch 50, a third of them at 70."""
    rng = np.random.default_rng(seed)
    epochs = np.arange(1, EPOCHS + 1)
    end, gain = rng.normal(0.7, 0.05, (trials, 1)), rng.uniform(0.2, 0.5, (trials, 1))
    clean = end - gain * epochs ** -rng.uniform(0.3, 0.9, (trials, 1))
    values = np.clip(clean + rng.normal(0, 0.01, clean.shape), 0, 1)
    losses = np.exp(-3 * clean + rng.normal(0, 0.02, clean.shape))
    features = np.hstack([end + rng.normal(0, 0.05, (trials, 1)), rng.random((trials, FEATURES - 1))])
    curves = {}
    for row in range(trials):
        last = AHEAD if row % 3 == 0 else REACHED
        curves[str(row)] = Curve(
            str(row),
            tuple(range(1, last + 1)),
            tuple(values[row, :last].tolist()),
            tuple(losses[row, :last].tolist()),
            tuple(features[row].tolist()),
            state="paused",
        )
    return curves


def seconds(name: str, curves: Mapping[str, Curve], repetitions: int) -> float:
    limits = Limits(EPOCHS, budget_epochs=0.6 * len(curves) * EPOCHS, slots=8)
    if make_policy(name).judges_running:
        limits = Limits(EPOCHS, slots=len(curves))
        curves = {trial: replace(curve, state="running", until=EPOCHS) for trial, curve in curves.items()}
    took = []
    last = curves["0"]
    before = {
        **curves,
        "0": replace(last, epochs=last.epochs[:-1], values=last.values[:-1], training=last.training[:-1]),
    }
    for _ in range(repetitions):
        policy = make_policy(name, **OPTIONS.get(name, {}))
        policy.decide(before, limits)
        began = time.perf_counter()
        policy.decide(curves, limits)
        took.append(time.perf_counter() - began)
    return float(np.median(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=positive, nargs="+", default=(100, 1000))
    parser.add_argument("--repetitions", type=positive, default=3)
    parser.add_argument("--policies", nargs="+", choices=list_policies(), default=list_policies(), metavar="POLICY")
    options = parser.parse_args()
    lines = []
    for name in options.policies:
        for trials in options.trials:
            took = seconds(name, half_trained(trials), options.repetitions)
            lines.append({"policy": name, "trials": trials, "epochs": EPOCHS, "seconds": round(took, 4)})
            print(f"{name:20} {trials:6,} trials {took:8.3f} s", flush=True)
    table = pd.DataFrame(lines)
    if OUT.is_file():  # rows of other policies stay
        old = pd.read_csv(OUT)
        table = pd.concat([old[~old["policy"].isin(table["policy"])], table], ignore_index=True)
    table.to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
