"""Random search, and regularised evolution: the oldest member of the population is removed, not the worst."""

from __future__ import annotations

import numpy as np

from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.spaces import Architecture


class RandomSearcher(Searcher):
    """Proposes architectures at random, each function as likely.

    Source: Li and Talwalkar, Random Search and Reproducibility for Neural Architecture Search (UAI 2019).
    """

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        return self._random(generator)


class EvolutionSearcher(Searcher):
    """Mutates the best of a random sample of the most recent architectures.

    The population consists of the latest results; failed trainings never enter it. While fewer than it are proposed,
    proposals are random. `taurank.orchestrator.search.evolution` is another one, for scores that cost nothing.

    Source: Real et al., Regularized Evolution for Image Classifier Architecture Search (AAAI 2019), algorithm 1. The
    source has a population of 100 and a sample of 25, for budgets of 20,000.

    Args:
        population: how many of the latest results may be parents.
        sample: of how many of these, drawn anew for each proposal, the best becomes the parent.
    """

    def __init__(self, problem: Problem, *, population: int = 30, sample: int = 10) -> None:
        super().__init__(problem)
        for name, value in (("population", population), ("sample", sample)):
            if value < 1:
                raise SearchError(f"{name}: {value} is not at least 1")
        self._population, self._sample = population, sample

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        alive = list(self.scored)[-self._population :]
        if len(self._known) < self._population or not alive:
            return self._random(generator)
        drawn = generator.choice(len(alive), min(self._sample, len(alive)), replace=False)
        parent = max((alive[place] for place in drawn), key=self.scored.__getitem__)
        return self._mutant(parent, generator)
