"""Shapes of the layers of mobile networks, and their activations by name."""

from __future__ import annotations

from typing import NamedTuple

ACTIVATIONS = {"relu": "ReLU", "relu6": "ReLU6", "h_swish": "Hardswish"}
"""Activations by name, with their classes in `torch.nn`."""

DIVISOR = 8
"""Numbers of channels are multiples of this."""


class LayerShape(NamedTuple):
    """What a layer has to do to the map.

    Attributes:
        channels_in: Channels of its input.
        channels_out: Channels of its output.
        stride: How many times smaller the output's height and width are.
    """

    channels_in: int
    channels_out: int
    stride: int

    @property
    def is_kept(self) -> bool:
        """Whether the output has the shape of the input, so that the layer could be left out."""
        return self.stride == 1 and self.channels_in == self.channels_out


def round_channels(channels: float) -> int:
    """The multiple of 8 that is next to a number of channels, but not more than a tenth below it."""
    rounded = max(DIVISOR, int(channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * channels else rounded
