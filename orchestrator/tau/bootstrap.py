"""The interval of tau-b by the bootstrap over candidates: slower than the jackknife, and free of its scale."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from orchestrator.tau.agreement import Agreement, compared, described, tau_b, unresolved_interval
from orchestrator.tau.pairs import Pairs

DRAWS = 1000
BLOCK = 512


def bootstrap_agreement(
    x: ArrayLike, y: ArrayLike, *, generator: np.random.Generator, draws: int = DRAWS, level: float = 0.95
) -> Agreement:
    """As ``agreement``, with the interval from the quantiles of tau-b over ``draws`` resamples of the candidates.

    Where no pair disagrees, or below four candidates, all resamples say the same and the interval is that of
    ``agreement``. In simulation (bivariate normal, 10, 30 and 100 candidates, tau .3 and .8, 600 samples each) the 95 %
    interval holds the true tau in 95 to 98 % of samples; BCa and t-expanded quantiles are wider and no better.

    Raises:
        ValueError: lists of different lengths, or draws below 100.
    """
    if draws < 100:
        raise ValueError(f"draws is {draws}; the ends of an interval need at least 100")
    first, second = compared(x, y)
    n, tau, pairs = len(first), tau_b(first, second), Pairs.of(first, second)
    if math.isnan(tau):
        return described(first, second, tau, (math.nan, math.nan), pairs)
    ends = unresolved_interval(pairs, tau, level)
    if ends is None:
        taus = resampled_taus(first, second, generator.multinomial(n, np.full(n, 1 / n), size=draws))
        low, high = np.nanquantile(taus, [0.5 - level / 2, 0.5 + level / 2])
        ends = (float(low), float(high))
    return described(first, second, tau, ends, pairs)


def resampled_taus(x: NDArray[np.float64], y: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Tau-b of resamples, (draws,), that hold each candidate ``counts`` times, (draws, n); NaN where undefined.

    A candidate that is drawn twice is tied with itself on both sides. Tau-b takes such pairs out of all three of its
    sums, so copies neither agree nor disagree; tau-a would be pulled towards 0 by them.
    """
    weights = counts.astype(np.float32)
    agreeing = np.zeros(len(counts))
    # In blocks: all pairs of 15,625 candidates at once would take a gigabyte.
    for start in range(0, len(x), BLOCK):
        block = slice(start, start + BLOCK)
        signs = _signs(x, block) * _signs(y, block)  # (n, block)
        # Whole numbers below 2^24 are exact here; the sum over candidates needs more.
        agreeing += ((weights @ signs) * weights[:, block]).sum(axis=1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = agreeing / 2 / np.sqrt(_untied(x, counts) * _untied(y, counts))
    return found


def _signs(values: NDArray[np.float64], block: slice) -> NDArray[np.float32]:
    left, right = values[:, None], values[block]
    return (left > right).astype(np.float32) - (left < right).astype(np.float32)


def _untied(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pairs of different values in each resample, (draws,)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) > 0])
    groups = np.add.reduceat(counts[:, order], starts, axis=1).astype(float)  # (draws, different values)
    found: NDArray[np.float64] = (groups.sum(axis=1) ** 2 - (groups**2).sum(axis=1)) / 2
    return found
