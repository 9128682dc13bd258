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
def _transforms() -> ModuleType:
    import_torchvision()
    from torchvision.transforms import v2

    return v2  # type: ignore[no-any-return]


def _functional() -> Any:
    return _transforms().functional


def resize_crops(images: Tensor, boxes: Boxes, side: int, interpolation: str) -> Tensor:
    """What is in the boxes, `(n, side, side, C)`; averaged where it shrinks.

    Args:
        images: uint8 `(n, H, W, C)`.
        boxes: one for each image.
        side: pixels on each side of the result.
        interpolation: `bilinear` or `bicubic`.
    """
    mode, cut = _mode(interpolation), []
    for image, (top, left, height, width) in zip(images, boxes.tolist(), strict=True):
        # Resizing bytes is fastest with the channels last in memory.
        box = image[None, top : top + height, left : left + width].contiguous().permute(0, 3, 1, 2)
        cut.append(_functional().resize(box, [side, side], interpolation=mode, antialias=True))
    return torch.cat(cut).permute(0, 2, 3, 1)


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
    boxes = draw_erased(len(images), images.shape[2], images.shape[3], share, generator)
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
    names = list(OPERATIONS)
    planes = planes.clone()
    for keys in np.stack([which, negative, strengths, changed], axis=2):  # (n, 4) of a round
        for key in np.unique(keys[keys[:, 3] == 1], axis=0):
            chosen = torch.from_numpy(np.flatnonzero((keys == key).all(1))).to(planes.device)
            operation = (names[key[0]], int(key[2]), bool(key[1]))
            planes[chosen] = apply_operation(planes[chosen], *operation, wide=wide)
    return planes


def apply_operation(planes: Tensor, name: str, strength: int, negative: bool, *, wide: bool) -> Tensor:
    """One operation of a policy on images `(n, C, H, W)`; pixels that move are interpolated linearly.

    Args:
        planes: uint8.
        name: of `OPERATIONS`.
        strength: 0 to `STRONGEST`.
        negative: whether it goes the other way, where there are two.
        wide: whether strengths are those of TrivialAugment (wide) instead of those of RandAugment.
    """
    operation, most, most_wide = OPERATIONS[name]
    value = _value(most_wide if wide else most, planes.shape[2:], strength)
    changed: Tensor = operation(planes, -value if negative else value)
    return changed


def _value(most: float | str, shape: torch.Size, strength: int) -> float:
    """A strength in the units of an operation, in single precision, as torchvision has it."""
    if isinstance(most, str):
        most = 150 / 331 * shape[("height", "width").index(most)]
    return float(torch.linspace(0.0, most, STRONGEST + 1)[strength])


def _mode(interpolation: str) -> Any:
    return _transforms().InterpolationMode(interpolation)


def _affine(planes: Tensor, **change: Any) -> Any:
    settings: dict[str, Any] = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    return _functional().affine(planes, **(settings | change), interpolation=_mode("bilinear"))


def _degrees(shear: float) -> float:
    return math.degrees(math.atan(shear))


def _rotate(planes: Tensor, degrees: float) -> Any:
    return _functional().rotate(planes, angle=degrees, interpolation=_mode("bilinear"))


def _solarize(planes: Tensor, by: float) -> Any:
    # Counted down, as torchvision does it: rounded otherwise, a threshold of 85 would leave pixels of 85 as they are.
    left = float(torch.linspace(1.0, 0.0, STRONGEST + 1)[round(abs(by) * STRONGEST)])
    return _functional().solarize(planes, threshold=255.0 * left)


Operation = tuple[Callable[[Tensor, float], Any], float | str, float]
OPERATIONS: dict[str, Operation] = {
    "Identity": (lambda planes, _: planes, 0.0, 0.0),
    "ShearX": (lambda planes, by: _affine(planes, shear=[_degrees(by), 0.0], center=[0, 0]), 0.3, 0.99),
    "ShearY": (lambda planes, by: _affine(planes, shear=[0.0, _degrees(by)], center=[0, 0]), 0.3, 0.99),
    "TranslateX": (lambda planes, by: _affine(planes, translate=[int(by), 0]), "width", 32.0),
    "TranslateY": (lambda planes, by: _affine(planes, translate=[0, int(by)]), "height", 32.0),
    "Rotate": (_rotate, 30.0, 135.0),
    "Brightness": (lambda planes, by: _functional().adjust_brightness(planes, 1 + by), 0.9, 0.99),
    "Color": (lambda planes, by: _functional().adjust_saturation(planes, 1 + by), 0.9, 0.99),
    "Contrast": (lambda planes, by: _functional().adjust_contrast(planes, 1 + by), 0.9, 0.99),
    "Sharpness": (lambda planes, by: _functional().adjust_sharpness(planes, 1 + by), 0.9, 0.99),
    "Posterize": (lambda planes, by: _functional().posterize(planes, bits=8 - round(abs(by))), 4.0, 6.0),
    "Solarize": (_solarize, 1.0, 1.0),
    "AutoContrast": (lambda planes, _: _functional().autocontrast(planes), 0.0, 0.0),
    "Equalize": (lambda planes, _: _functional().equalize(planes), 0.0, 0.0),
}
"""The fourteen of RandAugment and TrivialAugment, each with its greatest strength in both, as torchvision has them.

Cubuk et al. 2020 (arXiv 1909.13719), Mueller & Hutter 2021 (arXiv 2103.10158). What moves out of the image leaves
black. A translation of RandAugment is a share of the side that is named.
"""
