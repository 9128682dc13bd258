"""Evolutionary search under constraints: infeasible architectures are never scored.

Source: the search of Cai et al., Once-for-All (ICLR 2020), section 3.4, and its code,
github.com/mit-han-lab/once-for-all; after Real et al., Regularized Evolution (AAAI 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from taurank.spaces import Architecture, SearchSpace

DRAWS = 10_000
"""Draws in a row without a feasible architecture after which there is taken to be none."""

Score = Callable[[Sequence[Architecture]], Sequence[float]]
"""Higher is better; NaN where there is none."""


def evolve(
    space: SearchSpace,
    score: Score,
    *,
    generator: np.random.Generator,
    feasible: Callable[[Architecture], bool] = lambda architecture: True,
    generations: int = 500,
    population: int = 100,
    parents: float = 0.25,
    mutants: float = 0.5,
    mutation: float = 0.1,
) -> list[tuple[Architecture, float]]:
    """Searches for the architectures of the highest scores.

    The first generation is drawn at random, each option of each decision alike. The next ones descend from the best
    that were ever scored: a mutant from one of them, with each decision drawn anew with probability `mutation`; the
    others from two, each decision from either. What is not feasible is drawn again. All are made canonical, and each is
    checked and scored once only, so later generations cost less and less.

    In the source an architecture can be its own rival many times over; and the resolution is drawn anew with
    probability .5, which here is a decision like the others.

    Args:
        space: has fixed decisions.
        score: of the architectures that are new in a generation, all at once, (architectures,).
        generator: of all that is drawn.
        feasible: the constraint; asked once of each canonical architecture.
        generations: number of generations after the first.
        population: architectures that a generation draws.
        parents: how many of the best have descendants, as a share of `population`.
        mutants: share of mutants among the descendants.
        mutation: probability of a decision to be drawn anew.

    Returns:
        All that were scored, each once, with their scores; best first, those without a score last.

    Raises:
        ValueError: the space has no fixed decisions; an option is out of its range; nothing feasible was found;
            `score` returned another number of scores.
    """
    _check(space, generations, population, parents=parents, mutants=mutants, mutation=mutation)
    widths = [len(options) for options in space.decisions]
    found = _Found(space, score, feasible)
    first = []
    for _ in range(population):
        drawn = found.feasible_of(lambda: generator.integers(widths))
        if drawn is None:
            raise ValueError(
                f"feasible: none of {DRAWS:,} random architectures of {space.name} in a row is; loosen the constraint"
            )
        first.append(drawn)
    found.book(first)
    mutated = round(mutants * population)
    for _ in range(generations):
        best = np.array([space.choices(one) for one, _ in found.ordered()[: max(1, round(parents * population))]])
        mutant = partial(_mutant, best, widths, mutation, generator)
        crossing = partial(_crossing, best, generator)
        descendants = [found.feasible_of(mutant if place < mutated else crossing) for place in range(population)]
        found.book([one for one in descendants if one is not None])
    return found.ordered()


def _mutant(
    best: NDArray[np.int64], widths: Sequence[int], mutation: float, generator: np.random.Generator
) -> NDArray[np.int64]:
    """One of the best, (parents, decisions), with some decisions drawn anew; they may come out as they were."""
    anew = generator.random(len(widths)) < mutation
    return np.where(anew, generator.integers(widths), best[generator.integers(len(best))])


def _crossing(best: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Each decision of one or the other of two of the best, (parents, decisions), which may be the same."""
    pair = best[generator.integers(len(best), size=2)]  # (2, decisions)
    child: NDArray[np.int64] = np.where(generator.random(best.shape[1]) < 0.5, pair[0], pair[1])
    return child


class _Found:
    """Feasibility and scores so far, by canonical architecture."""

    def __init__(self, space: SearchSpace, score: Score, feasible: Callable[[Architecture], bool]) -> None:
        self._space, self._score, self._feasible = space, score, feasible
        self._judged: dict[Architecture, bool] = {}
        self._scores: dict[Architecture, float] = {}

    def feasible_of(self, draw: Callable[[], NDArray[np.int64]]) -> Architecture | None:
        """The first that is drawn and feasible; None when there is none for long."""
        for _ in range(DRAWS):
            drawn = self._space.canonical(self._space.choose(draw().tolist()))
            if drawn not in self._judged:
                self._judged[drawn] = self._space.is_live(drawn) and bool(self._feasible(drawn))
            if self._judged[drawn]:
                return drawn
        return None

    def book(self, drawn: Sequence[Architecture]) -> None:
        """Scores those that have not been scored before."""
        new = [one for one in dict.fromkeys(drawn) if one not in self._scores]
        scores = list(self._score(new)) if new else []
        if len(scores) != len(new):
            raise ValueError(f"score: {len(scores)} scores for {len(new)} architectures; return one for each, in order")
        self._scores.update(zip(new, map(float, scores), strict=True))

    def ordered(self) -> list[tuple[Architecture, float]]:
        """Best first; equal ones as they were found; those without a score last."""
        return sorted(self._scores.items(), key=lambda item: (math.isnan(item[1]), -item[1]))


def _check(space: SearchSpace, generations: int, population: int, **shares: float) -> None:
    if not space.decisions:
        raise ValueError(f"space: {space.name} has no fixed decisions to choose from; take one that has")
    for name, count, least in (("generations", generations, 0), ("population", population, 1)):
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise ValueError(f"{name}: {count!r} is not a whole number of at least {least}")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name}: {share!r} is not in [0, 1]")
