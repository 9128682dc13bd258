"""Networks of cells of two-input blocks: operations, cells, and the stack of cells between stem and classifier.

Layers are initialised as PyTorch does by default.

Source: Liu et al., DARTS (ICLR 2019), and its code, github.com/quark0/darts; Liu et al., Progressive Neural
Architecture Search (ECCV 2018), and its code, github.com/chenxi116/PNASNet.pytorch, which is built on the former.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from taurank.spaces.cells.cells import INPUTS, Cell

InputFactory = Callable[[int], nn.Module]
"""Makes the module that adapts input 0 or 1 of a cell to its channels and size."""

EdgeFactory = Callable[[str, int], nn.Module]
"""Makes an operation on a state; states 0 and 1 are the inputs."""


def relu_conv_bn(channels_in: int, channels_out: int, *, stride: int = 1, epsilon: float = 1e-5) -> nn.Sequential:
    """ReLU, 1x1 convolution without bias, batch normalisation."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False),
        nn.BatchNorm2d(channels_out, eps=epsilon),
    )


class FactorizedReduction(nn.Module):
    """Halves height and width (rounded up) by two 1x1 convolutions of every other pixel, one offset by one."""

    def __init__(self, channels_in: int, channels_out: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        half = channels_out // 2
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(channels_in, half, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(channels_in, channels_out - half, 1, stride=2, bias=False)
        # Matters for odd sizes only: the source does not pad and accepts even sizes.
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.bn = nn.BatchNorm2d(channels_out, eps=epsilon)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, in, height, width) to (batch, out, ceil(height / 2), ceil(width / 2))."""
        features = self.relu(features)
        halves = [self.even(features), self.odd(self.pad(features)[:, :, 1:, 1:])]
        output: Tensor = self.bn(torch.cat(halves, dim=1))
        return output


def separable(
    channels_in: int,
    channels_out: int,
    kernel: int,
    *,
    stride: int,
    dilation: int = 1,
    epsilon: float = 1e-5,
) -> nn.Sequential:
    """ReLU, depthwise convolution, 1x1 convolution, batch normalisation; stride 1 keeps height and width."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(
            channels_in,
            channels_in,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=channels_in,
            bias=False,
        ),
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out, eps=epsilon),
    )


def make_convolution(
    name: str, channels_in: int, channels_out: int, *, stride: int, epsilon: float = 1e-5
) -> nn.Sequential:
    """Makes the operation `sep_conv_KxK` (the separable convolution twice), `dil_conv_KxK` or `conv_7x1_1x7`."""
    if name == "conv_7x1_1x7":
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels_in, channels_in, (1, 7), stride=(1, stride), padding=(0, 3), bias=False),
            nn.Conv2d(channels_in, channels_out, (7, 1), stride=(stride, 1), padding=(3, 0), bias=False),
            nn.BatchNorm2d(channels_out, eps=epsilon),
        )
    kernel = int(name[-1])
    if name.startswith("dil"):
        return separable(channels_in, channels_out, kernel, stride=stride, dilation=2, epsilon=epsilon)
    return nn.Sequential(
        *separable(channels_in, channels_out, kernel, stride=stride, epsilon=epsilon),
        *separable(channels_out, channels_out, kernel, stride=1, epsilon=epsilon),
    )


def make_pool(name: str, stride: int) -> nn.Module:
    """Makes `max_pool_3x3` or `avg_pool_3x3`; padding does not count in the average."""
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride=stride, padding=1)
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


class CellLayer(nn.Module):
    """One cell; unread inputs are not computed.

    Args:
        cell: Its blocks.
        make_input: Called with 0 and with 1, where that input is read.
        make_edge: Called with operation and source of each edge, in the order of the blocks.
    """

    def __init__(self, cell: Cell, make_input: InputFactory, make_edge: EdgeFactory) -> None:
        super().__init__()
        self.sources = [source for block in cell for source, _ in block]
        self.inputs = nn.ModuleDict({str(state): make_input(state) for state in range(INPUTS) if state in self.sources})
        self.edges = nn.ModuleList(make_edge(operation, source) for block in cell for source, operation in block)

    def forward(self, before: Tensor, previous: Tensor) -> Tensor:
        """Maps the outputs of the cell before the previous one and of the previous one to this one's.

        All are (batch, channels, height, width); the output has the channels of all blocks.
        """
        given = (before, previous)
        states = {int(state): make(given[int(state)]) for state, make in self.inputs.items()}
        for place in range(0, len(self.edges), 2):
            one, other = (self.edges[edge](states[self.sources[edge]]) for edge in (place, place + 1))
            states[INPUTS + place // 2] = one + other
        return torch.cat([state for number, state in states.items() if number >= INPUTS], dim=1)


class Stem(nn.Module):
    """Inputs of the first cell: the output of `first`, and that of `second` applied to it."""

    def __init__(self, first: nn.Module, second: nn.Module | None = None) -> None:
        super().__init__()
        self.first = first
        self.second = nn.Identity() if second is None else second

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps images to both inputs of the first cell."""
        first = self.first(images)
        return first, self.second(first)


class CellNetwork(nn.Module):
    """Stem, cells, classifier; each cell reads the two before it."""

    def __init__(self, stem: Stem, cells: Sequence[CellLayer], classifier: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.cells = nn.ModuleList(cells)
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (batch, channels, height, width) to logits (batch, classes)."""
        before, previous = self.stem(images)
        for cell in self.cells:
            before, previous = previous, cell(before, previous)
        logits: Tensor = self.classifier(previous)
        return logits


def layer_widths(width: int, layers: int) -> list[tuple[int, bool]]:
    """Channels of a block in each layer, and whether the layer is a reduction.

    The layers at a third and at two thirds of the depth are: they double the channels and halve height and width.
    """
    reductions = {layers // 3, 2 * layers // 3}
    return [
        (width * 2 ** sum(reduction <= layer for reduction in reductions), layer in reductions)
        for layer in range(layers)
    ]
