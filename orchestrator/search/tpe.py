"""Tree-structured Parzen estimator, by Optuna."""

from __future__ import annotations

from optuna.samplers import BaseSampler, TPESampler
from optuna.study import StudyDirection

from orchestrator.search.optuna_searcher import OptunaSearcher
from orchestrator.search.searcher import Problem, SearchError


class TpeSearcher(OptunaSearcher):
    """Proposes options that are more frequent among the good architectures than among the others.

    Open proposals count as bad ones, so that workers do not ask for the same (constant liar).

    Source: Bergstra et al., Algorithms for Hyper-Parameter Optimization (NeurIPS 2011); Akiba et al., Optuna (2019).

    Args:
        problem: what is searched; its first objective counts.
        initial: full trainings until which proposals are random.
        multivariate: whether decisions are drawn together instead of one by one.
    """

    def __init__(self, problem: Problem, *, initial: int = 10, multivariate: bool = True) -> None:
        super().__init__(problem)
        if initial < 1:
            raise SearchError(f"initial: {initial} is not at least 1")
        self._initial, self._multivariate = initial, multivariate

    @property
    def _directions(self) -> list[StudyDirection]:
        return super()._directions[:1]

    def _sampler(self, seed: int) -> BaseSampler:
        return TPESampler(
            seed=seed, n_startup_trials=self._initial, multivariate=self._multivariate, constant_liar=True
        )
