"""HURRICANE's two stages as a searcher: the later decisions first, then the earlier ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from taurank.orchestrator.search.drawing import listed
from taurank.orchestrator.search.regularised_evolution import EvolutionSearcher
from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.spaces import Architecture, RestrictedSpace, SearchSpace


class HurricaneSearcher(Searcher):
    """Searches the later decisions with the earlier ones at a default, then the earlier ones with what was found.

    Within a stage proposals are those of regularised evolution. Before the first, the default is the best of some
    random architectures. A stage begins when the one before has all its results; until then fewer are proposed than
    asked for. Where each stage has a supernet of its own, as in the source, `benchmarks.search.two_stage` is the
    search.

    Source: Zhang et al., Fast Hardware-Aware Neural Architecture Search (HURRICANE, 2020, arXiv 1910.11609); the
    procedure is a reading of its abstract.

    Args:
        problem: what is searched; its space has fixed decisions.
        initial: random proposals, the best of which is the default.
        first: proposals of the first stage; the second continues until it has no more.
        late: positions of the decisions of the first stage; by default the second half.
        population: of the evolution in a stage.
        sample: of the evolution in a stage.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        initial: int = 10,
        first: int = 50,
        late: Collection[int] | None = None,
        population: int = 20,
        sample: int = 5,
    ) -> None:
        super().__init__(problem)
        count = len(problem.space.decisions)
        places = set(range(count // 2, count) if late is None else late)
        if not places < set(range(count)) or not places:
            raise SearchError(
                f"late: {sorted(places)} are not some, but not all of the {count} decisions of {problem.space.name}"
            )
        for name, value in (("initial", initial), ("first", first)):
            if value < 1:
                raise SearchError(f"{name}: {value} is not at least 1")
        self._initial, self._first, self._late = initial, first, places
        self._evolution = {"population": population, "sample": sample}
        self._stages: dict[tuple[Architecture, bool], _Stage] = {}

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        if len(self._known) < self._initial:
            return self._random(generator)
        if len(self._observations) < self._initial:
            return None
        default = self._best_of(self._canonical[: self._initial])
        if default is None:
            self.ended = f"all of the first {self._initial} trainings failed, so that there is no default"
            return None
        first = self._stage(default, late=True)
        end = self._initial + self._first
        if len(self._known) < end:
            found = self._first_new(self._evolved(first))
            if found is not None:
                return found
        # The stage is over; what of it is open could still be its best.
        if len(self._observations) < end and any(first.form(one) is not None for one in self._open):
            return None
        best = self._best_of(one for one in self._canonical[:end] if first.form(one) is not None)
        form = first.form(default if best is None else best)
        assert form is not None
        found = self._first_new(self._evolved(self._stage(form, late=False)))
        if found is None:
            self.ended = "the second stage has no more architectures" + (
                " that keep the constraints" if self.problem.constraints is not None else ""
            )
        return found

    def _best_of(self, architectures: Iterable[Architecture]) -> Architecture | None:
        return max((one for one in architectures if one in self.scored), key=self.scored.__getitem__, default=None)

    def _stage(self, fixed: Architecture, *, late: bool) -> _Stage:
        """The architectures that differ from a fixed one in the late decisions alone, or in the early ones alone."""
        if (fixed, late) not in self._stages:
            taken = self.space.choices(fixed)
            allowed = [
                options if (place in self._late) == late else (options[choice],)
                for place, (options, choice) in enumerate(zip(self.space.decisions, taken, strict=True))
            ]
            self._stages[fixed, late] = _Stage(self.space, RestrictedSpace(self.space, allowed))
        return self._stages[fixed, late]

    def _evolved(self, stage: _Stage) -> Iterator[Architecture]:
        """What regularised evolution proposes within a stage, given what is known of it; constraints do not count."""
        within = EvolutionSearcher(replace(self.problem, space=stage.space, constraints=None), **self._evolution)
        forms = [(stage.form(one), result) for one, result in zip(self._canonical, self._observations, strict=True)]
        within.load(
            (replace(result, architecture=form) for form, result in forms if form is not None),
            [form for form in map(stage.form, self._open) if form is not None],
        )
        while proposed := within.ask():
            yield proposed[0]


class _Stage:
    """A restricted space, and the forms of its architectures within its options."""

    def __init__(self, whole: SearchSpace, space: RestrictedSpace) -> None:
        self._whole, self.space = whole, space

    def form(self, canonical: Architecture) -> Architecture | None:
        """One of the stage that is the same function; None where there is none."""
        if self._forms is None:
            return canonical if canonical in self.space else None
        return self._forms.get(canonical)

    @cached_property
    def _forms(self) -> dict[Architecture, Architecture] | None:
        every = listed(self.space)
        return None if every is None else {self._whole.canonical(one): one for one in every}
