"""Counts concordant, discordant and tied pairs of two score lists, per candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pairs:
    """Counts over the pairs of each candidate with all others.

    Attributes:
        agreeing: concordant minus discordant pairs, (n,).
        untied_x: pairs with two different values of x, (n,).
        untied_y: the same of y.
        ties: pairs, of all candidates, that are tied on either side.
    """

    agreeing: NDArray[np.int64]
    untied_x: NDArray[np.int64]
    untied_y: NDArray[np.int64]
    ties: int

    @staticmethod
    def of(x: NDArray[np.float64], y: NDArray[np.float64]) -> Pairs:
        """Counts in O(n log^2 n) time and O(n) memory: 15,625 candidates take a fraction of a second."""
        first, second = _places(x), _places(y)
        agreeing = _both_below(first, second) + _both_below(-first, -second)
        agreeing -= _both_below(first, -second) + _both_below(-first, second)
        tied_x, tied_y = _same(first), _same(second)
        tied_on_both = _same(first * (len(x) + 1) + second)
        return Pairs(
            agreeing=agreeing,
            untied_x=len(x) - 1 - tied_x,
            untied_y=len(x) - 1 - tied_y,
            ties=int((tied_x + tied_y - tied_on_both).sum()) // 2,
        )

    @property
    def concordant(self) -> int:
        """Pairs in the same order on both sides."""
        return (self._compared + int(self.agreeing.sum()) // 2) // 2

    @property
    def discordant(self) -> int:
        """Pairs in opposite order."""
        return self._compared - self.concordant

    @property
    def _compared(self) -> int:
        n = len(self.agreeing)
        return n * (n - 1) // 2 - self.ties


def _places(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _same(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of others with the same value, (n,)."""
    _, index, count = np.unique(places, return_inverse=True, return_counts=True)
    return (count[index] - 1).astype(np.int64)


def _both_below(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of others that are lower on both sides, (n,): a merge sort, all blocks of one width at a time."""
    # Equal x are sorted by descending y: an earlier candidate with a lower y then also has a lower x.
    order = np.lexsort((-y, x))
    height = y[order] - y.min(initial=0)
    n = len(order)
    position, below = np.arange(n), np.zeros(n, dtype=np.int64)
    width = 1
    while width < n:
        start = (position // (2 * width)) * (n + 1)
        key = start + height
        right = (position // width) % 2 == 1
        left = np.sort(key[~right])
        below[right] += np.searchsorted(left, key[right]) - np.searchsorted(left, start[right])
        width *= 2
    found = np.empty(n, dtype=np.int64)
    found[order] = below
    return found
