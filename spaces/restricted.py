"""Restriction of a search space to some options of each decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import (
    Architecture,
    Distinct,
    Family,
    SearchSpace,
    SpaceError,
    check_choices,
    check_count,
    check_distinct,
    draw,
)
from taurank.spaces.model_options import ModelOptions

if TYPE_CHECKING:
    from torch import nn

_LISTED = 100_000  # with more choices than this, a sample is drawn without listing them all
_IN_VAIN = 100_000
"""Consecutive draws without a new architecture after which sampling gives up."""


class RestrictedSpace(SearchSpace):
    """The architectures of a space that use allowed options only.

    They are architectures of `base`, under its name and codes. A decision without effect on an architecture,
    such as the kernel of a missing block, does not exclude it.

    Example:
        >>> macro = get_space("nasbench_macro")
        >>> RestrictedSpace(macro, [["mb3_k3"]] * 7 + [["identity", "mb6_k5"]]).size
        2

    Args:
        base: The space, with fixed decisions; it may be restricted itself.
        allowed: For each decision of `base` some of its options, at least one.

    Attributes:
        base: As given.
        size: Number of codes; None when they are too many to be counted.

    Raises:
        SpaceError: `base` has no fixed decisions, or `allowed` does not fit them.
    """

    def __init__(self, base: SearchSpace, allowed: Sequence[Sequence[str]]) -> None:
        self.base = base
        self.name, self.foreign = base.name, base.foreign
        self.feature_names = base.feature_names
        self._kept = _positions(base, allowed)
        self._decisions = tuple(
            tuple(options[position] for position in kept)
            for options, kept in zip(base.decisions, self._kept, strict=True)
        )
        self.size = self._count()

    def __repr__(self) -> str:
        fixed = sum(len(options) == 1 for options in self._decisions)
        options = sum(map(len, self._decisions))
        return f"RestrictedSpace({self.base!r}: {options} options, {fixed} of {len(self._decisions)} decisions fixed)"

    def __contains__(self, architecture: object) -> bool:
        return isinstance(architecture, Architecture) and self._outside(architecture) is None

    @property
    def options(self) -> dict[str, Any]:
        """Options of `base`, which builds the same networks from the same codes."""
        return self.base.options

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The allowed options of each decision, in the order of `base`."""
        return self._decisions

    def parse(self, text: str) -> Architecture:
        """Parses a code of `base` that uses allowed options only."""
        return self._belonging(self.base.parse(text))

    def choices(self, architecture: Architecture) -> tuple[int, ...]:
        """Position of the option taken among the allowed ones; the first where it has no effect."""
        settled = self._settled(self.base.choices(self._belonging(architecture)))
        return tuple(kept.index(choice) for choice, kept in zip(settled, self._kept, strict=True))

    def choose(self, choices: Sequence[int]) -> Architecture:
        """The architecture with these options."""
        check_choices(self, choices)
        return self.base.choose([kept[choice] for choice, kept in zip(choices, self._kept, strict=True)])

    def canonical(self, architecture: Architecture) -> Architecture:
        """The canonical architecture of `base` if it is allowed, else the architecture itself."""
        self._belonging(architecture)
        found = self.base.canonical(architecture)
        return found if found in self else architecture

    def is_live(self, architecture: Architecture) -> bool:
        """As in `base`."""
        return self.base.is_live(architecture)

    def _enumerate(self) -> Iterator[Architecture]:
        taken = (self.choose(choices) for choices in product(*(range(len(options)) for options in self._decisions)))
        return iter(dict.fromkeys(taken))

    def sample(
        self, count: int, generator: np.random.Generator, *, distinct: Distinct = "function"
    ) -> list[Architecture]:
        """Draws uniformly among the canonical architectures, or among all codes.

        No two are equal by `base.canonical`.
        """
        check_distinct(distinct)
        if prod(map(len, self._decisions)) <= _LISTED:
            if distinct == "code":
                return draw(list(self._enumerate()), count, generator, "codes")
            kind = "architectures that differ as functions; distinct='code' allows more"
            return draw(self._functions, count, generator, kind)
        return self._draw_some(count, generator, distinct)

    @cached_property
    def _functions(self) -> list[Architecture]:
        """One architecture for each function, of a space small enough to list."""
        found: dict[Architecture, Architecture] = {}
        for code in self._enumerate():
            if self.is_live(code):
                found.setdefault(self.base.canonical(code), self.canonical(code))
        return list(found.values())

    def _draw_some(self, count: int, generator: np.random.Generator, distinct: Distinct) -> list[Architecture]:
        check_count(count)
        widths = [len(options) for options in self._decisions]
        drawn: dict[Architecture, Architecture] = {}
        in_vain = 0
        while len(drawn) < count:
            if in_vain == _IN_VAIN:
                raise SpaceError(
                    f"count: {count:,} requested, but only {len(drawn):,} were found in the restricted space"
                )
            in_vain += 1
            choices = tuple(generator.integers(widths).tolist())
            one = self.choose(choices)
            # Several choices may give one architecture; only one of them counts, so that the draw is uniform.
            if self.choices(one) != choices:
                continue
            if distinct == "function" and not (self.is_live(one) and self.canonical(one) == one):
                continue
            function = self.base.canonical(one) if distinct == "function" else one
            if function not in drawn:
                drawn[function], in_vain = one, 0
        return list(drawn.values())

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Allowed neighbours in `base`."""
        self._belonging(architecture)
        return [other for other in self.base.neighbours(architecture) if other in self]

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """As in `base`."""
        return self.base.features(architecture)

    def depth(self, architecture: Architecture) -> int | None:
        """That of the whole space."""
        return self.base.depth(architecture)

    def family(self, architecture: Architecture) -> Family:
        """As in `base`."""
        return self.base.family(architecture)

    def short(self, architecture: Architecture) -> str:
        """As in `base`."""
        return self.base.short(architecture)

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Makes the network of `base`."""
        return self.base.build(self._belonging(architecture), input_shape=input_shape, classes=classes)

    def build_with(
        self,
        architecture: Architecture,
        options: ModelOptions,
        *,
        input_shape: tuple[int, int, int],
        classes: int,
    ) -> nn.Module:
        """Makes the network as `base` does."""
        belonging = self._belonging(architecture)
        return self.base.build_with(belonging, options, input_shape=input_shape, classes=classes)

    def thin(self, architecture: Architecture, *, classes: int) -> nn.Module | None:
        """As in `base`."""
        return self.base.thin(self._belonging(architecture), classes=classes)

    def _settled(self, taken: Sequence[int]) -> list[int]:
        """Positions in `base` of options taken, with the first allowed one in place of one that is not allowed."""
        return [choice if choice in kept else kept[0] for choice, kept in zip(taken, self._kept, strict=True)]

    def _outside(self, architecture: Architecture) -> str | None:
        """Reason why an architecture of `base` is excluded; None where it is allowed."""
        taken = self.base.choices(architecture)
        settled = self._settled(taken)
        if settled == list(taken):
            return None
        same = self.base.choose(taken)
        if self.base.choose(settled) == same:
            return None
        for decision, (choice, allowed) in enumerate(zip(taken, settled, strict=True)):
            changed = [*taken[:decision], allowed, *taken[decision + 1 :]]
            if choice != allowed and self.base.choose(changed) != same:
                options = ", ".join(self._decisions[decision])
                return f"decision {decision} is {self.base.decisions[decision][choice]}; allowed are {options}"
        return "it takes options that are not allowed"

    def _belonging(self, architecture: Architecture) -> Architecture:
        problem = self._outside(architecture)
        if problem is not None:
            raise SpaceError(f"code: {architecture.code!r} is not in the restricted space: {problem}")
        return architecture

    def _count(self) -> int | None:
        choices = prod(map(len, self._decisions))
        if self.base.size == prod(map(len, self.base.decisions)):
            return choices  # each code has exactly one choice of options
        return sum(1 for _ in self._enumerate()) if choices <= _LISTED else None


def _positions(base: SearchSpace, allowed: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], ...]:
    decisions = base.decisions
    if not decisions:
        raise SpaceError(f"base: {base.name} has no fixed decisions to restrict; take a space that has")
    if len(allowed) != len(decisions):
        raise SpaceError(
            f"allowed: {len(allowed)} given, but {base.name} has {len(decisions)} decisions; give a list for each"
        )
    kept = []
    for decision, (wanted, options) in enumerate(zip(allowed, decisions, strict=True)):
        if isinstance(wanted, str) or not wanted:
            raise SpaceError(f"allowed: {wanted!r} for decision {decision} is not a list of at least one option")
        for option in wanted:
            if option not in options:
                raise SpaceError(
                    f"allowed: {option!r} is not an option of decision {decision}; there are {', '.join(options)}"
                )
        kept.append(tuple(position for position, option in enumerate(options) if option in wanted))
    return tuple(kept)
