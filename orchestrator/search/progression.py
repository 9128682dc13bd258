"""Spaces whose architectures grow: from the simplest ones level by level to the whole space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Protocol

from orchestrator.search.searcher import SearchError
from spaces import Architecture, SearchSpace
from spaces.nasbench201 import EDGES, OPERATIONS, NASBench201, format_code, parse_code
from spaces.pnas import PNAS


class Progression(Protocol):
    """How architectures of a space grow.

    Attributes:
        levels: their number.
    """

    levels: int

    def first(self) -> list[Architecture]:
        """All architectures of the first level."""
        ...

    def grow(self, architecture: Architecture) -> list[Architecture]:
        """The architectures of the next level that have this one inside."""
        ...


class Blocks:
    """Cells of PNAS, by their number of blocks."""

    def __init__(self, space: PNAS) -> None:
        self._space, self.levels = space, space.blocks

    def first(self) -> list[Architecture]:
        """The 136 cells of one block."""
        return self._space.first_level()

    def grow(self, architecture: Architecture) -> list[Architecture]:
        """One block more, behind the others."""
        return self._space.expand(architecture)


class Nodes:
    """Cells of NAS-Bench-201, by their number of nodes: two with one edge, three with three, four with six.

    Input and output are there from the beginning; nodes come between them one by one, each with an edge from all before
    it and one to the output.
    """

    levels = 3

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
        SearchError: it is not known to.
    """
    if isinstance(space, PNAS):
        return Blocks(space)
    if isinstance(space, NASBench201):
        return Nodes(space)
    raise SearchError(f"space: pnas searches spaces whose cells grow, which are pnas and nasbench201, not {space.name}")
