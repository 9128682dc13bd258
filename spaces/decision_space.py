"""Base class of spaces whose architectures are lists of decisions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np

from taurank.spaces.architecture import (
    Architecture,
    Distinct,
    SearchSpace,
    SpaceError,
    check_choices,
    check_distinct,
    draw,
)

_PATIENCE = 100_000  # consecutive draws without a new architecture


class DecisionSpace(SearchSpace):
    """A space in which an architecture takes one option of each decision.

    A subclass defines `decisions`, `_read` and `_write`, and sets `size`. The rest follows where every combination of
    options is a distinct code. A space in which options may have no effect (such as the kernel of a missing block)
    overrides enumeration, neighbours and sampling.

    Attributes:
        listed: Up to this many codes, a sample is drawn from the list of all.
    """

    size: int
    listed: int = 100_000

    @property
    @abstractmethod
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """Options of each decision of an architecture, in a fixed order."""

    @abstractmethod
    def _read(self, code: str) -> Sequence[int]:
        """Choices of a code, by position among the options."""

    @abstractmethod
    def _write(self, choices: Sequence[int]) -> str:
        """Code of choices that fit the decisions."""

    def parse(self, text: str) -> Architecture:
        """Reads a code; the class docstring shows its form."""
        return Architecture(self.name, self._write(self._read(text)))

    def choices(self, architecture: Architecture) -> tuple[int, ...]:
        """The option taken, by position, for each of `decisions`."""
        return tuple(self._read(self.code_of(architecture)))

    def choose(self, choices: Sequence[int]) -> Architecture:
        """The architecture that takes these options."""
        check_choices(self, choices)
        return Architecture(self.name, self._write(choices))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the architecture in its normal spelling: by default all codes differ as functions."""
        return self.parse(self.code_of(architecture))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Lists the architectures with another option for one decision."""
        taken = self.choices(architecture)
        return [
            Architecture(self.name, self._write((*taken[:place], other, *taken[place + 1 :])))
            for place, options in enumerate(self.decisions)
            for other in range(len(options))
            if other != taken[place]
        ]

    def sample(
        self, count: int, generator: np.random.Generator, *, distinct: Distinct = "function"
    ) -> list[Architecture]:
        """Draws among the canonical codes, or among all; of a space too large to list at most half of what there is."""
        check_distinct(distinct)
        functions = distinct == "function"
        if self.size > self.listed:
            among = self._min_functions if functions else self.size
            return draw_one_by_one(lambda: self._draw(generator, functions=functions), count, among=among)
        pool = self._list_functions() if functions else list(self.enumerate())
        fewer = " that differ as functions; distinct='code' allows more" if len(pool) < self.size else ""
        return draw(pool, count, generator, f"architectures{fewer}")

    def _enumerate(self) -> Iterator[Architecture]:
        every = product(*(range(len(options)) for options in self.decisions))
        return (Architecture(self.name, self._write(choices)) for choices in every)

    def _list_functions(self) -> list[Architecture]:
        """The canonical architectures, in the order of the codes; called only when the space is small enough."""
        return [one for one in self.enumerate() if self.canonical(one) == one]

    @property
    def _min_functions(self) -> int:
        """Lower bound of the number of canonical codes."""
        return self.size

    def _draw(self, generator: np.random.Generator, *, functions: bool) -> Architecture | None:
        """Draws one uniformly; with `functions` None where the draw is not canonical."""
        one = self.choose([int(generator.integers(len(options))) for options in self.decisions])
        return one if not functions or self.canonical(one) == one else None


def draw_weighted(counts: Sequence[float], generator: np.random.Generator) -> int:
    """Draws a position with a probability proportional to its count."""
    shares = np.array(counts, dtype=np.float64)
    return int(generator.choice(len(shares), p=shares / shares.sum()))


def draw_one_by_one(draw_one: Callable[[], Architecture | None], count: int, *, among: int) -> list[Architecture]:
    """Draws without replacement from a set too large to list.

    Args:
        draw_one: Draws one uniformly; None for a rejected draw.
        count: How many; at most half of `among`, so that repeats stay few.
        among: Lower bound of the size of the set.

    Raises:
        SpaceError: `count` is out of range, or no new architecture turns up.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or not 0 <= count <= among // 2:
        raise SpaceError(f"count: {count!r} is not a whole number of 0 to {among // 2:,}, half of those known to exist")
    drawn: dict[Architecture, None] = {}
    in_vain = 0
    while len(drawn) < count:
        one = draw_one()
        if one is not None and one not in drawn:
            drawn[one], in_vain = None, 0
        elif (in_vain := in_vain + 1) == _PATIENCE:
            raise SpaceError(f"count: {count:,} requested, but after {len(drawn):,} architectures no new one was drawn")
    return list(drawn)
