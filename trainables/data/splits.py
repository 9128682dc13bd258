"""Training, validation and test images, cut from a data set by a seed."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from taurank.trainables.data.dataset import Dataset
from taurank.trainables.data.errors import DataError, NoTestSetError
from taurank.trainables.data.image_set import AnyImages, ImageSet, Labels, resize_images
from taurank.trainables.data.mapped import Images, MappedImages
from taurank.trainables.data.packed import PackedImages

logger = logging.getLogger(__name__)

SHOWN = 5
"""Classes in a line about many."""
_CHUNK = 4096
"""Images of a file that are processed together."""


@dataclass(frozen=True, eq=False)
class ImageData:
    """Training, validation and test images of a task.

    Attributes:
        train: To train on.
        validation: Images that a ranking may use.
        test: Images of the full-training baseline only.
        classes: Names; label `i` is `classes[i]`.
        mean: Of each channel of the training images, in 0..255 units.
        std: Standard deviation (population) of each channel of the training images, in 0..255 units; 1 for a channel
            that never changes, so that normalising makes it 0.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`(C, H, W)` of one image, as a network takes it."""
        _, height, width, channels = self.train.images.shape
        return channels, height, width

    @property
    def file(self) -> Path | None:
        """File that the training images stay in, which every node has to see; None for images in memory."""
        return None if isinstance(self.train.images, np.ndarray) else self.train.images.path


NO_IMAGES = "none"
"""Name of the data of candidates that are not trained on images."""


def no_images() -> ImageData:
    """Where candidates are not trained on images."""
    empty = ImageSet(np.zeros((0, 32, 32, 1), dtype=np.uint8), np.zeros(0, dtype=np.int64))
    return ImageData(empty, empty, empty, (), (0.0,), (1.0,))


def make_splits(
    dataset: Dataset,
    *,
    seed: int,
    validation: float | int,
    test: float | int | None,
    train: float | int | None = None,
    size: int | None = None,
    evaluate_on: Literal["held-out", "training"] = "held-out",
) -> ImageData:
    """Cuts a data set into disjoint, stratified parts; the same seed gives the same parts.

    First the test set is cut (unless the data set has an official one), then the validation set, then the training
    set. Each cut takes from every class its share of the images it is cut from, to within one image. For one seed the
    test images do not depend on the sizes of the other parts.

    Args:
        dataset: What to cut.
        seed: Of the draws, 0 or more.
        validation: A fraction (float) of the official training images, or a number (int) of them.
            Where there is an official validation set, that one is used whole, and the argument is ignored.
        test: Likewise. Where there is an official test set, that one is used, and `test` only limits it to a fraction
            or a number of its images; None takes it whole.
        train: Likewise, of the official training images; None takes all that the other parts leave.
        size: Side in pixels to which all images are resized once; None leaves them as they are.
        evaluate_on: `held-out` as above. `training` cuts nothing off: validation and test are the very images that
            are trained on, and `validation` and `test` are ignored. That measures memory, not generalisation,
            and exists to repeat a published study that evaluated on its training images.

    Raises:
        DataError: A size that cannot be had; it names the field, the value and what is available.
    """
    if seed < 0:
        raise DataError(f"seed is {seed}; it has to be at least 0")
    if size is not None and size < 1:
        raise DataError(f"size is {size}; it has to be at least 1 pixel, or None to leave the images as they are")
    generator = np.random.default_rng(seed)
    pool, official = dataset.train, dataset.test
    total = len(pool)

    if evaluate_on == "training":
        n_train = total if train is None else _count("train", train, dataset.name, total, total)
        (learned,) = _cut(pool, [n_train], generator)
        learned = _resized(learned, size)
        return _image_data(dataset, learned, learned, learned)
    if evaluate_on != "held-out":
        raise DataError(f"evaluate_on is {evaluate_on!r}; it has to be 'held-out' or 'training'")

    n_test = 0
    if official is None:
        if test is None:
            raise NoTestSetError(
                f"data.test is not given, and {dataset.name} has no official test set; give a fraction (test: 0.2) or"
                f" a number of its {total} images"
            )
        n_test = _count("test", test, dataset.name, total, total)
    n_validation = 0
    if dataset.validation is None:
        n_validation = _count("validation", validation, dataset.name, total, total - n_test)
    left = total - n_test - n_validation
    if left == 0:
        raise DataError(f"train is left with 0 images: test and validation take all {total} of {dataset.name}")
    n_train = left if train is None else _count("train", train, dataset.name, total, left)

    held_out, looked_at, learned = _cut(pool, [n_test, n_validation, n_train], generator)
    if official is not None:
        held_out = official
        if test is not None:
            n_test = _count("test", test, dataset.name, len(official), len(official))
            # Last of the draws, so that limiting it does not move the other parts.
            (held_out,) = _cut(official, [n_test], generator)
    _warn_small_classes(dataset, learned)
    if dataset.validation is not None:
        looked_at = dataset.validation
    parts = (learned, looked_at, held_out)
    return _image_data(dataset, *(_resized(part, size) for part in parts))


def _warn_small_classes(dataset: Dataset, learned: ImageSet) -> None:
    """A line on classes that have too few images to be in every part that is cut."""
    parts = 1 + (dataset.validation is None) + (dataset.test is None)
    counts = np.bincount(dataset.train.labels, minlength=len(dataset.classes))
    trained = np.bincount(learned.labels, minlength=len(dataset.classes))
    small = [
        f"{name} ({count}{'' if there else ', not trained on'})"
        for name, count, there in zip(dataset.classes, counts, trained, strict=True)
        if count < parts
    ]
    if small:
        named = ", ".join(small[:SHOWN]) + (f" and {len(small) - SHOWN} more" if len(small) > SHOWN else "")
        logger.warning("%s: classes with fewer images than the %d parts cut from them: %s", dataset.name, parts, named)


def stratified_indices(
    labels: Labels, sizes: Sequence[int], generator: np.random.Generator
) -> list[npt.NDArray[np.intp]]:
    """Disjoint positions in `labels`, one ascending array for each size, drawn one after the other.

    Each draw of `s` from the `m` positions left takes `s * m_c / m` of the `m_c` positions left of class `c`, rounded
    up or down; which classes are rounded up is decided by the larger remainder, and by lot where those are equal.
    """
    classes, membership = np.unique(labels, return_inverse=True)
    left = [generator.permutation(np.flatnonzero(membership == index)) for index in range(len(classes))]
    drawn = []
    for size in sizes:
        counts = np.array([len(positions) for positions in left], dtype=np.int64)
        whole, remainder = np.divmod(counts * size, max(int(counts.sum()), 1))
        lots = generator.permutation(len(classes))
        largest_first = lots[np.argsort(-remainder[lots], kind="stable")]
        whole[largest_first[: size - int(whole.sum())]] += 1
        taken = [positions[:count] for positions, count in zip(left, whole, strict=True)]
        left = [positions[count:] for positions, count in zip(left, whole, strict=True)]
        drawn.append(np.sort(np.concatenate(taken)))
    return drawn


def _count(field: str, value: float | int, name: str, total: int, available: int) -> int:
    """Number of images that a fraction or a number requests."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{field} is {value!r}; it has to be a fraction (0.2) or a number of images (1000)")
    if isinstance(value, float) and not 0 < value <= 1:
        raise DataError(f"{field} is {value}; a fraction has to be above 0 and at most 1")
    wanted = round(value * total) if isinstance(value, float) else value
    if not 1 <= wanted <= available:
        asked = f"{value} ({wanted} images)" if isinstance(value, float) else f"{value} images"
        raise DataError(f"{field} is {asked}; {name} has {available} available for it, and at least 1 is needed")
    return wanted


