"""The training loop: one epoch at a time, reproducible after a restore, independent of schedulers and clusters."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.trainables.data import Augmentation, ImageData, ImageSet, iterate_batches, prefetched
from taurank.trainables.training.memory import halving
from taurank.trainables.training.mixing import Mixing
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.running_statistics import keep_pace
from taurank.trainables.training.weight_average import WeightAverage

Row: TypeAlias = dict[str, float]
"""Metrics of one epoch: ``epoch`` (from 1), accuracies in [0, 1], losses in nats, ``seconds``."""

EVALUATION_BATCH = 512
"""Images in a batch of an evaluation; large, since no gradients are kept."""

# One stream of random numbers for each purpose. SeedSequence reads a missing number as 0, so none of them is 0.
_ORDER_STREAM = 1


class NonFiniteLossError(RuntimeError):
    """A loss became NaN or infinite: the run has diverged and cannot come back."""


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block torch's generators start from ``seed``; afterwards they are as they were before."""
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        # torch.manual_seed would also seed the GPUs that are not ours to restore.
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


class Training:
    """Trains one network on one data set by one recipe.

    All randomness of epoch ``e`` (order, augmentation, mixing, dropout) comes from ``(seed, e)``, so a training that is
    saved after an epoch and restored elsewhere continues with the same numbers, and no generator has to be stored. (On
    a GPU some kernels add in no fixed order, so there two equal trainings agree up to rounding only.)

    A step that does not fit into memory is repeated with its images in two parts, whose gradients are summed, and then
    in four, and so on: the batch of the recipe stays, and so do all numbers of a network without batch normalisation,
    up to rounding. Batch normalisation sees the parts. The size of a part is kept with the state.

    Args:
        build: makes the freshly initialised network; called inside a seeded context.
        recipe: how to train.
        data: images to train on and to look at; only read, so that the arrays may be shared and read-only.
        seed: of the initial weights and of everything drawn in the epochs; 0 or more.
        device: where the network lives.
        epoch_share: what an epoch on these images costs, in (0, 1], where they are less than all there is.

    Attributes:
        model: the network that is trained.
        epoch: epochs done.
        micro_batch: images of a step that are in memory at once.

    Raises:
        ValueError: a negative seed, or an epoch_share outside its range.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        data: ImageData,
        *,
        seed: int,
        device: str = "cpu",
        epoch_share: float = 1.0,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed is {seed}; it has to be at least 0")
        if not 0 < epoch_share <= 1:
            raise ValueError(f"epoch_share is {epoch_share}; it has to be above 0 and at most 1")
        recipe = recipe.on_images(len(data.train))
        self.recipe, self.data, self.seed, self.device = recipe, data, seed, torch.device(device)
        with seeded(seed, self.device):
            self.model = build().to(self.device)
        self._memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.model = self.model.to(memory_format=self._memory_format)  # type: ignore[call-overload]
        self.optimizer = recipe.make_optimizer(self.model)
        steps = math.ceil(len(data.train) / recipe.batch_size)
        keep_pace(self.model, recipe.epochs * steps)
        self._average = WeightAverage(self.model, recipe.ema_epochs * steps) if recipe.ema_epochs else None
        self._mixing = Mixing(recipe, classes=len(data.classes))
        self._mixing.start_epoch(seed, 0)  # a measurement trains single batches
        self.micro_batch = recipe.micro_batch or sys.maxsize
        self._evaluation_batch = EVALUATION_BATCH
        self._precision: torch.dtype | None = None
        if recipe.mixed_precision and self.device.type == "cuda":
            # Emulated bfloat16 is slower than float32.
            native = torch.cuda.is_bf16_supported(including_emulation=False)
            self._precision = torch.bfloat16 if native else torch.float16
        self._scaler = torch.amp.GradScaler(enabled=self._precision is torch.float16)
        self.epoch = 0
        self._epoch_images, self._epoch_cost = len(data.train), epoch_share
        self._passed = self._ahead = 0.0

    @property
    def evaluated_model(self) -> nn.Module:
        """The network that is evaluated: the mean of the weights where the recipe has one."""
        return self.model if self._average is None else self._average.model

    @property
    def spent(self) -> float:
        """Cost of the last call, whether it returned or raised, in epoch-equivalents: passes over the training images.

        Looking at the validation images after an epoch counts as part of that epoch.
        """
        return self._epoch_cost * self._epoch_share

    @property
    def _epoch_share(self) -> float:
        return self._passed / self._epoch_images

    @property
    def trained(self) -> bool:
        """Whether all epochs of the recipe are done."""
        return self.epoch >= self.recipe.epochs

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.trained

    def step_epoch(self) -> Row:
        """Trains one epoch, then validates; only the last epoch also measures the test images.

        Raises:
            NonFiniteLossError: the mean training loss of the epoch, or a loss measured after it, is NaN or infinite.
            RuntimeError: called again after the last epoch.
        """
        if self.trained:
            raise RuntimeError(f"all {self.recipe.epochs} epochs of the recipe are done")
        started = time.perf_counter()
        epoch = self.epoch + 1
        row = {"epoch": epoch} | _finite(self._train_epoch(), epoch)
        row |= _finite(self.measure(last=epoch == self.recipe.epochs), epoch)
        row["seconds"] = time.perf_counter() - started
        self.epoch = epoch
        return row

    def _train_epoch(self) -> Row:
        generator = np.random.default_rng([self.seed, self.epoch, _ORDER_STREAM])
        # Summed on the device: reading a number of each step would make a GPU wait for the CPU.
        loss_sum = torch.zeros((), device=self.device)
        correct_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        seen = 0
        self._passed = 0.0
        self._mixing.start_epoch(self.seed, self.epoch)
        self.model.train()
        with seeded(int(generator.integers(2**31)), self.device):
            for images, labels in self.batches(
                self.data.train,
                self.recipe.batch_size,
                generator=generator,
                augmentation=self.recipe.augmentation,
            ):
                if self._ahead + self._passed >= self._epoch_images:
                    break
                for group in self.optimizer.param_groups:
                    group["lr"] = self.recipe.learning_rate_at(self.epoch + self._epoch_share)
                loss, correct = self.train_batch(images, labels)
                loss_sum += loss * labels.numel()
                correct_sum += correct
                seen += labels.numel()
        # What a last step of much work goes beyond the epoch is left out of the next one.
        self._ahead = max(self._ahead + self._passed - self._epoch_images, 0.0)
        return {"train_loss": loss_sum.item() / seen, "train_accuracy": correct_sum.item() / seen}

    def train_batch(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One optimiser step; the mean loss (nats) and the number of correct predictions made before the step.

        Of mixed labels a prediction is correct by the share that its class has in them.
        """
        images, targets = self._mixing(images, labels)
        images = images.contiguous(memory_format=self._memory_format)
        # Where a target belongs to several inputs, as in a pretext task, a batch cannot be parted.
        divisible = len(images) if len(images) == len(targets) else 1
        (loss, correct), self.micro_batch = halving(
            lambda size: self._add_gradients(images, targets, size), self.micro_batch, batch=divisible
        )
        self._take_step()
        if self._average is not None:
            self._average.update(self.model)
        self._passed += len(labels)
        return loss, correct

    def _add_gradients(self, images: Tensor, targets: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Gradients of the mean loss of a batch, at most ``size`` images at a time."""
        self._clear_gradients()
        parts = min(math.ceil(len(images) / size), max(len(images) // 2, 1))
        outcomes = []
        for some, wanted in zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True):
            with self.autocast():
                logits = self.model(some)
                loss = self.loss(logits, wanted) * (len(some) / len(images))
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            predicted = logits.detach().argmax(1)
            mixed = wanted.is_floating_point()
            hits = wanted.gather(1, predicted[:, None]) if mixed else predicted == wanted
            outcomes.append((loss.detach(), hits.sum()))
        losses, correct = zip(*outcomes, strict=True)
        return torch.stack(losses).sum(), torch.stack(correct).sum()

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The recipe's loss, in nats; of labels ``(n,)``, or of shares of the classes ``(n, classes)``."""
        smoothing = self.recipe.label_smoothing
        if self.recipe.loss == "cross-entropy":
            return functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        classes = logits.shape[1]
        shares = targets if targets.is_floating_point() else functional.one_hot(targets, classes)
        smooth = shares.to(logits.dtype) * (1 - smoothing) + smoothing / classes
        return functional.binary_cross_entropy_with_logits(logits, smooth)

    def _clear_gradients(self) -> None:
        # None and not zero: with a gradient of zero, momentum and weight decay would still move a weight.
        self.optimizer.zero_grad(set_to_none=True)

    def _take_step(self) -> None:
        if self.recipe.clip_gradient_norm is not None:
            self._scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_gradient_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()

    def measure(self, *, last: bool) -> Row:
        """Metrics reported beside the training metrics of an epoch; ``last`` says whether it was the last one."""
        loss, accuracy = self.evaluate(self.data.validation)
        row = {"validation_loss": loss, "validation_accuracy": accuracy}
        if last:
            same = self.data.test is self.data.validation
            test_loss, test_accuracy = (loss, accuracy) if same else self.evaluate(self.data.test)
            row |= {"test_loss": test_loss, "test_accuracy": test_accuracy}
        return row

    @torch.no_grad()
    def evaluate(self, images: ImageSet) -> tuple[float, float]:
        """Mean cross-entropy in nats and accuracy in [0, 1] over ``images``, in evaluation mode."""
        self.evaluated_model.eval()
        return self.evaluate_as_is(images)

    @torch.no_grad()
    def evaluate_as_is(self, images: ImageSet) -> tuple[float, float]:
        """Like `evaluate`, in the current mode of the network."""
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        seen = 0
        for pixels, labels in self.batches(images, EVALUATION_BATCH):
            logits = self.logits(pixels)
            loss_sum += functional.cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(1) == labels).sum()
            seen += labels.numel()
        return loss_sum.item() / seen, correct.item() / seen

    @torch.no_grad()
    def logits(self, pixels: Tensor) -> Tensor:
        """Outputs of the evaluated network in its current mode, as many images at a time as fit into memory."""

        def compute(size: int) -> Tensor:
            with self.autocast():
                return torch.cat([self.evaluated_model(part).float() for part in torch.split(pixels, size)])

        found, self._evaluation_batch = halving(compute, self._evaluation_batch, batch=len(pixels))
        return found

    def autocast(self) -> torch.autocast:
        """The precision that the recipe asks for, on this device."""
        return torch.autocast(self.device.type, dtype=self._precision, enabled=self._precision is not None)

    def batches(self, images: ImageSet, batch_size: int, **drawn: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches on the device; ``drawn`` is the generator and the augmentation, left out for images as they are."""
        batches = self._make_batches(images, batch_size, **({"generator": None, "augmentation": None} | drawn))
        # A training with one core has none to spare for the next batch.
        if self.device.type != "cpu" or torch.get_num_threads() > 1:
            batches = prefetched(batches)
        for pixels, labels in batches:
            yield pixels.contiguous(memory_format=self._memory_format), labels

    def _make_batches(
        self,
        images: ImageSet,
        batch_size: int,
        *,
        generator: np.random.Generator | None,
        augmentation: Augmentation | None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        return iterate_batches(
            images,
            batch_size=batch_size,
            generator=generator,
            augmentation=augmentation,
            mean=self.data.mean,
            std=self.data.std,
            scaling=self.recipe.scaling,
            centre=self.recipe.evaluated_centre if augmentation is None else 1.0,
            interpolation=self.recipe.augmentation.interpolation,
            device=self.device,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on; safe to load with ``weights_only=True``.

        Its tensors are the live ones: save or copy them before the next epoch.
        """
        state = {
            "epoch": self.epoch,
            "ahead": self._ahead,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "micro_batch": self.micro_batch,
        }
        return state if self._average is None else state | {"average": self._average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty where it was not in use
            self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self.micro_batch = int(state.get("micro_batch", self.micro_batch))
        self.epoch, self._ahead = int(state["epoch"]), float(state["ahead"])


def _finite(row: Row, epoch: int) -> Row:
    """Returns the row after checking its losses; an accuracy does not show that the outputs are NaN."""
    for name, value in row.items():
        if name.endswith("_loss") and not math.isfinite(value):
            raise NonFiniteLossError(f"{name} is {value} in epoch {epoch}")
    return row
