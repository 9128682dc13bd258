"""Mini-batches of tensors from images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from taurank.trainables.data.augment_tensor import augment_tensor, normalise_tensor
from taurank.trainables.data.augmentation import Augmentation, Interpolation, augment, normalise
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.image_operations import centre_crops, erase
from taurank.trainables.data.image_set import AnyImages, ImageSet, Labels
from taurank.trainables.data.mapped import Images
from taurank.trainables.data.packed import PackedImages
from taurank.trainables.data.prefetch import prefetched
from taurank.trainables.data.random_boxes import draw_crops


def iterate_batches(
    images: ImageSet,
    *,
    batch_size: int,
    generator: np.random.Generator | None,
    augmentation: Augmentation | None,
    mean: Sequence[float],
    std: Sequence[float],
    drop_last: bool = False,
    scaling: Literal["normalise", "unit"] = "normalise",
    centre: float = 1.0,
    interpolation: Interpolation = "bilinear",
    device: torch.device | str = "cpu",
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields all images once, in batches of `(b, C, H, W)` float32 and `(b,)` int64.

    Every image comes once, unless the augmentation repeats some. A last batch of a single image, which batch norm could
    not train on, is joined to the one before it, so that one batch may have `batch_size + 1` images.

    Args:
        images: What to go through.
        batch_size: Images in a batch; the last batch may be smaller.
        generator: Shuffles the images and draws the augmentation; None keeps the order.
        augmentation: What to change in each image; None for nothing. Needs a generator.
        mean: Of each channel, in 0..255 units; see `normalise`.
        std: Of each channel, in 0..255 units.
        drop_last: Leave out a last batch of fewer than `batch_size` images.
        scaling: `normalise` gives `(pixel - mean) / std`; `unit` gives `pixel / 255`.
        centre: Share of each side that is looked at, in the middle, and enlarged to the size of the images.
        interpolation: Of `centre`.
        device: Where the batches are. On another than the CPU images are changed and scaled there, to the same values.

    Raises:
        DataError: A batch size below 1, an augmentation without a generator, an unknown scaling.
    """
    if batch_size < 1:
        raise DataError(f"batch_size is {batch_size}; it has to be at least 1")
    if augmentation and generator is None:
        raise DataError("augmentation is given without a generator; pass one, or None as the augmentation")
    if scaling not in ("normalise", "unit"):
        raise DataError(f"scaling is {scaling!r}; it has to be 'normalise' or 'unit'")
    if scaling == "unit":
        channels = images.images.shape[3]
        mean, std = [0.0] * channels, [255.0] * channels
    order = _order(len(images), batch_size, generator, augmentation)
    bounds = _bounds(len(images), batch_size, drop_last)
    pixels = _pixels(images.images, order, bounds, generator, augmentation, centre, interpolation)
    if isinstance(images.images, PackedImages):
        augmentation, centre = _uncropped(augmentation), 1.0
    change = _Change(generator, augmentation, mean, std, centre, interpolation)
    return _batches(pixels, images.labels[order], change, torch.device(device))


def iterate_pixels(
    images: ImageSet,
    *,
    batch_size: int,
    generator: np.random.Generator | None,
    augmentation: Augmentation | None,
) -> Iterator[Images]:
    """Yields the same batches as bytes `(b, H, W, C)`, without labels, and without erasing (of normalised ones).

    Args:
        images: What to go through.
        batch_size: Images in a batch; see `iterate_batches`.
        generator: Shuffles the images and draws the augmentation; None keeps the order. Draws of
            other code between two batches change the augmentation of the later one.
        augmentation: What to change in each image; None for nothing.
    """
    order = _order(len(images), batch_size, generator, augmentation)
    bounds = _bounds(len(images), batch_size, drop_last=False)
    found = _pixels(images.images, order, bounds, generator, augmentation)
    if isinstance(images.images, PackedImages):
        augmentation = _uncropped(augmentation)
    for pixels in found:
        if augmentation and generator is not None:
            pixels = augment(pixels, augmentation, generator)
        yield pixels


