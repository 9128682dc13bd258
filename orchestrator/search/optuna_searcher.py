"""Optuna's samplers as searchers: each decision of a space is a categorical parameter."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from orchestrator.search.searcher import Problem, Searcher, SearchError
from spaces import Architecture

ASKS = 20
"""Times that a sampler is asked for somebody new, before a random architecture takes the place."""

# Each proposal makes a study; by default Optuna tells about every one.
optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaSearcher(Searcher):
    """Asks a sampler of Optuna, with a study that is made of what was told and of what is open.

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
