"""NAS-Bench-Macro: eight layers with three options each, 6,561 codes, of which 3,969 differ as functions.

Source: Su et al., Prioritized Architecture Sampling with Monto-Carlo Tree Search (CVPR 2021, arXiv 2103.11922), and
its code, github.com/xiusu/NAS-Bench-Macro.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, SpaceError, check_positive, check_task
from taurank.spaces.decision_space import DecisionSpace
from taurank.spaces.mobile.shapes import LayerShape

if TYPE_CHECKING:
    from torch import nn

    from taurank.spaces.mobile.layerwise_network import LayerFactory, LayerwiseNetwork

OPTIONS = ("identity", "mb3_k3", "mb6_k5")
"""Options of a layer; the position is the digit in the code."""

_BLOCKS = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}  # expansion, kernel

STAGES = (2, 3, 3)
"""Number of layers of each stage; the first of a stage halves the map and doubles the channels."""

LAYERS = sum(STAGES)
"""Number of searched layers."""

_DIGITS = "".join(str(position) for position in range(len(OPTIONS)))


def canonical_code(code: str) -> str:
    """Moves the identities of each stage behind its blocks, except the first layer, which changes the shape.

    An identity that keeps the shape has no effect at any position, so the function is unchanged. 3,969 codes remain:
    (3 * 3) * (3 * 7) * (3 * 7).
    """
    stages, start = [], 0
    for layers in STAGES:
        first, rest = code[start], code[start + 1 : start + layers]
        stages.append(first + rest.replace("0", "").ljust(layers - 1, "0"))
        start += layers
    return "".join(stages)


def _feature_names() -> tuple[str, ...]:
    blocks = OPTIONS[1:]
    counts = [f"stage{stage}_{block}" for stage in range(1, len(STAGES) + 1) for block in blocks]
    one_hot = [f"layer{layer}_{option}" for layer in range(1, LAYERS + 1) for option in OPTIONS]
    return ("depth", *blocks, *counts, *one_hot)


def layer_shapes(width: int) -> Iterator[LayerShape]:
    """Channels in, channels out and stride of each layer."""
    channels = width
    for layers in STAGES:
        yield LayerShape(channels, 2 * channels, 2)
        channels *= 2
        for _ in range(layers - 1):
            yield LayerShape(channels, channels, 1)


class NASBenchMacro(DecisionSpace):
    """The macro space; a code is eight digits: 0 identity, 1 mb3_k3, 2 mb6_k5 (expansion, kernel), such as 01212210.

    Args:
        width: Channels of the stem; the three stages have 2, 4 and 8 times as many.
        head_width: Input channels of the classifier.
    """

    name = "nasbench_macro"
    size = len(OPTIONS) ** LAYERS
    feature_names = _feature_names()

    def __init__(self, width: int = 32, head_width: int = 1280) -> None:
        check_positive("width", width)
        check_positive("head_width", head_width)
        self.width = width
        self.head_width = head_width

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the architecture with the identities last in each stage; see `canonical_code`."""
        return Architecture(self.name, canonical_code(self.code_of(architecture)))

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """The option of each layer."""
        return (OPTIONS,) * LAYERS

    def _read(self, code: str) -> list[int]:
        digits = code.strip()
        if len(digits) != LAYERS:
            raise SpaceError(f"code: {code!r} has {len(digits)} characters, not {LAYERS}; the form is '01212210'")
        for layer, digit in enumerate(digits, start=1):
            if digit not in _DIGITS:
                allowed = ", ".join(f"{place} ({option})" for place, option in enumerate(OPTIONS))
                raise SpaceError(f"code: layer {layer} of {code!r} is {digit!r}; allowed are {allowed}")
        return list(map(int, digits))

    def _write(self, choices: Sequence[int]) -> str:
        return "".join(map(str, choices))

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Counts of blocks in all and by stage, and the options one-hot by layer, of the canonical code."""
        code = canonical_code(self.code_of(architecture))
        ends = np.cumsum(STAGES)
        stages = [code[end - layers : end] for end, layers in zip(ends, STAGES, strict=True)]
        blocks = _DIGITS[1:]
        counts = [code.count(block) for block in blocks]
        by_stage = [stage.count(block) for stage in stages for block in blocks]
        one_hot = [digit == option for digit in code for option in _DIGITS]
        return np.array([sum(counts), *counts, *by_stage, *one_hot], dtype=np.float64)

    def depth(self, architecture: Architecture) -> int:
        """Stem, three convolutions a block, one where an identity changes the shape, the last two layers."""
        layers = zip(self.choices(architecture), layer_shapes(self.width), strict=True)
        return 1 + sum(3 if choice else int(not shape.is_kept) for choice, shape in layers) + 2

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> LayerwiseNetwork:
        """Makes the network; images of any size. Draws its weights from torch's global generator."""
        check_task(input_shape, classes)
        taken = [OPTIONS[choice] for choice in self.choices(architecture)]
        return self.assemble(
            lambda position, shape: self.make_layer(taken[position], shape), channels=input_shape[0], classes=classes
        )

    def make_layer(self, operation: str, shape: LayerShape) -> nn.Module:
        """Makes a layer; an identity that changes the shape is a strided 1x1 convolution."""
        from torch import nn

        from taurank.spaces.mobile.blocks import MobileBlock, conv_bn

        channels_in, channels_out, stride = shape
        if operation == "identity":
            return nn.Identity() if shape.is_kept else conv_bn(channels_in, channels_out, 1, stride=stride)
        expansion, kernel = _BLOCKS[operation]
        return MobileBlock(
            channels_in, channels_out, middle=expansion * channels_in, kernel=kernel, stride=stride, activation="relu"
        )

    def assemble(self, make: LayerFactory, *, channels: int, classes: int) -> LayerwiseNetwork:
        """Stem, the layers, 1x1 convolution, mean, linear layer; initialised by PyTorch, as in the benchmark."""
        from torch import nn

        from taurank.spaces.mobile.blocks import conv_bn
        from taurank.spaces.mobile.layerwise_network import LayerwiseNetwork

        shapes = list(layer_shapes(self.width))
        return LayerwiseNetwork(
            conv_bn(channels, self.width, 3, activation="relu"),
            [make(position, shape) for position, shape in enumerate(shapes)],
            conv_bn(shapes[-1].channels_out, self.head_width, 1, activation="relu"),
            nn.Linear(self.head_width, classes),
        )
