"""The inverted residual block of the MobileNet family.

Source: Sandler et al., MobileNetV2 (CVPR 2018), section 3; Howard et al., MobileNetV3 (ICCV 2019), section 5.3, for
squeeze and excitation.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from taurank.spaces.mobile.shapes import ACTIVATIONS, round_channels


def conv_bn(
    channels_in: int,
    channels_out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: str | None = None,
) -> nn.Sequential:
    """Convolution without bias, batch normalisation, activation; padded so that stride 1 keeps height and width."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(
            channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        ),
        bn=nn.BatchNorm2d(channels_out),
    )
    if activation is not None:
        layers["act"] = make_activation(activation)
    return nn.Sequential(layers)


def make_activation(name: str) -> nn.Module:
    """Makes one of `ACTIVATIONS`."""
    activation: nn.Module = getattr(nn, ACTIVATIONS[name])()
    return activation


class SqueezeExcite(nn.Module):
    """Squeeze and excitation: scales each channel by a gate computed from the means of all channels.

    Args:
        channels: Of the map.
        hidden: Channels inside; None takes about a quarter.
        gate: Between the second convolution and the weights; None takes a hard sigmoid.
    """

    def __init__(self, channels: int, hidden: int | None = None, gate: nn.Module | None = None) -> None:
        super().__init__()
        hidden = squeezed(channels) if hidden is None else hidden
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU()
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Hardsigmoid() if gate is None else gate

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape."""
        means = features.mean(dim=(2, 3), keepdim=True)
        output: Tensor = features * self.gate(self.expand(self.act(self.reduce(means))))
        return output


def squeezed(channels: int) -> int:
    """Channels inside of squeeze and excitation."""
    return round_channels(channels // 4)


class MobileBlock(nn.Module):
    """1x1 convolution to `middle` channels, depthwise convolution, squeeze and excitation, 1x1 convolution back.

    The input is added where it has the output's shape.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        middle: Channels between; None leaves the first convolution out, so that there are `channels_in`.
        kernel: Height and width of the depthwise convolution, odd.
        stride: Of the depthwise convolution.
        activation: Name of the activation behind the first two convolutions.
        squeeze: Whether there is squeeze and excitation.
        groups: Of both 1x1 convolutions; if more than one, channels are shuffled behind the first.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        middle: int | None,
        kernel: int,
        stride: int,
        activation: str,
        squeeze: bool = False,
        groups: int = 1,
    ) -> None:
        super().__init__()
        wide = channels_in if middle is None else middle
        self.expand = (
            nn.Identity() if middle is None else conv_bn(channels_in, wide, 1, groups=groups, activation=activation)
        )
        if groups > 1:
            self.expand.add_module("shuffle", nn.ChannelShuffle(groups))
        self.depthwise = conv_bn(wide, wide, kernel, stride=stride, groups=wide, activation=activation)
        self.squeeze = SqueezeExcite(wide) if squeeze else nn.Identity()
        self.project = conv_bn(wide, channels_out, 1, groups=groups)
        self.residual = stride == 1 and channels_in == channels_out

    def body(self, features: Tensor) -> Tensor:
        """Residual branch of the block."""
        output: Tensor = self.project(self.squeeze(self.depthwise(self.expand(features))))
        return output

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, in, height, width) to (batch, out, ceil(height / stride), ceil(width / stride))."""
        body = self.body(features)
        return features + body if self.residual else body


def initialise(network: nn.Module, *, batch_norm_eps: float = 1e-5) -> None:
    """Draws the weights of the convolutions by fan-out (He et al. 2015); biases are 0.

    Linear weights keep the initialisation of PyTorch; batch normalisation changes in its epsilon only.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = batch_norm_eps
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
