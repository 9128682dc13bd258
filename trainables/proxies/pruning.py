"""Search by taking away: the least important operations leave a network that held all of them (TE-NAS)."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from taurank.trainables.proxies.proxy import ProxyError
from taurank.trainables.proxies.te_nas import rank_sum

Active = tuple[tuple[str, ...], ...]
"""Operations that are left on each edge."""

Figures: TypeAlias = tuple[float, float]
"""Condition number of the tangent kernel (infinite if it is singular) and number of linear regions."""

Measure = Callable[[Active, int], Figures]
"""The figures of a network that holds these operations, at the initialisation with this seed."""

_Steps: TypeAlias = Generator[tuple[Active, int], Figures, "Pruning"]
"""Asks for the figures of one network after another, and returns what is left."""


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


@dataclass(frozen=True)
class PruningConfig:
    """One pruning that takes away one operation of each edge in a round.

    Attributes:
        active: Operations on each edge at the start.
        seeds: Of the repeats.
    """

    active: Active
    seeds: tuple[int, ...]

    @property
    def networks(self) -> int:
        """Networks that it measures."""
        most = max(map(len, self.active))
        rounds = ([len(names) - gone for names in self.active] for gone in range(most - 1))
        return len(self.seeds) * sum(1 + sum(count for count in left if count > 1) for left in rounds)


class SteppedPruning:
    """A pruning, one network after another; can be saved and resumed between two of them.

    Args:
        measure: See `prune_by_importance`; the same operations and seed always have the same figures.
        config: What is pruned.

    Attributes:
        result: What is left; None before the end.

    Raises:
        ProxyError: The settings make no sense.
    """

    trained = True  # nothing is trained

    def __init__(self, measure: Measure, config: PruningConfig) -> None:
        self._measure = measure
        self._steps = _pruning_steps(config.active, seeds=config.seeds)
        self._figures: list[Figures] = []
        self.result: Pruning | None = None
        self._ask(None)

    @property
    def epoch(self) -> int:
        """Networks measured so far."""
        return len(self._figures)

    @property
    def finished(self) -> bool:
        """Whether every edge has one operation."""
        return self.result is not None

    @property
    def spent(self) -> float:
        """Epochs charged where measuring fails."""
        return 0.0

    def measure_next(self) -> Figures:
        """Measures the next network.

        Raises:
            ProxyError: The measure gives no finite positive figures of what is left.
        """
        figures = self._measure(*self._wanted)
        self._figures.append(figures)
        self._ask(figures)
        return figures

    def state_dict(self) -> dict[str, Any]:
        """The figures of all networks so far, from which everything else follows."""
        return {"figures": list(self._figures)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of `state_dict`."""
        for condition, regions in state["figures"]:
            self._figures.append((condition, regions))
            self._ask((condition, regions))

    def _ask(self, figures: Figures | None) -> None:
        try:
            self._wanted = next(self._steps) if figures is None else self._steps.send(figures)
        except StopIteration as end:
            self.result = end.value


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
    steps = _pruning_steps(active, per_round=per_round, seeds=seeds, groups=groups, keep=keep, precision=precision)
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(measure(*wanted))
    except StopIteration as end:
        result: Pruning = end.value
        return result


def _pruning_steps(
    active: Sequence[Sequence[str]],
    *,
    per_round: int = 1,
    seeds: Sequence[int],
    groups: Sequence[Sequence[int]] = (),
    keep: int = 2,
    precision: int = 3,
) -> _Steps:
    """The steps of `prune_by_importance`."""
    left = [tuple(operations) for operations in active]
    _check(left, groups, per_round=per_round, keep=keep, seeds=seeds)
    removals: list[Removal] = []
    tried = number = 0

    def rank(candidates: list[tuple[int, str]]) -> Generator[tuple[Active, int], Figures, list[Removal]]:
        nonlocal tried, number
        tried += len(candidates)
        number += 1
        return (yield from _least_important_first(tuple(left), candidates, seeds, precision, number))

    def remove(removal: Removal) -> None:
        left[removal.edge] = tuple(name for name in left[removal.edge] if name != removal.operation)
        removals.append(removal)

    while any(len(operations) > 1 for operations in left):
        ranked = yield from rank([(edge, name) for edge, names in enumerate(left) if len(names) > 1 for name in names])
        quota = [min(per_round, len(operations) - 1) for operations in left]
        for removal in ranked:
            if quota[removal.edge] > 0:
                quota[removal.edge] -= 1
                remove(removal)
    for group in groups:
        if len(group) > keep:
            ranked = yield from rank([(edge, name) for edge in group for name in left[edge]])
            for removal in ranked[: len(group) - keep]:
                remove(removal)
    return Pruning(tuple(left), tuple(removals), tried)


def _least_important_first(
    active: Active,
    candidates: list[tuple[int, str]],
    seeds: Sequence[int],
    precision: int,
    number: int,
) -> Generator[tuple[Active, int], Figures, list[Removal]]:
    whole = []
    for seed in seeds:
        whole.append((yield active, seed))
    if not all(math.isfinite(figure) and figure > 0 for pair in whole for figure in pair):
        raise ProxyError(f"measure: round {number} starts from (condition number, regions) {whole}; nothing to compare")
    changes = np.empty((len(candidates), 2))  # of the condition number, of the regions
    for row, (edge, operation) in enumerate(candidates):
        without = (
            *active[:edge],
            tuple(name for name in active[edge] if name != operation),
            *active[edge + 1 :],
        )
        relative = []
        for pair, seed in zip(whole, seeds, strict=True):
            figures = yield without, seed
            relative.append([(before - after) / before for before, after in zip(pair, figures, strict=True)])
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
