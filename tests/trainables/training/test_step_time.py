"""Seconds of an epoch from a few batches, on a clock that a network turns on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from taurank.trainables.data import ImageData, ImageSet
from taurank.trainables.own import OwnCode
from taurank.trainables.training import Recipe, batches_needed, measure_epoch, measure_own_epoch, measured_share
from taurank.trainables.training.step_time import TIMED, WARM_UP


def images(count: int) -> ImageSet:
    generator = np.random.default_rng(0)
    return ImageSet(generator.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8), np.arange(count) % 2)


def data(train: int) -> ImageData:
    parts = {"train": images(train), "validation": images(600), "test": images(3)}
    return ImageData(**parts, classes=("a", "b"), mean=np.zeros(1, np.float32), std=np.ones(1, np.float32))


class Slow(nn.Module):
    """A millisecond for each image; a second more for the first batch of a process."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self.layer, self.clock, self.first = nn.Linear(16, 2), clock, True

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.clock[0] += 0.001 * len(pixels) + self.first
        self.first = False
        return self.layer(pixels.flatten(1))


@pytest.mark.parametrize("train", [64 * 100, 64 * 3, 40])
def test_an_epoch_of_training_and_its_evaluation(monkeypatch: pytest.MonkeyPatch, train: int) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    recipe, whole = Recipe(epochs=3, batch_size=64), data(train)
    few = batches_needed(recipe, whole)
    found = measure_epoch(lambda: Slow(clock), recipe, few, train_images=train, validation_images=600)
    assert found.seconds == pytest.approx(0.001 * train + 0.6)
    assert found.spent_seconds == pytest.approx(clock[0] - 100.0)
    assert len(few.train) <= (WARM_UP + TIMED) * 64
    # A forward pass on 512 images is a third of a step.
    batches = {6400: 5, 192: 2, 40: 2}[train]
    assert found.spent_epochs == pytest.approx((batches * min(64, train) + 512 / 3) / train)


def test_recipes_that_mix_batches_are_measured_too() -> None:
    recipe = Recipe(epochs=2, mixup=0.2, cutmix=1.0, ema_epochs=1.0, micro_batch=16)
    few = batches_needed(recipe, data(200))

    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 2))

    assert measure_epoch(build, recipe, few, train_images=200, validation_images=600).seconds > 0


class TestOwnCode:
    def train(self, candidate: float, *, epochs: int, seed: int, device: str, checkpoint: Path) -> Iterator[Any]:
        """Reads its data for five seconds, then needs ``candidate`` seconds an epoch."""
        self.clock[0] += 5.0
        try:
            for epoch in range(1, epochs + 1):
                self.clock[0] += candidate
                yield {"epoch": epoch, "loss": 1.0 / epoch}
        finally:
            self.closed = True

    @pytest.mark.parametrize(("epochs", "seconds", "spent"), [(10, 3.0, 11.0), (1, 8.0, 8.0)])
    def test_its_second_epoch(self, epochs: int, seconds: float, spent: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.closed = [100.0], False
        monkeypatch.setattr(time, "perf_counter", lambda: self.clock[0])
        options = {"epochs": epochs, "seed": 0, "device": "cpu", "metric": "loss"}
        found = measure_own_epoch(OwnCode("mine:train", self.train), 3.0, **options)
        assert (found.seconds, found.spent_seconds, found.spent_epochs) == (seconds, spent, min(epochs, 2))
        assert self.closed


@pytest.mark.parametrize("train", [64 * 100, 64 * 3, 40])
def test_the_cost_is_known_beforehand(train: int) -> None:
    recipe, whole = Recipe(epochs=3, batch_size=64), data(train)
    few = batches_needed(recipe, whole)
    found = measure_epoch(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), recipe, few, train_images=train, validation_images=600
    )
    assert measured_share(recipe, whole) == pytest.approx(found.spent_epochs)
