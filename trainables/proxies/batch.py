"""The images that untrained networks are scored on: the same few for every candidate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from taurank.trainables.data import DataError, ImageData, normalise


@dataclass(frozen=True, eq=False)
class ProxyBatch:
    """One batch of images.

    Attributes:
        images: float32, (n, channels, height, width), scaled as for training.
        labels: int64, (n,); None where there are none.
        classes: Number of logits of the networks.
    """

    images: Tensor
    labels: Tensor | None
    classes: int

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def duplicates(self) -> tuple[int, int] | None:
        """Positions of two images that are equal in every pixel; None if there are none."""
        seen: dict[bytes, int] = {}
        for index, image in enumerate(self.images.cpu().numpy()):
            first = seen.setdefault(image.tobytes(), index)
            if first != index:
                return first, index
        return None

    def to(self, device: torch.device | str) -> ProxyBatch:
        """Returns the batch on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return ProxyBatch(self.images.to(device), labels, self.classes)


def draw_batch(data: ImageData, *, images: int, seed: int) -> ProxyBatch:
    """Draws training images, no two of them equal, normalised by channel over all training images.

    Raises:
        DataError: Fewer than two images were asked for, or more than there are different ones.
    """
    if images < 2:
        raise DataError(f"a batch of {images} says nothing about how a network tells images apart; take at least 2")
    pixels, labels = data.train.images, data.train.labels
    chosen: dict[bytes, int] = {}
    for index in np.random.default_rng(seed).permutation(len(labels)):
        chosen.setdefault(pixels[index].tobytes(), int(index))
        if len(chosen) == images:
            break
    else:
        raise DataError(
            f"a batch of {images} images was asked for; the training part has {len(chosen)} that differ: ask for fewer"
        )
    rows = list(chosen.values())
    return ProxyBatch(
        images=torch.from_numpy(normalise(pixels[rows], data.mean, data.std)),
        labels=torch.from_numpy(labels[rows].astype(np.int64)),
        classes=len(data.classes),
    )
