"""Colorization: which colour each pixel of a grey image has."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.trainables.data import Images
from taurank.trainables.pretext.colour_bins import bin_centres, nearest_bins, to_lab
from taurank.trainables.pretext.network_parts import find_last_map
from taurank.trainables.pretext.task import BuildNetwork, Draws, PretextError, PretextTask

RGB = 3
FULL_LIGHT = 100.0
"""L of white."""
UNUSED_CLASSES = 2
"""The candidate's own classifier is built and not used."""


class Colorization(PretextTask):
    """The lightness of an image; the network predicts the colour of each pixel, one of 262 (see `colour_bins`).

    A 1x1 convolution on the last feature map of the network gives the logits, which are resized to the image. Accuracy
    is that of pixels.
    """

    name = "colorization"
    source = "Zhang et al. 2016, arXiv 1603.08511; head and scaling of Liu et al. 2020, arXiv 2003.12056"

    def check(self, images: Images) -> None:
        """Checks that the images have colours.

        Raises:
            PretextError: There are none.
        """
        if images.shape[3] != RGB or (images == images[..., :1]).all():
            raise PretextError(
                "colorization: the images are grey, so that there is no colour to predict; choose rotation or jigsaw"
            )

    def make_batch(self, images: Images, draws: Draws) -> tuple[Tensor, Tensor]:
        """Lightness `(n, 1, H, W)` and bins `(n, H, W)`.

        Lightness is scaled by the mean over the channels of their means and of their standard deviations.
        """
        n, height, width, channels = images.shape
        lab = to_lab(images.reshape(n * height, width, channels)).reshape(n, height, width, channels)
        mean, std = np.mean(draws.mean) / 255, np.mean(draws.std) / 255
        light = ((lab[..., 0] / FULL_LIGHT - mean) / std).astype(np.float32)
        return torch.from_numpy(light[:, None]), torch.from_numpy(nearest_bins(lab[..., 1:]))

    def make_network(self, build: BuildNetwork, input_shape: tuple[int, int, int]) -> nn.Module:
        """The network with the task's head: `(n, 1, H, W)` to `(n, 262, H, W)`.

        Raises:
            PretextError: The network cannot take such images, or has no map left to colour.
        """
        _, height, width = input_shape
        shape = 1, height, width
        network = build(shape, UNUSED_CLASSES)
        place, channels = find_last_map(network, shape, task=self.name)
        return ColourNetwork(network, place, channels)


class ColourNetwork(nn.Module):
    """A convolution on the last map of a network.

    Args:
        body: The network; its own output is ignored.
        place: Name of the part that puts out the map.
        channels: Of the map.
    """

    def __init__(self, body: nn.Module, place: str, channels: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Conv2d(channels, len(bin_centres()), 1)
        self._map: Tensor | None = None
        body.get_submodule(place).register_forward_hook(self._keep)

    def _keep(self, part: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        self._map = made

    def forward(self, light: Tensor) -> Tensor:
        """Maps lightness `(n, 1, H, W)` to logits `(n, bins, H, W)`."""
        self.body(light)
        found, self._map = self._map, None  # not kept beyond its step
        assert found is not None
        return functional.interpolate(self.head(found), size=light.shape[2:], mode="bilinear", align_corners=True)
