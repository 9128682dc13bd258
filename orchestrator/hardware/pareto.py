"""The Pareto front of accuracy and cost, and the probability that a candidate is on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front(scores: ArrayLike, cost: ArrayLike) -> NDArray[np.bool_]:
    """Which candidates are not dominated by any other, (..., candidates).

    A candidate dominates another if it is at least as good and at most as costly, and better in one of the two. A
    candidate without a score or a cost is not on the front and dominates no other. Takes O(n log n) time.

    Args:
        scores: higher is better, (..., candidates); several rows, such as draws, are evaluated independently.
        cost: lower is better, (candidates,).

    Raises:
        ValueError: the shapes do not fit.
    """
    values, costs = np.asarray(scores, dtype=float), np.asarray(cost, dtype=float)
    if costs.ndim != 1 or values.shape[-1:] != costs.shape:
        raise ValueError(f"cost: has shape {costs.shape}, scores {values.shape}; the last axes have to be equal")
    known = np.isfinite(costs)
    order = np.argsort(costs, kind="stable")[: known.sum()]
    on_front = np.zeros(values.shape, dtype=bool)
    if not len(order):
        return on_front
    found = np.where(np.isnan(values[..., order]), -np.inf, values[..., order])
    best = np.maximum.accumulate(found, axis=-1)
    # Candidates of equal cost are compared with each other; strictly cheaper ones end before them.
    ordered = costs[order]
    last = np.searchsorted(ordered, ordered, side="right") - 1
    first = np.searchsorted(ordered, ordered, side="left")
    cheaper = np.where(first > 0, best[..., np.maximum(first - 1, 0)], -np.inf)
    on_front[..., order] = (found >= best[..., last]) & (found > cheaper)
    return on_front


def front_probability(samples: ArrayLike, cost: ArrayLike) -> NDArray[np.float64]:
    """Probability that a candidate is not dominated by any other, (candidates,); NaN without a cost.

    This is the share of the draws of a ranking in which it is on the front; the costs are treated as known.

    Args:
        samples: draws of the scores, (draws, candidates); higher is better.
        cost: lower is better, (candidates,).

    Raises:
        ValueError: the shapes do not fit.
    """
    probability: NDArray[np.float64] = front(np.atleast_2d(np.asarray(samples, dtype=float)), cost).mean(axis=0)
    probability[~np.isfinite(np.asarray(cost, dtype=float))] = np.nan
    return probability
