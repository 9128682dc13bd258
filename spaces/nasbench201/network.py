"""The network around a NAS-Bench-201 cell: stem, three stages of equal cells, two residual blocks, classifier.

A supernet uses the same skeleton with cells that hold all operations. Layers are initialised as PyTorch does by
default.

Source: Dong and Yang, NAS-Bench-201 (ICLR 2020), section 2.1 and figure 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from taurank.spaces.architecture import SpaceError
from taurank.spaces.nasbench201.code import EDGES, NODES, OPERATIONS
from taurank.spaces.nasbench201.graph import live_edges

CellFactory = Callable[[int], nn.Module]
"""Makes a cell for a number of channels; the cell keeps the shape of its input."""


class Zero(nn.Module):
    """The operation `none`: zeros in the shape of the input."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns zeros of the same shape."""
        return torch.zeros_like(features)


def relu_conv_bn(channels_in: int, channels_out: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias, batch normalisation, padded so that stride 1 keeps height and width."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def make_operation(name: str, channels: int) -> nn.Module:
    """Makes one of `OPERATIONS`; input and output are (batch, channels, height, width).

    Raises:
        SpaceError: The name is not an operation.
    """
    match name:
        case "none":
            return Zero()
        case "skip_connect":
            return nn.Identity()
        case "nor_conv_1x1":
            return relu_conv_bn(channels, channels, 1)
        case "nor_conv_3x3":
            return relu_conv_bn(channels, channels, 3)
        case "avg_pool_3x3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    raise SpaceError(f"name: {name!r} is not an operation; allowed are {', '.join(OPERATIONS)}")


class Cell(nn.Module):
    """One cell: each node is the sum over its incoming edges; node 0 is the input, node 3 the output.

    Every edge but `none` holds its operation, as in the benchmark, so that parameter counts agree; only the edges
    on a path from input to output are computed. The benchmark also computes convolutions of unreachable nodes, which
    add a learned constant per channel (the shift of batch normalisation). They are omitted here, so that cells that
    are equal as functions stay equal in training.
    """

    def __init__(self, operations: Sequence[str], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {
                str(edge): make_operation(operation, channels)
                for edge, operation in enumerate(operations)
                if operation != "none"
            }
        )
        self._live = [edge for edge, live in enumerate(live_edges(operations)) if live]

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape; zeros if no path leads to the output."""
        nodes: list[Tensor | None] = [features] + [None] * (NODES - 1)
        for edge in self._live:
            source, target = EDGES[edge]
            arriving = self.edges[str(edge)](nodes[source])
            present = nodes[target]
            nodes[target] = arriving if present is None else present + arriving
        output = nodes[-1]
        return torch.zeros_like(features) if output is None else output


class ResidualBlock(nn.Module):
    """Halves height and width (rounded up): two 3x3 convolutions, beside an average pool and a 1x1 convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            relu_conv_bn(channels_in, channels_out, 3, stride=2), relu_conv_bn(channels_out, channels_out, 3)
        )
        # ceil_mode: the strided convolution rounds odd sizes up, too.
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(channels_in, channels_out, 1, bias=False)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, in, height, width) to (batch, out, ceil(height / 2), ceil(width / 2))."""
        output: Tensor = self.shortcut(features) + self.body(features)
        return output


def make_stem(channels_in: int, width: int) -> nn.Sequential:
    """3x3 convolution and batch normalisation: (batch, in, height, width) to (batch, width, height, width)."""
    return nn.Sequential(nn.Conv2d(channels_in, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


class ClassifierHead(nn.Module):
    """Batch normalisation, ReLU, mean over the map, linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.activation = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.linear = nn.Linear(channels, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to logits (batch, classes)."""
        logits: Tensor = self.linear(self.activation(features).mean(dim=(2, 3)))
        return logits


class MacroNetwork(nn.Module):
    """The skeleton: stem, then three stages of cells with `width`, 2 `width`, 4 `width` channels, then the classifier.

    A residual block stands between two stages. Images may have any size; each block halves it, rounded up.

    Args:
        make_cell: Called with a number of channels for each cell, from the input to the output.
        width: Channels of the first stage.
        cells_per_stage: Number of cells in each stage.
        channels: Channels of the images.
        classes: Number of logits.
    """

    def __init__(
        self, make_cell: CellFactory, *, width: int, cells_per_stage: int, channels: int, classes: int
    ) -> None:
        super().__init__()
        self.stem = make_stem(channels, width)
        widths = [width, 2 * width, 4 * width]
        self.stages = nn.ModuleList(
            nn.ModuleList(make_cell(stage_width) for _ in range(cells_per_stage)) for stage_width in widths
        )
        self.reductions = nn.ModuleList(ResidualBlock(before, 2 * before) for before in widths[:-1])
        self.head = ClassifierHead(widths[-1], classes)

    def forward(self, images: Tensor, *context: Any) -> Tensor:
        """Maps images (batch, channels, height, width) to logits (batch, classes).

        `context` is passed to every cell after its input (such as the path of a supernet).
        """
        features = self.stem(images)
        for stage, cells in enumerate(self.stages):
            if stage > 0:
                features = self.reductions[stage - 1](features)
            for cell in cells:  # type: ignore[attr-defined]
                features = cell(features, *context)
        logits: Tensor = self.head(features)
        return logits
