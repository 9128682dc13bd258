"""TE-NAS: prune the least important operations until one architecture is left; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.spaces import Architecture
from taurank.trainables.proxies import Measure, PruningConfig, prune_by_importance

PRUNINGS = 5
"""Prunings in a row that end at an architecture which was proposed before or is not allowed, before the search ends."""


class TeNasSearcher(Searcher):
    """Each proposal is what one pruning leaves, at initial weights of its own; results change nothing.

    One proposal is the search of the source. A pruning measures 171 networks on NAS-Bench-201 (57 with each of three
    seeds), one and a half minutes of one core, and the second proposal is no better than the first. A run prunes in its
    workers before it trains, see `taurank.orchestrator.campaigns`; elsewhere a pruning is part of `ask`.

    Source: Chen et al., Neural Architecture Search on ImageNet in Four GPU Hours (ICLR 2021, arXiv 2102.11535).

    Args:
        problem: what is searched; its space has fixed decisions.
        measure: condition number and linear regions of a network that holds several options of each decision; for
            NAS-Bench-201 it is `taurank.trainables.proxies.averaged_network.AveragedNetwork`. None if no prunings are
            done but those that are given.
        prunings: what prunings have left, by number: the position of the option of each decision.
        without: options that are taken away before the search.
        repeats: initial weights that a pruning averages over.

    Attributes:
        lacking: number of the pruning that the next proposal needs and that was not given; None if there is none.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        measure: Measure | None = None,
        prunings: Mapping[int, Sequence[int]] | None = None,
        without: Sequence[str] = ("none",),
        repeats: int = 3,
    ) -> None:
        super().__init__(problem)
        if measure is None and prunings is None:
            raise SearchError(
                "measure: te_nas needs what it measures networks by, such as "
                "taurank.trainables.proxies.averaged_network.AveragedNetwork(images, classes=10) for nasbench201"
            )
        self._options = tuple(tuple(name for name in names if name not in without) for names in problem.space.decisions)
        if not self._options or not all(self._options):
            raise SearchError(f"space: {problem.space.name} has no fixed decisions with an option other than {without}")
        if repeats < 1:
            raise SearchError(f"repeats: {repeats} is not at least 1")
        self._measure, self._repeats = measure, repeats
        self._left = {number: tuple(choices) for number, choices in (prunings or {}).items()}
        self.lacking: int | None = None

    def pruning(self, number: int) -> PruningConfig:
        """The pruning of this number, from 0."""
        first = (self.problem.seed * 1_000 + number) * self._repeats
        return PruningConfig(self._options, tuple(range(first, first + self._repeats)))

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        first = len(self._known)
        for number in range(first, first + PRUNINGS):
            if number not in self._left:
                if self._measure is None:
                    self.lacking = number
                    return None
                self._left[number] = self._pruned(self.pruning(number), self._measure)
            found = self.space.canonical(self.space.choose(self._left[number]))
            if self._is_new(found):
                return found
        self.ended = f"{PRUNINGS} prunings in a row left nothing new that is allowed"
        return None

    def _pruned(self, config: PruningConfig, measure: Measure) -> tuple[int, ...]:
        left = prune_by_importance(config.active, measure, seeds=config.seeds).active
        return tuple(names.index(name) for names, (name,) in zip(self.space.decisions, left, strict=True))
