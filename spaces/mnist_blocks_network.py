"""The networks of the space of MNIST blocks: start, stage 1, middle, stage 2, classifier.

Source: github.com/basic-go-ahead/supernet-mnist.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (32, 64)
"""Channels of the two stages."""


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
        reference: Whether to pool as the source does: one window of 7x7 at the upper left of the 12x12 map, which
            ignores two thirds of it. Otherwise the mean of the whole map.
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
