"""How a network is trained: optimiser, schedule, length, batch, augmentation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import nn

from trainables.data import Augmentation


@dataclass(frozen=True)
class Recipe:
    """One way to train a network from scratch.

    The learning rate warms up linearly over ``warmup_epochs``, then follows half a cosine to zero over the rest of
    this recipe's *own* length (or stays constant). A short recipe is therefore a complete training in small, not the
    first epochs of a long one: its order of architectures is much closer to the final one.

    Weight decay applies to every parameter, as in the training of NAS-Bench-201 (Dong & Yang 2020, section 2.2), and
    is decoupled for ``adamw`` (Loshchilov & Hutter 2019).

    Raises:
        ValueError: a value outside its range; the message names the field, the value and the range.
    """

    # Read by pydantic where a recipe comes from a file; this package does not import pydantic.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    epochs: int = 20
    batch_size: int = 64
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    clip_gradient_norm: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    scaling: Literal["normalise", "unit"] = "normalise"
    mixed_precision: bool = True
    channels_last: bool = True

    def __post_init__(self) -> None:
        for name, at_least in (("epochs", 1), ("batch_size", 2)):
            if getattr(self, name) < at_least:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be at least {at_least}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it has to be above 0")
        for name, upper in (("momentum", 1.0), ("label_smoothing", 1.0), ("weight_decay", math.inf)):
            if not 0 <= getattr(self, name) < upper:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be at least 0 and below {upper}")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}; it has to be within the {self.epochs} epochs")
        if self.clip_gradient_norm is not None and not self.clip_gradient_norm > 0:
            raise ValueError(f"clip_gradient_norm is {self.clip_gradient_norm}; it has to be above 0, or null for none")
        if self.nesterov and self.optimizer == "sgd" and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0; set nesterov: false for plain SGD")

    def of_length(self, epochs: int, *, learning_rate: float | None = None) -> Recipe:
        """The recipe on a schedule of ``epochs``; the warm-up shrinks in proportion."""
        return replace(
            self,
            epochs=epochs,
            learning_rate=self.learning_rate if learning_rate is None else learning_rate,
            warmup_epochs=self.warmup_epochs * epochs / self.epochs,
        )

    def learning_rate_at(self, epochs_done: float) -> float:
        """Learning rate after ``epochs_done`` epochs, fractions included (0 at the first step)."""
        if epochs_done < self.warmup_epochs:
            return self.learning_rate * epochs_done / self.warmup_epochs
        if self.schedule == "constant":
            return self.learning_rate
        share = (epochs_done - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The recipe's optimiser over ``parameters``; parameters without a gradient are never touched by it."""
        if self.optimizer == "adamw":
            return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov and self.momentum > 0,
            weight_decay=self.weight_decay,
        )
