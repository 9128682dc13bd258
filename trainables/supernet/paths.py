"""The paths that a supernet trains: the candidates, and the decisions that tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from spaces import Architecture, SearchSpace

Choices: TypeAlias = tuple[int, ...]
"""The option taken, by position, for each decision of the space."""


@dataclass(frozen=True)
class Paths:
    """Candidates of one space, by their codes, and what they decide between.

    Attributes:
        space: the search space.
        codes: the candidates, at least one, none twice.
        allowed: for each decision of the space the options that occur among the candidates, in ascending order; empty
            where the space has no fixed decisions.

    Raises:
        ValueError: no candidates.
    """

    space: SearchSpace
    codes: tuple[str, ...]
    allowed: tuple[tuple[int, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        if not self.codes:
            raise ValueError("codes is empty; a supernet needs at least one candidate")
        taken = [set(column) for column in zip(*map(self.choices, self.codes), strict=True)]
        object.__setattr__(self, "allowed", tuple(tuple(sorted(options)) for options in taken))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def options(self) -> tuple[int, ...]:
        """Number of options of each decision of the space, whether they occur or not."""
        return tuple(len(options) for options in self.space.decisions)

    def choices(self, code: str) -> Choices:
        """What a path decides, whether it is a candidate or not; () where the space has no fixed decisions."""
        if not self.space.decisions:
            return ()
        return self.space.choices(Architecture(self.space.name, code))

    def code(self, choices: Sequence[int]) -> str:
        """The path that decides so."""
        return self.space.choose(choices).code
