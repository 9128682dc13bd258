"""Train every trial to the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits, Step
from taurank.schedulers.policies.standing import affordable, answer, ending, has_ended, waiting


@dataclass(frozen=True)
class FullPolicy:
    """Trains one trial after the other to the end of the schedule, in the order of submission.

    A budget that ends before all are through goes to complete trainings: those submitted last are not started.

    Caveats: this is the reference at its full cost, and the only policy whose order depends on the order of submission.
    Under a budget the trained ones are a sample only if they were submitted at random.

    Source: the baseline without a policy.

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> answer = FullPolicy().decide({"a": Curve("a"), "b": Curve("b")}, Limits(10, budget_epochs=15))
        >>> [(step.trial, step.until) for step in answer.next], answer.trials["b"].reason
        ([('a', 10)], 'the budget has no room for the rest of its training')
    """

    judges_running: ClassVar[bool] = False

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        Raises:
            ValueError: the budget is below one training.
        """
        return whole_trainings(curves, limits, list(curves), {})


def whole_trainings(
    curves: Mapping[str, Curve], limits: Limits, order: Sequence[str], verdicts: Mapping[str, Decision]
) -> Decisions:
    """Sends every trial that has not ended and has no verdict to stop to the end of the schedule, in ``order``.

    The basis of all policies that only stop trials. The budget holds back complete trainings; epochs that a stop
    frees go to the next in order.

    Args:
        curves: all curves so far.
        limits: what to keep to.
        order: names of all trials, first come first served.
        verdicts: on some of the trials that have not ended: stop, or continue with a prediction.

    Raises:
        ValueError: the budget is below one training.
    """
    end = limits.schedule_epochs
    if limits.budget_epochs < end:
        raise ValueError(
            f"budget_epochs {limits.budget_epochs:g} is below one training of {end} epochs; raise it, or take a policy "
            "that cuts trainings short, such as uniform"
        )
    decisions: dict[str, Decision] = {}
    candidates: list[Step] = []
    for trial in order:
        curve = curves[trial]
        if has_ended(curve, limits):
            decisions[trial] = ending(curve, limits)
        elif trial in verdicts and verdicts[trial].action == "stop":
            decisions[trial] = verdicts[trial]
        else:
            begun = f"continues from epoch {curve.last_epoch}" if curve.epochs else "starts"
            decisions[trial] = verdicts.get(trial, Decision("continue", f"{begun}, to the end of the schedule"))
            if curve.state != "running":
                candidates.append(Step(trial, end, f"{begun}, to the end of the schedule"))
    steps = affordable(candidates, curves, limits)
    for trial in {step.trial for step in candidates} - {step.trial for step in steps}:
        decisions[trial] = waiting(curves[trial], limits, "the budget has no room for the rest of its training")
    left = len(candidates) - len(steps)
    done = f"the budget has no room for {left} more trainings" if left else "all trials have ended"
    return answer(decisions, steps, curves, doing="training to the end of the schedule", done=done)
