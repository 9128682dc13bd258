"""Cells of two-input blocks (DARTS, PNAS): their text and canonical form.

A cell reads the outputs of the two cells before it: states 0 (the cell before the previous one) and 1 (the previous
one). Each block is the sum of two operations on states, and becomes the next state: 2, 3 ...
The output of the cell is the concatenation of all blocks.

The text `0s3-1s3_0sk-2d3` has two blocks: the separable 3x3 convolutions of states 0 and 1, added; then state 0 as it
is plus a dilated convolution of the first block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from taurank.spaces.architecture import SpaceError, check_positive

Edge: TypeAlias = tuple[int, str]
"""Source state and operation."""

Block: TypeAlias = tuple[Edge, Edge]
"""Two edges in ascending order; their results are added."""

Cell: TypeAlias = tuple[Block, ...]

INPUTS = 2
"""Input states of a cell."""

ABBREVIATIONS = {
    "max_pool_3x3": "mp",
    "avg_pool_3x3": "ap",
    "skip_connect": "sk",
    "sep_conv_3x3": "s3",
    "sep_conv_5x5": "s5",
    "sep_conv_7x7": "s7",
    "dil_conv_3x3": "d3",
    "dil_conv_5x5": "d5",
    "conv_7x1_1x7": "c7",
}
"""Operations and how the text of a cell abbreviates them."""

_BY_ABBREVIATION = {short: operation for operation, short in ABBREVIATIONS.items()}


def stem_sizes(
    stems: Mapping[str, tuple[int, int]], stem: str, width: int | None, layers: int | None
) -> tuple[int, int]:
    """Returns width and number of layers, by default those of the stem.

    Raises:
        SpaceError: The stem is unknown, or a number is not positive.
    """
    if stem not in stems:
        raise SpaceError(f"stem: {stem!r} is unknown; there are {', '.join(stems)}")
    sizes = stems[stem][0] if width is None else width, stems[stem][1] if layers is None else layers
    for argument, value in zip(("width", "layers"), sizes, strict=True):
        check_positive(argument, value)
    return sizes


def make_block(one: Edge, other: Edge) -> Block:
    """Returns the block of two edges, which addition makes unordered."""
    return (one, other) if one <= other else (other, one)


def format_cell(cell: Cell) -> str:
    """Writes the text."""
    return "_".join("-".join(f"{source}{ABBREVIATIONS[operation]}" for source, operation in block) for block in cell)


def parse_cell(text: str, operations: Sequence[str]) -> Cell:
    """Parses a cell of any number of blocks.

    Raises:
        SpaceError: The text is malformed, reads a later state, or names an unknown operation.
    """
    return tuple(_parse_block(number, block, text, operations) for number, block in enumerate(text.split("_")))


def canonical_cell(cell: Cell) -> Cell:
    """Returns the cell with its blocks in canonical order.

    Another valid order permutes the channels of the output, and the weights of the following layers can be permuted
    with them: the networks are equal as functions, and their initial weights have the same distribution.

    The canonical order is the one whose blocks, with their sources renumbered, compare lowest. It is built block by
    block; all lowest prefixes are kept, since later blocks may break a tie.
    """
    beginnings: list[tuple[Cell, dict[int, int]]] = [((), {state: state for state in range(INPUTS)})]
    for _ in cell:
        longer = []
        for blocks, names in beginnings:
            for state, (one, other) in enumerate(cell, start=INPUTS):
                if state not in names and one[0] in names and other[0] in names:
                    renamed = make_block((names[one[0]], one[1]), (names[other[0]], other[1]))
                    longer.append(((*blocks, renamed), {**names, state: len(names)}))
        lowest = min(blocks for blocks, _ in longer)
        beginnings = [beginning for beginning in longer if beginning[0] == lowest]
    return beginnings[0][0]


def _parse_block(number: int, block: str, text: str, operations: Sequence[str]) -> Block:
    match = re.fullmatch(r"(\d)([a-z][a-z0-9])-(\d)([a-z][a-z0-9])", block)
    where = f"block {number + 1} of {text!r}"
    if not match:
        raise SpaceError(
            f"code: {where} is {block!r}, not two sources with their operations; blocks look like '0s3-1sk', "
            f"and are separated by '_'"
        )
    edges = []
    for source, short in (match.group(1, 2), match.group(3, 4)):
        if int(source) >= number + INPUTS:
            allowed = ", ".join(map(str, range(number + INPUTS)))
            raise SpaceError(f"code: {where} reads {source}, which is not defined yet; allowed are {allowed}")
        operation = _BY_ABBREVIATION.get(short)
        if operation is None or operation not in operations:
            allowed = ", ".join(f"{ABBREVIATIONS[known]} ({known})" for known in operations)
            raise SpaceError(f"code: {where} has the unknown operation {short!r}; allowed are {allowed}")
        edges.append((int(source), operation))
    return make_block(*edges)
