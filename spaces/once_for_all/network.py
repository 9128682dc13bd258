"""The network of a once-for-all architecture: resize, stem, stages of mobile blocks, head.

Source: Cai et al., Once-for-All (ICLR 2020), and its code, github.com/mit-han-lab/once-for-all: the MobileNetV3 and the
ProxylessNAS network and their initialisation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from taurank.spaces.mobile import MobileBlock, conv_bn, initialise, make_activation
from taurank.spaces.once_for_all.code import Subnet
from taurank.spaces.once_for_all.design import Design, middle_channels

BlockFactory = Callable[[int, int], nn.Module]
"""Makes the block of a stage and a place, both counted from 0."""


class OnceForAllNetwork(nn.Module):
    """Stem, stages of blocks and head.

    The fixed parts are: a 3x3 convolution and a block of kernel 3 and expansion 1 before the stages; behind them a 1x1
    convolution, the mean over the map, another 1x1 convolution without batch normalisation if the head of the design
    has two entries, dropout, a linear layer. The momentum of batch normalisation is 0.1, as in the source.

    Args:
        design: Macro structure.
        resolution: Height and width that images are resized to.
        depths: Number of blocks of each stage.
        make_block: Called for each block, from the input to the output.
        channels: Channels of the images.
        classes: Number of logits.
    """

    def __init__(
        self,
        design: Design,
        resolution: int,
        depths: Sequence[int],
        make_block: BlockFactory,
        *,
        channels: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        first, second = design.stem
        outer, inner = design.ends
        self.stem = conv_bn(channels, first, 3, stride=design.stem_stride, activation=outer)
        self.first = MobileBlock(first, second, middle=None, kernel=3, stride=1, activation=inner)
        self.stages = nn.ModuleList(
            nn.ModuleList(make_block(stage, place) for place in range(depth)) for stage, depth in enumerate(depths)
        )
        self.features = conv_bn(design.widths[-1], design.head[0], 1, activation=outer)
        classifier: OrderedDict[str, nn.Module] = OrderedDict(pool=nn.AdaptiveAvgPool2d(1))
        if len(design.head) > 1:
            classifier["conv"] = nn.Conv2d(design.head[0], design.head[1], 1, bias=False)
            classifier["act"] = make_activation(outer)
        classifier["flat"] = nn.Flatten()
        classifier["dropout"] = nn.Dropout(design.dropout)
        classifier["linear"] = nn.Linear(design.head[-1], classes)
        self.classifier = nn.Sequential(classifier)
        initialise(self, batch_norm_eps=design.batch_norm_eps)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (batch, channels, height, width) to logits (batch, classes)."""
        features = self.first(self.stem(resize(images, self.resolution)))
        for blocks in self.stages:
            for block in blocks:  # type: ignore[attr-defined]
                features = block(features)
        return self.classify(features)

    def classify(self, features: Tensor) -> Tensor:
        """Maps the output of the last stage to logits (batch, classes)."""
        logits: Tensor = self.classifier(self.features(features))
        return logits


def build_network(design: Design, subnet: Subnet, *, channels: int, classes: int) -> OnceForAllNetwork:
    """Makes the network of one architecture."""

    def make_block(stage: int, place: int) -> MobileBlock:
        channels_in, channels_out, stride = design.block_shape(stage, place)
        kernel, expansion = subnet.stages[stage][place]
        return MobileBlock(
            channels_in,
            channels_out,
            middle=middle_channels(channels_in, expansion),
            kernel=kernel,
            stride=stride,
            activation=design.activations[stage],
            squeeze=design.squeeze[stage],
        )

    depths = [len(stage) for stage in subnet.stages]
    return OnceForAllNetwork(design, subnet.resolution, depths, make_block, channels=channels, classes=classes)


def resize(images: Tensor, resolution: int) -> Tensor:
    """Resizes images (batch, channels, height, width) to squares, bilinear with antialiasing."""
    size = (resolution, resolution)
    if images.shape[2:] == size:
        return images
    return functional.interpolate(images, size=size, mode="bilinear", antialias=True)
