"""Nine small networks for MNIST: one to three equal blocks in each of two stages.

The architecture a1,a2 keeps the first a1 blocks of stage 1 and the first a2 blocks of stage 2. Block k of a stage has
the same key in the state dictionary of every network that has it, so that networks can share weights by prefix.

Source: github.com/basic-go-ahead/supernet-mnist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, SpaceError, check_task
from taurank.spaces.decision_space import DecisionSpace

if TYPE_CHECKING:
    from taurank.spaces.mnist_blocks_network import BlockNetwork

DEPTHS = (1, 2, 3)
"""Possible numbers of blocks of a stage."""

STAGES = 2

REFERENCE_SIZE = (28, 28)
"""Height and width that the source's pooling requires."""

_SMALLEST = 5  # smaller images vanish in the two convolutions without padding


def parse_depths(text: str) -> tuple[int, int]:
    """Reads the number of blocks of both stages from "2,3" or "(2, 3)".

    Raises:
        SpaceError: The text has another form or another number.
    """
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1]
    entries = [entry.strip() for entry in inner.split(",")]
    if len(entries) != STAGES:
        raise SpaceError(f"code: {text!r} has {len(entries)} numbers, not {STAGES}; the form is 'a1,a2'")
    for stage, entry in enumerate(entries, start=1):
        if entry not in map(str, DEPTHS):
            allowed = ", ".join(map(str, DEPTHS))
            raise SpaceError(f"code: a{stage} of {text!r} is {entry!r}; allowed are {allowed}")
    first, second = map(int, entries)
    return first, second


class MnistBlocks(DecisionSpace):
    """The nine networks; codes are "a1,a2" with a1 and a2 of 1, 2, 3; "(2, 3)" is read too.

    Args:
        reference: Whether to repeat the source's pooling and initialisation exactly (28x28 images only). The default
            pools the whole map and initialises as PyTorch does.
    """

    name = "mnist_blocks"
    size = len(DEPTHS) ** STAGES
    feature_names = ("stage1_blocks", "stage2_blocks", "depth")

    def __init__(self, reference: bool = False) -> None:
        if not isinstance(reference, bool):
            raise SpaceError(f"reference: {reference!r} is neither True nor False")
        self.reference = reference

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The number of blocks in stage 1 and in stage 2."""
        return (tuple(map(str, DEPTHS)),) * STAGES

    def _read(self, code: str) -> list[int]:
        return [DEPTHS.index(depth) for depth in parse_depths(code)]

    def _write(self, choices: Sequence[int]) -> str:
        return ",".join(str(DEPTHS[choice]) for choice in choices)

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Blocks of stage 1, blocks of stage 2, their sum."""
        first, second = parse_depths(self.code_of(architecture))
        return np.array([first, second, first + second], dtype=np.float64)

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> BlockNetwork:
        """Makes the network; images of 5x5 or more. Draws its weights from torch's global generator."""
        from taurank.spaces.mnist_blocks_network import BlockNetwork

        check_task(input_shape, classes)
        channels, height, width = input_shape
        if min(height, width) < _SMALLEST:
            raise SpaceError(
                f"input_shape: {height}x{width} images are too small; {self.name} needs {_SMALLEST}x{_SMALLEST} or more"
            )
        if self.reference and (height, width) != REFERENCE_SIZE:
            raise SpaceError(
                f"input_shape: {height}x{width} images, but the reference pooling needs 28x28; use reference=False"
            )
        return BlockNetwork(
            parse_depths(self.code_of(architecture)), channels=channels, classes=classes, reference=self.reference
        )
