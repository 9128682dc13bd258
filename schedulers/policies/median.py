"""The median rule: stop a training that has never been as good as half of the others were on average."""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from taurank.schedulers.curves import HIGHER_IS_BETTER
from taurank.schedulers.policies.full import whole_trainings
from taurank.schedulers.policies.options import require_integer
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits
from taurank.schedulers.policies.standing import drawn_order, has_ended

_Points = tuple[tuple[int, ...], tuple[float, ...], tuple[float, float]]


@dataclass(frozen=True)
class MedianPolicy:
    """Stops a trial whose best value so far is worse than the median of the others' running means at its epoch.

    A running mean goes from the first epoch of judgement to that of the trial. With fewer than ``minimum_others``
    trials that have come as far, no trial is stopped. Never pauses.

    Caveats: a best value stands against means, so the rule is lenient and few trials are stopped, less than half where
    the curves are noisy. The first trials are compared with few others and mostly run to the end. How much it saves
    depends on the curves and cannot be chosen; under a budget those drawn last are not begun.

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> good = {n: Curve(n, (1, 2), (0.8, 0.9), state="paused") for n in "abc"}
        >>> bad = Curve("d", (1, 2), (0.1, 0.2), state="running", until=10)
        >>> MedianPolicy(first_epoch=1).decide({**good, "d": bad}, Limits(10)).trials["d"].reason
        'best 0.2 is worse than 0.85, the median of the running means of 3 others at epoch 2'

    Attributes:
        first_epoch: no trial is stopped earlier, and no value before it counts for the means; None for a tenth of the
            schedule, rounded up.
        minimum_others: how many others have to have come as far.
        seed: of the order in which trials start.

    Source: Golovin et al. 2017 (Vizier), section 3.2.2, in the reading of Ray Tune.
    """

    judges_running: ClassVar[bool] = True

    first_epoch: int | None = None
    minimum_others: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.first_epoch is not None:
            require_integer("first_epoch", self.first_epoch, at_least=1)
        require_integer("minimum_others", self.minimum_others, at_least=1)
        require_integer("seed", self.seed, at_least=0)

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        Raises:
            ValueError: the budget is below one training, or ``first_epoch`` lies beyond the schedule.
        """
        first = self.first_epoch or math.ceil(limits.schedule_epochs / 10)
        if first > limits.schedule_epochs:
            raise ValueError(
                f"first_epoch must be at most the schedule of {limits.schedule_epochs} epochs, got {first}"
            )
        points = {t: _judged_points(c.epochs, c.values, first, limits.period) for t, c in curves.items()}
        judged: dict[int, list[str]] = defaultdict(list)
        for trial, (epochs, _, _) in points.items():
            if epochs and not has_ended(curves[trial], limits):
                judged[epochs[-1]].append(trial)
        verdicts: dict[str, Decision] = {}
        for epoch, trials in judged.items():
            verdicts |= self._judge(epoch, trials, points, curves, limits)
        return whole_trainings(curves, limits, drawn_order(curves, self.seed), verdicts)

    def _judge(
        self, epoch: int, trials: list[str], points: Mapping[str, _Points], curves: Mapping[str, Curve], limits: Limits
    ) -> dict[str, Decision]:
        """Verdicts to stop on those of ``trials``, all of them at ``epoch``, that are worse than the median."""
        sign = 1 if limits.metric in HIGHER_IS_BETTER else -1
        means: dict[str, float] = {}
        for trial, (epochs, running, _) in points.items():
            if curves[trial].last_epoch >= epoch:
                place = bisect_right(epochs, epoch) - 1
                if place >= 0 and math.isfinite(running[place]):
                    means[trial] = running[place]
        all_means = np.array(list(means.values()))
        places = {trial: place for place, trial in enumerate(means)}
        verdicts = {}
        for trial in trials:
            others = np.delete(all_means, places[trial]) if trial in places else all_means
            if len(others) < self.minimum_others:
                continue
            median = float(np.median(others))
            _, _, (least, greatest) = points[trial]
            best = greatest if sign > 0 else least
            if sign * best < sign * median:
                reason = (
                    f"best {best:.4g} is worse than {median:.4g}, the median of the running means of {len(others)} "
                    f"others at epoch {epoch}"
                )
                saved = float(limits.schedule_epochs - curves[trial].last_epoch)
                verdicts[trial] = Decision("stop", reason, saved_epochs=saved)
        return verdicts


@lru_cache(maxsize=8192)  # every curve is used again after every epoch of every other trial
def _judged_points(epochs: tuple[int, ...], values: tuple[float, ...], first: int, period: int) -> _Points:
    """Epochs from ``first`` on at equal phase, running mean at each, and the least and greatest value up to the last.

    Values before ``first`` count for the least and greatest alone, those out of phase for nothing.
    """
    points = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if epoch % period == 0]
    later = [(epoch, value) for epoch, value in points if epoch >= first]
    totals = np.cumsum([value for _, value in later])
    means = totals / np.arange(1, len(later) + 1)
    finite = [value for _, value in points if math.isfinite(value)]
    return (
        tuple(epoch for epoch, _ in later),
        tuple(means.tolist()),
        (min(finite, default=math.nan), max(finite, default=math.nan)),
    )
