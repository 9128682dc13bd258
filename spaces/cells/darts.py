"""DARTS: a normal and a reduction cell of four nodes with two edges each and seven operations, about 10^18 codes.

Source: Liu et al., DARTS: Differentiable Architecture Search (ICLR 2019, arXiv 1806.09055), and its code,
github.com/quark0/darts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import factorial, prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, SpaceError, check_task
from taurank.spaces.cells.cells import INPUTS, Cell, canonical_cell, format_cell, parse_cell, stem_sizes
from taurank.spaces.cells.features import cell_features
from taurank.spaces.cells.genotype import format_genotype, is_genotype, parse_genotype
from taurank.spaces.decision_space import DecisionSpace

if TYPE_CHECKING:
    from taurank.spaces.cells.network import CellNetwork

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Operations of an edge, in the order of the source. The source uses an eighth, `none`, during its search only."""

NODES = 4
"""Blocks of a cell."""

PUBLISHED = {
    "DARTS_V1": "0s3-1s3_0sk-1s3_0sk-1s3_0s3-2sk+0mp-1mp_0mp-2sk_0mp-2sk_0ap-2sk",
    "DARTS_V2": "0s3-1s3_0s3-1s3_0sk-1s3_0sk-2d3+0mp-1mp_1mp-2sk_0mp-2sk_1mp-2sk",
    "PDARTS": "0sk-1d3_0sk-1s3_1s3-3s3_0s3-4d5+0ap-1s5_0s3-2d5_0mp-1d3_1d3-3d5",
    "PC_DARTS_cifar": "0s3-1sk_0d3-1s3_0s5-1s3_0ap-1d3+0mp-1s5_1s5-2s5_0s3-3s3_1s3-2s3",
    "PC_DARTS_image": "0s3-1sk_0s3-1sk_1s3-3s3_1s3-4d5+0s3-1sk_1mp-2d5_1s3-2s3_0s5-3s3",
}
"""Published architectures by name: github.com/quark0/darts (first and second order),
chenxin061/pdarts, yuhuixu1993/PC-DARTS."""

_SOURCES = [list(combinations(range(node + INPUTS), 2)) for node in range(NODES)]  # pairs that a node may read
_CELL_DECISIONS = tuple(
    options
    for pairs in _SOURCES
    for options in (tuple(f"{one},{other}" for one, other in pairs), OPERATIONS, OPERATIONS)
    if len(options) > 1
)
_CELL_CODES = prod(map(len, _CELL_DECISIONS))
_FORM = "0s3-1s3_0s3-1s3_0sk-1s3_0sk-2d3+0mp-1mp_1mp-2sk_0mp-2sk_1mp-2sk"


STEMS = {"cifar": (36, 20), "imagenet": (48, 14)}
"""Stems by name, with the width and the number of layers that the source evaluates cells at."""


