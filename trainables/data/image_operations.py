"""Crops and changes of colour and shape by torchvision, on tensors of any device; every draw is made by NumPy.

torchvision's own transforms draw from torch's global generator, and so does the network: a batch that is made ahead
would change its dropout. So only their operations are used here, and the draws are those of the epoch's generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from taurank.spaces.zoo import import_torchvision
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.random_boxes import Boxes, draw_crops, draw_erased

if TYPE_CHECKING:
    from taurank.trainables.data.augmentation import Augmentation

STRONGEST = 30
"""Magnitudes are whole numbers from 0 to this."""


@cache
def _functional() -> ModuleType:
    import_torchvision()
    from torchvision.transforms.v2 import functional

    return functional  # type: ignore[no-any-return]


def resize_crops(images: Tensor, boxes: Boxes, side: int, interpolation: str) -> Tensor:
    """What is in the boxes, `(n, side, side, C)`; averaged where it shrinks.

    Args:
        images: uint8 `(n, H, W, C)`.
        boxes: one for each image.
        side: pixels on each side of the result.
        interpolation: `bilinear` or `bicubic`.
    """
    mode = _mode(interpolation)
    planes = images.permute(0, 3, 1, 2)
    cut = [
        _functional().resized_crop(plane, *box, [side, side], interpolation=mode, antialias=True)
        for plane, box in zip(planes, boxes.tolist(), strict=True)
    ]
    return torch.stack(cut).permute(0, 2, 3, 1)


def random_resized_crops(images: Tensor, augmentation: Augmentation, generator: np.random.Generator) -> Tensor:
    """Random crops of images `(n, H, W, C)`, resized to `resolution` of their height; see `draw_crops`."""
    n, height, width, _ = images.shape
    assert augmentation.resized_crop is not None
    boxes = draw_crops(n, height, width, augmentation.resized_crop, generator)
    return resize_crops(images, boxes, augmentation.output_side(height), augmentation.interpolation)


def centre_crops(images: Tensor, share: float, interpolation: str) -> Tensor:
    """The middle of images `(n, H, W, C)`, a share of each side, enlarged to their size again."""
    height, width = images.shape[1:3]
    tall, wide = (max(round(share * side), 1) for side in (height, width))
    box = [(height - tall) // 2, (width - wide) // 2, tall, wide]
    planes = images.permute(0, 3, 1, 2)
    mode = _mode(interpolation)
    cut: Tensor = _functional().resized_crop(planes, *box, [height, width], interpolation=mode, antialias=True)
    return cut.permute(0, 2, 3, 1)


def recolour(images: Tensor, augmentation: Augmentation, generator: np.random.Generator) -> Tensor:
    """Colour jitter, then the policy, of images uint8 `(n, H, W, C)` of 1 or 3 channels.

    Raises:
        DataError: images of another number of channels.
    """
    if images.shape[3] not in (1, 3):
        raise DataError(
            f"colour_jitter and policy take images of 1 or 3 channels, not {images.shape[3]}; set them to 0 and none"
        )
    planes = images.permute(0, 3, 1, 2)
    if augmentation.colour_jitter:
        planes = _jittered(planes, augmentation.colour_jitter, generator)
    if augmentation.policy != "none":
        planes = _by_policy(planes, augmentation, generator)
    return planes.permute(0, 2, 3, 1).contiguous()


def erase(images: Tensor, share: float, generator: np.random.Generator) -> Tensor:
    """Normalised images `(n, C, H, W)`, a share of them with a box of zeros; changed in place."""
    boxes = draw_erased(len(images), *images.shape[2:], share, generator)
    for image, (top, left, height, width) in zip(images, boxes.tolist(), strict=True):
        image[:, top : top + height, left : left + width] = 0
    return images


def _jittered(planes: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """As torchvision's `ColorJitter` of brightness, contrast and saturation, without hue."""
    changes = [_functional().adjust_brightness, _functional().adjust_contrast, _functional().adjust_saturation]
    factors = generator.uniform(max(1 - strength, 0), 1 + strength, (len(planes), 3))
    orders = generator.permuted(np.tile(np.arange(3), (len(planes), 1)), axis=1)
    jittered = []
    for plane, of_plane, order in zip(planes, factors.tolist(), orders.tolist(), strict=True):
        for which in order:
            plane = changes[which](plane, of_plane[which])
        jittered.append(plane)
    return torch.stack(jittered)


