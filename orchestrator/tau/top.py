"""Measures for the top of an order: overlap, regret, and tau among the truly best."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from taurank.orchestrator.tau.agreement import Coefficient, compared, tau_b
from taurank.orchestrator.tau.pairs import Pairs

TOP_SHARE = 0.2
"""The truly best fifth."""


def top_overlap(scores: ArrayLike, truth: ArrayLike, k: int) -> Coefficient:
    """Share of the true best ``k`` that is among the ``k`` best by score; ties at the boundary count by their share.

    Raises:
        ValueError: k below 1 or above the number of candidates, lists of different lengths, or a missing value.
    """
    first, second = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"scores and truth need one value per candidate; got shapes {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("scores and truth have missing values; remove those candidates from both")
    if not 1 <= k <= len(first):
        raise ValueError(f"k is {k}; it has to be between 1 and the {len(first)} candidates")
    shared = (top_membership(first, k) * top_membership(second, k)).sum() / k
    return Coefficient(float(shared), len(first), Pairs.of(first, second).ties)


def top_membership(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Probability of being among the ``k`` highest with ties broken at random, (n,)."""
    edge = np.partition(values, -k)[-k]
    above = values > edge
    at_edge = values == edge
    share: NDArray[np.float64] = above + at_edge * (k - above.sum()) / at_edge.sum()
    return share


def top_regret(scores: ArrayLike, truth: ArrayLike) -> Coefficient:
    """Truth of the true best minus the truth of the predicted best, in units of the truth.

    0 is best. With several of the highest score it is the mean over them: the expected regret of a random choice.
    Candidates with a NaN on either side are ignored; NaN without any.
    """
    first, second = compared(scores, truth)
    ties = Pairs.of(first, second).ties
    if not len(first):
        return Coefficient(math.nan, 0, ties)
    return Coefficient(float(second.max() - second[first == first.max()].mean()), len(first), ties)


def tau_of_true_top(scores: ArrayLike, truth: ArrayLike, *, share: float = TOP_SHARE) -> Coefficient:
    """Tau-b among the true best ``share`` (rounded up).

    All candidates that tie with the last of them are included, so ``n`` may exceed the share. It is lower than tau over
    all, the more similar the best are. Candidates with a NaN on either side are ignored.

    Raises:
        ValueError: share outside (0, 1], or lists of different lengths.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; it has to be above 0 and at most 1")
    first, second = compared(scores, truth)
    # 0.2 of 15 is 3, and not the 4 that rounding up 3.0000000000000004 would give.
    k = math.ceil(round(share * len(second), 9))
    best = second >= np.sort(second)[-k] if k else np.zeros(0, dtype=bool)
    first, second = first[best], second[best]
    return Coefficient(tau_b(first, second), len(first), Pairs.of(first, second).ties)
