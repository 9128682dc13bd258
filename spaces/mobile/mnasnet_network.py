"""The layers of a MnasNet.

Source: Tan et al., MnasNet: Platform-Aware Neural Architecture Search for Mobile (CVPR 2019, arXiv 1807.11626), section
4.1 and figure 7, and its code, github.com/tensorflow/tpu (models/official/mnasnet).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from taurank.spaces.mobile.blocks import SqueezeExcite, conv_bn
from taurank.spaces.mobile.shapes import LayerShape

_ACTIVATION = "relu"


class MnasLayer(nn.Module):
    """A convolution, or depthwise and 1x1 convolutions, with or without squeeze and excitation and a skip.

    Squeeze and excitation has a quarter of the channels of the layer's input inside, as in the source's code.

    Args:
        shape: Shape of the layer.
        expansion: Inner channels relative to the input; 1 for depthwise and 1x1 convolution, None for a plain one.
        kernel: Height and width of the convolution that is not 1x1, odd.
        squeeze: Whether there is squeeze and excitation behind it.
        skip: "none", "pool" or "id"; ignored where the layer does not keep the shape.
    """

    def __init__(self, shape: LayerShape, *, expansion: int | None, kernel: int, squeeze: bool, skip: str) -> None:
        super().__init__()
        channels_in, channels_out, stride = shape
        body: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion is None:
            wide = channels_out
            body["conv"] = conv_bn(channels_in, wide, kernel, stride=stride, activation=_ACTIVATION)
        else:
            wide = expansion * channels_in
            if expansion > 1:
                body["expand"] = conv_bn(channels_in, wide, 1, activation=_ACTIVATION)
            body["depthwise"] = conv_bn(wide, wide, kernel, stride=stride, groups=wide, activation=_ACTIVATION)
        if squeeze:
            body["squeeze"] = SqueezeExcite(wide, hidden=max(1, channels_in // 4), gate=nn.Sigmoid())
        if expansion is not None:
            body["project"] = conv_bn(wide, channels_out, 1)
        self.body = nn.Sequential(body)
        self.skip = _make_skip(skip) if shape.is_kept else None

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, in, height, width) to (batch, out, ceil(height / stride), ceil(width / stride))."""
        output: Tensor = self.body(features)
        return output if self.skip is None else output + self.skip(features)


def _make_skip(skip: str) -> nn.Module | None:
    if skip == "none":
        return None
    return nn.Identity() if skip == "id" else nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
