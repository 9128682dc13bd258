"""Train every trial for the same number of epochs."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from taurank.schedulers.policies.options import require_cut_point, require_integer
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits, Step
from taurank.schedulers.policies.standing import affordable, answer, drawn_order, ending, has_ended, waiting


@dataclass(frozen=True)
class UniformCutPolicy:
    """Trains every trial to the same cut point, the largest one up to budget / trials, and leaves it paused there.

    Caveats: no trial is trained to the end, so all values are measured at one epoch of a longer schedule; under a large
    or falling learning rate the order there is not yet the final one, and its distance from the final order is unknown.
    As an order of all trials it is hard to beat below a third of the epochs; the best one is found better by halving.

    Source: the baseline of equal cuts.

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> answer = UniformCutPolicy().decide({"a": Curve("a"), "b": Curve("b")}, Limits(10, budget_epochs=9))
        >>> sorted((step.trial, step.until) for step in answer.next)
        [('a', 4), ('b', 4)]

    Attributes:
        epochs: cut point for all; None for the largest that the budget allows.
        seed: of the order in which trials start.
    """

    judges_running: ClassVar[bool] = False

    epochs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs is not None:
            require_integer("epochs", self.epochs, at_least=1)
        require_integer("seed", self.seed, at_least=0)

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        Raises:
            ValueError: the budget does not take every trial to the cut point, or to the first one there is; or
                ``epochs`` is no cut point.
        """
        cut = self._cut(len(curves), limits)
        decisions: dict[str, Decision] = {}
        candidates: list[Step] = []
        for trial in drawn_order(curves, self.seed):
            curve = curves[trial]
            if has_ended(curve, limits):
                decisions[trial] = ending(curve, limits)
            elif curve.last_epoch >= cut and curve.state != "running":
                decisions[trial] = waiting(curve, limits, f"has reached epoch {cut}, where all are compared")
            else:
                decisions[trial] = Decision("continue", f"to epoch {cut}, as all others")
                if curve.state != "running":
                    candidates.append(Step(trial, cut, f"to epoch {cut}, as all others"))
        steps = affordable(candidates, curves, limits)
        for trial in {step.trial for step in candidates} - {step.trial for step in steps}:
            decisions[trial] = waiting(curves[trial], limits, f"the budget has no room for epoch {cut}")
        left = len(candidates) - len(steps)
        done = f"the budget does not take {left} trials to epoch {cut}" if left else f"all trials are at epoch {cut}"
        return answer(decisions, steps, curves, doing=f"training all trials to epoch {cut}", done=done)

    def _cut(self, trials: int, limits: Limits) -> int:
        points = limits.cut_points
        if self.epochs is not None:
            require_cut_point("epochs", self.epochs, points)
            if trials * self.epochs > limits.budget_epochs:
                raise ValueError(
                    f"epochs {self.epochs} for {trials} trials cost {trials * self.epochs}, above budget_epochs "
                    f"{limits.budget_epochs:g}; lower epochs or raise the budget"
                )
            return self.epochs
        place = bisect_right(points, limits.budget_epochs / max(trials, 1))
        if place == 0:
            raise ValueError(
                f"budget_epochs {limits.budget_epochs:g} is below {trials * points[0]}, the price of {points[0]} for "
                f"each of {trials} trials; raise it or take fewer trials"
            )
        return points[place - 1]
