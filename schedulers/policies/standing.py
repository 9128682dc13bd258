"""Properties of trials that every policy needs: whether it has ended, its score at an epoch, its turn."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import lru_cache

from taurank.schedulers.curves import HIGHER_IS_BETTER
from taurank.schedulers.policies.policy import NOT_SUBMITTED, Curve, Decision, Decisions, Limits, Step, used_epochs


def drawn_order(trials: Iterable[str], seed: int) -> list[str]:
    """The trials in a random order that the seed and their names fix, whatever order they come in.

    A trial more or less leaves the order of the others as it is. Those that are still to come are last.
    """
    return sorted(trials, key=lambda trial: (trial.startswith(NOT_SUBMITTED), _drawn(trial, seed), trial))


@lru_cache(maxsize=1 << 16)  # every decision asks for all of them again
def _drawn(trial: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {trial}".encode(), digest_size=8).digest()


def has_ended(curve: Curve, limits: Limits) -> bool:
    """Whether the trial will train no further, whatever the policy decides."""
    return curve.is_over or curve.last_epoch >= limits.schedule_epochs or curve.diverged


def score_at(curve: Curve, epoch: int, limits: Limits) -> float:
    """The value at ``epoch``, higher is better; -inf for a trial that did not get there with a finite value."""
    place = bisect_right(curve.epochs, epoch)
    if curve.last_epoch < epoch or place == 0 or not math.isfinite(curve.values[place - 1]):
        return -math.inf
    value = curve.values[place - 1]
    return value if limits.metric in HIGHER_IS_BETTER else -value


def ending(curve: Curve, limits: Limits) -> Decision:
    """The decision on a trial that has ended."""
    saved = float(max(limits.schedule_epochs - curve.last_epoch, 0))
    if curve.diverged:
        return Decision("stop", f"not finite at epoch {curve.last_epoch}", saved_epochs=saved)
    if curve.state == "failed":
        return Decision("stop", f"failed after epoch {curve.last_epoch}", saved_epochs=saved)
    if curve.last_epoch >= limits.schedule_epochs:
        return Decision("stop", "end of schedule", curve.values[-1])
    if curve.state == "finished" and curve.values:
        return Decision("stop", f"ended by itself at epoch {curve.last_epoch}", curve.values[-1], saved_epochs=saved)
    return Decision("stop", f"ended at epoch {curve.last_epoch}", saved_epochs=saved)


def waiting(curve: Curve, limits: Limits, reason: str) -> Decision:
    """The decision on a trial that keeps its checkpoint, or has not begun, and does not continue now."""
    return Decision("pause", reason, saved_epochs=float(limits.schedule_epochs - curve.last_epoch))


def affordable(steps: Iterable[Step], curves: Mapping[str, Curve], limits: Limits) -> tuple[Step, ...]:
    """Those steps, first come first served, whose epochs fit into the budget together with what is trained or runs."""
    left = limits.budget_epochs - used_epochs(curves) + 1e-9
    kept = []
    for step in steps:
        cost = step.until - curves[step.trial].last_epoch
        if cost <= left:
            kept.append(step)
            left -= cost
    return tuple(kept)


def free_slots(curves: Mapping[str, Curve], limits: Limits) -> int:
    """How many trials may start now."""
    return max(limits.slots - sum(curve.state == "running" for curve in curves.values()), 0)


def answer(
    decisions: Mapping[str, Decision], steps: tuple[Step, ...], curves: Mapping[str, Curve], *, doing: str, done: str
) -> Decisions:
    """The answer of a policy, which is done as soon as no trial runs and none is to start."""
    ordered = {trial: decisions[trial] for trial in curves}
    if steps or any(curve.state == "running" for curve in curves.values()):
        return Decisions(ordered, steps, reason=doing)
    return Decisions(ordered, phase="done", reason=done)
