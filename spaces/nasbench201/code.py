"""The text of a NAS-Bench-201 cell: four nodes, one operation on each of the six edges.

`|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`: the nodes 1, 2, 3 are separated by `+`, and node n has one `op~source` for each
earlier node. The operations of a cell are a tuple of six names in the order of the text, which is that of `EDGES`.

Source: Dong and Yang, NAS-Bench-201 (ICLR 2020), section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from taurank.spaces.architecture import SpaceError
from taurank.spaces.names import suggestion

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Operations of an edge, in the order of the benchmark."""

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) of the edges, in the order of the text. Node 0 is the cell's input, node 3 its output."""

NODES = 4
"""Number of nodes, input and output included."""

_FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


def parse_code(text: str) -> tuple[str, ...]:
    """Parses the operations of the six edges; white space around the words is ignored.

    Raises:
        SpaceError: The text is malformed or names an unknown operation.
    """
    nodes = text.strip().split("+")
    if len(nodes) != NODES - 1:
        raise SpaceError(
            f"code: {text!r} has {len(nodes)} nodes separated by '+', not {NODES - 1}; the form is {_FORM}"
        )
    return tuple(
        operation for target, node in enumerate(nodes, start=1) for operation in _parse_node(node.strip(), target, text)
    )


def format_code(operations: Sequence[str]) -> str:
    """Formats six operations in the order of `EDGES`.

    Raises:
        SpaceError: There are not six, or one is unknown.
    """
    if len(operations) != len(EDGES):
        raise SpaceError(f"operations: {len(operations)} given, but a cell has {len(EDGES)} edges")
    for edge, operation in zip(EDGES, operations, strict=True):
        _check_operation(operation, edge, repr(tuple(operations)))
    first, second, third, fourth, fifth, sixth = operations
    return f"|{first}~0|+|{second}~0|{third}~1|+|{fourth}~0|{fifth}~1|{sixth}~2|"


def all_operations() -> Iterator[tuple[str, ...]]:
    """Lists the 15,625 cells; the last edge changes fastest, `none` comes first."""
    return product(OPERATIONS, repeat=len(EDGES))


def _parse_node(node: str, target: int, text: str) -> Iterator[str]:
    if len(node) < 2 or not (node.startswith("|") and node.endswith("|")):
        raise SpaceError(f"code: node {target} of {text!r} is {node!r}, not enclosed in '|'; the form is {_FORM}")
    entries = node[1:-1].split("|")
    if len(entries) != target:
        raise SpaceError(
            f"code: node {target} of {text!r} has {len(entries)} incoming edges, not {target}; the form is {_FORM}"
        )
    for source, entry in enumerate(entries):
        operation, tilde, origin = (part.strip() for part in entry.partition("~"))
        if not tilde or origin != str(source):
            raise SpaceError(
                f"code: edge {source}->{target} of {text!r} is written {entry!r}, but must end in '~{source}'; "
                f"the form is {_FORM}"
            )
        _check_operation(operation, (source, target), repr(text))
        yield operation


def _check_operation(operation: str, edge: tuple[int, int], where: str) -> None:
    if operation not in OPERATIONS:
        meant = suggestion(operation, OPERATIONS, cutoff=0.5)
        raise SpaceError(
            f"code: edge {edge[0]}->{edge[1]} of {where} has the unknown operation {operation!r}{meant}; "
            f"allowed are {', '.join(OPERATIONS)}"
        )
