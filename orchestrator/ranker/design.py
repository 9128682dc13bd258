"""Which candidates to train: greedy A-optimal design under a Gaussian process, which needs no labels.

Candidates are chosen by how much their label lowers the variance of the others, never for their predicted score:
labels of the predicted best carry little information on the order, and harm it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from taurank.orchestrator.ranker.gaussian_process import Array, GaussianProcess, Rows

POOL, LARGEST_POOL = 1500, 4000
"""With more candidates the design chooses from a random pool: the larger, the fewer it has to choose."""
WORK = 400 * POOL**2
"""Entries of covariance matrices that a design may update: 400 choices in the smallest pool."""


def a_optimal(covariance: Array, noise: float, count: int, *, taken: NDArray[np.bool_] | None = None) -> Rows:
    """Places of ``count`` labels that lower the sum of posterior variances most, greedily, best first.

    Each step takes the i that maximises ``sum_j C_ji^2 / (C_ii + noise)``, then conditions C on its label.

    Args:
        covariance: prior covariance C, (candidates, candidates).
        noise: variance of a label's noise.
        count: how many to choose.
        taken: candidates that are labelled already, (candidates,): C is conditioned on them first, and they are not
            chosen again.

    Raises:
        ValueError: fewer candidates are left than asked for.
    """
    left = covariance.astype(np.float32, copy=True)
    banned = np.zeros(len(left), dtype=bool) if taken is None else taken.copy()
    if count > (~banned).sum():
        raise ValueError(f"count is {count}; only {(~banned).sum()} candidates are left to choose from")
    for place in np.flatnonzero(banned).tolist():
        _condition(left, place, noise)
    chosen = []
    for _ in range(count):
        gain = np.einsum("ji,ji->i", left, left) / (np.diag(left) + noise)
        gain[banned] = -np.inf
        place = int(gain.argmax())
        banned[place] = True
        chosen.append(place)
        _condition(left, place, noise)
    return np.array(chosen, dtype=np.intp)


def _condition(covariance: NDArray[np.float32], place: int, noise: float) -> None:
    column = covariance[:, place].copy()
    covariance -= np.outer(column, column / (column[place] + noise))


def choose(
    process: GaussianProcess,
    candidates: int,
    noise: float,
    count: int,
    *,
    taken: Rows,
    generator: np.random.Generator,
    most_of_pool: float,
) -> Rows:
    """Candidates to label next, by design; of many candidates from a random pool, and the rest of the count at random.

    Args:
        process: its prior covariance and hyper-parameters are used, not its labels.
        candidates: how many there are.
        noise: variance of a label's noise.
        count: how many to choose.
        taken: candidates that are labelled already.
        generator: draws the pool and the rest.
        most_of_pool: share of a pool that the design may take.
    """
    open_ones = np.setdiff1d(np.arange(candidates), taken)
    count = min(count, len(open_ones))
    if candidates <= POOL:
        every_row = np.arange(candidates)
        is_taken = np.isin(every_row, taken)
        return a_optimal(process.covariance(every_row, every_row), noise, count, taken=is_taken)
    size = int(np.clip(np.sqrt(WORK / max(count, 1)), POOL, LARGEST_POOL))
    pool = np.sort(generator.choice(open_ones, min(size, len(open_ones)), replace=False))
    designed = min(count, int(most_of_pool * len(pool)))
    chosen = pool[a_optimal(process.covariance(pool, pool), noise, designed)]
    rest = np.setdiff1d(open_ones, chosen)
    return np.concatenate([chosen, generator.choice(rest, count - designed, replace=False)])
