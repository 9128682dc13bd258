"""The network around a normal and a reduction cell of DARTS.

Source: Liu et al., DARTS: Differentiable Architecture Search (ICLR 2019), and its code, github.com/quark0/darts, the
networks for evaluation without the auxiliary head.
"""

from __future__ import annotations

from torch import nn

from taurank.spaces.cells.cells import INPUTS, Cell
from taurank.spaces.cells.network import (
    CellLayer,
    CellNetwork,
    FactorizedReduction,
    Stem,
    layer_widths,
    make_convolution,
    make_pool,
    relu_conv_bn,
)

_STEM_WIDTH = 3  # channels of the stem for CIFAR, in widths


def make_operation(name: str, channels: int, stride: int) -> nn.Module:
    """Makes one operation; it keeps the number of channels."""
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)
    if "pool" in name:
        return make_pool(name, stride)
    return make_convolution(name, channels, channels, stride=stride)


def build_network(
    normal: Cell, reduction: Cell, *, stem: str, width: int, layers: int, channels: int, classes: int
) -> CellNetwork:
    """Makes the network.

    Args:
        normal: The cell of most layers.
        reduction: The cell of the layers at a third and at two thirds of the depth.
        stem: "cifar" keeps height and width, "imagenet" divides them by eight.
        width: Channels of a block in the first third.
        layers: Number of cells.
        channels: Channels of the images.
        classes: Number of logits.
    """
    cells = []
    widths = [_STEM_WIDTH * width] * 2 if stem == "cifar" else [width] * 2  # of the two cells before
    halved = stem == "imagenet"  # whether the one before the previous is twice as high and wide
    for block, reduces in layer_widths(width, layers):
        cell = reduction if reduces else normal
        cells.append(_make_layer(cell, widths, block, reduces=reduces, halved=halved))
        widths, halved = [widths[1], len(cell) * block], reduces
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[1], classes))
    return CellNetwork(_make_stem(stem, channels, width), cells, classifier)


def _make_layer(cell: Cell, widths: list[int], block: int, *, reduces: bool, halved: bool) -> CellLayer:
    def make_input(state: int) -> nn.Module:
        if state == 0 and halved:
            return FactorizedReduction(widths[0], block)
        return relu_conv_bn(widths[state], block)

    def make_edge(operation: str, source: int) -> nn.Module:
        return make_operation(operation, block, 2 if reduces and source < INPUTS else 1)

    return CellLayer(cell, make_input, make_edge)


def _make_stem(stem: str, channels: int, width: int) -> Stem:
    if stem == "cifar":
        return Stem(nn.Sequential(*_conv_bn(channels, _STEM_WIDTH * width, stride=1)))
    half = max(1, width // 2)
    first = [*_conv_bn(channels, half, stride=2), nn.ReLU(), *_conv_bn(half, width, stride=2)]
    return Stem(nn.Sequential(*first), nn.Sequential(nn.ReLU(), *_conv_bn(width, width, stride=2)))


def _conv_bn(channels_in: int, channels_out: int, *, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out)]
