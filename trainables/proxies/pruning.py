"""Search by taking away: the least important operations leave a network that held all of them (TE-NAS)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from taurank.trainables.proxies.proxy import ProxyError
from taurank.trainables.proxies.te_nas import rank_sum

Active = tuple[tuple[str, ...], ...]
"""Operations that are left on each edge."""

Measure = Callable[[Active, int], tuple[float, float]]
"""Condition number of the tangent kernel (infinite if it is singular) and number of linear regions of a network that
holds these operations, at the initialisation with this seed."""


@dataclass(frozen=True)
class Removal:
    """One operation that was taken away.

    Attributes:
        round: When, from 1; what leaves in one round was judged together.
        edge: Position of its edge.
        operation: Its name.
        condition: (before - after) / before of the condition number, mean over seeds: positive helps training.
        regions: The same of the number of linear regions: positive costs expressivity.
    """

    round: int
    edge: int
    operation: str
    condition: float
    regions: float


@dataclass(frozen=True)
class Pruning:
    """Result of a pruning.

    Attributes:
        active: One operation on each edge; none on edges that their group did without.
        removals: In the order of leaving, the least important of a round first.
        tried: Removals that were measured, each once a seed.
    """

    active: Active
    removals: tuple[Removal, ...]
    tried: int


def prune_by_importance(
    active: Sequence[Sequence[str]],
    measure: Measure,
    *,
    per_round: int = 1,
    seeds: Sequence[int] = (0, 1, 2),
    groups: Sequence[Sequence[int]] = (),
    keep: int = 2,
    precision: int = 3,
) -> Pruning:
    """Takes operations away until every edge has one, then edges until every group has `keep`.

    In each round every operation of every edge that has more than one is left out in turn. The relative changes of
    condition number and linear regions are averaged over the seeds, rounded, and ranked over all edges: first whose
    absence lowers the condition number most, and whose costs fewest regions; equal changes share a rank. The
    `per_round` operations with the smallest sum of the two ranks leave each edge, but never the last one; of equal sums
    the better rank by condition number counts, then the earlier position.

    The source compares every removal at weights of its own; here all removals of a round share those of the seeds, so
    that they differ by what was removed alone. The source breaks ties by the values before rounding.

    Args:
        active: Operations on each edge at the start.
        measure: Sets of operations that are measured with one seed should share their weights.
        per_round: Operations that leave an edge in one round.
        seeds: Of the repeats.
        groups: Positions of edges that lead into one node, for spaces that keep only some of them.
        keep: Edges that a group keeps.
        precision: Decimals to which relative changes are rounded.

    Raises:
        ProxyError: An argument makes no sense, or the measure gives no finite positive figures of what is left.

    Source: Chen et al. 2021 (arXiv 2102.11535), algorithm 1; VITA-Group/TENAS, prune_tenas.py.
    """
    left = [tuple(operations) for operations in active]
    _check(left, groups, per_round=per_round, keep=keep, seeds=seeds)
    removals: list[Removal] = []
    tried = number = 0

    def rank(candidates: list[tuple[int, str]]) -> list[Removal]:
        nonlocal tried, number
        tried += len(candidates)
        number += 1
        return _least_important_first(tuple(left), candidates, measure, seeds, precision, number)

    def remove(removal: Removal) -> None:
        left[removal.edge] = tuple(name for name in left[removal.edge] if name != removal.operation)
        removals.append(removal)

    while any(len(operations) > 1 for operations in left):
        ranked = rank([(edge, name) for edge, names in enumerate(left) if len(names) > 1 for name in names])
        quota = [min(per_round, len(operations) - 1) for operations in left]
        for removal in ranked:
            if quota[removal.edge] > 0:
                quota[removal.edge] -= 1
                remove(removal)
    for group in groups:
        if len(group) > keep:
            for removal in rank([(edge, name) for edge in group for name in left[edge]])[: len(group) - keep]:
                remove(removal)
    return Pruning(tuple(left), tuple(removals), tried)


def _least_important_first(
    active: Active,
    candidates: list[tuple[int, str]],
    measure: Measure,
    seeds: Sequence[int],
    precision: int,
    number: int,
) -> list[Removal]:
    whole = [measure(active, seed) for seed in seeds]
    if not all(math.isfinite(figure) and figure > 0 for pair in whole for figure in pair):
        raise ProxyError(f"measure: round {number} starts from (condition number, regions) {whole}; nothing to compare")
    changes = np.empty((len(candidates), 2))  # of the condition number, of the regions
    for row, (edge, operation) in enumerate(candidates):
        without = (
            *active[:edge],
            tuple(name for name in active[edge] if name != operation),
            *active[edge + 1 :],
        )
        relative = [
            [(before - after) / before for before, after in zip(pair, measure(without, seed), strict=True)]
            for pair, seed in zip(whole, seeds, strict=True)
        ]
        changes[row] = np.mean(relative, axis=0)
    if np.isnan(changes).any():
        raise ProxyError("measure: gave NaN; a singular kernel has an infinite condition number")
    rounded = np.round(changes, precision)
    sums = rank_sum(-rounded[:, 0], -rounded[:, 1])
    order = np.lexsort((-rounded[:, 0], sums))
    return [Removal(number, *candidates[row], *changes[row].tolist()) for row in order]


def _check(
    active: Sequence[Sequence[str]], groups: Sequence[Sequence[int]], *, per_round: int, keep: int, seeds: Sequence[int]
) -> None:
    for argument, value in (("per_round", per_round), ("keep", keep), ("number of seeds", len(seeds))):
        if value < 1:
            raise ProxyError(f"{argument}: {value} is not at least 1")
    for edge, operations in enumerate(active):
        if not operations or len(set(operations)) < len(operations):
            raise ProxyError(f"active: edge {edge} has {list(operations)}; give at least one operation, each once")
    grouped = [edge for group in groups for edge in group]
    if not set(grouped) <= set(range(len(active))) or len(set(grouped)) < len(grouped):
        raise ProxyError(f"groups: {[list(group) for group in groups]} are not separate sets of {len(active)} edges")
