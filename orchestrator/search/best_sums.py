"""Choices in descending order of a sum of scores, one a decision, found as far as they are asked for."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence


def best_sums(scores: Sequence[Sequence[float]]) -> Iterator[tuple[tuple[int, ...], float]]:
    """All choices of one option of each decision, by position, with their sums, the highest sum first.

    Exact, and in the order of the options where sums are equal. The n-th takes time and memory that grow with n times
    the number of decisions, not with the number of choices. Options whose score is not finite are left out.

    With the options of each decision sorted, every choice but the best has one parent, in which the last decision that
    is not at its best is one place better. A parent's sum is no lower, so a heap of children of those that came has the
    next one on top.

    Example:
        >>> [choices for choices, _ in best_sums([[0.0, 3.0], [1.0, 2.0]])]
        [(1, 1), (1, 0), (0, 1), (0, 0)]

    Args:
        scores: of the options of each decision; one of each at least is finite.
    """
    orders = [_best_first(own) for own in scores]

    def entry(places: tuple[int, ...], last: int) -> tuple[float, tuple[int, ...], int]:
        taken = (own[order[place]] for own, order, place in zip(scores, orders, places, strict=True))
        return -math.fsum(taken), places, last

    waiting = [entry((0,) * len(orders), 0)]
    while waiting:
        negative, places, last = heapq.heappop(waiting)
        yield tuple(order[place] for order, place in zip(orders, places, strict=True)), -negative
        for decision in range(last, len(orders)):
            if places[decision] + 1 < len(orders[decision]):
                child = (*places[:decision], places[decision] + 1, *places[decision + 1 :])
                heapq.heappush(waiting, entry(child, decision))


def _best_first(scores: Sequence[float]) -> list[int]:
    """Options with a finite score."""
    known = [option for option, score in enumerate(scores) if math.isfinite(score)]
    return sorted(known, key=scores.__getitem__, reverse=True)
