"""Seconds of an epoch: of a network from a few of its batches, of the user's own code from its first epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from taurank.trainables.data import ImageData
from taurank.trainables.own import OwnCode, OwnTraining
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import EVALUATION_BATCH, Training

WARM_UP, TIMED = 1, 4
"""Batches that are trained before the clock starts, and at most on it."""
OWN_EPOCHS = 2
"""Epochs of own training code that are run to time the last of them."""
TIMED_SHARE = 0.1
"""Of the batches of an epoch that are timed: a few batches are much of a small data set."""


@dataclass(frozen=True)
class EpochTime:
    """What an epoch takes.

    Attributes:
        seconds: of an epoch of training and of the evaluation after it; lower is faster.
        spent_seconds: of the measurement.
        spent_epochs: of the measurement, in epoch-equivalents.
    """

    seconds: float
    spent_seconds: float
    spent_epochs: float


def batches_needed(recipe: Recipe, data: ImageData) -> ImageData:
    """As many of the images as a measurement needs."""
    train = min(_batches(recipe, len(data.train)) * recipe.batch_size, len(data.train))
    looked_at = min(EVALUATION_BATCH, len(data.validation))
    return replace(
        data,
        train=data.train.part(np.arange(train)),
        validation=data.validation.part(np.arange(looked_at)),
        test=data.test.part(np.arange(1)),
    )


def measured_share(recipe: Recipe, data: ImageData) -> float:
    """What the measurement of one network on these images costs, in epoch-equivalents."""
    passed = _batches(recipe, len(data.train)) * min(recipe.batch_size, len(data.train))
    # A forward pass costs a third of a training step.
    return (passed + min(EVALUATION_BATCH, len(data.validation)) / 3) / len(data.train)


def measure_own_epoch(
    code: OwnCode, candidate: object, *, epochs: int, seed: int, device: str, metric: str
) -> EpochTime:
    """Times the second epoch of the user's own code, or the only one: the first is slower where data are read then.

    Args:
        code: the function or class.
        candidate: name or options.
        epochs: length of the schedule that is begun.
        seed: of the training.
        device: ``cpu`` or ``cuda``.
        metric: that every epoch must have.

    Raises:
        OwnCodeError: the code does not keep to its interface.
        Exception: any that the code raises.
    """
    train = code.load()
    began = time.perf_counter()
    training = OwnTraining(train, candidate, epochs=epochs, seed=seed, device=device, metric=metric)
    took = []
    try:
        for _ in range(min(epochs, OWN_EPOCHS)):
            at = time.perf_counter()
            training.step_epoch()
            took.append(time.perf_counter() - at)
    finally:
        training.close()
    return EpochTime(max(took[-1], math.ulp(1.0)), time.perf_counter() - began, float(len(took)))


def _batches(recipe: Recipe, train_images: int) -> int:
    timed = math.ceil(TIMED_SHARE * train_images / recipe.batch_size)
    return WARM_UP + min(timed, TIMED)


def measure_epoch(
    build: Callable[[], nn.Module],
    recipe: Recipe,
    few: ImageData,
    *,
    train_images: int,
    validation_images: int,
    device: str = "cpu",
) -> EpochTime:
    """Trains and evaluates a network on a few batches, and extrapolates to an epoch.

    Args:
        build: makes the network.
        recipe: how it is trained.
        few: images of ``batches_needed``.
        train_images: in an epoch.
        validation_images: of the evaluation after it.
        device: where the network lives.

    Raises:
        Exception: whatever building or training the network raises.
    """
    # What a process does once is the start of a worker: torch imports much with the first optimiser.
    torch.optim.SGD([nn.Parameter(torch.zeros(1, device=device))])
    began = time.perf_counter()
    training = Training(build, recipe, few, seed=0, device=device)
    training.model.train()
    took: list[float] = []
    passed = 0
    at = time.perf_counter()
    batches = _batches(recipe, train_images)
    while len(took) < batches:
        # Small data sets have fewer batches than are timed: they begin again.
        drawn = {"generator": np.random.default_rng(len(took)), "augmentation": recipe.augmentation}
        for images, labels in training.batches(few.train, recipe.batch_size, **drawn):
            loss, _ = training.train_batch(images, labels)
            loss.item()  # waits for a GPU
            passed += len(labels)
            took.append((time.perf_counter() - at) / len(labels))
            at = time.perf_counter()
            if len(took) == batches:
                break
    at = time.perf_counter()
    training.evaluate(few.validation)
    evaluation = (time.perf_counter() - at) / len(few.validation) * validation_images
    epoch = float(np.median(took[WARM_UP:])) * train_images + evaluation
    if device == "cuda":
        torch.cuda.empty_cache()
    # A forward pass costs a third of a training step.
    epochs = (passed + len(few.validation) / 3) / train_images
    return EpochTime(max(epoch, math.ulp(1.0)), time.perf_counter() - began, epochs)
