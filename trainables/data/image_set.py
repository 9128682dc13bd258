"""Images with their labels, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.errors import DataError
from taurank.trainables.data.mapped import Images, MappedImages
from taurank.trainables.data.packed import PackedImages
from taurank.trainables.data.resize import resize_image

AnyImages = Images | MappedImages | PackedImages
"""Images in memory, or that stay in a file."""
Labels = npt.NDArray[np.int64]
"""`(n,)`, class indices from 0."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images `(n, H, W, C)`, 0..255, in memory or in a file, and their labels `(n,)`; image `i` has label `i`.

    Raises:
        DataError: The arrays have another type or shape, or are of different lengths.
    """

    images: AnyImages
    labels: Labels

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise DataError(f"images: needs uint8 (n, H, W, C), got {_described(self.images)}")
        if self.labels.ndim != 1 or self.labels.dtype != np.int64:
            raise DataError(f"labels: needs int64 (n,), got {_described(self.labels)}")
        if len(self.images) != len(self.labels):
            raise DataError(f"{len(self.images)} images, but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: npt.NDArray[np.intp]) -> ImageSet:
        """A copy of the images at these positions, in this order, in memory."""
        return ImageSet(self.images[index], self.labels[index])

    def part(self, index: npt.NDArray[np.intp]) -> ImageSet:
        """The images at these positions, in this order, where they are: those in a file stay there."""
        if isinstance(self.images, np.ndarray):
            return self.take(index)
        return ImageSet(self.images.part(index), self.labels[index])


def resize_images(images: AnyImages, size: int) -> AnyImages:
    """Images `(n, H, W, C)` squashed to `(n, size, size, C)`, in memory; those that have the size stay as they are.

    Packed images stay packed, and are decoded at that size.
    """
    if images.shape[1:3] == (size, size):
        return images
    if isinstance(images, PackedImages):
        return images.resized(size)
    resized = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for index in range(len(images)):
        resized[index] = resize_image(images[index], size)
    return resized


def labelled(
    images: npt.NDArray[Any], labels: npt.NDArray[Any], *, source: str, shape: tuple[int, int, int], n_classes: int
) -> ImageSet:
    """An image set from arrays just read from files, refused where they are not what the data set has.

    Args:
        images: `(n, H, W, C)`, or `(n, H, W)` where there is one channel.
        labels: `(n,)`, whole numbers of any type.
        source: The files, for the error line.
        shape: `(H, W, C)` that every image must have.
        n_classes: Labels must lie in `[0, n_classes)`.

    Raises:
        DataError: Naming `source`, and what in it is wrong.
    """
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.dtype != np.uint8 or images.shape[1:] != shape:
        wanted = ", ".join(str(pixels) for pixels in shape)
        raise DataError(f"{source}: images should be uint8 (n, {wanted}), got {_described(images)}")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{source}: labels should be whole numbers (n,), got {_described(labels)}")
    if len(images) != len(labels):
        raise DataError(f"{source}: {len(images)} images, but {len(labels)} labels")
    if len(images) == 0:
        raise DataError(f"{source}: no images in it")
    if not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise DataError(f"{source}: labels should be 0..{n_classes - 1}, got {labels.min()}..{labels.max()}")
    return ImageSet(np.ascontiguousarray(images), labels.astype(np.int64))


def _described(array: npt.NDArray[Any] | MappedImages | PackedImages) -> str:
    return f"{array.dtype} {array.shape}"