@dataclass(frozen=True)
class _Change:
    """What becomes of the pixels of a batch; see `iterate_batches`."""

    generator: np.random.Generator | None
    augmentation: Augmentation | None
    mean: Sequence[float]
    std: Sequence[float]
    centre: float
    interpolation: Interpolation

    def __call__(self, pixels: Images, device: torch.device) -> torch.Tensor:
        """Floats `(b, C, H, W)` on the device."""
        if device.type == "cpu":
            if self.augmentation and self.generator is not None:
                pixels = augment(pixels, self.augmentation, self.generator)
            if self.centre < 1:
                cut = centre_crops(torch.from_numpy(pixels), self.centre, self.interpolation)
                pixels = np.ascontiguousarray(cut.numpy())
            return self._erased(torch.from_numpy(normalise(pixels, self.mean, self.std)))
        sent = torch.from_numpy(pixels)
        if device.type == "cuda":
            sent = sent.pin_memory()  # else the copy would wait for the network
        sent = sent.to(device, non_blocking=True)
        if self.augmentation and self.generator is not None:
            sent = augment_tensor(sent, self.augmentation, self.generator)
        if self.centre < 1:
            sent = centre_crops(sent, self.centre, self.interpolation)
        return self._erased(normalise_tensor(sent, self.mean, self.std))

    def _erased(self, floats: torch.Tensor) -> torch.Tensor:
        if not self.augmentation or not self.augmentation.erasing or self.generator is None:
            return floats
        return erase(floats, self.augmentation.erasing, self.generator)


def _batches(
    pixels: Iterator[Images], labels: Labels, change: _Change, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    start = 0
    for some in pixels:
        chosen = torch.from_numpy(labels[start : start + len(some)])
        start += len(some)
        yield change(some, device), chosen.to(device, non_blocking=True)


def _pixels(
    images: AnyImages,
    order: npt.NDArray[np.intp],
    bounds: list[int],
    generator: np.random.Generator | None,
    augmentation: Augmentation | None,
    centre: float = 1.0,
    interpolation: Interpolation = "bilinear",
) -> Iterator[Images]:
    """Yields the pixels of each batch. What is cut out of packed images is cut before they are resized."""
    batches = [order[start:stop] for start, stop in pairwise(bounds)]
    if not isinstance(images, PackedImages):
        return (images[rows] for rows in batches)
    smallest = augmentation.resized_crop if augmentation else None
    if augmentation is None or generator is None or smallest is None:
        size = images.size
        made = (images.crops(rows, images.centred(rows, centre), size, interpolation) for rows in batches)
    else:
        # A generator of their own: they are drawn ahead of the other changes.
        drawing = np.random.default_rng(generator.integers(2**63))
        size, how = augmentation.output_side(images.size), augmentation.interpolation
        made = (
            images.crops(rows, draw_crops(len(rows), *images.sides(rows), smallest, drawing), size, how)
            for rows in batches
        )
    return prefetched(made) if torch.get_num_threads() > 1 else made


def _uncropped(augmentation: Augmentation | None) -> Augmentation | None:
    """What is left to change where random crops have been cut."""
    return None if augmentation is None else replace(augmentation, resized_crop=None, resolution=1.0)


def _order(
    n: int, batch_size: int, generator: np.random.Generator | None, augmentation: Augmentation | None
) -> npt.NDArray[np.intp]:
    """Positions of the images of an epoch; copies of an image are in one batch, and not beside each other."""
    order: npt.NDArray[np.intp] = np.arange(n) if generator is None else generator.permutation(n)
    repeats = augmentation.repeats if augmentation else 1
    if repeats == 1:
        return order
    group = max(batch_size // repeats, 1)
    return np.concatenate([np.tile(order[start : start + group], repeats) for start in range(0, n, group)])[:n]


def _bounds(n: int, batch_size: int, drop_last: bool) -> list[int]:
    """Boundaries of the batches of `n` images."""
    bounds = list(range(0, n + 1, batch_size))
    left_over = n - bounds[-1]
    if left_over == 0 or drop_last:
        return bounds
    if left_over == 1 and len(bounds) > 1:
        return [*bounds[:-1], n]
    return [*bounds, n]
