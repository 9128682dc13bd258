"""The arguments and the answer of a policy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from taurank.schedulers.curves import CurveMatrix, Metric

Action = Literal["continue", "pause", "stop"]
State = Literal["new", "running", "paused", "finished", "stopped", "failed"]
Phase = Literal["running", "done"]
_ACTIONS: tuple[Action, ...] = get_args(Action)
NOT_SUBMITTED = "not submitted: "
"""Begins the names of trials that are still to come. They stand behind all others in every drawn order."""


@dataclass(frozen=True)
class Curve:
    """The learning curve of one trial so far.

    Attributes:
        trial: name of the trial.
        epochs: epochs trained at each point, counted from 1, rising.
        values: validation metric at these epochs (which one is ``Limits.metric``); not finite where training diverged.
        training: training loss in nats at these epochs, nan where there is none; empty without any.
        features: numeric description of the architecture; empty without one.
        state: ``new`` before the first epoch, ``running``, ``paused``, ``finished`` at the end of the schedule,
            ``stopped`` by a policy, ``failed`` without a result.
        until: epoch to which a running trial is sent.

    Raises:
        ValueError: rows that differ in length, epochs that do not rise, or an unknown state.
    """

    trial: str
    epochs: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    training: tuple[float, ...] = ()
    features: tuple[float, ...] = ()
    state: State = "new"
    until: int = 0

    def __post_init__(self) -> None:
        if len(self.epochs) != len(self.values):
            raise ValueError(
                f"epochs and values of trial {self.trial!r} must be of equal length, "
                f"got {len(self.epochs)} and {len(self.values)}"
            )
        if self.training and len(self.training) != len(self.epochs):
            raise ValueError(
                f"training of trial {self.trial!r} must be empty or as long as its epochs, "
                f"got {len(self.training)} and {len(self.epochs)}"
            )
        if any(later <= earlier for earlier, later in zip(self.epochs, self.epochs[1:], strict=False)):
            raise ValueError(f"epochs of trial {self.trial!r} must rise, got {self.epochs}")
        if self.state not in get_args(State):
            raise ValueError(f"state must be one of {', '.join(get_args(State))}, got {self.state!r}")

    @cached_property
    def measured(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Epochs, values and training losses up to the first value that is not finite, (points,) each."""
        values = np.array(self.values, dtype=np.float64)
        finite = np.isfinite(values)
        kept = len(values) if finite.all() else int(np.argmin(finite))
        losses = np.array(self.training or np.full(len(values), np.nan), dtype=np.float64)
        return np.array(self.epochs, dtype=np.int64)[:kept], values[:kept], losses[:kept]

    # These are kept: a decision asks every curve for them, several times.

    @cached_property
    def last_epoch(self) -> int:
        """Epochs trained so far."""
        return self.epochs[-1] if self.epochs else 0

    @cached_property
    def target_epoch(self) -> int:
        """Epochs trained, or to be trained by a running trial before it comes back."""
        return max(self.last_epoch, self.until if self.state == "running" else 0)

    @property
    def waits(self) -> bool:
        """Whether the trial may be started or resumed."""
        return self.state in ("new", "paused")

    @cached_property
    def diverged(self) -> bool:
        """Whether the last value is not finite."""
        return bool(self.values) and not math.isfinite(self.values[-1])

    @cached_property
    def is_over(self) -> bool:
        """Whether the trial has finished, failed, or been stopped."""
        return self.state in ("finished", "stopped", "failed")


