"""The network of NAS-Bench-Macro: stem, eight layers in three stages, classifier.

Source: Su et al., Prioritized Architecture Sampling with Monto-Carlo Tree Search (CVPR 2021), and its code,
github.com/xiusu/NAS-Bench-Macro.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor, nn

from spaces.mobile_block import MobileBlock, conv_bn

OPTIONS = ("identity", "mb3_k3", "mb6_k5")
"""What a layer may be; the position is its digit in the code."""

STAGES = (2, 3, 3)
"""Number of layers of each stage; the first of a stage halves the map and doubles the channels."""

_BLOCKS = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}  # expansion, kernel

LayerFactory = Callable[[int, int, int, int], nn.Module]
"""Makes the layer at a position, counted from 0, for channels in, channels out, stride."""


def make_layer(option: str, channels_in: int, channels_out: int, stride: int) -> nn.Module:
    """Makes one of `OPTIONS`. The identity is a strided 1x1 convolution with batch normalisation if the shape changes.

    Maps (batch, in, height, width) to (batch, out, ceil(height / stride), ceil(width / stride)).
    """
    if option == "identity":
        keeps_shape = stride == 1 and channels_in == channels_out
        return nn.Identity() if keeps_shape else conv_bn(channels_in, channels_out, 1, stride=stride)
    expansion, kernel = _BLOCKS[option]
    return MobileBlock(
        channels_in, channels_out, middle=expansion * channels_in, kernel=kernel, stride=stride, activation="relu"
    )


class NASBenchMacroNetwork(nn.Module):
    """Stem with `width` channels, three stages with 2, 4, 8 times as many, 1x1 convolution, mean, linear layer.

    Layers are initialised as PyTorch does by default, as in the benchmark. Images may have any size.

    Args:
        make: Called for each layer, from the input to the output.
        width: Channels of the stem.
        head_width: Channels of the features that are classified.
        channels: Channels of the images.
        classes: Number of logits.
    """

    def __init__(self, make: LayerFactory, *, width: int, head_width: int, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = conv_bn(channels, width, 3, activation="relu")
        self.layers = nn.ModuleList(make(position, *shape) for position, shape in enumerate(layer_shapes(width)))
        self.features = conv_bn(width * 2 ** len(STAGES), head_width, 1, activation="relu")
        self.linear = nn.Linear(head_width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (batch, channels, height, width) to logits (batch, classes)."""
        features = self.stem(images)
        for layer in self.layers:
            features = layer(features)
        return self.classify(features)

    def classify(self, features: Tensor) -> Tensor:
        """What the last layer puts out, to logits (batch, classes)."""
        logits: Tensor = self.linear(self.features(features).mean(dim=(2, 3)))
        return logits


def layer_shapes(width: int) -> Iterator[tuple[int, int, int]]:
    """Channels in, channels out and stride of each layer."""
    channels = width
    for layers in STAGES:
        yield channels, 2 * channels, 2
        channels *= 2
        for _ in range(layers - 1):
            yield channels, channels, 1
