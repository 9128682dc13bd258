"""Random boxes in images: what a crop keeps, and what is erased."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.int64]
"""`(n, 4)`: top, left, height, width in pixels; height 0 for no box."""

CROP_RATIOS = (3 / 4, 4 / 3)
"""Width over height of crops (Szegedy et al. 2015, arXiv 1409.4842, section 6)."""
ERASED_AREA = (0.02, 0.33)
ERASED_RATIOS = (0.3, 3.3)
"""Height over width. Both as in torchvision; Zhong et al. 2020, arXiv 1708.04896, section 5.1, have areas up to .4."""
_ATTEMPTS = 10


def draw_crops(
    n: int,
    height: int | npt.NDArray[np.int64],
    width: int | npt.NDArray[np.int64],
    smallest: float,
    generator: np.random.Generator,
) -> Boxes:
    """Boxes of a uniform share of the area, in [`smallest`, 1], and a log-uniform ratio, anywhere in the image.

    The distribution of torchvision's `RandomResizedCrop`: of ten attempts the first that fits; where none does, the
    largest centred box whose ratio is in `CROP_RATIOS`.

    Args:
        n: number of images.
        height: of all images, or of each, `(n,)`.
        width: likewise.
        smallest: least share of the area.
        generator: drawn from equally often whatever the images are.
    """
    heights, widths = np.broadcast_to(height, (n,)), np.broadcast_to(width, (n,))
    ratios, found = _draw(n, heights, widths, (smallest, 1.0), CROP_RATIOS, generator)
    wide, tall = np.sqrt(found * ratios), np.sqrt(found / ratios)
    lowest, highest = CROP_RATIOS
    whole_tall = np.where(widths < lowest * heights, widths / lowest, heights)
    whole_wide = np.where(widths > highest * heights, heights * highest, widths)
    boxes, fits = _first_fitting(tall, wide, heights, widths, generator)
    centred = np.rint(np.stack([whole_tall, whole_wide])).astype(np.int64)
    place = (np.stack([heights, widths]) - centred) // 2
    return np.where(fits[:, None], boxes, np.concatenate([place, centred]).T)


def draw_erased(n: int, height: int, width: int, share: float, generator: np.random.Generator) -> Boxes:
    """Boxes for a share of the images, as torchvision's `RandomErasing` draws them; none for the others."""
    erased = generator.random(n) < share
    heights, widths = np.full(n, height), np.full(n, width)
    ratios, found = _draw(n, heights, widths, ERASED_AREA, ERASED_RATIOS, generator)
    tall, wide = np.sqrt(found * ratios), np.sqrt(found / ratios)
    boxes, fits = _first_fitting(tall, wide, heights, widths, generator, left_over=1)
    return np.where((erased & fits)[:, None], boxes, 0)


def _draw(
    n: int,
    heights: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int64],
    areas: tuple[float, float],
    ratios: tuple[float, float],
    generator: np.random.Generator,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Ratios and areas in pixels, `(attempts, n)`."""
    drawn = generator.uniform(*areas, (_ATTEMPTS, n)) * heights * widths
    return np.exp(generator.uniform(math.log(ratios[0]), math.log(ratios[1]), (_ATTEMPTS, n))), drawn


def _first_fitting(
    tall: npt.NDArray[np.float64],
    wide: npt.NDArray[np.float64],
    heights: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int64],
    generator: np.random.Generator,
    left_over: int = 0,
) -> tuple[Boxes, npt.NDArray[np.bool_]]:
    """The first attempt of each image that fits, at a uniform place, and whether there is one.

    `left_over` pixels of each side at least are outside the box.
    """
    sides = np.rint(np.stack([tall, wide])).astype(np.int64)  # (2, attempts, n)
    bounds = np.stack([heights, widths])  # (2, n)
    fits = ((sides > 0) & (sides <= bounds[:, None] - left_over)).all(0)
    chosen = sides[:, fits.argmax(0), np.arange(sides.shape[2])]
    place = (generator.random(chosen.shape) * np.maximum(bounds - chosen + 1, 1)).astype(np.int64)
    return np.concatenate([place, chosen]).T, np.asarray(fits.any(0), np.bool_)
