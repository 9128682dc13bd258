"""Evolution on an accuracy predictor, under a constraint: the search of Once-for-All."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from taurank.orchestrator.search.evolution import evolve
from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.spaces import Architecture

HIDDEN, EPOCHS = (400, 400, 400), 100
LEAST = 2
"""Full trainings that a predictor is fitted to."""


class OnceForAllSearcher(Searcher):
    """Fits a predictor to random architectures, and proposes the best that an evolution on it finds.

    The predictor is a perceptron with three hidden layers of 400 over the one-hot decisions. It is fitted again after
    every ``per_fit`` results. Nothing that violates the constraints is scored or proposed. In the source the accuracies
    are those of subnets of one trained supernet, of which 16,000 cost little.

    Source: Cai et al., Once-for-All (ICLR 2020), section 3.4, and its code, github.com/mit-han-lab/once-for-all.

    Args:
        problem: what is searched; its space has fixed decisions.
        initial: random proposals that the predictor learns from.
        per_fit: results after which the predictor is fitted again.
        generations: of the evolution; the source has 500.
        population: of the evolution.
    """

    def __init__(
        self, problem: Problem, *, initial: int = 50, per_fit: int = 10, generations: int = 20, population: int = 100
    ) -> None:
        super().__init__(problem)
        if not problem.space.decisions:
            raise SearchError(f"space: {problem.space.name} has no fixed decisions, which ofa chooses; take random")
        for name, value in (("initial", initial), ("per_fit", per_fit), ("population", population)):
            if value < 1:
                raise SearchError(f"{name}: {value} is not at least 1")
        if generations < 0:
            raise SearchError(f"generations: {generations} is negative")
        self._initial, self._per_fit = initial, per_fit
        self._generations, self._population = generations, population
        self._evolved: tuple[int, list[Architecture]] = (-1, [])

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        if len(self._known) < self._initial:
            return self._random(generator)
        found = self._first_new(self._best_predicted())
        return self._random(generator) if found is None else found

    def _best_predicted(self) -> list[Architecture]:
        """What the evolution found with the predictor of the last fit, best first."""
        fitted = len(self._observations) // self._per_fit * self._per_fit
        if self._evolved[0] != fitted:
            self._evolved = fitted, self._evolve(fitted)
        return self._evolved[1]

    def _evolve(self, fitted: int) -> list[Architecture]:
        scored = self._scored_by(fitted)
        if len(scored) < LEAST:
            return []
        values = np.array(list(scored.values()))
        spread = float(values.std()) or 1.0
        generator = self._generator(fitted)
        predictor = MLPRegressor(
            hidden_layer_sizes=HIDDEN,
            random_state=int(generator.integers(2**31)),
            max_iter=EPOCHS,
            n_iter_no_change=EPOCHS,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # so many epochs are what is wanted
            predictor.fit(self._one_hot(list(scored)), (values - values.mean()) / spread)

        def score(architectures: Sequence[Architecture]) -> list[float]:
            predicted: list[float] = predictor.predict(self._one_hot(architectures)).tolist()
            return predicted

        try:
            found = evolve(
                self.space,
                score,
                generator=generator,
                feasible=self._allowed,
                generations=self._generations,
                population=self._population,
            )
        except ValueError as error:
            raise SearchError(str(error).replace("feasible", "constraints", 1)) from None
        return [one for one, _ in found]

    def _one_hot(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        widths = [len(options) for options in self.space.decisions]
        starts = np.cumsum([0, *widths[:-1]])
        columns = np.zeros((len(architectures), sum(widths)))
        for row, one in enumerate(architectures):
            columns[row, starts + np.array(self.space.choices(one))] = 1.0
        return columns
