"""Colours without their lightness, in classes: the ab plane of CIE Lab in squares of 10 x 10.

Zhang et al. 2016 (arXiv 1603.08511, section 2.1) have 313 such squares, which they call those in gamut and publish as
a list, not as a rule. Here a square counts if its centre is the nearest one of some 8-bit RGB colour; those are 262. So
the class of a colour is found by rounding, and no class is without colours.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from taurank.trainables.data import Images

STEP = 10.0
"""Distance of two centres in a or b."""
REACH = 12
"""No colour is farther out than so many steps."""


@cache
def bin_centres() -> NDArray[np.float64]:
    """Centres (a, b) of the bins, (262, 2), in the order of their classes.

    A line through the cube of RGB colours along L leaves it somewhere, so that its surface has all (a, b) that there
    are.
    """
    byte = np.arange(256, dtype=np.uint8)
    one, other = np.meshgrid(byte, byte, indexing="ij")
    faces = [
        np.roll(np.stack([np.full_like(one, end), one, other], axis=-1), axis, axis=-1)
        for end in (0, 255)
        for axis in range(3)
    ]
    places = np.unique(_rounded(to_lab(np.concatenate(faces))[..., 1:]).reshape(-1, 2), axis=0)
    return places * np.float64(STEP)


def nearest_bins(ab: NDArray[np.float32]) -> NDArray[np.int64]:
    """Class of the nearest centre for each colour (..., 2) of an 8-bit image."""
    row, column = np.moveaxis(_rounded(ab) + REACH, -1, 0)
    classes: NDArray[np.int64] = _table()[row, column]
    return classes


def to_lab(image: Images) -> NDArray[np.float32]:
    """RGB (H, W, 3) to L in [0, 100], a and b (D65), not rounded: OpenCV's conversion of floats."""
    lab: NDArray[np.float32] = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return lab


@cache
def _table() -> NDArray[np.int64]:
    """Class by place in the grid of all centres."""
    places = np.rint(bin_centres() / STEP).astype(np.int64) + REACH
    table = np.full((2 * REACH + 1, 2 * REACH + 1), -1, np.int64)
    table[places[:, 0], places[:, 1]] = np.arange(len(places))
    return table


def _rounded(ab: NDArray[np.float32]) -> NDArray[np.int64]:
    rounded: NDArray[np.int64] = np.rint(ab / STEP).astype(np.int64)
    return rounded
