"""Search by the ranker's posterior: who is expected to improve most on the best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.search.acquisition import expected_improvement
from orchestrator.search.model_searcher import ModelSearcher
from orchestrator.search.searcher import Problem
from spaces import Architecture


class PosteriorSearcher(ModelSearcher):
    """Proposes the architecture with the highest expected improvement under the ranker's Gaussian process.

    Open proposals count as if they had come out as predicted, so that workers which ask at the same time are sent to
    different places. The pool is the whole space where it is small.

    Args:
        problem: what is searched; its free scores are the prior of the process.
        initial: random proposals to begin with.
    """

    def __init__(self, problem: Problem, *, initial: int = 10) -> None:
        super().__init__(problem, initial=initial, regressor="gaussian-process")

    def _by_model(self, generator: np.random.Generator) -> Iterator[Architecture]:
        surrogate = self._fitted()
        if surrogate is None:
            return
        worth = expected_improvement(surrogate.mean, surrogate.sd_given(self.open), surrogate.incumbent)
        # Where no improvement is left in floating point the mean decides.
        for place in np.lexsort((-surrogate.mean, -worth)):
            yield surrogate.pool.architectures[place]
