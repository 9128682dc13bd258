"""Stop each training as soon as the extrapolation of its curve has settled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from taurank.schedulers.curves import Convergence, Metric, PenguinConfig, converge_all
from taurank.schedulers.policies.full import whole_trainings
from taurank.schedulers.policies.options import require_integer, require_number
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits
from taurank.schedulers.policies.standing import drawn_order, has_ended

_SHARES: tuple[Metric, ...] = ("accuracy", "error")
_FIRST, _REACH = 20.0, 40.0
"""Percent at which a curve of another metric begins, and how far from there its reach goes."""


@dataclass(frozen=True)
class PenguinPolicy:
    """Decides on each curve alone and stops it when its last predictions agree; never pauses.

    The engine takes accuracies in percent. Error becomes ``1 - error``. Any other metric is turned so that it rises
    (losses by their sign, perplexities by that of their logarithm) and set on the same scale curve by curve, by a map
    that keeps its order: ``20 + 40 (y - first) / reach``. ``first`` is the first value of the curve and ``reach`` the
    least power of two that no value lies further away than, so that it seldom changes. A prediction may then lie up to
    twice the reach above the first value, and a point of tolerance is a 40th of the reach.

    Caveats: it saves epochs, but an equal cut for all saves as many at no loss of order; the bias of its predictions
    differs between architectures, so its stops are sounder evidence than the order of its predictions. Curves near
    chance settle at once.

    Source: the PENGUIN engine of PEng4NN (TPDS 2022) and of A4NN (ICPP 2023).

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> flat = Curve("a", epochs=(1, 2, 3, 4, 5, 6), values=(0.1,) * 6, state="running", until=40)
        >>> PenguinPolicy().decide({"a": flat}, Limits(40)).trials["a"].action
        'stop'

    Attributes:
        window: how many successive predictions have to agree.
        tolerance_points: how far each of them may lie from their median, in accuracy points (a 40th of the reach).
        minimum_points: nominal number of points of the first fit; see ``PenguinConfig``.
        seed: of the order in which trials start.
    """

    judges_running: ClassVar[bool] = True

    window: int = 3
    tolerance_points: float = 0.5
    minimum_points: int = 3
    seed: int = 0
    # The last points of each trial and their convergence. It saves fits and never changes a decision.
    _memory: dict[tuple[str, int, int], tuple[_Shown, Convergence]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require_integer("window", self.window, at_least=1)
        require_number("tolerance_points", self.tolerance_points, above=0)
        require_integer("minimum_points", self.minimum_points, at_least=3)
        require_integer("seed", self.seed, at_least=0)

    def config(self, schedule_epochs: int) -> PenguinConfig:
        """Settings of the engine; its ``x`` is the epoch, and it predicts the end of the schedule."""
        return PenguinConfig(
            target=float(schedule_epochs),
            window=self.window,
            tolerance=self.tolerance_points,
            minimum_points=self.minimum_points,
        )

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        A stop carries the prediction at which the window settled, or the measured value of a finished schedule. A
        trial that continues carries the latest extrapolation, nan where there is none in (0, 100] percent.

        Raises:
            ValueError: a budget below one training.
        """
        # In one order, whatever order the trials come in.
        order = drawn_order(curves, self.seed)
        judged = [curves[trial] for trial in order if curves[trial].epochs and not has_ended(curves[trial], limits)]
        shown = [_Shown.of(curve, limits) for curve in judged]
        verdicts = {
            curve.trial: self._verdict(curve, view, found, limits)
            for curve, view, found in zip(judged, shown, self._converge(judged, shown, limits), strict=True)
        }
        return whole_trainings(curves, limits, order, verdicts)

    def _verdict(self, curve: Curve, shown: _Shown, found: Convergence, limits: Limits) -> Decision:
        percent = shown.percent
        if found.stop_index is not None:
            epoch = shown.epochs[found.stop_index]
            reason = f"the last {self.window} predictions agree within {self.tolerance_points} points at epoch {epoch}"
            saved = float(limits.schedule_epochs - curve.last_epoch)
            return Decision("stop", reason, percent.value(found.prediction), saved_epochs=saved)
        latest = found.predictions[-1] if found.predictions else math.nan
        return Decision(
            "continue", "predictions have not settled", percent.value(latest) if 0 < latest <= 100 else math.nan
        )

    def _converge(self, judged: Sequence[Curve], shown: Sequence[_Shown], limits: Limits) -> list[Convergence]:
        """All curves in one pass; fits of an earlier decision are not repeated."""
        keys = [(curve.trial, limits.schedule_epochs, limits.period) for curve in judged]
        previous = []
        for key, view in zip(keys, shown, strict=True):
            known, found = self._memory.get(key, (None, None))
            previous.append(found if known is not None and view.begins_with(known) else None)
        points = [(view.epochs, [view.percent.percent(value) for value in view.values]) for view in shown]
        found_all = converge_all(points, self.config(limits.schedule_epochs), previous)
        self._memory.update(zip(keys, zip(shown, found_all, strict=True), strict=True))
        return found_all


@dataclass(frozen=True)
class _Shown:
    """The points of a curve that are compared, with their scale."""

    epochs: tuple[int, ...]
    values: tuple[float, ...]
    percent: _Percent

    @classmethod
    def of(cls, curve: Curve, limits: Limits) -> _Shown:
        # Under a cyclic learning rate only points at equal phase lie on one curve.
        places = [place for place, epoch in enumerate(curve.epochs) if epoch % limits.period == 0]
        values = tuple(curve.values[place] for place in places)
        return cls(tuple(curve.epochs[place] for place in places), values, _Percent.of(values, limits.metric))

    def begins_with(self, other: _Shown) -> bool:
        n = len(other.epochs)
        return (self.epochs[:n], self.values[:n], self.percent) == (other.epochs, other.values, other.percent)


@dataclass(frozen=True)
class _Percent:
    """The scale of the engine for one curve, and the way back."""

    metric: Metric
    first: float = 0.0
    reach: float = 1.0

    @classmethod
    def of(cls, values: Sequence[float], metric: Metric) -> _Percent:
        rising = [value for value in (_rising(value, metric) for value in values) if math.isfinite(value)]
        if metric in _SHARES or not rising:
            return cls(metric)
        furthest = max(abs(value - rising[0]) for value in rising)
        # frexp gives furthest = m 2^e with m in [1/2, 1).
        return cls(metric, rising[0], math.ldexp(1.0, math.frexp(furthest)[1]) if furthest > 0 else 1.0)

    def percent(self, value: float) -> float:
        rising = _rising(value, self.metric)
        return 100 * rising if self.metric in _SHARES else _FIRST + _REACH * (rising - self.first) / self.reach

    def value(self, percent: float) -> float:
        if self.metric in _SHARES:
            share = percent / 100
            return 1 - share if self.metric == "error" else share
        rising = self.first + self.reach * (percent - _FIRST) / _REACH
        return math.exp(-rising) if self.metric == "perplexity" else rising if self.metric == "score" else -rising


def _rising(value: float, metric: Metric) -> float:
    if metric == "error":
        return 1 - value
    if metric == "perplexity":
        return -math.log(value) if value > 0 else math.nan
    return -value if metric == "loss" else value
