"""NSGA-II, by Optuna: the front of several objectives, such as accuracy and latency."""

from __future__ import annotations

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler
from optuna.trial import FrozenTrial, TrialState

from orchestrator.search.optuna_searcher import OptunaSearcher
from orchestrator.search.searcher import Problem, SearchError


class Nsga2Searcher(OptunaSearcher):
    """Breeds from those that few others dominate, and that stand apart on their front.

    A generation is so many that were told one after another. All objectives count.

    Source: Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II (2002).

    Args:
        problem: what is searched.
        population: architectures of a generation.
    """

    def __init__(self, problem: Problem, *, population: int = 20) -> None:
        super().__init__(problem)
        if population < 2:
            raise SearchError(f"population: {population} is not at least 2")
        self._population = population

    def _sampler(self, seed: int) -> BaseSampler:
        return _ByOrder(population_size=self._population, seed=seed)


class _ByOrder(NSGAIISampler):
    """Tells generations by the order of the trials: Optuna notes them in a trial when it proposes it."""

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        assert self.population_size is not None
        return len(_completed(study)) // self.population_size

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        assert self.population_size is not None
        first = generation * self.population_size
        return _completed(study)[first : first + self.population_size]


def _completed(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
