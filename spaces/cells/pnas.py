"""PNAS: cells of one to five blocks with eight operations, the space of progressive neural architecture search.

Source: Liu et al., Progressive Neural Architecture Search (ECCV 2018, arXiv 1712.00559), section 3, and its code,
github.com/chenxi116/PNASNet.TF and PNASNet.pytorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, product
from math import comb, factorial, prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, SpaceError, check_positive, check_task
from taurank.spaces.cells.cells import (
    INPUTS,
    Block,
    Cell,
    Edge,
    canonical_cell,
    format_cell,
    make_block,
    parse_cell,
    stem_sizes,
)
from taurank.spaces.cells.features import cell_features
from taurank.spaces.cells.genotype import format_genotype, is_genotype, parse_genotype
from taurank.spaces.decision_space import DecisionSpace, draw_weighted

if TYPE_CHECKING:
    from taurank.spaces.cells.network import CellNetwork

OPERATIONS = (
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
    "conv_7x1_1x7",
    "skip_connect",
    "avg_pool_3x3",
    "max_pool_3x3",
    "dil_conv_3x3",
)
"""Operations of an edge."""

BLOCKS = 5
"""Largest number of blocks of a cell in the source."""

PUBLISHED = {"PNASNet_5": "0mp-0s5_1mp-1s7_1s3-1s5_1mp-4s3_0s3-1sk"}
"""Published architectures: PNASNet-5, from github.com/chenxi116/PNASNet.pytorch."""

_SMALLEST = 3  # the first convolution for ImageNet is not padded


def blocks_at(place: int) -> list[Block]:
    """All blocks that are valid at a position, counted from 0: 136 at the first, then 300, 528, 820, 1,176."""
    return list(combinations_with_replacement(sorted(product(range(place + INPUTS), OPERATIONS)), 2))


def _count_at(place: int) -> int:
    return comb((place + INPUTS) * len(OPERATIONS) + 1, 2)


STEMS = {"cifar": (48, 9), "imagenet": (54, 9)}
"""Stems by name, with the width and the number of layers that the source has for CIFAR-10 and for mobile devices."""

MOBILE_STEM_WIDTH = 32
"""Channels of the first convolution of the network for mobile devices; that for CIFAR-10 has three times its width."""


class PNAS(DecisionSpace):
    """The cell space of PNAS; a code is the cell's blocks, see `cells.cells`: 0mp-0s5_1mp-1s7_1s3-1s5_1mp-4s3_0s3-1sk.

    Args:
        blocks: Largest number of blocks of a cell, 1 to 5; smaller cells belong to the space too.
        stem: "cifar" keeps height and width before the first cell, "imagenet" divides them by eight.
        width: Channels of a block before the first reduction; 48 by default, 54 with the stem for ImageNet.
        layers: Number of cells, those of the stem not counted; 9 by default.
        stem_width: Channels of the first convolution; three times `width` by default, 32 with the stem for ImageNet.
    """

    name = "pnas"
    listed = 1_000

    def __init__(
        self,
        blocks: int = BLOCKS,
        stem: str = "cifar",
        width: int | None = None,
        layers: int | None = None,
        stem_width: int | None = None,
    ) -> None:
        check_positive("blocks", blocks)
        if blocks > BLOCKS:
            raise SpaceError(f"blocks: {blocks} is more than {BLOCKS}")
        self.blocks = blocks
        self.stem = stem
        self.width, self.layers = stem_sizes(STEMS, stem, width, layers)
        default = MOBILE_STEM_WIDTH if stem == "imagenet" else 3 * self.width
        self.stem_width = default if stem_width is None else stem_width
        check_positive("stem_width", self.stem_width)
        least = 4 if stem == "imagenet" else 2
        if self.width < least:
            raise SpaceError(f"width: {self.width} is too small for the stem {stem!r}; give {least} or more")
        self._counts = [prod(map(_count_at, range(length))) for length in range(1, blocks + 1)]  # codes by length
        self.size = sum(self._counts)
        self.feature_names = tuple(cell_features((blocks_at(0)[0],), OPERATIONS, blocks))

    def parse(self, text: str) -> Architecture:
        """Reads a code, a text `Genotype(normal=[...], ...)` with the same cell twice, or a name of `PUBLISHED`."""
        text = text.strip()
        if not is_genotype(text):
            return self._architecture(self._checked(parse_cell(PUBLISHED.get(text, text), OPERATIONS)))
        normal, reduction = parse_genotype(text, OPERATIONS)
        if normal != reduction:
            raise SpaceError(f"code: the genotype has two cells, but {self.name} has the same for both; use darts")
        return self._architecture(self._checked(normal))

    def cell(self, architecture: Architecture) -> Cell:
        """The cell."""
        return self._checked(parse_cell(self.code_of(architecture), OPERATIONS))

    def genotype(self, architecture: Architecture) -> str:
        """Formats the architecture as a genotype, which `parse` reads."""
        cell = self.cell(architecture)
        return format_genotype(cell, cell)

    def first_level(self) -> list[Architecture]:
        """Returns the 136 cells of one block, the start of a progressive search."""
        return [self._architecture((block,)) for block in blocks_at(0)]

    def expand(self, architecture: Architecture) -> list[Architecture]:
        """Returns the cells with one block appended: 300 of one block, then 528, 820, 1,176.

        They are not made canonical, and expansions of different cells may be equal as functions.

        Raises:
            SpaceError: The architecture already has the largest number of blocks.
        """
        cell = self.cell(architecture)
        if len(cell) == self.blocks:
            raise SpaceError(f"architecture: {architecture.code!r} has {len(cell)} blocks already, the most there are")
        return [self._architecture((*cell, block)) for block in blocks_at(len(cell))]

    def _enumerate(self) -> Iterator[Architecture]:
        level = self.first_level()
        for length in range(1, self.blocks + 1):
            yield from level
            if length < self.blocks:
                level = [child for parent in level for child in self.expand(parent)]

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the architecture with its cell in canonical order; see `cells.cells.canonical_cell`."""
        return self._architecture(canonical_cell(self.cell(architecture)))

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The number of blocks; then for each block, there or not, source, operation, source, operation."""
        lengths = tuple(str(length) for length in range(1, self.blocks + 1))
        sources = [tuple(map(str, range(place + INPUTS))) for place in range(self.blocks)]
        return (lengths, *(options for states in sources for options in (states, OPERATIONS, states, OPERATIONS)))

    def _read(self, code: str) -> list[int]:
        """Missing blocks have the first options."""
        cell = self._checked(parse_cell(code, OPERATIONS))
        taken = [place for block in cell for source, name in block for place in (source, OPERATIONS.index(name))]
        return [len(cell) - 1, *taken, *([0] * 4 * (self.blocks - len(cell)))]

    def _write(self, choices: Sequence[int]) -> str:
        """Choices of missing blocks are ignored."""
        length, *rest = choices
        edges: list[Edge] = [(rest[place], OPERATIONS[rest[place + 1]]) for place in range(0, 4 * (length + 1), 2)]
        return format_cell(tuple(make_block(*edges[place : place + 2]) for place in range(0, len(edges), 2)))

    @property
    def _min_functions(self) -> int:
        """At most `blocks!` orders of the blocks compute the same function."""
        return self.size // factorial(self.blocks)

    def _draw(self, generator: np.random.Generator, *, functions: bool) -> Architecture | None:
        """Most draws have the largest number of blocks, since each block multiplies the number of cells by hundreds."""
        length = 1 + draw_weighted(self._counts, generator)
        cell = tuple(_draw_block(place, generator) for place in range(length))
        return self._architecture(cell) if not functions or canonical_cell(cell) == cell else None

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Lists those with another source or operation on one edge, without the last block, or with one more behind it.

        Only the last block can be removed, since later blocks may read the others.
        """
        cell = self.cell(architecture)
        others = dict.fromkeys(
            self._architecture((*cell[:place], changed, *cell[place + 1 :]))
            for place, block in enumerate(cell)
            for changed in _neighbouring_blocks(place, block)
        )
        if len(cell) > 1:
            others[self._architecture(cell[:-1])] = None
        return [*others, *(self.expand(architecture) if len(cell) < self.blocks else [])]

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Features of the canonical cell; see `taurank.spaces.cells.features`."""
        features = cell_features(canonical_cell(self.cell(architecture)), OPERATIONS, self.blocks)
        return np.array(list(features.values()), dtype=np.float64)

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> CellNetwork:
        """Makes the network; images of any size, with the stem for ImageNet of 3x3 or more.

        Draws its weights from torch's global generator.
        """
        from taurank.spaces.cells.pnas_network import build_network

        check_task(input_shape, classes)
        channels, height, width = input_shape
        if self.stem == "imagenet" and min(height, width) < _SMALLEST:
            raise SpaceError(
                f"input_shape: {height}x{width} images are too small for the stem 'imagenet', which needs "
                f"{_SMALLEST}x{_SMALLEST} or more"
            )
        return build_network(
            self.cell(architecture),
            stem=self.stem,
            width=self.width,
            layers=self.layers,
            stem_width=self.stem_width,
            channels=channels,
            classes=classes,
        )

    def _checked(self, cell: Cell) -> Cell:
        if len(cell) > self.blocks:
            raise SpaceError(f"code: {format_cell(cell)!r} has {len(cell)} blocks, more than {self.blocks}")
        return cell

    def _architecture(self, cell: Cell) -> Architecture:
        return Architecture(self.name, format_cell(cell))


def _neighbouring_blocks(place: int, block: Block) -> Iterator[Block]:
    for (source, operation), kept in (block, block[::-1]):
        for other in range(place + INPUTS):
            if other != source:
                yield make_block((other, operation), kept)
        for name in OPERATIONS:
            if name != operation:
                yield make_block((source, name), kept)


def _draw_block(place: int, generator: np.random.Generator) -> Block:
    """Draws a valid block uniformly, without listing them."""
    edges = (place + INPUTS) * len(OPERATIONS)
    while True:
        one, other = (int(edge) for edge in generator.integers(edges, size=2))
        # Two different edges are drawn in either order: half of those draws count, as all draws of equal edges do.
        if one == other or generator.random() < 0.5:
            return make_block(*((edge // len(OPERATIONS), OPERATIONS[edge % len(OPERATIONS)]) for edge in (one, other)))
