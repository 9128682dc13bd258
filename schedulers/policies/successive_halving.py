"""Successive halving: train all a little, stop the worse part, train the rest longer, and again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taurank.schedulers.policies.options import HalvingOptions, require_cut_point
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits, Step
from taurank.schedulers.policies.rungs import affordable_rungs, halving_epochs, rung_epochs, survivors
from taurank.schedulers.policies.standing import affordable, answer, drawn_order, ending, has_ended, score_at, waiting


@dataclass(frozen=True)
class SuccessiveHalvingPolicy(HalvingOptions):
    """Trains all trials to the first rung, the best ``1 / reduction_factor`` to the next, and so on; stops the others.

    Synchronous: a rung is decided when all trials that can have reached it. ``floor(n / eta^k)`` of ``n`` trials train
    to the rung ``k`` at ``r eta^k`` epochs, one at least, and the last rung is the end of the schedule. A trial that
    failed counts as the worst of its rung.

    Caveats: it looks for the best trial, not for the order. Most trials are ranked by the first rung alone, and values
    of trials that were stopped at different rungs are not comparable: at equal cost an equal cut for all orders them
    better. A trial that learns slowly at first is stopped for good.

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> trials = {name: Curve(name) for name in "abc"}
        >>> answer = SuccessiveHalvingPolicy().decide(trials, Limits(9, budget_epochs=15))
        >>> sorted((step.trial, step.until) for step in answer.next)
        [('a', 3), ('b', 3), ('c', 3)]

    Attributes:
        reduction_factor: one trial in so many is promoted from a rung.
        first_rung: epochs of the first rung; None for the largest cut point with which the whole fits the budget.
        seed: of the order in which trials train and in which equal ones are preferred.

    Source: Jamieson and Talwalkar 2016 (arXiv 1502.07943), algorithm 1.
    """

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        Raises:
            ValueError: the whole does not fit the budget, or ``first_rung`` is no cut point.
        """
        rungs = self.rungs(len(curves), limits)
        members = [curves[trial] for trial in drawn_order(curves, self.seed)]
        decisions, wanted = halve(members, rungs, self.reduction_factor, limits)
        steps = affordable(wanted, curves, limits)
        for trial in {step.trial for step in wanted} - {step.trial for step in steps}:
            decisions[trial] = waiting(curves[trial], limits, "the budget has no room for its next rung")
        done = "the budget is spent before the last rung" if wanted else "the last rung is decided"
        return answer(decisions, steps, curves, doing=f"halving over the rungs {', '.join(map(str, rungs))}", done=done)

    def rungs(self, trials: int, limits: Limits) -> tuple[int, ...]:
        """Epochs of the rungs, rising; the last is the end of the schedule.

        Raises:
            ValueError: the whole does not fit the budget, or ``first_rung`` is no cut point.
        """
        points, factor = limits.cut_points, self.reduction_factor
        if self.first_rung is None:
            fitting = affordable_rungs(points, trials, factor, limits.budget_epochs)
            if fitting is not None:
                return fitting
        else:
            require_cut_point("first_rung", self.first_rung, points)
        rungs = rung_epochs(points, self.first_rung or points[0], factor)
        price = halving_epochs(trials, rungs, factor)
        if price > limits.budget_epochs:
            way_out = "raise it or take fewer trials" + (" or a lower first_rung" if self.first_rung else "")
            raise ValueError(
                f"budget_epochs {limits.budget_epochs:g} is below {price}, the price of successive halving for "
                f"{trials} trials from epoch {rungs[0]} on; {way_out}"
            )
        return rungs


def halve(
    members: Sequence[Curve], rungs: Sequence[int], reduction_factor: float, limits: Limits
) -> tuple[dict[str, Decision], list[Step]]:
    """One synchronous halving: a decision on each member, and the steps to the rung that is open.

    Args:
        members: curves in the order in which they train and in which equal ones are preferred.
        rungs: epochs, rising up to the end of the schedule.
        reduction_factor: one in so many is promoted from a rung.
        limits: what to keep to.
    """
    decisions: dict[str, Decision] = {}
    steps: list[Step] = []
    entrants, why = list(members), "all train to the first rung"
    for k, rung in enumerate(rungs):
        missing = [c for c in entrants if c.last_epoch < rung and not has_ended(c, limits)]
        if missing:
            steps = [Step(c.trial, rung, why) for c in missing if c.state != "running"]
            going = Decision("continue", f"to the rung at epoch {rung}: {why}")
            here = {c.trial: going for c in missing}
            wait = f"waits at the rung of epoch {rung} for {len(missing)} others"
            decisions |= {c.trial: here.get(c.trial) or _at_rest(c, limits, wait) for c in entrants}
            return decisions, steps
        if k + 1 == len(rungs):
            break
        # A failed trial is last, and trains no further if it is kept for lack of others. Sorting is stable: equal ones
        # stay in the order of the members.
        ranked = sorted(entrants, key=lambda c: -score_at(c, rung, limits))
        keep = survivors(len(members), k + 1, reduction_factor)
        entrants = []
        for place, curve in enumerate(ranked, 1):
            thawable = curve.state != "stopped" or curve.last_epoch >= rungs[k + 1]
            if len(entrants) < keep and thawable:
                entrants.append(curve)
            else:
                lost = f"place {place} of {len(ranked)} at epoch {rung}, of which {keep} continue"
                saved = float(limits.schedule_epochs - curve.last_epoch)
                decisions[curve.trial] = _at_rest(curve, limits, lost, Decision("stop", lost, saved_epochs=saved))
        why = f"among the {keep} best of {len(ranked)} at epoch {rung}"
    decisions |= {c.trial: ending(c, limits) for c in entrants}
    return decisions, steps


def _at_rest(curve: Curve, limits: Limits, reason: str, lost: Decision | None = None) -> Decision:
    """The decision on a trial that is not to train now: that on its end if it had one, whatever the rung decides."""
    if has_ended(curve, limits) and (lost is None or curve.state != "stopped"):
        return ending(curve, limits)
    return lost or waiting(curve, limits, reason)
