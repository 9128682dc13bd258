"""What searchers that learn from full trainings share: a random start, a pool of architectures, the surrogate."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from taurank.orchestrator.ranker import REGRESSORS
from taurank.orchestrator.search.drawing import draw_one, listed, mutant
from taurank.orchestrator.search.pool import Pool
from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.orchestrator.search.surrogate import Surrogate, can_fit
from taurank.schedulers.policies import choices
from taurank.spaces import Architecture

WHOLE = 6_000
"""Spaces of at most so many architectures are the pool; else it is drawn."""
DRAWN, FROM_BEST, PARENTS = 1_000, 500, 10
"""Random architectures of a drawn pool, mutants of the best in it, and how many these best are."""
AGAIN = 0.5
"""Probability that a mutant is mutated again."""


class ModelSearcher(Searcher):
    """Proposes at random until ``initial`` are known and two full trainings differ, then asks the surrogate.

    Args:
        initial: random proposals.
        regressor: of the ranker's; see `Surrogate`.
    """

    def __init__(self, problem: Problem, *, initial: int, regressor: str) -> None:
        super().__init__(problem)
        if initial < 2:
            raise SearchError(f"initial: {initial} is not at least 2, which a model needs")
        if regressor not in REGRESSORS:
            raise SearchError(f"regressor: {regressor!r} is unknown; {choices(regressor, list(REGRESSORS))}")
        self._initial, self._regressor = initial, regressor
        self._drawn: tuple[int, tuple[Architecture, ...]] = (-1, ())
        self._pool: tuple[tuple[Architecture, ...], Pool] | None = None
        self._surrogate: tuple[int, Surrogate] | None = None

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        if len(self._known) < self._initial:
            return self._random(generator)
        found = self._first_new(self._by_model(generator))
        return self._random(generator) if found is None else found

    @abstractmethod
    def _by_model(self, generator: np.random.Generator) -> Iterator[Architecture]:
        """Candidates, the most promising first; none while there is nothing to fit a model to."""

    def _results(self) -> list[tuple[Architecture, float, float]]:
        name, direction = next(iter(self.problem.objectives.items()))
        sign = 1 if direction == "higher" else -1
        return [
            (canonical, sign * observation.values[name], observation.fidelity)
            for canonical, observation in zip(self._canonical, self._observations, strict=True)
            if not math.isnan(observation.values[name])
        ]

    def _fitted(self, candidates: tuple[Architecture, ...] | None = None) -> Surrogate | None:
        """The surrogate over these candidates and all that is known; None without enough to fit it to.

        By default the candidates are all architectures of a small space; of a large one they are random ones and
        mutants of the best, drawn again after each result.
        """
        pool, results = self._pool_of(self._usual_candidates() if candidates is None else candidates), self._results()
        if not can_fit(pool.labels(results)):
            return None
        count = len(self._observations)
        if self._surrogate is None or self._surrogate[0] != count or self._surrogate[1].pool is not pool:
            self._surrogate = count, Surrogate(pool, results, regressor=self._regressor, seed=self.problem.seed)
        return self._surrogate[1]

    def _pool_of(self, candidates: tuple[Architecture, ...]) -> Pool:
        """The last pool, if it is of these and has all known architectures; else a new one."""
        if self._pool is None or self._pool[0] != candidates or not self._known <= self._pool[1].place.keys():
            pool = Pool(self.space, [*candidates, *self._known], self.problem.free_scores, self.problem.seed)
            self._pool = candidates, pool
        return self._pool[1]

    def _usual_candidates(self) -> tuple[Architecture, ...]:
        every = listed(self.space)
        if every is not None and len(every) <= WHOLE:
            return every
        count = len(self._observations)
        if self._drawn[0] != count:
            generator = self._generator(count)
            drawn = [draw_one(self.space, generator) for _ in range(DRAWN)]
            mutants = self._mutants_of(self.best(PARENTS), FROM_BEST, generator)
            self._drawn = count, tuple(dict.fromkeys([*drawn, *mutants]))
        return self._drawn[1]

    def _mutants_of(
        self, parents: Sequence[Architecture], count: int, generator: np.random.Generator
    ) -> tuple[Architecture, ...]:
        """Live mutants, as many of each parent; ``count`` of all, or fewer where some are not live.

        A mutant is mutated again with probability ``AGAIN``, and so on: else the search would end at the first place
        that is better than all beside it.
        """
        if not parents:
            return ()
        found = []
        for place in range(count):
            one = mutant(self.space, parents[place % len(parents)], generator)
            while generator.random() < AGAIN:
                one = mutant(self.space, one, generator)
            found.append(self.space.canonical(one))
        return tuple(one for one in found if self.space.is_live(one))