def _by_policy(planes: Tensor, augmentation: Augmentation, generator: np.random.Generator) -> Tensor:
    """RandAugment or TrivialAugment; images that share an operation and its strength are changed together."""
    n, wide = len(planes), augmentation.policy == "trivialaugment"
    rounds = 1 if wide else augmentation.operations
    which = generator.integers(0, len(OPERATIONS), (rounds, n))
    negative = generator.random((rounds, n)) < 0.5
    changed = generator.random((rounds, n)) < augmentation.policy_share
    strengths = np.full((rounds, n), augmentation.magnitude)
    if wide:
        strengths = generator.integers(0, STRONGEST + 1, (rounds, n))
    names, mode = list(OPERATIONS), _mode(augmentation.interpolation)
    planes = planes.clone()
    for keys in np.stack([which, negative, strengths, changed], axis=2):  # (n, 4) of a round
        for key in np.unique(keys[keys[:, 3] == 1], axis=0):
            chosen = torch.from_numpy(np.flatnonzero((keys == key).all(1))).to(planes.device)
            operation = (names[key[0]], int(key[2]), bool(key[1]))
            planes[chosen] = apply_operation(planes[chosen], *operation, wide=wide, mode=mode)
    return planes


def apply_operation(planes: Tensor, name: str, strength: int, negative: bool, *, wide: bool, mode: Any) -> Tensor:
    """One operation of a policy on images `(n, C, H, W)`.

    Args:
        planes: uint8.
        name: of `OPERATIONS`.
        strength: 0 to `STRONGEST`.
        negative: whether it goes the other way, where there are two.
        wide: whether strengths are those of TrivialAugment (wide) instead of those of RandAugment.
        mode: of the interpolation.
    """
    share, sign = strength / STRONGEST, -1.0 if negative else 1.0
    changed: Tensor = OPERATIONS[name](planes, share, sign, wide, mode)
    return changed


def _mode(interpolation: str) -> Any:
    from torchvision.transforms import InterpolationMode

    return InterpolationMode(interpolation)


def _affine(planes: Tensor, mode: Any, **change: Any) -> Any:
    settings: dict[str, Any] = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    return _functional().affine(planes, **(settings | change), interpolation=mode)


def _shear(axis: int) -> Callable[..., Any]:
    def change(planes: Tensor, share: float, sign: float, wide: bool, mode: Any) -> Any:
        shear = [0.0, 0.0]
        shear[axis] = sign * math.degrees(math.atan(share * (0.99 if wide else 0.3)))
        return _affine(planes, mode, shear=shear, center=[0, 0])

    return change


def _translate(axis: int) -> Callable[..., Any]:
    def change(planes: Tensor, share: float, sign: float, wide: bool, mode: Any) -> Any:
        side = planes.shape[3 - axis]
        translate = [0, 0]
        # In single precision, as torchvision has it: what is cut off below depends on it.
        most = np.float32(32.0 if wide else 150 / 331 * side)
        translate[axis] = int(sign * float(np.float32(share) * most))
        return _affine(planes, mode, translate=translate)

    return change


def _factor(name: str) -> Callable[..., Any]:
    def change(planes: Tensor, share: float, sign: float, wide: bool, mode: Any) -> Any:
        return getattr(_functional(), name)(planes, 1.0 + sign * share * (0.99 if wide else 0.9))

    return change


def _plain(name: str) -> Callable[..., Any]:
    return lambda planes, share, sign, wide, mode: getattr(_functional(), name)(planes)


def _rotate(planes: Tensor, share: float, sign: float, wide: bool, mode: Any) -> Any:
    return _functional().rotate(planes, angle=sign * share * (135.0 if wide else 30.0), interpolation=mode)


def _posterize(planes: Tensor, share: float, sign: float, wide: bool, mode: Any) -> Any:
    return _functional().posterize(planes, bits=round(8 - share * (6 if wide else 4)))


def _solarize(planes: Tensor, share: float, sign: float, wide: bool, mode: Any) -> Any:
    return _functional().solarize(planes, threshold=255.0 * (1 - share))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Identity": lambda planes, share, sign, wide, mode: planes,
    "ShearX": _shear(0),
    "ShearY": _shear(1),
    "TranslateX": _translate(0),
    "TranslateY": _translate(1),
    "Rotate": _rotate,
    "Brightness": _factor("adjust_brightness"),
    "Color": _factor("adjust_saturation"),
    "Contrast": _factor("adjust_contrast"),
    "Sharpness": _factor("adjust_sharpness"),
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _plain("autocontrast"),
    "Equalize": _plain("equalize"),
}
"""The fourteen of RandAugment and TrivialAugment, with the strengths that torchvision gives them.

Cubuk et al. 2020 (arXiv 1909.13719), Mueller & Hutter 2021 (arXiv 2103.10158). What moves out of the image leaves
black.
"""
