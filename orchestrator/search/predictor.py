"""Rounds of a predictor: some of its best, some at random from its upper part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from taurank.orchestrator.search.model_searcher import ModelSearcher
from taurank.orchestrator.search.searcher import Problem, SearchError
from taurank.spaces import Architecture


class PredictorSearcher(ModelSearcher):
    """Iterative sampling of BRP-NAS: in round i a share of the best predicted, the rest from the best 1 / 2^i.

    Round 0 is random. The model knows all results at the time of a proposal, not only the rounds before. The
    source has five rounds and a graph network that compares two architectures; here it is a regressor of the ranker, of
    which ``pairwise`` compares, too, and is slow.

    Source: Dudziak et al., BRP-NAS: Prediction-based NAS using GCNs (NeurIPS 2020), section 4.

    Args:
        per_round: proposals of a round.
        alpha: share of a round that is the best predicted, in [0, 1].
        regressor: predictor; see `Surrogate`.
    """

    def __init__(
        self, problem: Problem, *, per_round: int = 20, alpha: float = 0.5, regressor: str = "gaussian-process"
    ) -> None:
        super().__init__(problem, initial=per_round, regressor=regressor)
        if not 0 <= alpha <= 1:
            raise SearchError(f"alpha: {alpha:g} is not in [0, 1]")
        self._per_round, self._alpha = per_round, alpha

    def _by_model(self, generator: np.random.Generator) -> Iterator[Architecture]:
        surrogate = self._fitted()
        if surrogate is None:
            return
        number, place = divmod(len(self._known), self._per_round)
        order = np.argsort(-surrogate.mean, kind="stable")
        if place >= self._alpha * self._per_round:
            unknown = [at for at in order if surrogate.pool.architectures[at] not in self._known]
            upper = max(len(unknown) >> number, min(self._per_round, len(unknown)))
            order = np.concatenate([generator.permutation(unknown[:upper]), unknown[upper:]]).astype(np.intp)
        for at in order:
            yield surrogate.pool.architectures[at]
