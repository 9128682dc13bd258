"""The base of all searchers: it proposes architectures that were not proposed before, and takes in their results."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from taurank.orchestrator.search.drawing import draw_one, listed, mutant
from taurank.spaces import Architecture, SearchSpace

TRIES = 1_000
"""Candidates checked in a row without an admissible one, after which the search assumes there is none."""
SECONDS = 15.0
"""Seconds of checking after which the same is assumed of a search that has found none yet."""
MUTANTS = 100
"""Mutants of one parent that are tried before a random architecture takes their place."""

Direction = Literal["higher", "lower"]
FreeScores = Callable[[Sequence[Architecture]], Mapping[str, Sequence[float]]]
"""What is known of architectures without training, by name: ``parameters``, ``flops``, ``proxy:NAME``; may be NaN."""


class SearchError(ValueError):
    """A search cannot be made or continued; one line that says what to do."""


class Constraints(Protocol):
    """What an architecture has to keep; ``screening.Screen`` is one.

    Attributes:
        nearest: what the one violates that is least beyond its bounds; empty while none violates any.
    """

    nearest: str

    def fitting(self, codes: Sequence[str]) -> list[str]:
        """Those of the codes that keep all."""
        ...


@dataclass(frozen=True)
class Observation:
    """How an architecture did.

    Attributes:
        architecture: need not have been proposed.
        values: by objective; NaN where the training failed and the value is unknown.
        fidelity: share of full training that the values stand for, in (0, 1].
        cost: in full trainings.
    """

    architecture: Architecture
    values: Mapping[str, float]
    fidelity: float = 1.0
    cost: float = 0.0


@dataclass(frozen=True)
class Problem:
    """What is searched.

    Attributes:
        space: of the architectures.
        seed: of everything random.
        constraints: on what may be proposed; None for none.
        objectives: whether a higher or a lower value is better, by name. Searchers that know one objective take the
            first.
        free_scores: what models may look at beside the architecture; None for nothing.
    """

    space: SearchSpace
    seed: int = 0
    constraints: Constraints | None = None
    objectives: Mapping[str, Direction] = field(default_factory=lambda: {"accuracy": "higher"})
    free_scores: FreeScores | None = None


class Searcher(ABC):
    """Bookkeeping that all searchers share; a subclass chooses the next proposal.

    A proposal is a function of the seed, the observations in their order and the open proposals: those whose values are
    not known yet. So a searcher can be made again from a log, and several workers can ask at any time. Proposals are
    canonical, live, keep the constraints, and come once.

    Attributes:
        ended: why there are no more proposals; empty while there may be.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self.space = problem, problem.space
        self.ended = ""
        self._observations: list[Observation] = []
        self._canonical: list[Architecture] = []
        self._open: dict[Architecture, None] = {}
        self._known: set[Architecture] = set()
        self._judged: dict[Architecture, bool] = {}
        self._scored: tuple[int, dict[Architecture, float]] = (0, {})

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The results so far, in order."""
        return tuple(self._observations)

    @property
    def open(self) -> tuple[Architecture, ...]:
        """Proposals without a result yet, in order."""
        return tuple(self._open)

    def ask(self, count: int = 1) -> list[Architecture]:
        """Proposes ``count`` architectures, the most promising first.

        Fewer where the searcher has ``ended``, or needs results of open proposals before it can continue.

        Raises:
            SearchError: no architecture keeps the constraints, as far as was tried.
            ValueError: ``count`` is negative.
        """
        if count < 0:
            raise ValueError(f"count: {count} is negative; ask for 0 or more")
        proposals: list[Architecture] = []
        while len(proposals) < count and not self.ended:
            proposed = self._propose(self._generator(len(self._observations), len(self._open)))
            if proposed is None:
                break
            self._open[proposed] = None
            self._known.add(proposed)
            proposals.append(proposed)
        return proposals

    def tell(self, results: Iterable[Observation]) -> None:
        """Takes in how architectures did, in this order.

        Raises:
            SearchError: a value of an objective is missing or infinite, or a fidelity is not in (0, 1].
            SpaceError: an architecture is of another space.
        """
        for result in results:
            self._check(result)
            canonical = self.space.canonical(result.architecture)
            self._observations.append(result)
            self._canonical.append(canonical)
            self._known.add(canonical)
            self._open.pop(canonical, None)

    def load(self, observations: Iterable[Observation], open_asks: Iterable[Architecture] = ()) -> None:
        """Takes the state of a searcher of the same problem and options, which must have no state yet.

        Args:
            observations: its results, in order.
            open_asks: its proposals without a result, in order.

        Raises:
            SearchError: this one has proposals or results already; see also `tell`.
        """
        if self._known:
            raise SearchError(
                f"load: this searcher knows {len(self._known):,} architectures already; make a new one and load that"
            )
        self.tell(observations)
        for one in open_asks:
            canonical = self.space.canonical(one)
            self._open[canonical] = None
            self._known.add(canonical)

    @property
    def scored(self) -> dict[Architecture, float]:
        """Value of the first objective by canonical architecture, higher is better, ordered by their latest result.

        Of several values the mean of those at the highest fidelity counts. Those that failed are left out.
        """
        if self._scored[0] != len(self._observations):
            self._scored = len(self._observations), self._scored_by(len(self._observations))
        return self._scored[1]

    def best(self, count: int) -> list[Architecture]:
        """The architectures with the highest values, best first."""
        return sorted(self.scored, key=self.scored.__getitem__, reverse=True)[:count]

    def allows(self, architecture: Architecture) -> bool:
        """Whether an architecture is live and keeps the constraints."""
        return self._allowed(self.space.canonical(architecture))

    @abstractmethod
    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        """The next proposal, canonical, new and allowed; None where there is none now, with ``ended`` if for good."""

    def _generator(self, *place: int) -> np.random.Generator:
        """Randomness of a place in the search; the same at each visit."""
        return np.random.default_rng([self.problem.seed, *place])

    def _is_new(self, canonical: Architecture) -> bool:
        """Whether it may be proposed."""
        return canonical not in self._known and self._allowed(canonical)

    def _allowed(self, canonical: Architecture) -> bool:
        """Whether it is live and keeps the constraints; judged once."""
        if canonical not in self._judged:
            constraints = self.problem.constraints
            self._judged[canonical] = self.space.is_live(canonical) and (
                constraints is None or bool(constraints.fitting([canonical.code]))
            )
        return self._judged[canonical]

    def _first_new(self, candidates: Iterable[Architecture], *, tries: int = TRIES) -> Architecture | None:
        """The first that may be proposed, in canonical form; None after so many new ones that are not allowed."""
        refused, began = 0, time.monotonic()
        for candidate in candidates:
            canonical = self.space.canonical(candidate)
            if self._is_new(canonical):
                return canonical
            refused += canonical not in self._known
            # Later proposals follow from the log alone, so time must not decide about them.
            if refused >= tries or (not self._known and time.monotonic() - began >= SECONDS):
                return None
        return None

    def _random(self, generator: np.random.Generator) -> Architecture | None:
        """A random architecture, each as likely; None, and the end, where none is left."""
        found = self._first_new(self._draws(generator))
        if found is not None:
            return found
        constrained = self.problem.constraints is not None
        if constrained and not self._known:
            assert self.problem.constraints is not None
            nearest = f"; nearest: {self.problem.constraints.nearest}" if self.problem.constraints.nearest else ""
            raise SearchError(
                f"constraints: none of {len(self._judged):,} random architectures of {self.space.name} keeps them"
                f"{nearest}; loosen them"
            )
        every = listed(self.space)
        that_keep = " that keep the constraints" if constrained else ""
        if every is not None and all(one in self._known or one in self._judged for one in every):
            count = sum(one in self._known or self._judged[one] for one in every)
            self.ended = f"all {count:,} architectures of {self.space.name}{that_keep} have been proposed"
        else:
            self.ended = f"no other architecture of {self.space.name}{that_keep} turned up in {TRIES:,} draws in a row"
        return None

    def _draws(self, generator: np.random.Generator) -> Iterator[Architecture]:
        every = listed(self.space)
        if every is None:
            for _ in range(TRIES):
                yield draw_one(self.space, generator)
            return
        left = [one for one in every if one not in self._known and self._judged.get(one, True)]
        for place in generator.permutation(len(left)):
            yield left[place]

    def _mutant(self, parent: Architecture, generator: np.random.Generator) -> Architecture | None:
        """A new architecture that differs from its parent in one decision; a random one where none turns up."""
        found = self._first_new(mutant(self.space, parent, generator) for _ in range(MUTANTS))
        return self._random(generator) if found is None else found

    def _check(self, result: Observation) -> None:
        code = result.architecture.code
        for name in self.problem.objectives:
            if name not in result.values:
                raise SearchError(f"results: {code!r} has no value of {name}; give one, or NaN where training failed")
            if math.isinf(result.values[name]):
                raise SearchError(f"results: {name} of {code!r} is infinite; give NaN where it is unknown")
        if not 0 < result.fidelity <= 1:
            raise SearchError(f"results: the fidelity of {code!r} is {result.fidelity:g}; give a share in (0, 1]")

    def _scored_by(self, count: int) -> dict[Architecture, float]:
        """`scored` after the first so many observations."""
        name, direction = next(iter(self.problem.objectives.items()))
        values: dict[Architecture, tuple[float, list[float]]] = {}
        for canonical, observation in zip(self._canonical[:count], self._observations[:count], strict=True):
            value = observation.values[name] * (1 if direction == "higher" else -1)
            if math.isnan(value):
                continue
            fidelity, before = values.pop(canonical, (0.0, []))
            if observation.fidelity > fidelity:
                fidelity, before = observation.fidelity, []
            values[canonical] = fidelity, [*before, value] if observation.fidelity == fidelity else before
        return {one: float(np.mean(known)) for one, (_, known) in values.items()}
