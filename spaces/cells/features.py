"""Numeric features of a cell of two-input blocks: counts, depths, and edges by position."""

from __future__ import annotations

from collections.abc import Sequence

from taurank.spaces.cells.cells import INPUTS, Cell


def cell_features(cell: Cell, operations: Sequence[str], blocks: int) -> dict[str, float]:
    """Returns features by name; `blocks` is the largest number of blocks in the space.

    - `blocks`; `count_OP`: edges by operation;
    - `reads_0`, `reads_1`, `reads_block`: edges from each input, and from blocks;
    - `unread`: blocks that no other reads;
    - `depth_mean`, `depth_max`: edges on the longest path to a block; `convolutions_max`: the most on any path;
    - `B_SOURCE_OP`: how many edges (0, 1, 2) of block B apply OP to that state; 0 for blocks that are not there.
    """
    edges = [edge for block in cell for edge in block]
    features: dict[str, float] = {"blocks": len(cell)}
    features |= {f"count_{known}": sum(operation == known for _, operation in edges) for known in operations}
    read = [source for source, _ in edges]
    features |= {"reads_0": read.count(0), "reads_1": read.count(1)}
    features["reads_block"] = len(read) - read.count(0) - read.count(1)
    features["unread"] = sum(state not in read for state in range(INPUTS, INPUTS + len(cell)))

    depths, convolutions = [0] * INPUTS, [0] * INPUTS
    for block in cell:
        depths.append(1 + max(depths[source] for source, _ in block))
        convolutions.append(max(convolutions[source] + ("conv" in operation) for source, operation in block))
    features["depth_mean"] = sum(depths) / len(cell)
    features["depth_max"] = max(depths)
    features["convolutions_max"] = max(convolutions)

    for number in range(blocks):
        present = list(cell[number]) if number < len(cell) else []
        for source in range(number + INPUTS):
            for operation in operations:
                features[f"{number + INPUTS}_{source}_{operation}"] = present.count((source, operation))
    return features
