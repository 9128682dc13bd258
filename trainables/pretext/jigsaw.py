"""Jigsaw: how four tiles of an image lie."""

from __future__ import annotations

from itertools import permutations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from taurank.trainables.data import Images
from taurank.trainables.pretext.network_parts import find_classifier, replace_part
from taurank.trainables.pretext.task import BuildNetwork, Draws, PretextError, PretextTask

SIDES = 2
TILES = SIDES**2
PERMUTATIONS = np.array(list(permutations(range(TILES))))
"""All orders of four tiles, (24, 4): the tile of patch i comes to place `PERMUTATIONS[label, i]`."""
TILE_SHARE = 0.76
"""Side of a tile as a share of its patch; the gap between tiles hides that lines go on from one to the next."""
GREY_SHARE = 0.3
"""Share of the training images that are shown without colours, which alone would tell tiles that belong together."""
LEAST_TILE = 4
RGB = 3


class Jigsaw(PretextTask):
    """Four tiles of an image, shuffled; the network predicts which of the 24 orders it is.

    A tile lies anywhere within its quarter of the image and is normalised by its own mean and standard deviation, so
    that brightness is uninformative. Three in ten colour images are trained on in grey.

    The tiles go through one network, without its last linear layer; their features, one after the other, go through a
    linear layer of the task's own.
    """

    name = "jigsaw"
    source = "Noroozi and Favaro 2016, arXiv 1603.09246; grid and tiles of Liu et al. 2020, arXiv 2003.12056"
    views = TILES

    def check(self, images: Images) -> None:
        """Checks the shape of the images.

        Raises:
            PretextError: Too few pixels for tiles.
        """
        _, height, width, _ = images.shape
        side = tile_side(height, width)
        if side < LEAST_TILE:
            raise PretextError(
                f"jigsaw: images of {height} x {width} make tiles of {side} pixels a side, and at least {LEAST_TILE} "
                "are needed; take larger images (data.size, resolution), or choose rotation"
            )

    def make_batch(self, images: Images, draws: Draws) -> tuple[Tensor, Tensor]:
        """Tiles `(4 n, C, t, t)`, of each image those in its four places, and the permutations `(n,)`."""
        n, height, width, channels = images.shape
        side = tile_side(height, width)
        labels = draws.generator.integers(0, len(PERMUTATIONS), n)
        # Both offsets of the tile of each patch.
        room = np.array([height // SIDES, width // SIDES]) - side
        offsets = draws.generator.integers(0, room + 1, (n, TILES, 2))
        if draws.training and channels == RGB:
            images = _partly_grey(images, np.flatnonzero(draws.generator.random(n) < GREY_SHARE))
        tiles = cut_tiles(images, offsets, side)  # (n, patches, t, t, C)
        shuffled = np.empty_like(tiles)
        np.put_along_axis(shuffled, PERMUTATIONS[labels][:, :, None, None, None], tiles, axis=1)
        views = _standardised(shuffled).reshape(n * TILES, side, side, channels).transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(views)), torch.from_numpy(labels)

    def make_network(self, build: BuildNetwork, input_shape: tuple[int, int, int]) -> nn.Module:
        """The network with the task's head: `(4 n, C, t, t)` to `(n, 24)`.

        Raises:
            PretextError: The network cannot take tiles, or does not end in a linear layer.
        """
        channels, height, width = input_shape
        side = tile_side(height, width)
        shape = channels, side, side
        # The number of classes means nothing: the layer that has it is taken out.
        network = build(shape, len(PERMUTATIONS))
        name, classifier = find_classifier(network, shape, task=self.name)
        return TileNetwork(replace_part(network, name, nn.Identity()), classifier.in_features)


class TileNetwork(nn.Module):
    """One network for all tiles of an image, and a linear layer over their features.

    Args:
        body: Maps tiles `(4 n, C, t, t)` to features `(4 n, features)`.
        features: Of a tile.
    """

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(TILES * features, len(PERMUTATIONS))

    def forward(self, tiles: Tensor) -> Tensor:
        """Maps tiles `(4 n, C, t, t)`, image by image, to logits `(n, 24)`."""
        features = self.body(tiles)  # (4 n, features)
        logits: Tensor = self.head(features.reshape(len(tiles) // TILES, -1))
        return logits


def tile_side(height: int, width: int) -> int:
    """Pixels on each side of a tile: `int(.76 * side of a patch)`, by the shorter side of the image."""
    return int(TILE_SHARE * (min(height, width) // SIDES))


def cut_tiles(images: Images, offsets: NDArray[np.int64], side: int) -> Images:
    """Tiles `(n, 4, t, t, C)`, row by row of the grid.

    Args:
        images: `(n, H, W, C)`.
        offsets: Top and left of each tile within its patch, `(n, 4, 2)`.
        side: Of a tile, t.
    """
    n, height, width, _ = images.shape
    corners = np.array([[row * (height // SIDES), column * (width // SIDES)]
                        for row in range(SIDES) for column in range(SIDES)])  # fmt: skip
    starts = corners + offsets  # (n, 4, 2)
    rows = starts[:, :, 0, None, None] + np.arange(side)[:, None]
    columns = starts[:, :, 1, None, None] + np.arange(side)
    tiles: Images = images[np.arange(n)[:, None, None, None], rows, columns]
    return tiles


def _partly_grey(images: Images, chosen: NDArray[np.intp]) -> Images:
    """Those at the chosen places with their luma in all channels."""
    images = images.copy()
    if len(chosen):
        tall = np.ascontiguousarray(images[chosen].reshape(-1, images.shape[2], RGB))
        images[chosen] = cv2.cvtColor(tall, cv2.COLOR_RGB2GRAY).reshape(*images[chosen].shape[:3], 1)
    return images


def _standardised(tiles: Images) -> NDArray[np.float32]:
    """Each tile with mean 0 and standard deviation 1 over all its values; 0 where all are the same."""
    values = tiles.astype(np.float32)
    axes = tuple(range(2, tiles.ndim))
    centred = values - values.mean(axis=axes, keepdims=True)
    spread = centred.std(axis=axes, keepdims=True)
    scaled: NDArray[np.float32] = centred / np.where(spread > 0, spread, 1)
    return scaled
