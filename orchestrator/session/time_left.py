"""How long a run will still take, from how long its last epochs took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 5
"""Bookings that tell nothing yet."""
BLOCKS = 8
"""Parts of equal work whose pace is compared."""


@dataclass(frozen=True)
class TimeLeft:
    """Wall-clock seconds that are left.

    Attributes:
        seconds: at the pace so far.
        low: at that of the fastest parts: the 10 % quantile.
        high: at that of the slowest parts: the 90 % quantile.
        of_stage: whether it is that of the stage only, whose epochs tell nothing of the others.
    """

    seconds: float
    low: float
    high: float
    of_stage: bool


def time_left(bookings: Sequence[tuple[float, float]], epochs: float, *, of_stage: bool) -> TimeLeft | None:
    """Time for ``epochs`` at the pace of what was booked; None before enough was.

    The pace is wall-clock seconds by epoch-equivalent, over all and in up to ``BLOCKS`` parts of equally many epochs.
    It counts from the first booking on: before that workers were starting.

    Args:
        bookings: Unix times and epoch-equivalents, in the order in which they came.
        epochs: that are left, at most.
        of_stage: goes into the result.
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
