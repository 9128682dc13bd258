"""The candidates of a supernet, and their decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from taurank.spaces import Architecture, SearchSpace

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

    @staticmethod
    def covering(space: SearchSpace) -> Paths:
        """Few candidates that have every option of every decision that any architecture has.

        For samplers that draw each decision by itself they are the whole space, however large it is.

        Raises:
            ValueError: the space has no fixed decisions.
        """
        widths = [len(options) for options in space.decisions]
        if not widths:
            raise ValueError(f"{space.name} has no fixed decisions; give the candidates by their codes")
        # The last options come first: where others hide decisions, such as those of a block that is left out, they are
        # those of the largest network.
        drawn = [[max(width - 1 - behind, 0) for width in widths] for behind in range(max(widths))]
        covering = [space.choose(choices) for choices in drawn]
        taken = [set(column) for column in zip(*map(space.choices, covering), strict=True)]
        for decision, width in enumerate(widths):
            for option in set(range(width)) - taken[decision]:
                changed = space.choose([*drawn[0][:decision], option, *drawn[0][decision + 1 :]])
                if space.choices(changed)[decision] == option:
                    covering.append(changed)
        return Paths(space, tuple(dict.fromkeys(one.code for one in covering)))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def options(self) -> tuple[int, ...]:
        """Number of options of each decision of the space, whether they occur or not."""
        return tuple(len(options) for options in self.space.decisions)

    def choices(self, code: str) -> Choices:
        """Choices of a path, candidate or not; () where the space has no fixed decisions."""
        if not self.space.decisions:
            return ()
        return self.space.choices(Architecture(self.space.name, code))

    def code(self, choices: Sequence[int]) -> str:
        """The path that decides so."""
        return self.space.choose(choices).code
