"""The training loop: one epoch at a time, exact after a restore, and with no scheduler or cluster in sight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.data import ImageData, ImageSet, iterate_batches
from trainables.recipe import Recipe

Row: TypeAlias = dict[str, float]
"""Metrics of one epoch: ``epoch`` (from 1), accuracies in [0, 1], losses in nats, ``seconds``."""

EVALUATION_BATCH = 512


class NonFiniteLossError(RuntimeError):
    """The training loss became NaN or infinite: the run has diverged and cannot come back."""


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block torch's generators start from ``seed``; afterwards they are as they were before."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class Training:
    """Trains one network on one data set by one recipe.

    All randomness of epoch ``e`` (order, augmentation, dropout) comes from ``(seed, e)``, so a training that is saved
    after an epoch and restored elsewhere goes on with the same numbers, and no generator has to be stored.

    Args:
        build: makes the freshly initialised network; called inside a seeded context.
        recipe: how to train.
        data: images to train on and to look at.
        seed: of the initial weights and of everything drawn in the epochs.
        device: where the network lives.
    """

    def __init__(
        self, build: Callable[[], nn.Module], recipe: Recipe, data: ImageData, *, seed: int, device: str = "cpu"
    ) -> None:
        self.recipe, self.data, self.seed, self.device = recipe, data, seed, torch.device(device)
        with seeded(seed, self.device):
            self.model = build().to(self.device)
        self._memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.model = self.model.to(memory_format=self._memory_format)  # type: ignore[call-overload]
        self.optimizer = recipe.make_optimizer(self.model.parameters())
        on_cuda = recipe.mixed_precision and self.device.type == "cuda"
        self._precision = (torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16) if on_cuda else None
        self._scaler = torch.amp.GradScaler(enabled=self._precision is torch.float16)
        self.epoch = 0

    @property
    def trained(self) -> bool:
        """Whether all epochs of the recipe are done."""
        return self.epoch >= self.recipe.epochs

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.trained

    def step_epoch(self) -> Row:
        """Trains one epoch, then validates; the last epoch also measures the test images.

        Raises:
            NonFiniteLossError: the mean training loss of the epoch is NaN or infinite.
            RuntimeError: called again after the last epoch.
        """
        if self.trained:
            raise RuntimeError(f"all {self.recipe.epochs} epochs of the recipe are done")
        started = time.perf_counter()
        order = np.random.default_rng([self.seed, self.epoch])
        images_total = len(self.data.train)
        loss_sum = torch.zeros((), device=self.device)
        correct = torch.zeros((), device=self.device)
        seen = 0
        self.model.train()
        with seeded(int(order.integers(2**31)), self.device):
            batches = self._batches(
                self.data.train, self.recipe.batch_size, generator=order, augmentation=self.recipe.augmentation
            )
            for images, labels in batches:
                for group in self.optimizer.param_groups:
                    group["lr"] = self.recipe.learning_rate_at(self.epoch + seen / images_total)
                batch_loss, batch_correct = self.train_batch(images, labels)
                loss_sum += batch_loss * len(labels)
                correct += batch_correct
                seen += len(labels)
        train_loss = loss_sum.item() / seen
        if not np.isfinite(train_loss):
            raise NonFiniteLossError(f"training loss is {train_loss} in epoch {self.epoch + 1}")
        self.epoch += 1
        row = {"epoch": self.epoch, "train_loss": train_loss, "train_accuracy": correct.item() / seen}
        row |= self.measure()
        row["seconds"] = time.perf_counter() - started
        return row

    def train_batch(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One optimiser step; the mean loss (nats) and the number of correct predictions made before the step."""
        loss, correct = self.loss(images, labels)
        self.optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip_gradient_norm is not None:
            self._scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_gradient_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        return loss.detach(), correct

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy (nats, label smoothing included) and the number of correct predictions."""
        with torch.autocast(self.device.type, dtype=self._precision, enabled=self._precision is not None):
            logits = self.model(images)
            loss = functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        return loss, (logits.detach().argmax(1) == labels).sum()

    def measure(self) -> Row:
        """What is reported beside the training metrics of an epoch."""
        loss, accuracy = self.evaluate(self.data.validation)
        row = {"validation_loss": loss, "validation_accuracy": accuracy}
        if self.trained:
            same = self.data.test is self.data.validation
            test_loss, test_accuracy = (loss, accuracy) if same else self.evaluate(self.data.test)
            row |= {"test_loss": test_loss, "test_accuracy": test_accuracy}
        return row

    @torch.no_grad()
    def evaluate(self, images: ImageSet) -> tuple[float, float]:
        """Mean cross-entropy in nats and accuracy in [0, 1] over ``images``, in evaluation mode."""
        self.model.eval()
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for batch, labels in self._batches(images, EVALUATION_BATCH):
            with torch.autocast(self.device.type, dtype=self._precision, enabled=self._precision is not None):
                logits = self.model(batch).float()
            loss_sum += functional.cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(1) == labels).sum()
        return loss_sum.item() / len(images), correct.item() / len(images)

    def _batches(self, images: ImageSet, batch_size: int, **drawn: Any) -> Iterator[tuple[Tensor, Tensor]]:
        batches = iterate_batches(
            images,
            batch_size=batch_size,
            mean=self.data.mean,
            std=self.data.std,
            scaling=self.recipe.scaling,
            **({"generator": None, "augmentation": None} | drawn),
        )
        for pixels, labels in batches:
            yield (
                pixels.to(self.device, memory_format=self._memory_format, non_blocking=True),
                labels.to(self.device, non_blocking=True),
            )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on; safe to load with ``weights_only=True``."""
        return {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to a state of ``state_dict``."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self.epoch = int(state["epoch"])
