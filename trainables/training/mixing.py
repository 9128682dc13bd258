"""Mixup and CutMix of the batches of a training."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from taurank.spaces import import_torchvision
from taurank.trainables.training.recipe import Recipe

# A stream of random numbers beside those of ``taurank.trainables.training.training``.
_MIXING_STREAM = 8


class Mixing:
    """Blends each image of a batch with the one before it, and their labels, by torchvision's transforms.

    Which batches are mixed, and how, depends on ``(seed, epoch)``. By how much is drawn from torch's generator of the
    CPU, which a training seeds for each epoch.
    """

    def __init__(self, recipe: Recipe, *, classes: int) -> None:
        self._share = recipe.mix_share
        self._kinds: list[Any] = []
        if recipe.mixup or recipe.cutmix:
            import_torchvision()
            from torchvision.transforms import v2

            kinds = ((v2.MixUp, recipe.mixup), (v2.CutMix, recipe.cutmix))
            self._kinds = [kind(alpha=alpha, num_classes=classes) for kind, alpha in kinds if alpha]

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Begins the draws of an epoch, which do not depend on those of earlier ones."""
        self._generator = np.random.default_rng([seed, epoch, _MIXING_STREAM])

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(n, C, H, W)` and shares of the classes `(n, classes)`; or both as they are."""
        if not self._kinds or self._generator.random() >= self._share:
            return images, labels
        kind = self._kinds[self._generator.integers(len(self._kinds))]
        mixed: tuple[Tensor, Tensor] = kind(images, labels)
        return mixed
