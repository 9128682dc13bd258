"""ASHA: asynchronous successive halving by promotion."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from taurank.schedulers.policies.options import HalvingOptions, require_cut_point
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits, Step
from taurank.schedulers.policies.rungs import affordable_rungs, default_first_rung, rung_epochs
from taurank.schedulers.policies.standing import (
    affordable,
    answer,
    drawn_order,
    ending,
    free_slots,
    has_ended,
    score_at,
    waiting,
)

EARLY_PROMOTIONS = 1.4
"""Price in that of successive halving over the same rungs: 1.1 to 1.5 on simulated curves, for factors of 2 to 4.

It comes from trials that were promoted before better ones arrived.
"""


@dataclass(frozen=True)
class AshaPolicy(HalvingOptions):
    """A free worker promotes the best trial that is among the top ``1 / reduction_factor`` of its rung, highest first.

    If there is none it starts a new trial. Only values at one rung are compared, a trial counts at every rung that it
    has reached, and ``floor(n / reduction_factor)`` of the ``n`` at a rung are promoted: the first to arrive is not
    promoted for being first. No trial is stopped: one that is not promoted waits, and may be promoted when others
    arrive. When all
    have started and the rule promotes no further trial, what is left of a budget takes the best of the lowest rung on.
    Without a budget it ends there: with fewer trials than ``reduction_factor`` after the first rung.

    Caveats: it looks for the best trial, not for the order; most trials stand at the first rung, where the order is
    that of an early epoch. Promotions among the first arrivals rest on few, so some of them are wrong; the order of
    starts, hence the seed, changes which trials are promoted.

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> seen = {n: Curve(n, (1,), (v,), state="paused") for n, v in [("a", 0.5), ("b", 0.7), ("c", 0.6)]}
        >>> [(step.trial, step.until) for step in AshaPolicy().decide(seen, Limits(27)).next]
        [('b', 3)]

    Attributes:
        reduction_factor: one trial in so many is promoted from a rung.
        first_rung: epochs of the first rung; None for the largest cut point with which all trials are likely to be
            started within the budget (the first cut point if there is none), or, without a budget, for a 27th of the
            schedule, rounded up.
        seed: of the order in which trials start and in which equal ones are preferred.

    Source: Li et al. 2020 (arXiv 1810.05934), algorithm 2.
    """

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        Raises:
            ValueError: the budget does not take one trial to the first rung, or ``first_rung`` is no cut point.
        """
        return promote(curves, limits, self.rungs(len(curves), limits), self.reduction_factor, self.seed, spend=True)

    def rungs(self, trials: int, limits: Limits) -> tuple[int, ...]:
        """Epochs of the rungs, rising; the last is the end of the schedule.

        Raises:
            ValueError: ``first_rung`` is no cut point.
        """
        points, factor = limits.cut_points, self.reduction_factor
        if self.first_rung is not None:
            require_cut_point("first_rung", self.first_rung, points)
            return rung_epochs(points, self.first_rung, factor)
        if math.isinf(limits.budget_epochs):
            return rung_epochs(points, default_first_rung(points), factor)
        fitting = affordable_rungs(points, trials, factor, limits.budget_epochs / EARLY_PROMOTIONS)
        return fitting or rung_epochs(points, points[0], factor)


def promote(
    curves: Mapping[str, Curve],
    limits: Limits,
    rungs: Sequence[int],
    reduction_factor: float,
    seed: int,
    *,
    spend: bool = False,
) -> Decisions:
    """Decides by asynchronous promotion over ``rungs``; no trial is sent beyond the last of them.

    With ``spend`` a budget is spent to the end, also where the rule promotes no further trial.

    Raises:
        ValueError: the budget does not take one trial to the first rung.
    """
    if limits.budget_epochs < rungs[0]:
        raise ValueError(
            f"budget_epochs {limits.budget_epochs:g} is below the first rung at epoch {rungs[0]}; raise it or lower "
            "first_rung"
        )
    order = [curves[trial] for trial in drawn_order(curves, seed)]
    wanted = [step for step in _wanted(order, limits, rungs, reduction_factor) if curves[step.trial].state != "running"]
    if spend and not wanted and math.isfinite(limits.budget_epochs):
        wanted = _left_over(order, limits, rungs)
    fitting = affordable(wanted, curves, limits)
    fits = {step.trial for step in fitting}
    reasons = {step.trial: step.reason for step in wanted}
    decisions = {}
    for curve in order:
        if has_ended(curve, limits):
            decisions[curve.trial] = ending(curve, limits)
        elif curve.state == "running":
            decisions[curve.trial] = Decision("continue", f"runs to epoch {curve.until}")
        elif curve.trial in fits:
            decisions[curve.trial] = Decision("continue", reasons[curve.trial])
        elif curve.trial in reasons:
            decisions[curve.trial] = waiting(curve, limits, "the budget has no room for its next rung")
        else:
            rung = rungs[bisect_right(rungs, curve.last_epoch) - 1]
            decisions[curve.trial] = waiting(curve, limits, f"not promoted from the rung at epoch {rung}")
    done = "the budget is spent" if wanted else "no further trial is to be promoted"
    # Only as many as can start: a trial that arrives meanwhile may come before the others.
    steps = fitting[: free_slots(curves, limits)]
    return answer(decisions, steps, curves, doing=f"promoting over the rungs {', '.join(map(str, rungs))}", done=done)


def _wanted(order: list[Curve], limits: Limits, rungs: Sequence[int], reduction_factor: float) -> list[Step]:
    """The steps that the rule allows, in this order: on their way to a rung, promoted from the top down, new."""
    between, promoted, new = [], [], []
    for curve in order:
        if has_ended(curve, limits):
            continue
        if not curve.epochs:
            new.append(Step(curve.trial, rungs[0], "starts"))
        elif curve.last_epoch < rungs[-1] and curve.last_epoch not in rungs:
            target = rungs[bisect_right(rungs, curve.last_epoch)]
            between.append(Step(curve.trial, target, f"on its way to the rung at epoch {target}"))
    for rung, higher in reversed(list(pairwise(rungs))):
        arrived = [curve for curve in order if curve.last_epoch >= rung]
        ranked = sorted(arrived, key=lambda curve: -score_at(curve, rung, limits))
        top = int(len(ranked) / reduction_factor + 1e-9)
        why = f"among the {top} best of {len(ranked)} at epoch {rung}"
        promoted += [
            Step(curve.trial, higher, why)
            for curve in ranked[:top]
            if curve.last_epoch == rung
            and not has_ended(curve, limits)
            and score_at(curve, rung, limits) > -float("inf")
        ]
    return [*between, *promoted, *new]


def _left_over(order: list[Curve], limits: Limits, rungs: Sequence[int]) -> list[Step]:
    """One rung more for every trial, lowest rung first, best first; none while trials are on their way to the first."""
    if any(curve.state == "running" and curve.until <= rungs[0] for curve in order):
        return []
    steps = []
    for rung, higher in pairwise(rungs):
        here = [c for c in order if c.last_epoch == rung and c.state != "running" and not has_ended(c, limits)]
        here = [c for c in here if score_at(c, rung, limits) > -math.inf]
        ranked = sorted(here, key=lambda curve: -score_at(curve, rung, limits))
        steps += [Step(curve.trial, higher, f"the best that is left at epoch {rung}") for curve in ranked]
    return steps
