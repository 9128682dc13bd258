"""A mobile block of which a candidate uses some channels and some kernel.

Source: Cai et al., Once-for-All (ICLR 2020), section 3.3, and its code, github.com/mit-han-lab/once-for-all.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from taurank.spaces.mobile import MobileBlock, squeezed
from taurank.trainables.supernet.elastic import ElasticBatchNorm, ElasticConvolution, ElasticDepthwise, ElasticSqueeze

# Along which axis a tensor has the channels in the middle of the block, and those inside of squeeze and excitation.
_MIDDLE = {
    "expand.conv.weight": 0,
    "depthwise.conv.weight": 0,
    "squeeze.reduce.weight": 1,
    "squeeze.expand.weight": 0,
    "squeeze.expand.bias": 0,
    "project.conv.weight": 1,
} | {
    f"{part}.bn.{tensor}": 0
    for part in ("expand", "depthwise")
    for tensor in ("weight", "bias", "running_mean", "running_var")
}
_HIDDEN = {"squeeze.reduce.weight": 0, "squeeze.reduce.bias": 0, "squeeze.expand.weight": 1}


class ElasticBlock(MobileBlock):
    """The largest of several mobile blocks; it computes the one that was last taken.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        widths: Numbers of channels that the middle may have, ascending.
        kernels: Sizes that the depthwise convolution may have, ascending.
        stride: Of the depthwise convolution.
        activation: Name of the activation.
        squeeze: Whether there is squeeze and excitation.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        widths: tuple[int, ...],
        kernels: tuple[int, ...],
        stride: int,
        activation: str,
        squeeze: bool,
    ) -> None:
        widest = widths[-1]
        super().__init__(
            channels_in,
            channels_out,
            middle=widest,
            kernel=kernels[-1],
            stride=stride,
            activation=activation,
            squeeze=squeeze,
        )
        self._widths = widths
        self._widen = [ElasticConvolution(channels_in, widest, 1)]  # in a list, so that it is registered once
        self.expand.conv = self._widen[0]
        self.expand.bn = ElasticBatchNorm(widest)
        self._depthwise = [ElasticDepthwise(widest, kernels, stride=stride)]
        self.depthwise.conv = self._depthwise[0]
        self.depthwise.bn = ElasticBatchNorm(widest)
        if squeeze:
            self.squeeze = ElasticSqueeze(widest)
        self.project.conv = ElasticConvolution(widest, channels_out, 1)

    def take(self, *, kernel: int, width: int) -> None:
        """Chooses the kernel and the channels in the middle."""
        self._depthwise[0].active = kernel
        self._widen[0].active = width

    def kernel(self, *, kernel: int, width: int) -> Tensor:
        """Weights (width, 1, kernel, kernel) of the depthwise convolution."""
        return self._depthwise[0].kernel(kernel, width)

    @torch.no_grad()
    def sort_channels(self, level: int) -> None:
        """Brings the channels in the middle into descending order of the L1 norm of what the last convolution takes.

        What a block computes stays the same for the widest and for the `level` widths below it, which are in use
        already: channels move only between one of these widths and the next. The channels inside of squeeze and
        excitation are ordered likewise, by what its second convolution takes (the source orders these without regard to
        the level, which changes what narrower blocks compute).
        """
        state = self.state_dict()
        self._permute(state, _MIDDLE, descending(state["project.conv.weight"], self._widths, level))
        if "squeeze.expand.weight" in state:
            widths = tuple(squeezed(width) for width in self._widths)
            self._permute(state, _HIDDEN, descending(state["squeeze.expand.weight"], widths, level))

    @staticmethod
    def _permute(state: dict[str, Tensor], axes: dict[str, int], order: Tensor) -> None:
        for key, axis in axes.items():
            if key in state:
                state[key].copy_(state[key].index_select(axis, order))


def descending(weight: Tensor, widths: tuple[int, ...], level: int) -> Tensor:
    """Order (in,) of a convolution's input channels by descending L1 norm, within the widths that are in use.

    Args:
        weight: (out, in, 1, 1).
        widths: Numbers of channels that may be used, ascending; the last is `in`.
        level: How many widths below the last are in use.
    """
    importance = weight.abs().sum(dim=(0, 2, 3))
    in_use = widths[-1 - level :]
    return torch.cat(
        [
            start + torch.argsort(importance[start:end], descending=True, stable=True)
            for start, end in pairwise((0, *in_use))
        ]
    )
