"""MnasNet: seven blocks of equal layers whose operation, width and number are searched.

Source: Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile (CVPR 2019, arXiv 1807.11626), section
4.1. Blocks have 432 choices each: four operations, two kernels, with or without squeeze and excitation, three skips,
three widths, three numbers of layers. The expansions 3 and 6 are those of the published networks. The paper does not
define the skip by pooling; here it is the mean over 3x3.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, SpaceError, as_tuple, check_factor, check_task
from taurank.spaces.decision_space import DecisionSpace
from taurank.spaces.mobile.layerwise_skeleton import Skeleton, make_skeleton
from taurank.spaces.mobile.shapes import LayerShape, round_channels

if TYPE_CHECKING:
    from taurank.spaces.mobile.layerwise_network import LayerwiseNetwork

OPERATIONS = {"conv": None, "sep": 1, "mb3": 3, "mb6": 6}
"""Expansion of each operation; None for a plain convolution, 1 for depthwise and 1x1 convolution."""

SKIPS = ("none", "pool", "id")
"""Term added to the output of a layer that keeps the shape: nothing, means over 3x3 of the input, the input."""

VARIANTS = {
    # The channels and numbers of layers of MobileNetV2.
    "imagenet": Skeleton(
        stem=(32,),
        stem_stride=2,
        widths=(16, 24, 32, 64, 96, 160, 320),
        depths=(1, 2, 3, 4, 3, 3, 1),
        strides=(1, 2, 2, 2, 1, 2, 1),
        head=1280,
        dropout=0.2,
    ),
    # For images of 28x28 on a CPU.
    "mini": Skeleton(stem=(8,), stem_stride=1, widths=(16, 24), depths=(1, 1), strides=(2, 2), head=64, dropout=0.0),
}
"""Reference networks that the choices of each block are relative to; `depths` is the number of layers."""

_FILTERS = {"imagenet": (0.75, 1.0, 1.25), "mini": (1.0,)}

_DECISIONS = ("operation", "kernel", "squeeze", "skip", "filters", "layers")  # of a block


class MnasNet(DecisionSpace):
    """A code is the blocks, such as sep-k3-se0-none-f1-n1_mb6-k3-se0.25-id-f1.25-n2_..., joined by `-` in a block.

    Operation (conv, sep, mb3, mb6), kernel, ratio of squeeze and excitation, skip (none, pool, id), factor of the
    block's channels, number of its layers.

    Args:
        variant: "imagenet" is the source's; "mini" has two blocks for images of 28x28.
        width: Factor of all numbers of channels; unless it is 1, the results are rounded to multiples of 8.
        widths: Channels of each block, before `width` and the searched factor. The source's published networks have
            channels that no factor gives: [16, 24, 40, 80, 112, 160, 320] for MnasNet-A1.
        depths: Numbers of layers; also one more and one less can be chosen, at least 1.
        strides: 1 or 2 for each block.
        stem_stride: Stride of the first convolution.
        dropout: Dropout probability of the features.
        filters: Searched factors of the channels; the results are rounded to multiples of 8.

    All but the first two are the variant's by default.
    """

    name = "mnasnet"

    def __init__(
        self,
        variant: str = "imagenet",
        width: float = 1.0,
        widths: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        stem_stride: int | None = None,
        dropout: float | None = None,
        filters: Sequence[float] | None = None,
    ) -> None:
        changes = {
            "widths": widths,
            "depths": depths,
            "strides": strides,
            "stem_stride": stem_stride,
            "dropout": dropout,
        }
        self.skeleton, self._options = make_skeleton(VARIANTS, variant, width, changes)
        self._filters = _FILTERS[variant] if filters is None else _checked(filters)
        self._options["filters"] = list(self._filters)
        self._by_block = [self._of_block(layers) for layers in self.skeleton.depths]
        self._decisions = tuple(decision for block in self._by_block for decision in block)
        self.size = prod(len(options) for options in self._decisions)
        self.feature_names = self._feature_names()

    def _of_block(self, layers: int) -> tuple[tuple[str, ...], ...]:
        return (
            tuple(OPERATIONS),
            ("k3", "k5"),
            ("se0", "se0.25"),
            SKIPS,
            tuple(f"f{factor:g}" for factor in self._filters),
            tuple(f"n{number}" for number in sorted({max(1, layers - 1), layers, layers + 1})),
        )

    @property
    def options(self) -> dict[str, Any]:
        """`variant`, `width`, and what may be changed of the variant."""
        return dict(self._options)

    def _read(self, code: str) -> list[int]:
        blocks = [block.split("-") for block in code.strip().split("_")]
        form = repr(self._write([0] * len(self._decisions)))
        if len(blocks) != len(self.skeleton.depths):
            stages = len(self.skeleton.depths)
            raise SpaceError(f"code: {code!r} has {len(blocks)} blocks, not {stages}; the form is {form}")
        for number, block in enumerate(blocks, start=1):
            if len(block) != len(_DECISIONS):
                entries = f"{len(block)} entries, not {len(_DECISIONS)}"
                raise SpaceError(f"code: block {number} of {code!r} has {entries}; the form is {form}")
        taken = [entry for block in blocks for entry in block]
        for place, (entry, options) in enumerate(zip(taken, self._decisions, strict=True)):
            if entry not in options:
                what = f"{_DECISIONS[place % len(_DECISIONS)]} of block {place // len(_DECISIONS) + 1}"
                raise SpaceError(f"code: the {what} of {code!r} is {entry!r}; allowed are {', '.join(options)}")
        return [options.index(entry) for entry, options in zip(taken, self._decisions, strict=True)]

    def _write(self, choices: Sequence[int]) -> str:
        return _join([options[choice] for choice, options in zip(choices, self._decisions, strict=True)])

    @property
    def _min_functions(self) -> int:
        """Lower bound: in a block of one layer a skip may have no effect."""
        blocks = []
        for width, (operations, kernels, squeezes, skips, _, layers) in zip(
            self.skeleton.widths, self._by_block, strict=True
        ):
            channels = {_channels(width, factor) for factor in self._filters}
            with_skips = sum(1 if number == "n1" else len(skips) for number in layers)
            blocks.append(len(operations) * len(kernels) * len(squeezes) * len(channels) * with_skips)
        return prod(blocks)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Removes the skip where no layer keeps the shape, and takes the smallest of factors that round alike."""
        blocks = self.blocks(architecture)
        for block, shapes, width in zip(blocks, self.shapes(architecture), self.skeleton.widths, strict=True):
            if not any(shape.is_kept for shape in shapes):
                block["skip"] = SKIPS[0]
            alike = (factor for factor in self._filters if _channels(width, factor) == shapes[0].channels_out)
            block["filters"] = f"f{next(alike):g}"
        return Architecture(self.name, _join([entry for block in blocks for entry in block.values()]))

    def blocks(self, architecture: Architecture) -> list[dict[str, str]]:
        """Returns the decisions of each block by name: operation, kernel, squeeze, skip, filters, layers."""
        return [dict(zip(_DECISIONS, block.split("-"), strict=True)) for block in self.code_of(architecture).split("_")]

    def shapes(self, architecture: Architecture) -> list[list[LayerShape]]:
        """Returns the shapes of the layers of each block, from input to output."""
        shapes, channels = [], self.skeleton.stem[-1]
        for block, width, stride in zip(
            self.blocks(architecture), self.skeleton.widths, self.skeleton.strides, strict=True
        ):
            channels_out = _channels(width, float(block["filters"][1:]))
            rest = [LayerShape(channels_out, channels_out, 1)] * (int(block["layers"][1:]) - 1)
            shapes.append([LayerShape(channels, channels_out, stride), *rest])
            channels = channels_out
        return shapes

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """For each block its operation, kernel, squeeze and excitation, skip, factor of channels, number of layers."""
        return self._decisions

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Number of layers; by block of the canonical: operation, skip (one-hot), kernel, squeeze, channels, layers."""
        canonical = self.canonical(architecture)
        row: list[float] = []
        for block, shapes in zip(self.blocks(canonical), self.shapes(canonical), strict=True):
            row += [block["operation"] == operation for operation in OPERATIONS]
            row += [block["skip"] == skip for skip in SKIPS]
            row += [int(block["kernel"][1:]), float(block["squeeze"][2:]), shapes[0].channels_out, len(shapes)]
        depth = sum(len(shapes) for shapes in self.shapes(canonical))
        return np.array([depth, *row], dtype=np.float64)

    def _feature_names(self) -> tuple[str, ...]:
        of_block = (*OPERATIONS, *(f"skip_{skip}" for skip in SKIPS), "kernel", "squeeze", "channels", "layers")
        blocks = range(1, len(self.skeleton.depths) + 1)
        return ("depth", *(f"block{block}_{name}" for block in blocks for name in of_block))

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> LayerwiseNetwork:
        """Makes the network; images of any size. Draws its weights from torch's global generator."""
        from torch import nn

        from taurank.spaces.mobile.blocks import conv_bn, initialise
        from taurank.spaces.mobile.layerwise_network import LayerwiseNetwork
        from taurank.spaces.mobile.mnasnet_network import MnasLayer

        check_task(input_shape, classes)
        skeleton = self.skeleton
        blocks = zip(self.blocks(architecture), self.shapes(architecture), strict=True)
        layers = [
            MnasLayer(
                shape,
                expansion=OPERATIONS[block["operation"]],
                kernel=int(block["kernel"][1:]),
                squeeze=block["squeeze"] != "se0",
                skip=block["skip"],
            )
            for block, shapes in blocks
            for shape in shapes
        ]
        channels_out = self.shapes(architecture)[-1][-1].channels_out
        network = LayerwiseNetwork(
            conv_bn(input_shape[0], skeleton.stem[0], 3, stride=skeleton.stem_stride, activation="relu"),
            layers,
            conv_bn(channels_out, skeleton.head, 1, activation="relu"),
            nn.Sequential(nn.Dropout(skeleton.dropout), nn.Linear(skeleton.head, classes)),
        )
        initialise(network)
        return network


def _join(entries: Sequence[str]) -> str:
    size = len(_DECISIONS)
    return "_".join("-".join(entries[start : start + size]) for start in range(0, len(entries), size))


def _channels(width: int, factor: float) -> int:
    return width if factor == 1 else round_channels(factor * width)


def _checked(filters: Sequence[float]) -> tuple[float, ...]:
    for factor in as_tuple("filters", filters):
        check_factor("filters", factor)
    return tuple(float(factor) for factor in as_tuple("filters", filters, ascending=True))
