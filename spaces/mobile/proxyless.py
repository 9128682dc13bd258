"""ProxylessNAS: 21 mobile blocks with individual kernels and expansions, some of which may be omitted.

Source: Cai, Zhu and Han, ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware (ICLR 2019,
arXiv 1812.00332), and its code, github.com/mit-han-lab/proxylessnas.
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

_BLOCKS = {f"k{kernel}e{expansion}": (kernel, expansion) for kernel in (3, 5, 7) for expansion in (3, 6)}

_ACTIVATION = "relu6"
_BATCH_NORM_EPS = 1e-3


def _imagenet(stem: tuple[int, int], widths: tuple[int, ...], head: int, dropout: float) -> Skeleton:
    return Skeleton(
        stem=stem,
        stem_stride=2,
        widths=widths,
        depths=(4, 4, 4, 4, 4, 1),
        strides=(2, 2, 2, 1, 2, 1),
        head=head,
        dropout=dropout,
    )


VARIANTS = {
    # Channels of the search, then those of the published networks with the dropout they were trained with.
    "imagenet": _imagenet((32, 16), (24, 40, 80, 96, 192, 320), 1280, 0.0),
    "mobile": _imagenet((32, 16), (32, 40, 80, 96, 192, 320), 1280, 0.1),
    "cpu": _imagenet((40, 24), (32, 48, 88, 104, 216, 360), 1432, 0.2),
    "gpu": _imagenet((40, 24), (32, 56, 112, 128, 256, 432), 1728, 0.3),
    # For images of 28x28 on a CPU.
    "mini": Skeleton(stem=(8, 8), stem_stride=1, widths=(16, 24), depths=(2, 3), strides=(2, 2), head=64, dropout=0.0),
}
"""The skeletons by name."""


class ProxylessNAS(LayerwiseSpace):
    """A code is the blocks, such as k5e3-k3e6-id-k3e3_k7e3-...: kernel and expansion, or id for an omitted block.

    Only a block that keeps the shape can be omitted.

    Args:
        variant: "imagenet" has the channels of the source's search; "mobile", "cpu" and "gpu" those of the networks
            found for these devices; "mini" has two stages for images of 28x28.
        width: Factor of all numbers of channels; unless it is 1, the results are rounded to multiples of 8.
        widths: Output channels of each stage, before `width`.
        depths: Number of blocks of each stage.
        strides: 1 or 2 for each stage.
        stem_stride: Stride of the first convolution.
        dropout: Dropout probability of the features.

    All but the first two are the variant's by default.
    """

    name = "proxyless"
    operations = (*_BLOCKS, "id")

    def __init__(
        self,
        variant: str = "imagenet",
        width: float = 1.0,
        widths: Sequence[int] | None = None,
        depths: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        stem_stride: int | None = None,
        dropout: float | None = None,
    ) -> None:
        changes = {
            "widths": widths,
            "depths": depths,
            "strides": strides,
            "stem_stride": stem_stride,
            "dropout": dropout,
        }
        super().__init__(*make_skeleton(VARIANTS, variant, width, changes))

    def allowed(self, shape: LayerShape) -> tuple[str, ...]:
        """All blocks, and the identity where the shape is kept."""
        return self.operations if shape.is_kept else self.operations[:-1]

    def make_layer(self, operation: str, shape: LayerShape) -> nn.Module:
        """Makes a mobile block, or the identity."""
        from torch import nn

        from taurank.spaces.mobile.blocks import MobileBlock

        if operation == "id":
            return nn.Identity()
        kernel, expansion = _BLOCKS[operation]
        return MobileBlock(
            shape.channels_in,
            shape.channels_out,
            middle=expansion * shape.channels_in,
            kernel=kernel,
            stride=shape.stride,
            activation=_ACTIVATION,
        )

    def assemble(self, make: LayerFactory, *, channels: int, classes: int) -> LayerwiseNetwork:
        """3x3 convolution, block of kernel 3 and expansion 1, the layers, 1x1 convolution, mean, dropout, linear."""
        from torch import nn

        from taurank.spaces.mobile.blocks import MobileBlock, conv_bn, initialise
        from taurank.spaces.mobile.layerwise_network import LayerwiseNetwork

        skeleton = self.skeleton
        first, second = skeleton.stem
        network = LayerwiseNetwork(
            nn.Sequential(
                conv_bn(channels, first, 3, stride=skeleton.stem_stride, activation=_ACTIVATION),
                MobileBlock(first, second, middle=None, kernel=3, stride=1, activation=_ACTIVATION),
            ),
            [make(position, shape) for position, shape in enumerate(skeleton.shapes)],
            conv_bn(skeleton.widths[-1], skeleton.head, 1, activation=_ACTIVATION),
            nn.Sequential(nn.Dropout(skeleton.dropout), nn.Linear(skeleton.head, classes)),
        )
        initialise(network, batch_norm_eps=_BATCH_NORM_EPS)
        return network
