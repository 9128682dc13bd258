"""Random changes to training images, and normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from taurank.trainables.data.errors import DataError
from taurank.trainables.data.mapped import Images

Interpolation = Literal["bilinear", "bicubic"]
Policy = Literal["none", "randaugment", "trivialaugment"]
_CHOICES = {"interpolation": get_args(Interpolation), "policy": get_args(Policy)}


@dataclass(frozen=True, repr=False)
class Augmentation:
    """Random changes to a training image. The default changes nothing.

    First the crop, then flip and cutout, colour jitter, the policy, and erasing once the image is normalised.

    Attributes:
        crop: Pixels of black added on every side before a window of the original size is cut out anywhere.
        flip: Whether to mirror left and right, for every second image on average.
        cutout: Side, in pixels, of a black square laid over the image. Its centre is uniform over the pixels, so
            that part of it may fall outside (DeVries & Taylor 2017, arXiv 1708.04552, section 3.1).
        resized_crop: Least share of the area of a random crop that is resized (see `draw_crops`), instead of `crop`;
            None for none. ImageNet is usually trained with 0.08.
        resolution: Side of such a crop, as a share of that of the images that are evaluated (Touvron et al. 2019, arXiv
            1906.06423: smaller ones train faster, and objects in crops are larger than in whole images).
        interpolation: Of these crops, and of the centre that is evaluated: `bilinear` or `bicubic`.
        colour_jitter: Brightness, contrast and saturation are multiplied by factors within this of 1.
        policy: `randaugment` (Cubuk et al. 2020, arXiv 1909.13719) or `trivialaugment` (Mueller & Hutter 2021, arXiv
            2103.10158, wide).
        policy_share: Share of the images that an operation of the policy changes.
        operations: Of `randaugment`, one after the other.
        magnitude: Of `randaugment`, 0 to 30; that of timm, which counts to 10, times 3.
        erasing: Share of the images with a box of the mean colour (Zhong et al. 2020, arXiv 1708.04896).
        repeats: Copies of an image in a batch, changed differently; an epoch sees as many images as ever, and so fewer
            different ones (Hoffer et al. 2020, arXiv 1901.09335).

    Raises:
        DataError: A value outside its range.
    """

    # Read by pydantic where an augmentation comes from a file; this package does not import pydantic.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    crop: int = 0
    flip: bool = False
    cutout: int = 0
    resized_crop: float | None = None
    resolution: float = 1.0
    interpolation: Interpolation = "bilinear"
    colour_jitter: float = 0.0
    policy: Policy = "none"
    policy_share: float = 1.0
    operations: int = 2
    magnitude: int = 9
    erasing: float = 0.0
    repeats: int = 1

    def __post_init__(self) -> None:
        for name in ("crop", "cutout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise DataError(f"{name} is {value!r}; it has to be a number of pixels, 0 for none")
        if not isinstance(self.flip, bool):
            raise DataError(f"flip is {self.flip!r}; it has to be true or false")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise DataError(f"{name} is {getattr(self, name)!r}; it has to be one of {', '.join(known)}")
        for name, lowest, highest in (("operations", 1, 16), ("magnitude", 0, 30), ("repeats", 1, 16)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
                raise DataError(f"{name} is {value!r}; it has to be a whole number from {lowest} to {highest}")
        for name in ("colour_jitter", "policy_share", "erasing"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name} is {getattr(self, name)}; it has to be from 0 to 1")
        for name in ("resized_crop", "resolution"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise DataError(f"{name} is {value}; it has to be above 0 and at most 1")
        if self.resized_crop is not None and self.crop:
            raise DataError(f"crop is {self.crop} beside a resized_crop; give one of them")
        if self.resized_crop is None and self.resolution != 1:
            raise DataError(f"resolution is {self.resolution} without a resized_crop; give resized_crop: 0.08, too")

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        plain = self.crop > 0 or self.flip or self.cutout > 0 or self.repeats > 1
        return plain or self.resized_crop is not None or self.recolours or self.erasing > 0

    def __repr__(self) -> str:
        return repr_of(self, first=3)

    @property
    def recolours(self) -> bool:
        """Whether there is colour jitter or a policy."""
        return self.colour_jitter > 0 or self.policy != "none"

    def output_side(self, side: int) -> int:
        """Side of the resized crops in pixels, of images with this side."""
        return max(round(self.resolution * side), 1)

    def weakened(self, strength: float) -> Augmentation:
        """The same with shares of images and the strength of the jitter times `strength`, at most 1."""
        share = self.policy_share if self.policy == "none" else min(self.policy_share * strength, 1.0)
        return replace(
            self,
            colour_jitter=min(self.colour_jitter * strength, 1.0),
            policy_share=share,
            erasing=min(self.erasing * strength, 1.0),
        )


def repr_of(value: Any, *, first: int) -> str:
    """The text of a dataclass: its first fields, and of the others those that differ from their defaults.

    Digests of trainings are made from it: a field that is new and not in use leaves them as they were.
    """
    shown = [
        f"{field.name}={getattr(value, field.name)!r}"
        for place, field in enumerate(fields(value))
        if place < first or getattr(value, field.name) != field.default
    ]
    return f"{type(value).__qualname__}({', '.join(shown)})"


def augment(images: Images, augmentation: Augmentation, generator: np.random.Generator) -> Images:
    """New images `(n, H, W, C)`, each changed by its own draw; the ones passed in stay as they are.

    The same images, augmentation and generator state give the same result. Only what is switched on draws from the
    generator.
    """
    if augmentation.resized_crop is not None:
        images = _by_torch("random_resized_crops", images, augmentation, generator)
    n, height, width = images.shape[:3]
    drawn = draw_changes((n, height, width), augmentation, generator)
    changed = images.copy() if drawn.window is None else _cropped(images, augmentation.crop, *drawn.window)
    if drawn.flipped is not None:
        _flip(changed, drawn.flipped)
    if drawn.cut is not None:
        _cut_out(changed, augmentation.cutout, *drawn.cut)
    if augmentation.recolours:
        changed = _by_torch("recolour", changed, augmentation, generator)
    return changed


def _by_torch(name: str, images: Images, augmentation: Augmentation, generator: np.random.Generator) -> Images:
    import torch

    from taurank.trainables.data import image_operations

    changed = getattr(image_operations, name)(torch.from_numpy(images), augmentation, generator)
    return np.ascontiguousarray(changed.numpy())


@dataclass(frozen=True)
class Changes:
    """Changes drawn for a batch of n images; None for those that are switched off.

    Attributes:
        window: top and left of the window in the image with its margin, (2, n).
        flipped: whether it is mirrored, (n,).
        cut: top and left of the black square, which may be outside, (2, n).
    """

    window: npt.NDArray[np.int64] | None
    flipped: npt.NDArray[np.bool_] | None
    cut: npt.NDArray[np.int64] | None


def draw_changes(shape: tuple[int, int, int], augmentation: Augmentation, generator: np.random.Generator) -> Changes:
    """Draws the changes for a batch of shape `(n, H, W)`."""
    n, height, width = shape
    for name, pixels in (("crop", augmentation.crop), ("cutout", augmentation.cutout)):
        if pixels >= min(height, width):
            raise DataError(f"{name} is {pixels}; it has to be smaller than the images, which are {height} x {width}")
    window = generator.integers(0, 2 * augmentation.crop + 1, (2, n)) if augmentation.crop else None
    flipped = generator.random((n,)) < 0.5 if augmentation.flip else None
    cut = None
    if augmentation.cutout:
        centres = generator.integers(0, height, (n,)), generator.integers(0, width, (n,))
        cut = np.stack(centres) - augmentation.cutout // 2
    return Changes(window, flipped, cut)


def normalise(images: Images, mean: Sequence[float], std: Sequence[float]) -> npt.NDArray[np.float32]:
    """`(pixel - mean) / std` for each channel, as contiguous `(n, C, H, W)`.

    Args:
        images: `(n, H, W, C)`.
        mean: One value for each channel, in 0..255 units.
        std: One value for each channel, above 0, in 0..255 units. Mean 0 and std 255 give pixels in [0, 1].

    Raises:
        DataError: Not one mean and one positive std for each channel.
    """
    n, height, width, channels = images.shape
    if len(mean) != channels or len(std) != channels or not all(value > 0 for value in std):
        raise DataError(f"mean {mean} and std {std} need one value for each of {channels} channels, std above 0")
    tables = scaling_tables(mean, std)
    tall = images.reshape(n * height, width, channels)  # the batch as one image, so that OpenCV is called once
    normalised = np.empty((n, channels, height, width), np.float32)
    for channel in range(channels):
        plane = cv2.extractChannel(tall, channel)
        normalised[:, channel] = cv2.LUT(plane, tables[channel]).reshape(n, height, width)
    return normalised


def scaling_tables(mean: Sequence[float], std: Sequence[float]) -> npt.NDArray[np.float32]:
    """Normalised value of each of the 256 pixel values, (channels, 256)."""
    pixels = np.arange(256, dtype=np.float64)
    tables: npt.NDArray[np.float32] = ((pixels - np.c_[list(mean)]) / np.c_[list(std)]).astype(np.float32)
    return tables


def _cropped(images: Images, margin: int, top: npt.NDArray[np.int64], left: npt.NDArray[np.int64]) -> Images:
    n, height, width, channels = images.shape
    # One padded block and one gather: three times as fast as cv2.copyMakeBorder image by image.
    padded = np.zeros((n, height + 2 * margin, width + 2 * margin, channels), np.uint8)
    padded[:, margin : margin + height, margin : margin + width] = images
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width, channels), axis=(1, 2, 3))
    cropped: Images = windows[np.arange(n), top, left, 0]
    return cropped


def _flip(images: Images, chosen: npt.NDArray[np.bool_]) -> None:
    _, height, width, channels = images.shape
    if chosen.any():
        tall = images[chosen].reshape(-1, width, channels)  # below one another, so that OpenCV is called once
        images[chosen] = cv2.flip(tall, 1).reshape(-1, height, width, channels)


def _cut_out(images: Images, side: int, tops: npt.NDArray[np.int64], lefts: npt.NDArray[np.int64]) -> None:
    for image, top, left in zip(images, tops.tolist(), lefts.tolist(), strict=True):
        image[max(top, 0) : top + side, max(left, 0) : left + side] = 0
