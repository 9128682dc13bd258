"""FBNet: 22 layers with nine candidates each.

Source: Wu et al., FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture Search (CVPR
2019, arXiv 1812.03443), section 3.1, and the authors' model definitions, github.com/facebookresearch/mobile-vision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from taurank.spaces.mobile.layerwise import LayerwiseSpace
from taurank.spaces.mobile.layerwise_skeleton import Skeleton, make_skeleton
from taurank.spaces.mobile.shapes import LayerShape

if TYPE_CHECKING:
    from torch import nn

    from taurank.spaces.mobile.layerwise_network import LayerFactory, LayerwiseNetwork

# Kernel, expansion, groups of the 1x1 convolutions; in the order in which recorded networks number them.
_BLOCKS = {
    f"k{kernel}{name}": (kernel, expansion, groups)
    for kernel in (3, 5)
    for name, expansion, groups in (("e1", 1, 1), ("e1g2", 1, 2), ("e3", 3, 1), ("e6", 6, 1))
}

VARIANTS = {
    "imagenet": Skeleton(
        stem=(16,),
        stem_stride=2,
        widths=(16, 24, 32, 64, 112, 184, 352),
        depths=(1, 4, 4, 4, 4, 4, 1),
        strides=(1, 2, 2, 2, 1, 2, 1),
        head=1984,
        dropout=0.2,
    ),
    # For images of 28x28 on a CPU.
    "mini": Skeleton(stem=(8,), stem_stride=1, widths=(16, 24), depths=(1, 2), strides=(2, 2), head=64, dropout=0.0),
}
"""The skeletons by name."""


class FBNet(LayerwiseSpace):
    """A code is the layers, such as k3e1_k3e6-skip-k3e1-k5e1g2_k5e6-...: kernel, expansion, groups, or skip.

    A skipped layer that changes the shape is a 1x1 convolution. Recorded networks are accepted too: digits with or
    without commas, from 0 for k3e1 to 8 for skip, in the order of `operations`.

    Args:
        variant: "imagenet" is the source's; "mini" has two stages for images of 28x28.
        width: Factor of all numbers of channels; unless it is 1, the results are rounded to multiples of 8.
        widths: Output channels of each stage, before `width`.
        depths: Number of layers of each stage.
        strides: 1 or 2 for each stage.
        stem_stride: Stride of the first convolution.
        head: Input channels of the classifier, before `width`; the source's FBNet-A has 1504.
        dropout: Dropout probability of the features.

    All but the first two are the variant's by default.
    """

    name = "fbnet"
    operations = (*_BLOCKS, "skip")

    def __init__(
        self,
        variant: str = "imagenet",
        width: float = 1.0,
        widths: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        stem_stride: int | None = None,
        head: int | None = None,
        dropout: float | None = None,
    ) -> None:
        changes = {
            "widths": widths,
            "depths": depths,
            "strides": strides,
            "stem_stride": stem_stride,
            "head": head,
            "dropout": dropout,
        }
        super().__init__(*make_skeleton(VARIANTS, variant, width, changes))

    def make_layer(self, operation: str, shape: LayerShape) -> nn.Module:
        """Makes a mobile block; skipped, the identity or a 1x1 convolution."""
        from torch import nn

        from taurank.spaces.mobile.blocks import MobileBlock, conv_bn

        channels_in, channels_out, stride = shape
        if operation == "skip":
            if shape.is_kept:
                return nn.Identity()
            return conv_bn(channels_in, channels_out, 1, stride=stride, activation="relu")
        kernel, expansion, groups = _BLOCKS[operation]
        return MobileBlock(
            channels_in,
            channels_out,
            middle=expansion * channels_in,
            kernel=kernel,
            stride=stride,
            activation="relu",
            groups=groups,
        )

    def assemble(self, make: LayerFactory, *, channels: int, classes: int) -> LayerwiseNetwork:
        """3x3 convolution, the layers, 1x1 convolution, mean over the map, dropout, linear layer."""
        from torch import nn

        from taurank.spaces.mobile.blocks import conv_bn, initialise
        from taurank.spaces.mobile.layerwise_network import LayerwiseNetwork

        skeleton = self.skeleton
        network = LayerwiseNetwork(
            conv_bn(channels, skeleton.stem[0], 3, stride=skeleton.stem_stride, activation="relu"),
            [make(position, shape) for position, shape in enumerate(skeleton.shapes)],
            conv_bn(skeleton.widths[-1], skeleton.head, 1, activation="relu"),
            nn.Sequential(nn.Dropout(skeleton.dropout), nn.Linear(skeleton.head, classes)),
        )
        initialise(network)
        return network
