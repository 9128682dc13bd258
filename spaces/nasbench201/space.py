"""NAS-Bench-201: 15,625 cells of four nodes and five operations in a fixed macro network.

Source: Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search (ICLR 2020).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, check_positive, check_task
from taurank.spaces.decision_space import DecisionSpace
from taurank.spaces.nasbench201.code import EDGES, OPERATIONS, format_code, parse_code
from taurank.spaces.nasbench201.features import FEATURE_NAMES, feature_vector
from taurank.spaces.nasbench201.graph import (
    canonical_code,
    canonical_codes,
    cell_depth,
    is_connected,
    live_edges,
    remove_dead_edges,
)

if TYPE_CHECKING:
    from torch import nn

    from taurank.spaces.nasbench201.network import MacroNetwork

LETTERS = {"none": "n", "skip_connect": "s", "nor_conv_1x1": "1", "nor_conv_3x3": "3", "avg_pool_3x3": "p"}
"""One letter for each operation, for the short form of a code."""

_BY_LETTER = {letter: operation for operation, letter in LETTERS.items()}


class NASBench201(DecisionSpace):
    """The NAS-Bench-201 topology space; codes are the benchmark's own strings, `|none~0|+|none~0|none~1|+|...|`.

    The short form is accepted too: `n-nn-snn` is `|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|`.

    Args:
        width: Channels of the first stage; the next two have twice and four times as many.
        cells_per_stage: Cells in each of the three stages.
    """

    name = "nasbench201"
    size = len(OPERATIONS) ** len(EDGES)
    feature_names = FEATURE_NAMES

    def __init__(self, width: int = 16, cells_per_stage: int = 5) -> None:
        check_positive("width", width)
        check_positive("cells_per_stage", cells_per_stage)
        self.width = width
        self.cells_per_stage = cells_per_stage

    def short(self, architecture: Architecture) -> str:
        """One letter an edge, node by node: n none, s skip_connect, 1 nor_conv_1x1, 3 nor_conv_3x3, p avg_pool_3x3."""
        letters = [LETTERS[operation] for operation in parse_code(self.code_of(architecture))]
        return "-".join("".join(letters[start:end]) for start, end in ((0, 1), (1, 3), (3, 6)))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the equal cell with the fewest convolution weights; see `reduced_string`."""
        return Architecture(self.name, canonical_code(self.code_of(architecture)))

    def is_live(self, architecture: Architecture) -> bool:
        """Whether the cell is connected and every operation but `none` lies on a path (9,444 codes)."""
        code = self.code_of(architecture)
        return is_connected(code) and remove_dead_edges(code) == code

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The operation of each edge, in the order of `EDGES`."""
        return (OPERATIONS,) * len(EDGES)

    def _read(self, code: str) -> list[int]:
        letters = re.fullmatch(r"\s*([ns13p])-([ns13p]{2})-([ns13p]{3})\s*", code)
        operations = [_BY_LETTER[letter] for letter in "".join(letters.groups())] if letters else parse_code(code)
        return [OPERATIONS.index(operation) for operation in operations]

    def _write(self, choices: Sequence[int]) -> str:
        return format_code([OPERATIONS[choice] for choice in choices])

    def _list_functions(self) -> list[Architecture]:
        """The 5,389 connected canonical cells."""
        return [Architecture(self.name, code) for code in canonical_codes() if is_connected(code)]

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Counts, one-hot code and path statistics of the live edges; see `taurank.spaces.nasbench201.features`."""
        return feature_vector(parse_code(self.code_of(architecture)))

    def depth(self, architecture: Architecture) -> int:
        """Stem, cells, two convolutions of each block between stages, classifier; 0 for a disconnected cell."""
        in_cell = cell_depth(parse_code(self.code_of(architecture)))
        return 0 if in_cell is None else 1 + 3 * self.cells_per_stage * in_cell + 2 * 2 + 1

    def size_terms(self, architecture: Architecture) -> tuple[Architecture, list[Architecture]]:
        """The cell without operations, and one cell for each operation: on 0 -> 3 if it is live, else on 0 -> 1.

        Every operation of a cell keeps the shape of its input. One on a dead edge has parameters but no FLOPs.
        """
        operations = parse_code(self.code_of(architecture))
        none, live, dead = ("none",) * len(EDGES), EDGES.index((0, 3)), EDGES.index((0, 1))
        places = [live if is_live else dead for is_live in live_edges(operations)]
        cells = [none] + [
            (*none[:place], operation, *none[place + 1 :])
            for place, operation in zip(places, operations, strict=True)
            if operation != "none"
        ]
        base, *terms = [Architecture(self.name, format_code(cell)) for cell in cells]
        return base, terms

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> MacroNetwork:
        """Makes the network; images of any size. Draws its weights from torch's global generator."""
        from taurank.spaces.nasbench201.network import Cell, MacroNetwork

        check_task(input_shape, classes)
        operations = parse_code(self.code_of(architecture))
        return MacroNetwork(
            lambda channels: Cell(operations, channels),
            width=self.width,
            cells_per_stage=self.cells_per_stage,
            channels=input_shape[0],
            classes=classes,
        )

    def thin(self, architecture: Architecture, *, classes: int) -> nn.Sequential:
        """Makes one cell of one channel, without a stem, and the classifier behind it.

        As in TE-NAS (Chen et al. 2021, arXiv 2102.11535), except that only live edges are computed and the weights are
        initialised by PyTorch; batch normalisation behind every convolution removes their scale.
        """
        from torch import nn

        from taurank.spaces.nasbench201.network import Cell, ClassifierHead

        check_positive("classes", classes)
        return nn.Sequential(Cell(parse_code(self.code_of(architecture)), 1), ClassifierHead(1, classes))
