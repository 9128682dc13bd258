"""Estimates the remaining time of a run from the pace of its last epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 5
"""Minimal number of bookings for an estimate."""
BLOCKS = 8
"""Number of equal parts of the work for the spread of the pace."""


@dataclass(frozen=True)
class TimeLeft:
    """Remaining wall-clock seconds.

    Attributes:
        seconds: at the pace so far.
        low: at that of the fastest parts: the 10 % quantile.
        high: at that of the slowest parts: the 90 % quantile.
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
