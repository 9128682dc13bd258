"""The network around a cell of PNAS: the same cell with stride 2 and twice the channels is the reduction.

Source: Liu et al., Progressive Neural Architecture Search (ECCV 2018), and its code, github.com/chenxi116/PNASNet.TF
and PNASNet.pytorch. Batch normalisation has the source's epsilon (1e-3) and PyTorch's momentum.
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

EPSILON = 1e-3
"""Epsilon of batch normalisation."""


def make_operation(name: str, channels_in: int, channels_out: int, stride: int) -> nn.Module:
    """Makes one operation; where a pool or a skip cannot give the channels, a 1x1 convolution does."""
    if name == "skip_connect":
        if stride == 1 and channels_in == channels_out:
            return nn.Identity()
        return relu_conv_bn(channels_in, channels_out, stride=stride, epsilon=EPSILON)
    if "pool" in name:
        pool = make_pool(name, stride)
        if channels_in == channels_out:
            return pool
        convolution = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        return nn.Sequential(pool, convolution, nn.BatchNorm2d(channels_out, eps=EPSILON))
    return make_convolution(name, channels_in, channels_out, stride=stride, epsilon=EPSILON)


def build_network(
    cell: Cell, *, stem: str, width: int, layers: int, stem_width: int, channels: int, classes: int
) -> CellNetwork:
    """Makes the network.

    Args:
        cell: The cell of all layers.
        stem: "cifar" keeps height and width; "imagenet" divides them by eight, by a convolution and two more cells of a
            quarter and of half the width.
        width: Channels of a block in the first third.
        layers: Number of cells behind the stem; those at a third and at two thirds of the depth are reductions.
        stem_width: Channels of the first convolution.
        channels: Channels of the images.
        classes: Number of logits.
    """
    blocks = layer_widths(width, layers)
    if stem == "imagenet":
        blocks = [(width // 4, True), (width // 2, True), *blocks]
        convolution = nn.Conv2d(channels, stem_width, 3, stride=2, bias=False)
    else:
        convolution = nn.Conv2d(channels, stem_width, 3, padding=1, bias=False)
    cells = []
    widths = [stem_width, stem_width]
    halved = False
    for place, (block, reduces) in enumerate(blocks):
        cells.append(_make_layer(cell, widths, block, reduces=reduces, halved=halved, first=place == 0))
        widths, halved = [widths[1], len(cell) * block], reduces
    classifier = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[1], classes))
    return CellNetwork(Stem(nn.Sequential(convolution, nn.BatchNorm2d(stem_width, eps=EPSILON))), cells, classifier)


def _make_layer(cell: Cell, widths: list[int], block: int, *, reduces: bool, halved: bool, first: bool) -> CellLayer:
    def make_input(state: int) -> nn.Module:
        if state == 0 and first:
            return nn.Identity()  # the source's first cell takes the stem as it is for the missing cell before
        if state == 0 and halved:
            return FactorizedReduction(widths[0], block, epsilon=EPSILON)
        return relu_conv_bn(widths[state], block, epsilon=EPSILON)

    def make_edge(operation: str, source: int) -> nn.Module:
        channels_in = widths[0] if source == 0 and first else block
        return make_operation(operation, channels_in, block, 2 if reduces and source < INPUTS else 1)

    return CellLayer(cell, make_input, make_edge)