def _cut(images: ImageSet, sizes: Sequence[int], generator: np.random.Generator) -> list[ImageSet]:
    return [images.part(index) for index in stratified_indices(images.labels, sizes, generator)]


def _resized(images: ImageSet, size: int | None) -> ImageSet:
    return images if size is None else ImageSet(resize_images(images.images, size), images.labels)


def _image_data(dataset: Dataset, train: ImageSet, validation: ImageSet, test: ImageSet) -> ImageData:
    mean, std = _mean_and_std(train.images)
    return ImageData(train, validation, test, dataset.classes, mean, std)


def _mean_and_std(images: AnyImages) -> tuple[tuple[float, ...], tuple[float, ...]]:
    n, height, width, channels = images.shape
    if isinstance(images, PackedImages):
        mean, std = images.moments()
    elif isinstance(images, MappedImages):
        moments = [_mean_and_variance(images[start : start + _CHUNK]) for start in range(0, n, _CHUNK)]
        weights = np.diff([*range(0, n, _CHUNK), n]) / n
        means, variances = (np.array(column) for column in zip(*moments, strict=True))
        mean = weights @ means
        # Of the whole: within the chunks and between them.
        std = np.sqrt(weights @ (variances + (means - mean) ** 2))
    else:
        mean, std = cv2.meanStdDev(images.reshape(n * height, width, channels))
    return tuple(mean.ravel().tolist()), tuple(value if value > 0 else 1.0 for value in std.ravel().tolist())


def _mean_and_variance(images: Images) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    mean, std = cv2.meanStdDev(images.reshape(-1, *images.shape[2:]))
    return mean.ravel(), std.ravel() ** 2