class DARTS(DecisionSpace):
    """The cell space of DARTS; a code is the normal and the reduction cell, see `cells.cells` for their text.

    Args:
        stem: "cifar" keeps height and width before the first cell, "imagenet" divides them by eight.
        width: Channels of a block before the first reduction; 36 by default, 48 with the stem for ImageNet.
        layers: Number of cells; 20 by default, 14 with the stem for ImageNet.
    """

    name = "darts"
    size = _CELL_CODES**2

    def __init__(self, stem: str = "cifar", width: int | None = None, layers: int | None = None) -> None:
        self.stem = stem
        self.width, self.layers = stem_sizes(STEMS, stem, width, layers)
        if self.width < 2:
            raise SpaceError("width: 1 cannot be halved; give 2 or more")
        self.feature_names = tuple(self._features(PUBLISHED["DARTS_V2"]))

    def parse(self, text: str) -> Architecture:
        """Reads a code, a text `Genotype(normal=[('sep_conv_3x3', 1), ...], ...)`, or a name of `PUBLISHED`."""
        text = text.strip()
        if is_genotype(text):
            return self._architecture(*parse_genotype(text, OPERATIONS))
        return self._architecture(*_parse_code(PUBLISHED.get(text, text)))

    def cells(self, architecture: Architecture) -> tuple[Cell, Cell]:
        """The normal and the reduction cell."""
        return _parse_code(self.code_of(architecture))

    def genotype(self, architecture: Architecture) -> str:
        """Formats the architecture as a genotype, which `parse` reads."""
        return format_genotype(*self.cells(architecture))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the architecture with both cells in canonical order; see `cells.cells.canonical_cell`."""
        normal, reduction = self.cells(architecture)
        return self._architecture(canonical_cell(normal), canonical_cell(reduction))

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """For each node of the normal and then of the reduction cell: its two sources, the operation of each.

        The first node has a single pair of sources. Every combination is an architecture.
        """
        return _CELL_DECISIONS * 2

    def _read(self, code: str) -> list[int]:
        """Positions of the pair of sources and of the operations, by node."""
        taken: list[int] = []
        for cell in _parse_code(code):
            for pairs, ((one, first), (other, second)) in zip(_SOURCES, cell, strict=True):
                if len(pairs) > 1:
                    taken.append(pairs.index((one, other)))
                taken += [OPERATIONS.index(first), OPERATIONS.index(second)]
        return taken

    def _write(self, choices: Sequence[int]) -> str:
        remaining = iter(choices)
        normal, reduction = (_choose_cell(remaining) for _ in range(2))
        return self._architecture(normal, reduction).code

    @property
    def _min_functions(self) -> int:
        """At most 4! orders of the nodes of a cell are the same function."""
        return self.size // factorial(NODES) ** 2

    def _draw(self, generator: np.random.Generator, *, functions: bool) -> Architecture:
        def draw_cell() -> Cell:
            while True:
                cell = _draw_cell(generator)
                if not functions or canonical_cell(cell) == cell:
                    return cell

        return self._architecture(draw_cell(), draw_cell())

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Features of both canonical cells; see `taurank.spaces.cells.features`."""
        return np.array(list(self._features(self.code_of(architecture)).values()), dtype=np.float64)

    def _features(self, code: str) -> dict[str, float]:
        return {
            f"{kind}_{name}": value
            for kind, cell in zip(("normal", "reduction"), _parse_code(code), strict=True)
            for name, value in cell_features(canonical_cell(cell), OPERATIONS, NODES).items()
            if name != "blocks"
        }

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> CellNetwork:
        """Makes the network; images of any size. Draws its weights from torch's global generator."""
        from taurank.spaces.cells.darts_network import build_network

        check_task(input_shape, classes)
        normal, reduction = self.cells(architecture)
        return build_network(
            normal,
            reduction,
            stem=self.stem,
            width=self.width,
            layers=self.layers,
            channels=input_shape[0],
            classes=classes,
        )

    def _architecture(self, normal: Cell, reduction: Cell) -> Architecture:
        for cell in (normal, reduction):
            _check_cell(cell)
        return Architecture(self.name, f"{format_cell(normal)}+{format_cell(reduction)}")


def _parse_code(text: str) -> tuple[Cell, Cell]:
    cells = text.split("+")
    if len(cells) != 2:
        raise SpaceError(
            f"code: {text!r} is not a normal and a reduction cell separated by '+'; the form is {_FORM!r}, "
            f"'Genotype(normal=[...], ...)', or one of {', '.join(PUBLISHED)}"
        )
    normal, reduction = (parse_cell(cell, OPERATIONS) for cell in cells)
    for cell in (normal, reduction):
        _check_cell(cell)
    return normal, reduction


def _check_cell(cell: Cell) -> None:
    if len(cell) != NODES:
        raise SpaceError(f"code: the cell {format_cell(cell)!r} has {len(cell)} blocks, not {NODES}")
    for block in cell:
        if block[0][0] == block[1][0]:
            raise SpaceError(
                f"code: the block {format_cell((block,))!r} of {format_cell(cell)!r} reads {block[0][0]} twice; "
                "give it two sources"
            )


def _choose_cell(choices: Iterator[int]) -> Cell:
    cell = []
    for pairs in _SOURCES:
        one, other = pairs[next(choices)] if len(pairs) > 1 else pairs[0]
        cell.append(((one, OPERATIONS[next(choices)]), (other, OPERATIONS[next(choices)])))
    return tuple(cell)


def _draw_cell(generator: np.random.Generator) -> Cell:
    cell = []
    for pairs in _SOURCES:
        one, other = pairs[generator.integers(len(pairs))]
        first, second = (OPERATIONS[place] for place in generator.integers(len(OPERATIONS), size=2))
        cell.append(((one, first), (other, second)))
    return tuple(cell)
