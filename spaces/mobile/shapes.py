"""Shapes of the layers of mobile networks, and their activations by name."""

from __future__ import annotations

from typing import NamedTuple

ACTIVATIONS = {"relu": "ReLU", "relu6": "ReLU6", "h_swish": "Hardswish"}
"""Activations by name, with their classes in `torch.nn`."""

DIVISOR = 8
"""Numbers of channels are multiples of this."""


class LayerShape(NamedTuple):
    """Channels and stride of a layer.

    Attributes:
        channels_in: Channels of its input.
        channels_out: Channels of its output.
        stride: Factor by which height and width are reduced.
    """

    channels_in: int
    channels_out: int
    stride: int

    @property
    def is_kept(self) -> bool:
        """Whether input and output have the same shape."""
        return self.stride == 1 and self.channels_in == self.channels_out


def round_channels(channels: float) -> int:
    """Rounds to the nearest multiple of 8 that is not more than a tenth below."""
    rounded = max(DIVISOR, int(channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * channels else rounded
