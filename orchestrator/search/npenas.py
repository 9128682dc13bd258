"""Evolution that a predictor guides: many mutants, of which the best predicted are trained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from taurank.orchestrator.search.model_searcher import ModelSearcher
from taurank.orchestrator.search.searcher import Problem, SearchError
from taurank.spaces import Architecture


class NpenasSearcher(ModelSearcher):
    """Mutates the best, and proposes the mutants that are predicted to be best.

    A generation has one set of parents and mutants; only the predictor learns from its results. Results of earlier
    generations that are still missing when it begins change its parents when they arrive. The source's predictor is a
    graph network; here it is a regressor of the ranker.

    Source: Wei et al., NPENAS: Neural Predictor Guided Evolution for Neural Architecture Search (2020), NPENAS-NP.

    Args:
        initial: random proposals to begin with.
        parents: how many of the best have mutants.
        candidates: mutants of a generation.
        per_generation: how many of them are proposed.
        regressor: predictor; see `Surrogate`.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        initial: int = 10,
        parents: int = 10,
        candidates: int = 100,
        per_generation: int = 10,
        regressor: str = "gaussian-process",
    ) -> None:
        super().__init__(problem, initial=initial, regressor=regressor)
        for name, value in (("parents", parents), ("per_generation", per_generation)):
            if value < 1:
                raise SearchError(f"{name}: {value} is not at least 1")
        if candidates < per_generation:
            raise SearchError(f"candidates: {candidates} are fewer than the {per_generation} of a generation")
        self._parents, self._candidates, self._per_generation = parents, candidates, per_generation

        self._generation: tuple[tuple[int, int], tuple[Architecture, ...]] = ((-1, -1), ())

    def _by_model(self, generator: np.random.Generator) -> Iterator[Architecture]:
        surrogate = self._fitted(self._mutants())
        if surrogate is None:
            return
        for at in np.argsort(-surrogate.mean, kind="stable"):
            yield surrogate.pool.architectures[at]

    def _mutants(self) -> tuple[Architecture, ...]:
        """Mutants of the generation, from parents among as many observations as there were proposals before it."""
        number = (len(self._known) - self._initial) // self._per_generation
        before = min(self._initial + number * self._per_generation, len(self._observations))
        if self._generation[0] != (number, before):
            scored = self._scored_by(before)
            parents = sorted(scored, key=scored.__getitem__, reverse=True)[: self._parents]
            mutants = self._mutants_of(parents, self._candidates, self._generator(number))
            self._generation = (number, before), mutants
        return self._generation[1]
