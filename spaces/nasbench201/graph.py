"""Equality of NAS-Bench-201 cells: dead edges, connectivity, and keys.

| rule | distinct among the 15,625 codes |
|---|---|
| `remove_dead_edges` | 9,445 |
| `reduced_string`, `canonical_code` | 5,390 |

Of all codes 15,284 are connected (`is_connected`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from taurank.spaces.nasbench201.code import EDGES, NODES, all_operations, format_code, parse_code

PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""The four paths from input to output, as positions in `EDGES`."""

_CONVOLUTION_WEIGHTS = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}


def live_paths(operations: Sequence[str]) -> list[tuple[int, ...]]:
    """Lists the members of `PATHS` on which no operation is `none`."""
    return [path for path in PATHS if all(operations[edge] != "none" for edge in path)]


def live_edges(operations: Sequence[str]) -> tuple[bool, ...]:
    """Whether each edge lies on a live path."""
    live = {edge for path in live_paths(operations) for edge in path}
    return tuple(edge in live for edge in range(len(EDGES)))


def cell_depth(operations: Sequence[str]) -> int | None:
    """Convolutions on the longest live path; None for a cell without a path."""
    depths = [sum(operations[edge] in _CONVOLUTION_WEIGHTS for edge in path) for path in live_paths(operations)]
    return max(depths, default=None)


def is_connected(code: str) -> bool:
    """Whether any live path connects the input to the output."""
    return bool(live_paths(parse_code(code)))


def prune(operations: Sequence[str]) -> tuple[str, ...]:
    """Replaces the operations of dead edges by `none`."""
    return tuple(
        operation if live else "none" for operation, live in zip(operations, live_edges(operations), strict=True)
    )


def remove_dead_edges(code: str) -> str:
    """Replaces the operations of dead edges by `none`, in the text."""
    return format_code(prune(parse_code(code)))


def reduced_string(code: str) -> str:
    """Key of the function: zeros dropped from sums, skips folded, terms sorted; `#` for a cell without a path.

    Two cells with the same key are equal as functions when equal terms have equal weights. The converse does not hold:
    a sum that reaches another sum by a skip is sorted as one term, so that a + (b + c) and b + (a + c) may have
    different keys. With flattened sums 4,930 keys would remain, not 5,390.
    """
    return _reduced_string(parse_code(code))


def canonical_code(code: str) -> str:
    """The cheapest cell with the same `reduced_string`: fewest convolution weights, then first in enumeration order."""
    return _representatives()[reduced_string(code)]


@cache
def canonical_codes() -> tuple[str, ...]:
    """All 5,390 canonical codes in enumeration order; the first is the disconnected cell."""
    canonical = set(_representatives().values())
    return tuple(code for code in map(format_code, all_operations()) if code in canonical)


@cache
def _representatives() -> dict[str, str]:
    """Canonical code by key; computed once per process (0.3 seconds)."""
    best: dict[str, tuple[int, tuple[str, ...]]] = {}
    for operations in all_operations():
        key = _reduced_string(operations)
        weights = sum(_CONVOLUTION_WEIGHTS.get(operation, 0) for operation in operations)
        if key not in best or weights < best[key][0]:
            best[key] = (weights, operations)
    return {key: format_code(operations) for key, (_, operations) in best.items()}


def _reduced_string(operations: Sequence[str]) -> str:
    nodes = ["0"]
    for incoming in _incoming(operations):
        terms = [
            _term(operation, nodes[source])
            for source, operation in incoming
            if operation != "none" and nodes[source] != "#"
        ]
        nodes.append("+".join(sorted(terms)) or "#")
    return nodes[-1]


def _term(operation: str, source: str) -> str:
    return source if operation == "skip_connect" else f"({source})@{operation}"


def _incoming(operations: Sequence[str]) -> list[list[tuple[int, str]]]:
    """(source, operation) of the edges into node 1, 2, 3."""
    return [
        [(source, operation) for (source, end), operation in zip(EDGES, operations, strict=True) if end == target]
        for target in range(1, NODES)
    ]
