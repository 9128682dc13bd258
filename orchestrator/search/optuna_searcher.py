"""Optuna's samplers as searchers: each decision of a space is a categorical parameter."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.spaces import Architecture

ASKS = 20
"""Times that a sampler is asked for a new architecture before a random one takes its place."""


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Optuna logs every new study, and each proposal makes one; the caller's verbosity is restored."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


class OptunaSearcher(Searcher):
    """Asks a sampler of Optuna, with a study of the observations and of the open proposals.

    The study is made anew for each ask: so the proposals depend on nothing else. A failed training is a failed trial.

    Args:
        problem: what is searched; its space has fixed decisions.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        if not problem.space.decisions:
            raise SearchError(
                f"space: {problem.space.name} has no fixed decisions, which Optuna's samplers choose; take random"
            )
        self._distributions: dict[str, BaseDistribution] = {
            str(place): CategoricalDistribution(tuple(range(len(options))))
            for place, options in enumerate(problem.space.decisions)
        }

    @abstractmethod
    def _sampler(self, seed: int) -> BaseSampler:
        """The sampler."""

    @property
    def _directions(self) -> list[StudyDirection]:
        """Of the objectives that the sampler knows."""
        return [
            StudyDirection.MAXIMIZE if way == "higher" else StudyDirection.MINIMIZE
            for way in self.problem.objectives.values()
        ]

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        found = self._first_new(self._sampled(generator))
        return self._random(generator) if found is None else found

    def _sampled(self, generator: np.random.Generator) -> Iterator[Architecture]:
        study = self._study(int(generator.integers(2**31)))
        for _ in range(ASKS):
            trial = study.ask(self._distributions)
            yield self.space.choose([trial.params[name] for name in self._distributions])
            study.tell(trial, state=TrialState.FAIL)  # it was known, or is not allowed

    def _study(self, seed: int) -> optuna.Study:
        directions = self._directions
        with _quiet_optuna():
            study = optuna.create_study(sampler=self._sampler(seed), directions=directions)
        names = list(self.problem.objectives)[: len(directions)]
        trials = []
        for canonical, observation in zip(self._canonical, self._observations, strict=True):
            values = [observation.values[name] for name in names]
            failed = any(map(math.isnan, values))
            state = TrialState.FAIL if failed else TrialState.COMPLETE
            trials.append(
                create_trial(
                    params=self._params(canonical),
                    distributions=self._distributions,
                    values=None if failed else values,
                    state=state,
                )
            )
        for one in self._open:
            trials.append(
                create_trial(params=self._params(one), distributions=self._distributions, state=TrialState.RUNNING)
            )
        study.add_trials(trials)
        return study

    def _params(self, canonical: Architecture) -> dict[str, int]:
        return dict(zip(self._distributions, self.space.choices(canonical), strict=True))


class Nsga2Searcher(OptunaSearcher):
    """Recombines architectures that few others dominate and that are far apart on their front.

    A generation is ``population`` successive observations. All objectives count.

    Source: Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II (2002).

    Args:
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
