"""Training recipes: optimiser, schedule, length, batch, augmentation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from taurank.trainables.data import Augmentation

if TYPE_CHECKING:
    import torch
    from torch import nn

_CHOICES = {"optimizer": ("sgd", "adamw"), "schedule": ("cosine", "constant"), "scaling": ("normalise", "unit")}


@dataclass(frozen=True)
class Recipe:
    """One way to train a network from scratch.

    The learning rate warms up linearly over ``warmup_epochs``, then follows half a cosine to zero over the rest of
    this recipe's *own* length (or stays constant). A short recipe is therefore a complete training in small, not the
    first epochs of a long one: its order of architectures is much closer to the final one.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of an optimiser step, at least 2 since batch norm cannot train on one.
        optimizer: ``sgd`` with momentum, or ``adamw`` with PyTorch's betas (Loshchilov & Hutter 2019).
        learning_rate: the highest one of the schedule.
        momentum: of ``sgd``; without effect for ``adamw``.
        nesterov: whether that momentum is Nesterov's; without effect for ``adamw``.
        weight_decay: of every parameter, batch norm and biases included, as in the training of NAS-Bench-201 (Dong &
            Yang 2020, section 2.2); decoupled for ``adamw``.
        schedule: ``cosine`` to zero, or ``constant`` after the warm-up.
        warmup_epochs: length of the linear warm-up from zero, a number of epochs or a fraction of one.
        label_smoothing: share of each label spread evenly over all classes, in the training loss only.
        clip_gradient_norm: gradients of a larger Euclidean norm are scaled down to it; None for no limit.
        augmentation: random changes to the training images.
        scaling: ``normalise`` each channel by mean and standard deviation of the training images, or ``unit``: pixels
            in [0, 1].
        mixed_precision: bfloat16 (float16 on GPUs that lack it) where that is safe; on CUDA only.
        channels_last: memory layout of images and weights; faster for convolutions, the same result up to rounding.

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
        for name, lowest in (("epochs", 1), ("batch_size", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ValueError(f"{name} is {value!r}; it has to be a whole number, at least {lowest}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it has to be one of {', '.join(allowed)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}; it has to be above 0 and finite")
        for name, upper in (("momentum", 1.0), ("label_smoothing", 1.0), ("weight_decay", math.inf)):
            if not 0 <= getattr(self, name) < upper:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be at least 0 and below {upper}")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}; it has to be within the {self.epochs} epochs")
        if self.clip_gradient_norm is not None and not self.clip_gradient_norm > 0:
            raise ValueError(f"clip_gradient_norm is {self.clip_gradient_norm}; it has to be above 0, or null for none")
        if self.nesterov and self.optimizer == "sgd" and self.momentum == 0:
            raise ValueError("nesterov is true but momentum is 0; raise momentum, or set nesterov: false for plain SGD")

    def of_length(self, epochs: int, *, learning_rate: float | None = None) -> Recipe:
        """The recipe on a schedule of ``epochs``; the warm-up shrinks or grows in proportion."""
        return replace(
            self,
            epochs=epochs,
            learning_rate=self.learning_rate if learning_rate is None else learning_rate,
            warmup_epochs=self.warmup_epochs * epochs / self.epochs,
        )

    def learning_rate_at(self, epochs_done: float) -> float:
        """Learning rate after ``epochs_done`` epochs, fractions included; with a warm-up it begins at 0."""
        if epochs_done < self.warmup_epochs:
            return self.learning_rate * epochs_done / self.warmup_epochs
        if self.schedule == "constant":
            return self.learning_rate
        share = (epochs_done - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The recipe's optimiser over ``parameters``; a step leaves parameters without a gradient as they are."""
        import torch

        if self.optimizer == "adamw":
            return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )
