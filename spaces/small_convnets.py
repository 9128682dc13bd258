"""Small convolutional networks for images of a few pixels: three layers, each with a kernel of its own, and a width.

They train in seconds on one core and differ in size, in how far they see, and in accuracy, as a first run needs it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from taurank.spaces.architecture import Architecture
from taurank.spaces.choice_space import ChoiceSpace

if TYPE_CHECKING:
    from torch import nn

LAYERS = ("first", "second", "third")


class SmallConvnets(ChoiceSpace):
    """Three convolutions with kernels of 1, 3 or 5 and 4, 6 or 8 channels; the largest of 2x2 follows the first.

    Each has batch normalisation and ReLU; the mean of the map goes to a linear classifier. All 81 codes differ as
    functions. `parse` reads the short form, width and kernels, too: w8-351.
    """

    name = "small_convnets"
    named_decisions: ClassVar = {"width": (4, 6, 8), **dict.fromkeys(LAYERS, (1, 3, 5))}

    def short(self, architecture: Architecture) -> str:
        """Width and kernels, such as w8-351."""
        width, *kernels = self.taken(architecture).values()
        return f"w{width}-{''.join(map(str, kernels))}"

    def _read(self, code: str) -> list[int]:
        short = re.fullmatch(r"\s*w(\d)-(\d)(\d)(\d)\s*", code)
        if short:
            code = ",".join(f"{name}={text}" for name, text in zip(self.named_decisions, short.groups(), strict=True))
        return super()._read(code)

    def network(self, taken: dict[str, Any], *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Makes the network, for images of any size."""
        from torch import nn

        width = taken["width"]

        def convolution(channels: int, layer: str) -> list[nn.Module]:
            kernel = taken[layer]
            convolved = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
            return [convolved, nn.BatchNorm2d(width), nn.ReLU()]

        return nn.Sequential(
            *convolution(input_shape[0], "first"),
            nn.MaxPool2d(2, ceil_mode=True),
            *convolution(width, "second"),
            *convolution(width, "third"),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(width, classes),
        )
