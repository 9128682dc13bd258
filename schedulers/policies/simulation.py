"""A policy on recorded curves: workers that train at once, on a simulated clock."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taurank.schedulers.curves import CurveMatrix, Floats
from taurank.schedulers.policies.driver import Driver
from taurank.schedulers.policies.policy import Action, Curve, Limits, Policy, Step, curve_matrix


@dataclass(frozen=True)
class Report:
    """What one training shows at one point.

    Attributes:
        epoch: epochs trained so far.
        value: validation metric.
        training: training loss in nats; nan for none.
        seconds: since the point before.
    """

    epoch: int
    value: float
    training: float = math.nan
    seconds: float = 1.0


@dataclass(frozen=True)
class Simulation:
    """What came of it.

    Attributes:
        curves: what was trained, by trial.
        steps: every start or resumption with its target and reason, in order.
        epochs: trained in all.
        seconds: on the clock, from the first start to the last report.
        limits: that were kept to.
    """

    curves: Mapping[str, Curve]
    steps: tuple[Step, ...]
    epochs: int
    seconds: float
    limits: Limits

    @property
    def matrix(self) -> CurveMatrix:
        """What was trained, side by side."""
        return curve_matrix(self.curves, self.limits)


@dataclass(frozen=True)
class Sent:
    """A trial was sent on its way.

    Attributes:
        step: where to and why.
        seconds: on the clock.
    """

    step: Step
    seconds: float


@dataclass(frozen=True)
class Reported:
    """A trial has reported.

    Attributes:
        trial: its name.
        report: what it showed.
        action: the driver's answer.
        seconds: on the clock.
    """

    trial: str
    report: Report
    action: Action
    seconds: float


def run_simulated(driver: Driver, trainings: Mapping[str, Iterator[Report]]) -> Iterator[Sent | Reported]:
    """Runs the trials that the driver sends on ``limits.slots`` workers; yields the events in order.

    Of reports at the same moment, that of the trial named first in ``trainings`` comes first.
    """
    places = {trial: place for place, trial in enumerate(trainings)}
    names = list(trainings)
    queue: list[tuple[float, int, Report]] = []
    now = 0.0

    def begin(trial: str) -> None:
        report = next(trainings[trial], None)
        if report is None:
            driver.end(trial, failed=True, reason="the recording ends")
        else:
            heapq.heappush(queue, (now + report.seconds, places[trial], report))

    while True:
        while len(queue) < driver.limits.slots:
            step = driver.choose()
            if step is None:
                break
            yield Sent(step, now)
            begin(step.trial)
        if not queue:
            return
        now, place, report = heapq.heappop(queue)
        trial = names[place]
        action = driver.report(trial, report.epoch, report.value, report.training)
        yield Reported(trial, report, action, now)
        if action == "continue":
            begin(trial)


def simulate(
    policy: Policy,
    limits: Limits,
    recorded: CurveMatrix,
    *,
    trials: Sequence[str] | None = None,
    seconds: Floats | None = None,
) -> Simulation:
    """Replays a policy on recorded curves.

    Args:
        policy: the policy.
        limits: what it has to keep to; ``limits.metric`` has to be that of the curves.
        recorded: whole curves. Points without any value are skipped; a value that only this trial lacks is reported
            as nan, which fails it.
        trials: their names; by default their numbers.
        seconds: of each point since the point before, (trials, points); by default the epochs.

    Raises:
        ValueError: metric or schedule of ``limits`` and ``recorded`` differ.
    """
    if limits.metric != recorded.metric or limits.schedule_epochs != recorded.epochs[-1]:
        raise ValueError(
            f"limits are for {limits.metric} over {limits.schedule_epochs} epochs, the curves hold {recorded.metric} "
            f"over {recorded.epochs[-1]}"
        )
    names = [str(trial) for trial in (trials if trials is not None else range(len(recorded.values)))]
    shown = np.flatnonzero(np.isfinite(recorded.values).any(axis=0))
    took = (
        np.diff(recorded.epochs[shown], prepend=0) * np.ones((len(names), 1)) if seconds is None else seconds[:, shown]
    )
    losses = recorded.training if recorded.training is not None else np.full(recorded.values.shape, np.nan)

    def training(row: int) -> Iterator[Report]:
        for place, column in enumerate(shown):
            yield Report(
                int(recorded.epochs[column]),
                float(recorded.values[row, column]),
                float(losses[row, column]),
                float(took[row, place]),
            )

    features = recorded.features if recorded.features is not None else np.zeros((len(names), 0))
    driver = Driver(policy, limits, {name: tuple(row) for name, row in zip(names, features.tolist(), strict=True)})
    events = list(run_simulated(driver, {name: training(row) for row, name in enumerate(names)}))
    steps = tuple(event.step for event in events if isinstance(event, Sent))
    epochs = sum(curve.last_epoch for curve in driver.curves.values())
    return Simulation(dict(driver.curves), steps, epochs, events[-1].seconds if events else 0.0, limits)
