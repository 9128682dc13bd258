"""Small convolutional networks for images of a few pixels: three layers, each with a kernel of its own, one width.

They train in seconds on one core and differ in size, in how far they see, and in accuracy: what a first run needs. It
is also a short example of a `ChoiceSpace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taurank.spaces.architecture import Architecture
from taurank.spaces.choice_space import ChoiceSpace

if TYPE_CHECKING:
    from torch import nn

LAYERS = ("first", "second", "third")


class SmallConvnets(ChoiceSpace):
    """Three convolutions of 1x1, 3x3 or 5x5 and 4, 8 or 16 channels; the first is followed by a maximum over 2x2.

    Each has batch normalisation and ReLU; the mean of the map goes to a linear classifier. All 81 codes differ as
    functions.
    """

    name = "small_convnets"
    named_decisions = {"width": (4, 8, 16), **dict.fromkeys(LAYERS, (1, 3, 5))}

    def short(self, architecture: Architecture) -> str:
        """Width and kernels, such as w8-351."""
        taken = self.taken(architecture)
        return f"w{taken['width']}-" + "".join(str(taken[layer]) for layer in LAYERS)

    def network(self, taken: dict[str, Any], *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Makes the network; images of 2x2 or more."""
        from torch import nn

        from taurank.spaces.mobile.blocks import conv_bn

        channels, width = input_shape[0], taken["width"]
        first, second, third = (
            conv_bn(channels_in, width, taken[layer], activation="relu")
            for layer, channels_in in zip(LAYERS, (channels, width, width), strict=True)
        )
        pool, mean = nn.MaxPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d(1)
        return nn.Sequential(first, pool, second, third, mean, nn.Flatten(), nn.Linear(width, classes))
