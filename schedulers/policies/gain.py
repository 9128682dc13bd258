"""Expected gain in Kendall's tau when one more trial is trained on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from taurank.schedulers.curves import Floats

_LARGEST_DISTANCE = 5.0
_LARGEST_SHARE = 0.999
_DISTANCES = 101
_SHARES = 61
_INTEGRATION_POINTS = 4001


@lru_cache(maxsize=1)
def _table() -> Floats:
    """The gain of a pair on a grid of distances and shares, (distances, shares), by the trapezoid rule on [-8, 8]."""
    distances = np.linspace(0, _LARGEST_DISTANCE, _DISTANCES)
    shares = np.linspace(0, _LARGEST_SHARE, _SHARES)
    x = np.linspace(-8, 8, _INTEGRATION_POINTS)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    table = np.empty((_DISTANCES, _SHARES))
    for column, share in enumerate(shares):
        seen = (distances[:, None] + np.sqrt(share) * x) / np.sqrt(1 - share)
        table[:, column] = np.abs(2 * ndtr(seen) - 1) @ density
    return np.maximum(table - table[:, :1], 0.0)


def tau_gains(scores: Floats, variances: Floats, rows: NDArray[np.intp], left: Floats) -> Floats:
    """Expected gain in tau when one trial is trained on, for each of ``rows`` and each of several lengths.

    The gain is the mean over all pairs of ``G(u, rho) = E|2 P' - 1| - |2 P - 1|``, where P is the probability of the
    order of the pair now and P' after the training:
    ``G(u, rho) = E|2 Phi((u + sqrt(rho) X) / sqrt(1 - rho)) - 1| - |2 Phi(u) - 1|`` with X ~ N(0, 1). ``u`` is the
    distance of the two scores over its standard deviation, ``rho`` the share of the variance of the difference that the
    training removes. ``G(0, rho) = (2 / pi) asin(sqrt(rho))``. G is read from a table with bilinear interpolation; the
    error is below .01. Trials of equal variance have equal ``rho``, so their distances enter as one histogram: the cost
    of a further length does not grow with the number of trials.

    Args:
        scores: posterior means of all trials, (trials,).
        variances: posterior variances, (trials,).
        rows: indices of the trials that might be trained on, (rows,).
        left: variance that such a trial has after training of each length, (lengths,).

    Returns:
        (lengths, rows): 0 for a trial whose order with the others is known, or cannot be learned.
    """
    count = len(scores)
    total = np.zeros((len(left), len(rows)))
    if count < 2:
        return total
    own = variances[rows, None]
    first_cell = _DISTANCES * np.arange(len(rows))[:, None]
    size = len(rows) * _DISTANCES
    for variance in np.unique(variances):
        others = np.flatnonzero(variances == variance)
        distance = np.abs(scores[rows, None] - scores[others]) / np.sqrt(own + variance)
        across = np.clip(np.nan_to_num(distance), 0, _LARGEST_DISTANCE) * ((_DISTANCES - 1) / _LARGEST_DISTANCE)
        cell = np.minimum(across.astype(np.intp), _DISTANCES - 2)
        above = (across - cell).ravel()
        cell = (cell + first_cell).ravel()
        histogram = np.bincount(cell, 1 - above, size)
        histogram[1:] += np.bincount(cell, above, size)[:-1]
        histogram = histogram.reshape(len(rows), _DISTANCES)
        histogram[variances[rows] == variance, 0] -= 1  # a trial makes no pair with itself
        for length, remaining in enumerate(left):
            removed = (np.maximum(own - remaining, 0.0) / (own + variance))[:, 0]
            total[length] += (histogram * _gain_by_distance(removed)).sum(axis=1)
    return total * 2 / (count * (count - 1))


def _gain_by_distance(share: Floats) -> Floats:
    """The table's distances at each of these shares, (shares, distances)."""
    table = _table().T
    along = np.clip(share, 0, _LARGEST_SHARE) * ((_SHARES - 1) / _LARGEST_SHARE)
    column = np.minimum(along.astype(np.intp), _SHARES - 2)
    right = (along - column)[:, None]
    gain: Floats = table[column] * (1 - right) + table[column + 1] * right
    return gain
