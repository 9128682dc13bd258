"""Progressive search: simple cells first, each level grown from the best of the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from taurank.orchestrator.ranker import REGRESSORS
from taurank.orchestrator.search.pool import Pool, Results
from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.orchestrator.search.surrogate import Surrogate, Values, can_fit
from taurank.schedulers.policies import choices
from taurank.spaces import Architecture, SearchSpace
from taurank.spaces.cells import PNAS
from taurank.spaces.nasbench201 import EDGES, OPERATIONS, NASBench201, format_code, parse_code

MEMBERS = 5
"""Of the ensemble."""
Level = dict[Architecture, Architecture]
"""Canonical architectures of a level, and the form of each that can grow."""


class PnasSearcher(Searcher):
    """Trains all of the first level; of each next one the best predicted of what the best of the last grow into.

    A level begins when the one before has all its results; until then fewer are proposed than asked for. The predictor
    is an ensemble that has seen the levels before. The last level continues in rounds of ``beam``, each predicted anew,
    where the source ends.

    Source: Liu et al., Progressive Neural Architecture Search (ECCV 2018), algorithm 1; its beam is 256, its predictor
    an LSTM or a perceptron over embeddings.

    Args:
        problem: what is searched; its space is pnas or nasbench201.
        beam: how many of a level are trained.
        members: of the ensemble.
        regressor: of the ranker, that each member is; see `Surrogate`.
    """

    def __init__(
        self, problem: Problem, *, beam: int = 20, members: int = MEMBERS, regressor: str = "extra-trees"
    ) -> None:
        super().__init__(problem)
        for name, value in (("beam", beam), ("members", members)):
            if value < 1:
                raise SearchError(f"{name}: {value} is not at least 1")
        if regressor not in REGRESSORS:
            raise SearchError(f"regressor: {regressor!r} is unknown; {choices(regressor, list(REGRESSORS))}")
        self._progression = progression_of(problem.space)
        self._beam, self._members, self._regressor = beam, members, regressor
        self._first = self._level(self._progression.first, set())
        self._grown: dict[tuple[Architecture, ...], Level] = {}
        self._order: tuple[tuple[int, int], list[Architecture]] = ((0, 0), [])

    def predictions(self, *, members: int | None = None) -> dict[Architecture, float]:
        """What an ensemble of so many predicts for the current level from all results before it; higher is better.

        Empty at the first level, where nothing can be predicted. By default the ensemble is the searcher's.
        """
        levels = list(self._levels())
        return self._predicted(levels, 0, members or self._members) if len(levels) > 1 else {}

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        levels = list(self._levels())
        level, last = levels[-1], len(levels) == self._progression.levels
        if len(levels) == 1:
            found = self._first_new(level)
        else:
            done = sum(one in level for one in self._known)
            if done % self._beam == 0 and any(one in level for one in self._open):
                return None
            found = self._first_new(self._best_predicted(levels, done // self._beam))
        if found is None and not self._open:
            what = "the last level has" if last else f"level {len(levels)} has no trained architecture to grow, and"
            self.ended = f"{what} no more architectures" + (
                " that keep the constraints" if self.problem.constraints is not None else ""
            )
        return found

    def _levels(self) -> Iterator[Level]:
        """The levels so far: the last one is not complete, or the last there is."""
        level, seen = self._first, set(self._first)
        yield level
        for number in range(2, self._progression.levels + 1):
            enough = len(level) if number == 2 else self._beam
            results = [one for one in dict.fromkeys(self._canonical) if one in level]
            parents = sorted((one for one in results if one in self.scored), key=self.scored.__getitem__, reverse=True)
            complete = len(results) >= enough or all(one in self._known or not self._allowed(one) for one in level)
            if any(one in level for one in self._open) or not complete or not parents:
                return
            level = self._expanded(tuple(level[one] for one in parents[: self._beam]), seen)
            seen |= level.keys()
            yield level

    def _expanded(self, parents: tuple[Architecture, ...], seen: set[Architecture]) -> Level:
        if parents not in self._grown:
            children = [child for parent in parents for child in self._progression.grow(parent)]
            self._grown[parents] = self._level(children, seen)
        return self._grown[parents]

    def _level(self, architectures: list[Architecture], seen: set[Architecture]) -> Level:
        level: Level = {}
        for form in architectures:
            canonical = self.space.canonical(form)
            if canonical not in seen and self.space.is_live(canonical):
                level.setdefault(canonical, form)
        return level

    def _best_predicted(self, levels: list[Level], number: int) -> list[Architecture]:
        """The last level, best predicted first, from the results of earlier levels and of earlier rounds in it."""
        if self._order[0] != (len(levels), number):
            predicted = self._predicted(levels, number, self._members)
            self._order = (len(levels), number), sorted(levels[-1], key=lambda one: -predicted.get(one, 0.0))
        return self._order[1]

    def _predicted(self, levels: list[Level], number: int, members: int) -> dict[Architecture, float]:
        before = [one for level in levels[:-1] for one in level]
        known = [one for one in dict.fromkeys(self._canonical) if one in levels[-1]][: number * self._beam]
        results = [(one, self.scored[one], 1.0) for one in [*before, *known] if one in self.scored]
        pool = Pool(self.space, [*levels[-1], *before], self.problem.free_scores, self.problem.seed)
        mean = ensemble_mean(pool, results, regressor=self._regressor, seed=self.problem.seed, members=members)
        return {} if mean is None else {one: float(mean[pool.place[one]]) for one in levels[-1]}


def ensemble_mean(pool: Pool, results: Results, *, regressor: str, seed: int, members: int = MEMBERS) -> Values | None:
    """Mean prediction of the members, (architectures of the pool,), higher is better; None without enough to fit.

    Each member is fitted without a different part of the results. A single member is fitted to all.

    Source: Liu et al., Progressive Neural Architecture Search (ECCV 2018), section 4.2.
    """
    fold = np.random.default_rng(seed).permutation(len(results)) % members
    means = []
    for member in range(members):
        kept = [one for one, own in zip(results, fold, strict=True) if members == 1 or own != member]
        if can_fit(pool.labels(kept)):
            means.append(Surrogate(pool, kept, regressor=regressor, seed=seed + member).mean)
    mean: Values | None = np.mean(means, axis=0) if means else None
    return mean


@dataclass(frozen=True)
class Progression:
    """How architectures of a space grow.

    Attributes:
        levels: number of levels.
        first: all architectures of the first level.
        grow: returns the architectures of the next level that contain an architecture.
    """

    levels: int
    first: list[Architecture]
    grow: Callable[[Architecture], list[Architecture]]


class Nodes:
    """Cells of NAS-Bench-201, by their number of nodes: two with one edge, three with three, four with six.

    Input and output are there from the beginning; nodes come between them one by one, each with an edge from all before
    it and one to the output.
    """

    def __init__(self, space: NASBench201) -> None:
        self._space = space
        output = EDGES[-1][1]
        # Edges that come with the direct way, the first node, the second one.
        self._new = [
            [place for place, (source, target) in enumerate(EDGES) if max(source, target % output) == node]
            for node in range(output)
        ]

    def first(self) -> list[Architecture]:
        """The five operations between input and output, ``none`` included."""
        return self._with(("none",) * len(EDGES), 0)

    def grow(self, architecture: Architecture) -> list[Architecture]:
        """One node more: 25 cells with three nodes, or 125 with four."""
        operations = parse_code(self._space.code_of(architecture))
        last = any(operations[edge] != "none" for edge in self._new[1])
        return self._with(operations, 2 if last else 1)

    def _with(self, operations: Sequence[str], node: int) -> list[Architecture]:
        grown = []
        for chosen in product(OPERATIONS, repeat=len(self._new[node])):
            taken = list(operations)
            for place, operation in zip(self._new[node], chosen, strict=True):
                taken[place] = operation
            grown.append(self._space.parse(format_code(taken)))
        return grown


def progression_of(space: SearchSpace) -> Progression:
    """How a space grows.

    Raises:
        SearchError: its growth is not defined.
    """
    if isinstance(space, PNAS):
        return Progression(space.blocks, space.first_level(), space.expand)
    if isinstance(space, NASBench201):
        nodes = Nodes(space)
        return Progression(3, nodes.first(), nodes.grow)
    raise SearchError(f"space: pnas searches spaces whose cells grow, which are pnas and nasbench201, not {space.name}")
