"""Mini-batches of tensors from images in memory."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch

from taurank.trainables.data.augment_tensor import augment_tensor, normalise_tensor
from taurank.trainables.data.augmentation import Augmentation, augment, normalise
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.image_set import ImageSet
from taurank.trainables.data.mapped import Images


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
    device: torch.device | str = "cpu",
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields all images once, in batches of `(b, C, H, W)` float32 and `(b,)` int64.

    Every image comes once. A last batch of a single image, which batch norm could not train on, is joined to the one
    before it, so that one batch may have `batch_size + 1` images.

    Args:
        images: What to go through.
        batch_size: Images in a batch; the last batch may be smaller.
        generator: Shuffles the images and draws the augmentation; None keeps the order.
        augmentation: What to change in each image; None for nothing. Needs a generator.
        mean: Of each channel, in 0..255 units; see `normalise`.
        std: Of each channel, in 0..255 units.
        drop_last: Leave out a last batch of fewer than `batch_size` images.
        scaling: `normalise` gives `(pixel - mean) / std`; `unit` gives `pixel / 255`.
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
    bounds = _bounds(len(images), batch_size, drop_last)
    return _batches(images, bounds, generator, augmentation, mean, std, torch.device(device))


def iterate_pixels(
    images: ImageSet,
    *,
    batch_size: int,
    generator: np.random.Generator | None,
    augmentation: Augmentation | None,
) -> Iterator[Images]:
    """Yields the same batches as bytes `(b, H, W, C)`, without labels.

    Args:
        images: What to go through.
        batch_size: Images in a batch; see `iterate_batches`.
        generator: Shuffles the images and draws the augmentation; None keeps the order. Draws of
            other code between two batches change the augmentation of the later one.
        augmentation: What to change in each image; None for nothing.
    """
    order = np.arange(len(images)) if generator is None else generator.permutation(len(images))
    for start, stop in pairwise(_bounds(len(images), batch_size, drop_last=False)):
        pixels = images.images[order[start:stop]]
        if augmentation and generator is not None:
            pixels = augment(pixels, augmentation, generator)
        yield pixels


def _batches(
    images: ImageSet,
    bounds: list[int],
    generator: np.random.Generator | None,
    augmentation: Augmentation | None,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    order = np.arange(len(images)) if generator is None else generator.permutation(len(images))
    for start, stop in pairwise(bounds):
        chosen = order[start:stop]
        pixels, labels = images.images[chosen], torch.from_numpy(images.labels[chosen])
        if device.type == "cpu":
            if augmentation and generator is not None:
                pixels = augment(pixels, augmentation, generator)
            yield torch.from_numpy(normalise(pixels, mean, std)), labels
            continue
        sent = torch.from_numpy(pixels).to(device, non_blocking=True)
        if augmentation and generator is not None:
            sent = augment_tensor(sent, augmentation, generator)
        yield normalise_tensor(sent, mean, std), labels.to(device, non_blocking=True)


def _bounds(n: int, batch_size: int, drop_last: bool) -> list[int]:
    """Boundaries of the batches of `n` images."""
    bounds = list(range(0, n + 1, batch_size))
    left_over = n - bounds[-1]
    if left_over == 0 or drop_last:
        return bounds
    if left_over == 1 and len(bounds) > 1:
        return [*bounds[:-1], n]
    return [*bounds, n]
