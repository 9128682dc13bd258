"""Nine small networks for MNIST: one to three equal blocks in each of two stages.

The architecture a1,a2 keeps the first a1 blocks of stage 1 and the first a2 blocks of stage 2. Block k of a stage has
the same key in the state dictionary of every network that has it, so that networks can share weights by prefix.

Source: github.com/basic-go-ahead/supernet-mnist.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from taurank.spaces.architecture import Architecture, SpaceError, check_task
from taurank.spaces.decision_space import DecisionSpace
from taurank.spaces.registry import register_space

DEPTHS = (1, 2, 3)
"""How many blocks a stage may have."""

WIDTHS = (32, 64)
"""Channels of the two stages."""

REFERENCE_SIZE = (28, 28)
"""Height and width that the source's pooling is made for."""

_SMALLEST = 5  # below, the two convolutions without padding leave no map


def conv_bn_relu(channels_in: int, channels_out: int, *, stride: int = 1, padding: int = 0) -> nn.Sequential:
    """3x3 convolution with bias, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=padding),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def make_start(channels: int) -> nn.Sequential:
    """First layer: (batch, channels, height, width) to (batch, 32, height - 2, width - 2)."""
    return conv_bn_relu(channels, WIDTHS[0])


def make_block(stage: int) -> nn.Sequential:
    """One block of stage 0 or 1, the unit that architectures share; keeps the shape."""
    return conv_bn_relu(WIDTHS[stage], WIDTHS[stage], padding=1)


def make_middle() -> nn.Sequential:
    """Layer between the stages: 32 to 64 channels, about half the height and width."""
    return conv_bn_relu(WIDTHS[0], WIDTHS[1], stride=2)


class BlockClassifier(nn.Module):
    """Pooling and a linear layer without bias: (batch, 64, height, width) to logits (batch, classes).

    Args:
        classes: Number of logits.
        reference: Whether to pool as the source does: one window of 7x7 at the upper left of the 12x12 map, so that
            two thirds of it are never seen. Otherwise the mean of the whole map.
    """

    def __init__(self, classes: int, *, reference: bool) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(7) if reference else nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(WIDTHS[1], classes, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the logits."""
        logits: Tensor = self.linear(self.pool(features).flatten(1))
        return logits


class BlockNetwork(nn.Module):
    """Start, stage 1, middle, stage 2, classifier.

    Args:
        depths: Number of blocks in stage 1 and stage 2.
        channels: Channels of the images.
        classes: Number of logits.
        reference: The source's pooling and initialisation.
    """

    def __init__(self, depths: tuple[int, int], *, channels: int, classes: int, reference: bool) -> None:
        super().__init__()
        self.start = make_start(channels)
        self.stage1 = nn.ModuleList(make_block(0) for _ in range(depths[0]))
        self.middle = make_middle()
        self.stage2 = nn.ModuleList(make_block(1) for _ in range(depths[1]))
        self.classifier = BlockClassifier(classes, reference=reference)
        if reference:
            initialise_as_reference(self)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (batch, channels, height, width) to logits (batch, classes)."""
        features = self.start(images)
        for block in self.stage1:
            features = block(features)
        features = self.middle(features)
        for block in self.stage2:
            features = block(features)
        logits: Tensor = self.classifier(features)
        return logits


def initialise_as_reference(network: nn.Module) -> None:
    """Draws the weights as the source does, from torch's global generator.

    Convolution weights are normal with standard deviation 1 / input channels, their biases 0; batch normalisation has
    scale 1 and shift 1e-4; the linear layer is normal with standard deviation 0.01.
    """
    with torch.no_grad():
        for layer in network.modules():
            match layer:
                case nn.Conv2d():
                    nn.init.normal_(layer.weight, std=1 / layer.in_channels)
                    if layer.bias is not None:
                        nn.init.zeros_(layer.bias)
                case nn.BatchNorm2d():
                    nn.init.ones_(layer.weight)
                    nn.init.constant_(layer.bias, 1e-4)
                case nn.Linear():
                    nn.init.normal_(layer.weight, std=0.01)


def parse_depths(text: str) -> tuple[int, int]:
    """Reads the number of blocks of both stages from "2,3" or "(2, 3)".

    Raises:
        SpaceError: The text has another form or another number.
    """
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1]
    entries = [entry.strip() for entry in inner.split(",")]
    if len(entries) != len(WIDTHS):
        raise SpaceError(f"code: {text!r} has {len(entries)} numbers, not {len(WIDTHS)}; the form is 'a1,a2'")
    for stage, entry in enumerate(entries, start=1):
        if entry not in map(str, DEPTHS):
            allowed = ", ".join(map(str, DEPTHS))
            raise SpaceError(f"code: a{stage} of {text!r} is {entry!r}; allowed are {allowed}")
    first, second = map(int, entries)
    return first, second


@register_space
class MnistBlocks(DecisionSpace):
    """The nine networks; codes are "a1,a2" with a1 and a2 of 1, 2, 3; "(2, 3)" is read too.

    Args:
        reference: Whether to repeat the source's pooling and initialisation exactly (28x28 images only). The default
            pools the whole map and initialises as PyTorch does.
    """

    name = "mnist_blocks"
    size = len(DEPTHS) ** len(WIDTHS)
    feature_names = ("stage1_blocks", "stage2_blocks", "depth")

    def __init__(self, reference: bool = False) -> None:
        if not isinstance(reference, bool):
            raise SpaceError(f"reference: {reference!r} is neither True nor False")
        self.reference = reference

    @property
    def options(self) -> dict[str, bool]:
        """`reference`."""
        return {"reference": self.reference}

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The number of blocks in stage 1 and in stage 2."""
        return (tuple(map(str, DEPTHS)),) * len(WIDTHS)

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
