"""Search by the ranker's posterior: the largest expected improvement on the best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from taurank.orchestrator.search.model_searcher import ModelSearcher
from taurank.orchestrator.search.searcher import Problem
from taurank.spaces import Architecture


class PosteriorSearcher(ModelSearcher):
    """Proposes the architecture with the highest expected improvement under the ranker's Gaussian process.

    Open proposals count as if they had come out as predicted, so that workers which ask at the same time are sent to
    different places. The pool is the whole space where it is small.

    Source: Jones, Schonlau and Welch 1998, Efficient global optimization; the process is that of the ranker.

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


def expected_improvement(mean: ArrayLike, sd: ArrayLike, best: float) -> NDArray[np.float64]:
    """By how much each candidate is expected to be above the best, higher is better; never below 0.

        EI = (mean - best) Phi(u) + sd phi(u),   u = (mean - best) / sd

    and ``max(mean - best, 0)`` where ``sd`` is 0.

    Args:
        mean: of the prediction, (candidates,).
        sd: its standard deviation, (candidates,), at least 0.
        best: what is to be improved on.

    Source: Jones et al., Efficient Global Optimization of Expensive Black-Box Functions (1998), equation 15.
    """
    above, spread = np.asarray(mean, dtype=float) - best, np.asarray(sd, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = above / spread
        improvement = above * stats.norm.cdf(u) + spread * stats.norm.pdf(u)
    return np.maximum(np.where(spread > 0, improvement, above), 0.0)
