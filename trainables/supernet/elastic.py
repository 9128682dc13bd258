"""Layers of which a candidate uses a part: the first channels, or the centre of a kernel.

Source: Cai et al., Once-for-All (ICLR 2020), section 3.3, and its code, github.com/mit-han-lab/once-for-all.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.spaces.mobile import SqueezeExcite, squeezed


class ElasticBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of as many of the first channels as there are."""

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape; channels may be fewer than it has."""
        channels = features.shape[1]
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return functional.batch_norm(
            features,
            self.running_mean[:channels],
            self.running_var[:channels],
            self.weight[:channels],
            self.bias[:channels],
            self.training,
            self.momentum,
            self.eps,
        )


class ElasticConvolution(nn.Conv2d):
    """Convolution of as many of the first channels as come in, to the first `active` of its channels."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.active = channels_out

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, in, height, width) to (batch, active, ceil(height / stride), ceil(width / stride))."""
        weight = self.weight[: self.active, : features.shape[1]]
        return functional.conv2d(features, weight, stride=self.stride, padding=self.padding)


class ElasticLinear(nn.Linear):
    """Linear layer of as many of the first features as come in."""

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, in) to (batch, out); in may be fewer than it has."""
        return functional.linear(features, self.weight[:, : features.shape[1]], self.bias)


class ElasticDepthwise(nn.Conv2d):
    """Depthwise convolution with a kernel of one of several sizes.

    The next smaller kernel is the centre of the larger one, flattened and times a matrix that all channels share: 25x25
    from 7 to 5, then 9x9 from 5 to 3. The matrices are learned; at first they are the identity.
    """

    def __init__(self, channels: int, kernels: tuple[int, ...], *, stride: int) -> None:
        super().__init__(channels, channels, kernels[-1], stride=stride, groups=channels, bias=False)
        self.active = kernels[-1]
        self._steps = [(large, small) for small, large in pairwise(kernels)][::-1]
        self.transforms = nn.ParameterDict({f"{large}to{small}": torch.eye(small**2) for large, small in self._steps})

    def kernel(self, size: int, channels: int) -> Tensor:
        """Weights (channels, 1, size, size) of the first channels."""
        weight = self.weight[:channels]
        for large, small in self._steps:
            if large <= size:
                break
            edge = (large - small) // 2
            centre = weight[:, :, edge : edge + small, edge : edge + small].flatten(1)
            weight = functional.linear(centre, self.transforms[f"{large}to{small}"]).view(channels, 1, small, small)
        return weight

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to (batch, channels, ceil(height / stride), ceil(width / stride))."""
        channels = features.shape[1]
        weight = self.kernel(self.active, channels)
        return functional.conv2d(features, weight, stride=self.stride, padding=self.active // 2, groups=channels)


class ElasticSqueeze(SqueezeExcite):
    """Squeeze and excitation of as many of the first channels as there are."""

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape; channels may be fewer than it has."""
        channels = features.shape[1]
        hidden = squeezed(channels)
        means = features.mean(dim=(2, 3), keepdim=True)
        assert self.reduce.bias is not None
        assert self.expand.bias is not None
        reduced = functional.conv2d(means, self.reduce.weight[:hidden, :channels], self.reduce.bias[:hidden])
        reduced = self.act(reduced)
        expanded = functional.conv2d(reduced, self.expand.weight[:channels, :hidden], self.expand.bias[:channels])
        output: Tensor = features * self.gate(expanded)
        return output