@dataclass(frozen=True)
class Limits:
    """What a policy has to keep to.

    Attributes:
        schedule_epochs: length of the schedule of every trial.
        budget_epochs: epochs that all trials together may train.
        slots: trials that run at once.
        metric: what the values are, and so which end is better.
        period: length in epochs of a cyclic learning rate: curves are compared at equal phase only.
        points: epochs at which trials report, rising up to ``schedule_epochs``; None for every epoch.
        drops: epochs after which the learning rate of the schedule drops suddenly; intervals of final values allow for
            them.

    Raises:
        ValueError: a value outside its range.
    """

    schedule_epochs: int
    budget_epochs: float = float("inf")
    slots: int = 1
    metric: Metric = "accuracy"
    period: int = 1
    points: tuple[int, ...] | None = None
    drops: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("schedule_epochs", "slots", "period"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not self.budget_epochs > 0:
            raise ValueError(f"budget_epochs must be above 0, got {self.budget_epochs!r}")
        if self.metric not in get_args(Metric):
            raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, got {self.metric!r}")
        if self.points is not None and (
            not self.points
            or self.points[0] < 1
            or self.points[-1] != self.schedule_epochs
            or any(later <= earlier for earlier, later in zip(self.points, self.points[1:], strict=False))
        ):
            raise ValueError(f"points must rise from 1 to schedule_epochs {self.schedule_epochs}, got {self.points}")

    @property
    def cut_points(self) -> tuple[int, ...]:
        """Epochs at which trials may be compared and paused, rising; the last is the end of the schedule."""
        every = self.points or range(1, self.schedule_epochs + 1)
        at_phase = tuple(epoch for epoch in every if epoch % self.period == 0)
        return at_phase if at_phase and at_phase[-1] == self.schedule_epochs else (*at_phase, self.schedule_epochs)


@dataclass(frozen=True)
class Step:
    """One trial sent on its way.

    Attributes:
        trial: name of the trial, new or paused.
        until: epoch at which it is paused, or finished.
        reason: why this one, in words.
    """

    trial: str
    until: int
    reason: str


@dataclass(frozen=True)
class Decision:
    """The decision on one trial.

    Attributes:
        action: ``continue`` (it may run on, or be resumed), ``pause`` (keep a checkpoint and wait) or ``stop``.
        reason: why, in words.
        prediction: predicted metric at the end of the schedule; nan when there is none.
        sd: standard deviation of the prediction; nan when it is unknown.
        saved_epochs: epochs up to the end of the schedule that the trial is spared, for the time being if it is paused.

    Raises:
        ValueError: the action is none of the three.
    """

    action: Action
    reason: str
    prediction: float = float("nan")
    sd: float = float("nan")
    saved_epochs: float = 0.0

    def __post_init__(self) -> None:
        if self.action not in _ACTIONS:
            raise ValueError(f"action must be one of {', '.join(_ACTIONS)}, got {self.action!r}")


@dataclass(frozen=True)
class Decisions:
    """The decisions of a policy on all trials.

    Attributes:
        trials: one decision for every curve, by trial name.
        next: trials to start or resume, best first; they fit into the budget together with what runs.
        phase: ``done`` when no further trial will be started, whatever running trials still report.
        reason: why it is done, or what it is doing, in words.
    """

    trials: Mapping[str, Decision]
    next: tuple[Step, ...] = ()
    phase: Phase = "running"
    reason: str = ""


class Policy(Protocol):
    """Decides on all trials from their curves alone.

    A policy is pure: the same curves and limits give the same decisions in whatever order they come, with no clock, no
    file and no random number that is not seeded by its constructor. So the same policy runs live and in a replay.
    """

    @property
    def judges_running(self) -> bool:
        """Whether trials may be stopped between the epochs they were sent to; then it is asked after every epoch."""
        ...

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return a decision on every trial and the next steps; ``curves`` holds ended trials too.

        Raises:
            ValueError: limits that the policy cannot keep to, such as a budget below one epoch for each trial.
        """
        ...


def used_epochs(curves: Mapping[str, Curve]) -> int:
    """Epochs trained, and those that running trials are sent to train."""
    return sum(curve.target_epoch for curve in curves.values())


def curve_matrix(curves: Mapping[str, Curve], limits: Limits) -> CurveMatrix:
    """The curves at the cut points, rows in the order of ``curves``.

    A curve ends at its first value that is not finite.
    The training loss at a point is the mean since the point before, so that all phases of a cycle count.
    """
    points, rows = np.array(limits.cut_points), len(curves)
    measured = [curve.measured for curve in curves.values()]
    trial = np.repeat(np.arange(rows), [len(epochs) for epochs, _, _ in measured])
    last = np.array([epochs[-1] if len(epochs) else 0 for epochs, _, _ in measured])
    epochs, shown, losses = (
        (np.concatenate(parts) for parts in zip(*measured, strict=True)) if rows else (np.zeros(0),) * 3
    )
    place = np.searchsorted(points, epochs)
    at_point = points[np.minimum(place, len(points) - 1)] == epochs
    values = np.full((rows, len(points)), np.nan)
    values[trial[at_point], place[at_point]] = shown[at_point]
    known = np.isfinite(losses) & (place < len(points))
    cell = (trial * len(points) + place)[known]
    total = np.bincount(cell, losses[known], values.size).reshape(values.shape)
    count = np.bincount(cell, minlength=values.size).reshape(values.shape)
    reached = (count > 0) & (points <= last[:, None])
    training = np.where(reached, total / np.maximum(count, 1), np.nan)
    features = [curve.features for curve in curves.values()]
    described = bool(features) and len(features[0]) > 0
    return CurveMatrix(
        values=values,
        epochs=points,
        metric=limits.metric,
        training=training if np.isfinite(training).any() else None,
        features=np.array(features, dtype=float) if described else None,
        drops=limits.drops,
    )
