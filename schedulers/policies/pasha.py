"""PASHA: ASHA whose last rung rises only as long as the order still changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taurank.schedulers.curves import HIGHER_IS_BETTER, Floats
from taurank.schedulers.policies.asha import AshaPolicy, promote
from taurank.schedulers.policies.options import HalvingOptions
from taurank.schedulers.policies.policy import Curve, Decisions, Limits, curve_matrix
from taurank.schedulers.policies.standing import drawn_order, score_at


@dataclass(frozen=True)
class PashaPolicy(HalvingOptions):
    """ASHA that begins with two rungs and adds the next one whenever the order in the last two is not the same.

    Orders are compared softly: a trial may take the place of another whose value in the lower rung is within epsilon
    of it. Epsilon is the noise of the curves: of all pairs of trials that swapped and swapped back, the 90th
    percentile of how far apart they last were; 0 without any. A rung that a trial was sent to stays.

    Caveats: it looks for the best trial, not for the order, and the best is not trained to the end once the order
    rests. It sees no change of order that lies beyond its last rung: under a falling learning rate it stops too early.
    The order at rest is that of the few trials in the last two rungs.

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> trials = {name: Curve(name) for name in "abc"}
        >>> PashaPolicy().decide(trials, Limits(81)).reason
        'promoting over the rungs 3, 9'

    Attributes:
        reduction_factor: one trial in so many is promoted from a rung.
        first_rung: epochs of the first rung; None for that of ``AshaPolicy``.
        seed: of the order in which trials start and in which equal ones are preferred.

    Source: Bohdal et al. 2023 (arXiv 2207.06940), sections 4.1 to 4.3, and the implementation in Syne Tune.
    """

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        Raises:
            ValueError: the budget does not take one trial to the first rung, or ``first_rung`` is no cut point.
        """
        return promote(curves, limits, self.rungs(curves, limits), self.reduction_factor, self.seed)

    def rungs(self, curves: Mapping[str, Curve], limits: Limits) -> tuple[int, ...]:
        """Epochs of the rungs that are open, rising.

        Raises:
            ValueError: ``first_rung`` is no cut point.
        """
        rungs = AshaPolicy(self.reduction_factor, self.first_rung, self.seed).rungs(len(curves), limits)
        # The decision to add a rung is not stored: it shows in the trials that were sent there.
        farthest = max((curve.target_epoch for curve in curves.values()), default=0)
        count = max(2, sum(rung < farthest for rung in rungs) + 1)
        ordered = {trial: curves[trial] for trial in drawn_order(curves, self.seed)}
        while count < len(rungs) and not self._order_rests(ordered, limits, rungs[count - 2], rungs[count - 1]):
            count += 1
        return rungs[:count]

    def _order_rests(self, curves: Mapping[str, Curve], limits: Limits, lower: int, upper: int) -> bool:
        arrived = {
            trial: curve
            for trial, curve in curves.items()
            if np.isfinite(score_at(curve, lower, limits)) and np.isfinite(score_at(curve, upper, limits))
        }
        if len(arrived) < 2:
            return True
        sign = 1 if limits.metric in HIGHER_IS_BETTER else -1
        began = {t: c for t, c in curves.items() if c.last_epoch > lower and np.isfinite(score_at(c, lower, limits))}
        matrix = curve_matrix(began, limits)
        epsilon = swap_noise(sign * matrix.values[:, matrix.epochs <= upper])
        return same_order(
            [score_at(curve, lower, limits) for curve in arrived.values()],
            [score_at(curve, upper, limits) for curve in arrived.values()],
            epsilon,
        )


def same_order(lower: Sequence[float], upper: Sequence[float], epsilon: float) -> bool:
    """Whether trials keep their places from one rung to the next, give or take ``epsilon`` at the lower one.

    The trial in each place of the upper order has to lie within ``epsilon`` of the one in that place of the lower
    order, by their values in the lower rung.

    Example:
        >>> same_order([0.5, 0.6, 0.9], [0.7, 0.6, 0.9], epsilon=0.0)
        False
        >>> same_order([0.5, 0.6, 0.9], [0.7, 0.6, 0.9], epsilon=0.11)
        True
    """
    below = np.array(lower)
    in_place = below[np.argsort(-below, kind="stable")]
    moved = below[np.argsort(-np.array(upper), kind="stable")]
    return bool((np.abs(in_place - moved) <= epsilon).all())


def swap_noise(values: Floats) -> float:
    """How far apart trials are that swapped and swapped back: the 90th percentile, 0 when none did.

    Args:
        values: of each trial at successive points, (trials, points), NaN from where a trial has not come.
    """
    last = np.zeros((len(values), len(values)), dtype=np.int8)  # sign of the latest difference of each pair
    swaps = np.zeros(last.shape, dtype=np.int16)
    for column in values.T:
        above = column[:, None] > column  # False for NaN, both ways round, as for equal ones
        sign = above.view(np.int8) - above.T.view(np.int8)
        swaps += sign * last < 0
        np.copyto(last, sign, where=sign != 0)
    first, second = np.nonzero(np.triu(swaps >= 2))
    ends = _last_point(values)
    common = np.minimum(ends[first], ends[second])
    distances = np.abs(values[first, common] - values[second, common])
    distances = distances[np.isfinite(distances)]
    return float(np.percentile(distances, 90)) if len(distances) else 0.0


def _last_point(values: Floats) -> NDArray[np.intp]:
    return np.asarray(values.shape[1] - 1 - np.isfinite(values)[:, ::-1].argmax(axis=1), dtype=np.intp)
