"""Numeric features of a NAS-Bench-201 cell: statistics of its live edges and paths.

Counts of operations, the one-hot code, and statistics of the paths from input to output; these
expose structure to a regression model that the one-hot code hides. Dead edges are removed first, so that cells that
differ only in dead edges have equal features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.nasbench201.code import EDGES, NODES, OPERATIONS
from taurank.spaces.nasbench201.graph import live_paths, prune

_LIVE_OPERATIONS = tuple(operation for operation in OPERATIONS if operation != "none")

_SKIP, _CONV_1X1, _CONV_3X3, _POOL = "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"

_COUNTED = {"conv": (_CONV_1X1, _CONV_3X3), "conv_3x3": (_CONV_3X3,), "pool": (_POOL,), "skip": (_SKIP,)}
"""Operations counted along each path."""

_SUBSETS = {
    "skip": (_SKIP,),
    "skip_pool": (_SKIP, _POOL),
    "conv": (_CONV_1X1, _CONV_3X3),
    "conv_3x3": (_CONV_3X3,),
    "skip_conv": (_SKIP, _CONV_1X1, _CONV_3X3),
    "skip_conv_3x3": (_SKIP, _CONV_3X3),
    "conv_pool": (_CONV_1X1, _CONV_3X3, _POOL),
    "skip_conv_1x1": (_SKIP, _CONV_1X1),
}
"""Sets of operations; a path belongs to a set when it uses no other operation."""


def cell_features(operations: Sequence[str]) -> dict[str, float]:
    """Returns features of a cell by name.

    - `count_OP`, `live_edges`: live edges, by operation and in all; `edge_ST_OP`: 1 if that edge does OP (one-hot);
    - `paths`: live paths, 0 to 4; `path_WHAT_min`, `_max`, `_sum` over them of conv, conv_3x3, pool, skip, length;
    - `has_identity_path`: a path of skips alone; `has_conv_free_path`: one of skips and pools;
    - `input_OP`, `output_OP`: live edges that leave the input or reach the output;
    - `only_SET`, `only_SET_shortest`, `only_SET_longest`: number and lengths of the live paths that use only SET.

    A minimum, maximum or length over no path is 0; `paths` and `only_SET` identify that case.
    """
    operations = prune(operations)
    paths = [[operations[edge] for edge in path] for path in live_paths(operations)]
    features: dict[str, float] = {f"count_{operation}": operations.count(operation) for operation in _LIVE_OPERATIONS}
    features["live_edges"] = sum(operation != "none" for operation in operations)
    for (source, target), chosen in zip(EDGES, operations, strict=True):
        features |= {f"edge_{source}{target}_{operation}": chosen == operation for operation in OPERATIONS}

    features["paths"] = len(paths)
    for name, counted in _COUNTED.items():
        features |= _summary(f"path_{name}", [sum(step in counted for step in path) for path in paths])
    features |= _summary("path_length", [len(path) for path in paths])

    for end, node in (("input", 0), ("output", NODES - 1)):
        touching = [chosen for edge, chosen in zip(EDGES, operations, strict=True) if node in edge]
        features |= {f"{end}_{operation}": touching.count(operation) for operation in _LIVE_OPERATIONS}

    for name, subset in _SUBSETS.items():
        lengths = [len(path) for path in paths if all(step in subset for step in path)]
        features[f"only_{name}"] = len(lengths)
        features[f"only_{name}_shortest"] = min(lengths, default=0)
        features[f"only_{name}_longest"] = max(lengths, default=0)
    features["has_identity_path"] = features["only_skip"] > 0
    features["has_conv_free_path"] = features["only_skip_pool"] > 0
    return features


def feature_vector(operations: Sequence[str]) -> NDArray[np.float64]:
    """The values of `cell_features`, shape (len(FEATURE_NAMES),)."""
    return np.array(list(cell_features(operations).values()), dtype=np.float64)


def _summary(name: str, values: list[int]) -> dict[str, float]:
    return {
        f"{name}_min": min(values, default=0),
        f"{name}_max": max(values, default=0),
        f"{name}_sum": sum(values),
    }


FEATURE_NAMES = tuple(cell_features(("none",) * len(EDGES)))
"""Names of the features, in the order of `feature_vector`."""
