"""The network of a residual once-for-all architecture: ResNet-D with searched widths and depths.

Source: Cai et al., Once-for-All (ICLR 2020), and its code, github.com/mit-han-lab/once-for-all (OFAResNets); He et al.,
Bag of Tricks for Image Classification (CVPR 2019), section 4, for the stem and the shortcut of ResNet-D.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from taurank.spaces.mobile import conv_bn, initialise
from taurank.spaces.once_for_all.network import resize
from taurank.spaces.once_for_all.resnet50_design import ResNetDesign, ResNetSubnet, middle_channels


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, added to the input; ReLU.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        middle: Channels between.
        stride: Of the 3x3 convolution.
        shortcut: Whether the input goes through a mean over stride x stride and a 1x1 convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, *, middle: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.reduce = conv_bn(channels_in, middle, 1, activation="relu")
        self.conv = conv_bn(middle, middle, 3, stride=stride, activation="relu")
        self.expand = conv_bn(middle, channels_out, 1)
        self.shortcut: nn.Module = nn.Identity()
        if shortcut:
            self.shortcut = nn.Sequential(
                OrderedDict(
                    pool=nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                    conv=conv_bn(channels_in, channels_out, 1),
                )
            )

    def body(self, features: Tensor) -> Tensor:
        """Residual branch of the block."""
        output: Tensor = self.expand(self.conv(self.reduce(features)))
        return output

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, in, height, width) to (batch, out, ceil(height / stride), ceil(width / stride))."""
        return functional.relu(self.shortcut(features) + self.body(features))


class ResidualConvolution(nn.Module):
    """3x3 convolution that is added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = conv_bn(channels, channels, 3, activation="relu")

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape."""
        output: Tensor = features + self.body(features)
        return output


class OnceForAllResNet(nn.Module):
    """Resize, stem of two or three 3x3 convolutions, 3x3 maximum with stride 2, stages, mean over the map, linear.

    The first block of each stage has a convolution in its shortcut.

    Args:
        design: Macro structure.
        subnet: The architecture.
        channels: Channels of the images.
        classes: Number of logits.
    """

    def __init__(self, design: ResNetDesign, subnet: ResNetSubnet, *, channels: int, classes: int) -> None:
        super().__init__()
        self.resolution = subnet.resolution
        inner, outer = design.stem_channels(subnet.first, subnet.last)
        self.first = conv_bn(channels, inner, 3, stride=design.stem_stride, activation="relu")
        self.between = ResidualConvolution(inner) if subnet.between else None
        self.last = conv_bn(inner, outer, 3, activation="relu")
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.ModuleList()
        channels_in = outer
        for number, stage in enumerate(subnet.stages):
            channels_out = design.stage_channels(number, stage.factor)
            blocks = nn.ModuleList()
            for place, expansion in enumerate(stage.expansions):
                blocks.append(
                    Bottleneck(
                        channels_in,
                        channels_out,
                        middle=middle_channels(channels_out, expansion),
                        stride=design.strides[number] if place == 0 else 1,
                        shortcut=place == 0,
                    )
                )
                channels_in = channels_out
            self.stages.append(blocks)
        self.classifier = nn.Linear(channels_in, classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (batch, channels, height, width) to logits (batch, classes)."""
        features = self.first(resize(images, self.resolution))
        if self.between is not None:
            features = self.between(features)
        features = self.pool(self.last(features))
        for blocks in self.stages:
            for block in blocks:  # type: ignore[attr-defined]
                features = block(features)
        logits: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits
