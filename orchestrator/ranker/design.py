"""Which candidates to train: greedy A-optimal design under a Gaussian process, which needs no labels.

Candidates are chosen by how much their label lowers the variance of the others, never for their predicted score:
labels of the predicted best carry little information on the order, and harm it. Where labels differ in their cost, the
variance that each lowers is divided by its cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taurank.orchestrator.ranker.gaussian_process import Array, GaussianProcess, Rows

POOL, LARGEST_POOL = 1500, 4000
"""With more candidates the design chooses from a random pool: the larger, the fewer it has to choose."""
WORK = 400 * POOL**2
"""Entries of covariance matrices that a design may update: 400 choices in the smallest pool."""
ROUNDING = 1e-9
"""Share of a budget that rounding may cost."""


@dataclass(frozen=True, eq=False)
class Spending:
    """What labels cost, and what they may cost.

    Labels are made by workers, each the next label as soon as it is free. Device time is that of one worker; the
    wall-clock time of several is that of the last of them.

    Attributes:
        costs: of the label of each candidate, above 0, (candidates,).
        budget: most that a worker may spend.
        workers: how many there are.
    """

    costs: Array
    budget: float
    workers: int = 1

    @property
    def labels(self) -> int:
        """How many labels it allows at most, if they are the cheapest."""
        return int((np.cumsum(np.sort(self.costs)) <= self.workers * self.budget).sum())

    def of(self, rows: Rows) -> Spending:
        """The same for some of the candidates."""
        return Spending(self.costs[rows], self.budget, self.workers)


class Account:
    """What is left of a spending while labels are chosen; without one every label costs the same, and all fit."""

    def __init__(self, spending: Spending | None, candidates: int) -> None:
        self.costs = np.ones(candidates) if spending is None else spending.costs
        self._budget = np.inf if spending is None else spending.budget * (1 + ROUNDING)
        self._loads = np.zeros(1 if spending is None else spending.workers)

    @property
    def affordable(self) -> NDArray[np.bool_]:
        """The candidates whose label fits, (candidates,)."""
        fits: NDArray[np.bool_] = self._loads.min() + self.costs <= self._budget
        return fits

    def pay(self, place: int) -> bool:
        """Pays for a label, if it fits."""
        fits = bool(self.affordable[place])
        if fits:
            self._loads[self._loads.argmin()] += self.costs[place]
        return fits


def a_optimal(
    covariance: Array,
    noise: float,
    count: int,
    *,
    taken: NDArray[np.bool_] | None = None,
    account: Account | None = None,
) -> Rows:
    """Places of ``count`` labels that lower the sum of posterior variances most for their cost, greedily, best first.

    Each step takes the i that maximises ``sum_j C_ji^2 / (C_ii + noise) / cost_i``, then conditions C on its label.

    Args:
        covariance: prior covariance C, (candidates, candidates).
        noise: variance of a label's noise.
        count: how many to choose.
        taken: candidates that are labelled already, (candidates,): C is conditioned on them first, and they are not
            chosen again.
        account: what labels cost and what is left for them, which may be fewer than ``count``; None for equal costs.

    Raises:
        ValueError: fewer candidates are left than asked for.
    """
    account = account or Account(None, len(covariance))
    left = covariance.astype(np.float32, copy=True)
    banned = np.zeros(len(left), dtype=bool) if taken is None else taken.copy()
    if count > (~banned).sum():
        raise ValueError(f"count is {count}; only {(~banned).sum()} candidates are left to choose from")
    for place in np.flatnonzero(banned).tolist():
        _condition(left, place, noise)
    chosen = []
    for _ in range(count):
        gain = np.einsum("ji,ji->i", left, left) / (np.diag(left) + noise) / account.costs
        gain[banned | ~account.affordable] = -np.inf
        place = int(gain.argmax())
        if np.isneginf(gain[place]):
            break
        banned[place] = True
        account.pay(place)
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
    spending: Spending | None = None,
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
        spending: what labels cost and may cost; None for equal costs.
    """
    open_ones = np.setdiff1d(np.arange(candidates), taken)
    count = min(count, len(open_ones))
    account = Account(spending, candidates)
    if candidates <= POOL:
        every_row = np.arange(candidates)
        is_taken = np.isin(every_row, taken)
        return a_optimal(process.covariance(every_row, every_row), noise, count, taken=is_taken, account=account)
    if spending is not None:
        most = spending.workers * spending.budget / float(spending.costs[open_ones].min(initial=math.inf))
        count = min(count, math.ceil(most))
    size = int(np.clip(np.sqrt(WORK / max(count, 1)), POOL, LARGEST_POOL))
    pool = np.sort(generator.choice(open_ones, min(size, len(open_ones)), replace=False))
    designed = min(count, int(most_of_pool * len(pool)))
    of_pool = Account(None if spending is None else spending.of(pool), len(pool))
    chosen = pool[a_optimal(process.covariance(pool, pool), noise, designed, account=of_pool)]
    rest = np.setdiff1d(open_ones, chosen)
    for place in chosen.tolist():
        account.pay(place)
    others = generator.choice(rest, count - designed, replace=False)
    return np.concatenate([chosen, [place for place in others.tolist() if account.pay(place)]]).astype(np.intp)
