"""Estimates the remaining time, of trainings from what an epoch of each takes, else from the pace of late epochs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FEWEST = 5
"""Minimal number of bookings for an estimate."""
BLOCKS = 8
"""Number of equal parts of the work for the spread of the pace."""


@dataclass(frozen=True)
class TimeLeft:
    """Remaining wall-clock seconds.

    Attributes:
        seconds: at the pace so far.
        low: at that of the fastest parts: the 10 % quantile; NaN if the estimate is not one by parts.
        high: at that of the slowest parts: the 90 % quantile; NaN likewise.
        of_stage: whether it covers the current stage only, whose pace does not predict that of the others.
    """

    seconds: float
    low: float
    high: float
    of_stage: bool


def time_left(bookings: Sequence[tuple[float, float]], epochs: float, *, of_stage: bool) -> TimeLeft | None:
    """Time for ``epochs`` at the pace of the bookings; None with too few bookings.

    The pace is wall-clock seconds by epoch-equivalent, over all and in up to ``BLOCKS`` parts of equally many epochs.
    It is measured from the first booking on, because workers were starting before.

    Args:
        bookings: Unix times and epoch-equivalents, in chronological order.
        epochs: upper bound of the remaining epochs.
        of_stage: copied to the result.
    """
    if len(bookings) < FEWEST:
        return None
    times = np.array([time for time, _ in bookings])
    done = np.cumsum([epochs for _, epochs in bookings])
    done -= done[0]
    if done[-1] <= 0 or times[-1] <= times[0]:
        return None
    edges = np.linspace(0.0, done[-1], min(BLOCKS, len(bookings) - 1) + 1)
    paces = np.diff(np.interp(edges, done, times)) / np.diff(edges)
    low, high = np.quantile(paces, [0.1, 0.9])
    pace = (times[-1] - times[0]) / done[-1]
    return TimeLeft(epochs * pace, epochs * min(low, pace), epochs * max(high, pace), of_stage)


@dataclass(frozen=True)
class Work:
    """A trial that trains one candidate.

    Attributes:
        weight: what an epoch is expected to take beside those of others, above 0: seconds, or FLOPs.
        done: epochs that were timed.
        seconds: what these took.
        left: epochs until its end.
        since: seconds since its last epoch ended, or since it started; None while it waits.
    """

    weight: float
    done: int = 0
    seconds: float = 0.0
    left: int = 0
    since: float | None = None


@dataclass(frozen=True)
class StageLeft:
    """Time left for a stage of trainings.

    Attributes:
        seconds: until its last trial ends.
        epoch_seconds: wall-clock seconds of an epoch of the average candidate, with all workers at work: for the epochs
            of later stages.
    """

    seconds: float
    epoch_seconds: float


def trainings_left(work: Sequence[Work], workers: int, *, in_seconds: bool) -> StageLeft | None:
    """Time until the trials end, from what an epoch of each takes; None before the first epoch of any.

    An epoch of a trial takes as long as those before. One of a trial that has not begun takes ``b weight`` where
    weights are seconds, else ``a + b weight``, fitted to the others. Workers take the waiting trials in their order.

    Args:
        work: trials, in the order in which they start.
        workers: how many run at once.
        in_seconds: whether weights are measured seconds, which do without any epoch.
    """
    weights = np.array([one.weight for one in work])
    known = np.array([one.done > 0 for one in work])
    if not len(work) or not (known.any() or in_seconds):
        return None
    took = np.array([one.seconds / max(one.done, 1) for one in work])
    each = np.where(known, took, _expected(weights, weights[known], took[known], in_seconds=in_seconds))
    loads = []
    for one, seconds in zip(work, each.tolist(), strict=True):
        if one.left and one.since is not None:
            # An epoch that already takes longer than expected is about to end, as far as is known.
            loads.append(max(one.left * seconds - one.since, 0.0))
    loads = (loads + [0.0] * workers)[: max(workers, len(loads))]
    heapq.heapify(loads)
    for one, seconds in zip(work, each.tolist(), strict=True):
        if one.left and one.since is None:
            heapq.heapreplace(loads, loads[0] + one.left * seconds)
    return StageLeft(max(loads), float(each.mean()) / workers)


def _expected(weights: Floats, known: Floats, took: Floats, *, in_seconds: bool) -> Floats:
    """Seconds by weight, (trials,): proportional, or ``a + b weight`` with a, b >= 0 of the least relative error."""
    if not len(took):
        return weights
    proportional = weights * float(np.median(took / known))
    if in_seconds or len(np.unique(known)) < 3:
        return proportional
    (constant, slope), *_ = np.linalg.lstsq(np.stack([1 / took, known / took], axis=1), np.ones(len(took)))
    if constant < 0:
        return proportional
    return constant + slope * weights if slope >= 0 else np.full(len(weights), float(np.median(took)))
