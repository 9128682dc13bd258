"""The network of NAS-Bench-Macro: stem, eight layers in three stages, classifier.

Source: Su et al., Prioritized Architecture Sampling with Monto-Carlo Tree Search (CVPR 2021), and its code,
github.com/xiusu/NAS-Bench-Macro.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from taurank.spaces.mobile.blocks import MobileBlock, conv_bn
from taurank.spaces.mobile.layerwise_network import LayerFactory, LayerwiseNetwork
from taurank.spaces.mobile.shapes import LayerShape

_BLOCKS = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}  # expansion, kernel


def make_layer(option: str, shape: LayerShape) -> nn.Module:
    """Makes one of the space's options; an identity that changes the shape is a strided 1x1 convolution.

    Maps (batch, in, height, width) to (batch, out, ceil(height / stride), ceil(width / stride)).
    """
    channels_in, channels_out, stride = shape
    if option == "identity":
        return nn.Identity() if shape.is_kept else conv_bn(channels_in, channels_out, 1, stride=stride)
    expansion, kernel = _BLOCKS[option]
    return MobileBlock(
        channels_in, channels_out, middle=expansion * channels_in, kernel=kernel, stride=stride, activation="relu"
    )


def assemble(
    make: LayerFactory, shapes: Sequence[LayerShape], *, width: int, head_width: int, channels: int, classes: int
) -> LayerwiseNetwork:
    """Stem with `width` channels, the layers, 1x1 convolution, mean, linear layer.

    Layers are initialised as PyTorch does by default, as in the benchmark.

    Args:
        make: Called for each layer, from the input to the output.
        shapes: Of the layers.
        width: Channels of the stem.
        head_width: Input channels of the classifier.
        channels: Channels of the images.
        classes: Number of logits.
    """
    return LayerwiseNetwork(
        conv_bn(channels, width, 3, activation="relu"),
        [make(position, shape) for position, shape in enumerate(shapes)],
        conv_bn(shapes[-1].channels_out, head_width, 1, activation="relu"),
        nn.Linear(head_width, classes),
    )
