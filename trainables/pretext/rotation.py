"""Rotation: which way up an image is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from taurank.trainables.data import Images, normalise
from taurank.trainables.pretext.task import BuildNetwork, Draws, PretextError, PretextTask

TURNS = 4


class Rotation(PretextTask):
    """Each image turned by 0, 90, 180 and 270 degrees, all four in the batch; the network predicts the turn.

    The network is the candidate's own, for four classes. Images with rotational symmetry (0, 1 and 8 among digits)
    bound the accuracy of all candidates.
    """

    name = "rotation"
    source = "Gidaris et al. 2018, arXiv 1803.07728"
    views = TURNS
    answers = TURNS

    def check(self, images: Images) -> None:
        """Checks the shape of the images.

        Raises:
            PretextError: They are not square.
        """
        _, height, width, _ = images.shape
        if height != width:
            raise PretextError(
                f"rotation: the images are {height} x {width}, and turned ones would be {width} x {height}; "
                "make them square with data.size, or choose jigsaw or colorization"
            )

    def make_batch(self, images: Images, draws: Draws) -> tuple[Tensor, Tensor]:
        """Views `(4 n, C, H, W)`: of each image one after the other all turns, counter-clockwise; turns `(4 n,)`."""
        upright = normalise(images, draws.mean, draws.std)  # (n, C, H, W)
        turned = np.stack([np.rot90(upright, turn, axes=(2, 3)) for turn in range(TURNS)], axis=1)
        return torch.from_numpy(turned.reshape(-1, *upright.shape[1:])), torch.arange(TURNS).repeat(len(images))

    def make_network(self, build: BuildNetwork, input_shape: tuple[int, int, int]) -> nn.Module:
        """The network itself, for four classes: `(4 n, C, H, W)` to `(4 n, 4)`."""
        return build(input_shape, TURNS)
