"""Rungs: the epochs at which halving policies compare trials, and how many are promoted from each."""

import math
from bisect import bisect_right
from collections.abc import Sequence

_TINY = 1e-9  # 3 * (81 / 3) may come out a hair below 81


def rung_epochs(cut_points: Sequence[int], first: float, reduction_factor: float) -> tuple[int, ...]:
    """The epochs ``first * reduction_factor ** k`` below the end of the schedule, and that end.

    Each is rounded down to a cut point (the first cut point at least); what falls on the one before is left out.

    Example:
        >>> rung_epochs(range(1, 82), 1, 3)
        (1, 3, 9, 27, 81)
        >>> rung_epochs(range(3, 91, 3), 3, 3)
        (3, 9, 27, 81, 90)
    """
    end = cut_points[-1]
    rungs: list[int] = []
    epoch = first
    while epoch < end * (1 - _TINY):
        rung = cut_points[max(bisect_right(cut_points, epoch * (1 + _TINY)) - 1, 0)]
        if rung < end and (not rungs or rung > rungs[-1]):
            rungs.append(rung)
        epoch *= reduction_factor
    return (*rungs, end)


def survivors(trials: int, rung: int, reduction_factor: float) -> int:
    """How many of ``trials`` train to this rung, counted from 0: floor(n / eta^k), but one at least."""
    return max(1, math.floor(trials / reduction_factor**rung + _TINY)) if trials else 0


def halving_epochs(trials: int, rungs: Sequence[int], reduction_factor: float) -> int:
    """Epochs of successive halving that resumes paused trials: ``sum_k floor(n / eta^k) (r_k - r_(k-1))``.

    Example:
        >>> halving_epochs(81, (1, 3, 9, 27, 81), 3)
        297
    """
    steps = (later - earlier for earlier, later in zip((0, *rungs), rungs, strict=False))
    return sum(survivors(trials, k, reduction_factor) * step for k, step in enumerate(steps))


def affordable_rungs(
    cut_points: Sequence[int], trials: int, reduction_factor: float, budget_epochs: float
) -> tuple[int, ...] | None:
    """The rungs with the largest first one with which successive halving fits the budget; None when none does."""
    for first in reversed(cut_points):
        rungs = rung_epochs(cut_points, first, reduction_factor)
        if halving_epochs(trials, rungs, reduction_factor) <= budget_epochs:
            return rungs
    return None


def default_first_rung(cut_points: Sequence[int]) -> int:
    """A 27th of the schedule, rounded up to a cut point: no trial is compared earlier.

    With a reduction factor of 3 no trial passes more than three cuts before the end.
    """
    least = cut_points[-1] / 27
    return next(point for point in cut_points if point >= least * (1 - _TINY))


def hyperband_brackets(schedule_epochs: int, reduction_factor: float = 3) -> tuple[tuple[int, int], ...]:
    """Return the brackets of one Hyperband band as ``(trials, epochs to the first milestone)``, in order of filling.

    With ``S = round(log_eta R) + 1``, bracket ``s = 0 .. S - 1`` has ``ceil(S / (s + 1) * eta ** s)`` trials and
    starts with ``floor(R * eta ** -s)`` epochs; brackets of zero epochs are left out. This is Ray's reading of the
    formula in the text of the Hyperband paper; the table printed there rounds otherwise.

    Example:
        >>> hyperband_brackets(81)
        ((5, 81), (8, 27), (15, 9), (34, 3), (81, 1))
    """
    count = round(math.log(schedule_epochs) / math.log(reduction_factor)) + 1
    brackets = (
        (math.ceil(count / (s + 1) * reduction_factor**s), int(schedule_epochs * reduction_factor**-s))
        for s in range(count)
    )
    return tuple((trials, epochs) for trials, epochs in brackets if epochs > 0)
