"""Difficulty of training images: their losses after a short training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from taurank.trainables.training.training import EVALUATION_BATCH, Training


@torch.no_grad()
def image_losses(training: Training) -> npt.NDArray[np.float64]:
    """Cross-entropy in nats of each training image, in evaluation mode, in the order of the images.

    A network that has diverged calls none hard: where a loss is not finite it is the largest finite one, or 0.
    """
    training.evaluated_model.eval()
    losses = []
    for pixels, labels in training.batches(training.data.train, EVALUATION_BATCH):
        logits = training.logits(pixels)
        losses.append(functional.cross_entropy(logits, labels, reduction="none").double().cpu().numpy())
    found = np.concatenate(losses)
    finite = found[np.isfinite(found)]
    return np.where(np.isfinite(found), found, finite.max(initial=0.0))


def measure_difficulty(training: Training) -> npt.NDArray[np.float64]:
    """Trains to the end, then the losses of all training images; see ``image_losses``."""
    while not training.finished:
        training.step_epoch()
    return image_losses(training)
