"""TE-NAS: prune the least important operations until one architecture is left; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.spaces import Architecture
from taurank.trainables.proxies import Measure, prune_by_importance

PRUNINGS = 5
"""Prunings in a row that end at an architecture which was proposed before or is not allowed, before the search ends."""


class TeNasSearcher(Searcher):
    """Each proposal is what one pruning leaves, at initial weights of its own; results change nothing.

    One proposal is the search of the source. A pruning measures some 70 networks with each seed on NAS-Bench-201, two
    minutes of one core, and the second proposal is no better than the first.

    Source: Chen et al., Neural Architecture Search on ImageNet in Four GPU Hours (ICLR 2021, arXiv 2102.11535).

    Args:
        problem: what is searched; its space has fixed decisions.
        measure: condition number and linear regions of a network that holds several options of each decision; for
            NAS-Bench-201 it is `taurank.trainables.proxies.averaged_network.AveragedNetwork`.
        without: options that are taken away before the search.
        repeats: initial weights that a pruning averages over.
    """

    def __init__(
        self, problem: Problem, *, measure: Measure | None = None, without: Sequence[str] = ("none",), repeats: int = 3
    ) -> None:
        super().__init__(problem)
        if measure is None:
            raise SearchError(
                "measure: te_nas needs what it measures networks by, such as "
                "taurank.trainables.proxies.averaged_network.AveragedNetwork(images, classes=10) for nasbench201"
            )
        self._options = [tuple(name for name in names if name not in without) for names in problem.space.decisions]
        if not self._options or not all(self._options):
            raise SearchError(f"space: {problem.space.name} has no fixed decisions with an option other than {without}")
        if repeats < 1:
            raise SearchError(f"repeats: {repeats} is not at least 1")
        self._measure, self._repeats = measure, repeats

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        found = self._first_new(self._pruned(len(self._known) + attempt) for attempt in range(PRUNINGS))
        if found is None:
            self.ended = f"{PRUNINGS} prunings in a row left nothing new that is allowed"
        return found

    def _pruned(self, number: int) -> Architecture:
        first = (self.problem.seed * 1_000 + number) * self._repeats
        left = prune_by_importance(self._options, self._measure, seeds=range(first, first + self._repeats))
        decisions = self.space.decisions
        return self.space.choose([names.index(name) for names, (name,) in zip(decisions, left.active, strict=True)])
