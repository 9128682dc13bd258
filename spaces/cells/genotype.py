"""Genotypes, the text of cells: `Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), ...)`.

Each pair of entries (operation, source) is a block. The text is parsed as data and never evaluated.

Source: github.com/quark0/darts, `cnn/genotypes.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from taurank.spaces.architecture import SpaceError
from taurank.spaces.cells.cells import INPUTS, Cell, make_block

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")

_FORM = (
    "Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))"
)
_LONGEST = 10_000  # characters; a published genotype has 400


def is_genotype(text: str) -> bool:
    """Whether a text looks like `Genotype(...)` or `NAME = Genotype(...)`."""
    return re.match(r"\s*(\w+\s*=\s*)?Genotype\b", text) is not None


def parse_genotype(text: str, operations: Sequence[str]) -> tuple[Cell, Cell]:
    """Reads the normal and the reduction cell.

    Raises:
        SpaceError: The text is malformed, or a cell does not concatenate all its blocks, reads a later state, or has an
            unknown operation.
    """
    fields = _read_fields(text)
    cells = []
    for name in ("normal", "reduce"):
        cell = _read_cell(name, fields[name], operations)
        states, concat = list(range(INPUTS, INPUTS + len(cell))), fields[f"{name}_concat"]
        if concat != states:
            raise SpaceError(
                f"code: {name}_concat of the genotype is {concat!r}; only all blocks, {states}, can be built"
            )
        cells.append(cell)
    return cells[0], cells[1]


def format_genotype(normal: Cell, reduce: Cell) -> str:
    """Writes the text of a normal and a reduction cell."""
    parts = []
    for name, cell in (("normal", normal), ("reduce", reduce)):
        parts.append(f"{name}={[(operation, source) for block in cell for source, operation in block]}")
        parts.append(f"{name}_concat=range({INPUTS}, {INPUTS + len(cell)})")
    return f"Genotype({', '.join(parts)})"


def _read_fields(text: str) -> dict[str, Any]:
    start = text.partition("Genotype")[2]
    if len(text) > _LONGEST:
        raise SpaceError(
            f"code: the genotype has {len(text):,} characters, more than {_LONGEST:,}; the form is {_FORM}"
        )
    try:
        call = ast.parse(f"Genotype{start}".strip(), mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
            raise ValueError
        fields = {keyword.arg: _read_value(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise SpaceError(f"code: {_cut(text)} is not a genotype; the form is {_FORM}") from None
    if sorted(map(str, fields)) != sorted(FIELDS):
        raise SpaceError(f"code: the fields of the genotype are {', '.join(map(str, fields))}, not {', '.join(FIELDS)}")
    return {str(name): value for name, value in fields.items()}


def _read_value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        first, last = (ast.literal_eval(bound) for bound in node.args)
        # Bounded before it is made a list.
        return list(range(first, last)) if last - first <= _LONGEST else None
    value = ast.literal_eval(node)
    return list(value) if isinstance(value, (list, tuple)) else value


def _read_cell(name: str, entries: Any, operations: Sequence[str]) -> Cell:
    if not isinstance(entries, list) or not entries or len(entries) % 2:
        raise SpaceError(
            f"code: {name} of the genotype is not a list of two entries for each block; the form is {_FORM}"
        )
    edges = []
    for place, entry in enumerate(entries):
        number = place // 2
        where = f"entry {place + 1} of {name} of the genotype"
        if not isinstance(entry, (list, tuple)) or [type(part) for part in entry] != [str, int]:
            raise SpaceError(f"code: {where} is {_cut(entry)}, not an operation and a source like ('sep_conv_3x3', 1)")
        operation, source = entry
        if operation not in operations:
            allowed = ", ".join(operations)
            raise SpaceError(f"code: {where} has the unknown operation {_cut(operation)}; allowed are {allowed}")
        if not 0 <= source < number + INPUTS:
            raise SpaceError(f"code: {where} reads {source}; allowed are {', '.join(map(str, range(number + INPUTS)))}")
        edges.append((source, operation))
    return tuple(make_block(*edges[place : place + 2]) for place in range(0, len(edges), 2))


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
