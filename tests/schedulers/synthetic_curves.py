"""Curves that rise like trainings do, and a worker that trains one trial at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from taurank.schedulers.curves.forecast import Forecast
from taurank.schedulers.curves.matrix import HIGHER_IS_BETTER, CurveMatrix
from taurank.schedulers.policies import Curve, Decisions, Limits, Policy, Step
from taurank.schedulers.policies.driver import Driver


def rising(trials: int, epochs: int, *, seed: int = 0, noise: float = 0.01) -> CurveMatrix:
    """Accuracies ``c - a x^-b`` with noise; the orders at the first and the last epoch differ."""
    rng = np.random.default_rng(seed)
    end, gain, rate = (
        rng.normal(0.7, 0.08, (trials, 1)),
        rng.uniform(0.2, 0.5, (trials, 1)),
        rng.uniform(0.3, 0.9, (trials, 1)),
    )
    x = np.arange(1, epochs + 1)
    return CurveMatrix(np.clip(end - gain * x**-rate + rng.normal(0, noise, (trials, epochs)), 0, 1), x)


def apart(trials: int, epochs: int) -> CurveMatrix:
    """Curves that never cross; trial ``i`` is better than those before it."""
    x = np.arange(1, epochs + 1)
    return CurveMatrix((0.5 + np.arange(trials)[:, None] / (4 * trials)) * x**0.1, x, "score")


def train(
    driver: Driver, matrix: CurveMatrix, names: list[str] | None = None, *, reports: float = float("inf")
) -> list[Step]:
    """One worker that trains whoever the driver chooses, up to so many reports."""
    rows = {name: row for row, name in enumerate(names or map(str, range(len(matrix.values))))}
    steps: list[Step] = []
    while (step := driver.choose()) is not None:
        steps.append(step)
        for column, epoch in enumerate(matrix.epochs):
            if epoch > driver.curves[step.trial].last_epoch:
                if reports <= 0:
                    return steps
                reports -= 1
                if driver.report(step.trial, int(epoch), float(matrix.values[rows[step.trial], column])) != "continue":
                    break
    return steps


def new_driver(policy: Policy, limits: Limits, trials: int) -> Driver:
    return Driver(policy, limits, {str(trial): () for trial in range(trials)})


def seen(values: Mapping[str, tuple[float, ...]], **settings: object) -> dict[str, Curve]:
    """Paused curves with one value an epoch; new ones where there is none."""
    return {
        name: Curve(name, tuple(range(1, len(row) + 1)), row, state="paused" if row else "new", **settings)  # type: ignore[arg-type]
        for name, row in values.items()
    }


@dataclass(frozen=True)
class LastValueModel:
    """Forecasts the last value, as a curve model does that knows nothing of curves."""

    sd: float = 0.05

    def forecast(self, curves: CurveMatrix) -> Forecast:
        last = np.where(curves.counts > 0, curves.values[np.arange(len(curves.values)), curves.counts - 1], np.nan)
        signed = last if curves.metric in HIGHER_IS_BETTER else -last
        spread = np.full(len(last), self.sd)
        return Forecast(signed, spread**2, last, spread)


@dataclass
class Watched:
    """A policy that hands on to another one and keeps what it saw and answered."""

    policy: Policy
    asked: list[tuple[dict[str, Curve], Decisions]] = field(default_factory=list)

    @property
    def judges_running(self) -> bool:
        return self.policy.judges_running

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        decided = self.policy.decide(curves, limits)
        self.asked.append((dict(curves), decided))
        return decided
