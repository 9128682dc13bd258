"""Training recipes: optimiser, schedule, length, batch, augmentation."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from taurank.spaces import ModelOptions
from taurank.trainables.data import Augmentation, repr_of

if TYPE_CHECKING:
    import torch
    from torch import nn

Optimizer = Literal["sgd", "adamw", "rmsprop", "lamb"]
Schedule = Literal["cosine", "constant", "steps"]
_CHOICES = {
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "scaling": ("normalise", "unit"),
    "loss": ("cross-entropy", "bce"),
}
_OLDEST = 15
"""Fields that were there from the beginning; see ``repr_of``."""
_BELOW = {
    **dict.fromkeys(("momentum", "label_smoothing", "dropout", "drop_path"), 1.0),
    **dict.fromkeys(("weight_decay", "mixup", "cutmix", "ema_epochs"), math.inf),
}
_HIGHEST = 0.99
"""Of a probability that a longer training has raised."""
FEW_STEPS = 120
"""A short training of fewer optimiser steps changes its batch and learning rate; see ``Recipe.least_steps``."""
_SMALLEST_BATCH = 16


@dataclass(frozen=True, repr=False)
class Recipe:
    """One way to train a network from scratch.

    The learning rate warms up linearly over ``warmup_epochs``, then follows half a cosine to zero over the rest of
    this recipe's *own* length (or goes down in steps, or stays constant). A short recipe is therefore a complete
    training in small, not the first epochs of a long one: its order of architectures is much closer to the final one.

    Attributes:
        epochs: passes over the training images.
        batch_size: images of an optimiser step, at least 2 since batch norm cannot train on one.
        optimizer: ``sgd`` with momentum, ``adamw`` with PyTorch's betas (Loshchilov & Hutter 2019), ``rmsprop`` with
            momentum and the settings of TensorFlow's (Tan et al. 2019, section 5), or ``lamb`` (You et al. 2020), which
            comes from timm.
        learning_rate: its highest value, for batches of ``learning_rate_batch`` images.
        momentum: of ``sgd`` and ``rmsprop``.
        nesterov: whether the momentum of ``sgd`` is Nesterov's.
        weight_decay: of every parameter, batch norm and biases included, as in the training of NAS-Bench-201 (Dong &
            Yang 2020, section 2.2), unless ``decay_norms_and_biases`` is false; decoupled for ``adamw`` and ``lamb``.
        schedule: ``cosine`` to zero, ``constant`` after the warm-up, or ``steps``: see ``step_epochs``.
        warmup_epochs: length of the linear warm-up from zero; fractions of an epoch are fine.
        label_smoothing: share of each label spread evenly over all classes, in the training loss only.
        clip_gradient_norm: gradients of a larger Euclidean norm are scaled down to it; None for no limit.
        augmentation: random changes to the training images.
        scaling: ``normalise`` each channel by mean and standard deviation of the training images, or ``unit``: pixels
            in [0, 1].
        mixed_precision: bfloat16 (float16 on GPUs that lack it) where that is safe; on CUDA only.
        channels_last: memory layout of images and weights; faster for convolutions, the same result up to rounding.
        decay_norms_and_biases: false for decay of weights of two or more dimensions only, and of none that the network
            lists in ``no_weight_decay`` (as position embeddings).
        learning_rate_batch: images that ``learning_rate`` is for. Beside another ``batch_size`` it grows in proportion
            with ``sgd`` and ``rmsprop`` (Goyal et al. 2017, section 2.1), and as the square root with ``adamw`` and
            ``lamb`` (You et al. 2020, section 3.3; Malladi et al. 2022). None: for any batch.
        step_epochs: of the schedule ``steps``: the rate is multiplied by ``step_factor`` every so many epochs, or after
            each of the listed ones.
        step_factor: of the schedule ``steps``.
        loss: of training, ``cross-entropy`` or ``bce``: binary cross-entropy of each class, mean over the classes
            (Wightman et al. 2021, section 3.2).
        mixup: alpha of the Beta distribution by which two images and their labels are blended (Zhang et al. 2018, arXiv
            1710.09412); 0 for none.
        cutmix: alpha by which a box of one image replaces that of another (Yun et al. 2019, arXiv 1905.04899); 0 for
            none. With both each batch takes one of them.
        mix_share: share of the batches that are mixed.
        ema_epochs: the evaluated weights are a running mean over about so many epochs; 0 for the weights themselves.
        dropout: see ``ModelOptions``.
        drop_path: see ``ModelOptions``.
        zero_init_last: see ``ModelOptions``.
        evaluated_centre: share of each side of an image, in its middle, that is evaluated, enlarged to the full size.
        micro_batch: images of a step that are in memory at once; the gradients of a step are summed over them. None:
            all, or fewer where they do not fit (see ``Training``).
        least_steps: a training of fewer optimiser steps takes half the batch, but 16 images at least, and twice the
            learning rate. 0: never.

    Raises:
        ValueError: a value outside its range; the message names the field, the value and the range.
    """

    # Read by pydantic where a recipe comes from a file; this package does not import pydantic.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    epochs: int = 20
    batch_size: int = 64
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: Schedule = "cosine"
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    clip_gradient_norm: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    scaling: Literal["normalise", "unit"] = "normalise"
    mixed_precision: bool = True
    channels_last: bool = True
    decay_norms_and_biases: bool = True
    learning_rate_batch: int | None = None
    step_epochs: float | tuple[float, ...] = 30.0
    step_factor: float = 0.1
    loss: Literal["cross-entropy", "bce"] = "cross-entropy"
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_share: float = 1.0
    ema_epochs: float = 0.0
    dropout: float | None = None
    drop_path: float | None = None
    zero_init_last: bool = False
    evaluated_centre: float = 1.0
    micro_batch: int | None = None
    least_steps: int = 0

    def __post_init__(self) -> None:
        lowest_values = {"epochs": 1, "batch_size": 2, "learning_rate_batch": 1, "micro_batch": 2, "least_steps": 0}
        for name, lowest in lowest_values.items():
            value = getattr(self, name)
            if value is None and name in ("learning_rate_batch", "micro_batch"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ValueError(f"{name} is {value!r}; it has to be a whole number, at least {lowest}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it has to be one of {', '.join(allowed)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}; it has to be above 0 and finite")
        for name, upper in _BELOW.items():
            value = getattr(self, name)
            if value is not None and not 0 <= value < upper:
                raise ValueError(f"{name} is {value}; it has to be at least 0 and below {upper}")
        for name in ("mix_share", "step_factor", "evaluated_centre"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be above 0 and at most 1")
        self._check_steps()
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}; it has to be within the {self.epochs} epochs")
        if self.clip_gradient_norm is not None and not self.clip_gradient_norm > 0:
            raise ValueError(f"clip_gradient_norm is {self.clip_gradient_norm}; it has to be above 0, or null for none")
        if self.nesterov and self.optimizer == "sgd" and self.momentum == 0:
            raise ValueError("nesterov is true but momentum is 0; raise momentum, or set nesterov: false for plain SGD")

    def _check_steps(self) -> None:
        listed = isinstance(self.step_epochs, tuple | list)
        steps: Any = self.step_epochs if listed else (self.step_epochs,)
        ascending = all(one < other for one, other in pairwise(steps))
        if not steps or not ascending or not all(0 < step < math.inf for step in steps):
            shown = list(steps) if listed else self.step_epochs
            raise ValueError(f"step_epochs is {shown}; give a length in epochs, or a list of ascending epochs, above 0")

    def __repr__(self) -> str:
        return repr_of(self, first=_OLDEST)

    @property
    def model_options(self) -> ModelOptions:
        """What the recipe asks of the networks."""
        return ModelOptions(self.dropout, self.drop_path, self.zero_init_last)

    @property
    def peak_learning_rate(self) -> float:
        """The highest learning rate, at the batch size of the recipe."""
        if self.learning_rate_batch is None:
            return self.learning_rate
        times = self.batch_size / self.learning_rate_batch
        return self.learning_rate * (times if self.optimizer in ("sgd", "rmsprop") else math.sqrt(times))

    def of_length(self, epochs: int, *, learning_rate: float | None = None) -> Recipe:
        """The recipe on a schedule of ``epochs``, in small.

        What is counted in epochs shrinks or grows in proportion: warm-up, steps, the mean of the weights. How much is
        changed at random goes with the square root of the length: the shares of images that a policy, erasing and
        mixing change, colour jitter, dropout and stochastic depth. A short training is too far from fitting its images
        to be helped by all of it: of the procedures A1 to A3 of Wightman et al. 2021 (table 2), the one of a sixth of
        the epochs has half the mixup and no stochastic depth. Crops, flips and cutout stay as they are.
        """
        share = epochs / self.epochs
        strength = math.sqrt(share)
        steps = self.step_epochs
        if self.schedule == "steps":
            steps = tuple(step * share for step in steps) if isinstance(steps, tuple) else steps * share
        return replace(
            self,
            epochs=epochs,
            learning_rate=self.learning_rate if learning_rate is None else learning_rate,
            learning_rate_batch=self.learning_rate_batch if learning_rate is None else None,
            warmup_epochs=self.warmup_epochs * epochs / self.epochs,
            step_epochs=steps,
            ema_epochs=self.ema_epochs * share,
            mix_share=min(self.mix_share * strength, 1.0) if self.mixup or self.cutmix else self.mix_share,
            dropout=None if self.dropout is None else min(self.dropout * strength, _HIGHEST),
            drop_path=None if self.drop_path is None else min(self.drop_path * strength, _HIGHEST),
            augmentation=self.augmentation.weakened(strength),
        )

    def in_short(self, epochs: int) -> Recipe:
        """The recipe of a training that stands for one of full length: ``of_length``, with ``least_steps``.

        On few images it would otherwise end before it has learned enough to be compared with others
        (docs/measurements/real-lists.md).
        """
        short = self.of_length(epochs)
        return replace(short, least_steps=FEW_STEPS) if epochs < self.epochs else short

    def on_images(self, count: int) -> Recipe:
        """The recipe of a training on so many images: another one where it would have fewer than ``least_steps``.

        Examples:
            >>> short = Recipe(epochs=30, batch_size=64, learning_rate=0.05).in_short(3)
            >>> short.on_images(4000) is short
            True
            >>> few = short.on_images(700)
            >>> few.batch_size, few.learning_rate
            (32, 0.1)
        """
        if self.epochs * math.ceil(count / self.batch_size) >= self.least_steps:
            return self
        batch = max(self.batch_size // 2, min(self.batch_size, _SMALLEST_BATCH))
        return replace(
            self, batch_size=batch, learning_rate=2 * self.peak_learning_rate, learning_rate_batch=None, least_steps=0
        )

    def for_own_targets(self) -> Recipe:
        """The recipe without what belongs to labels and to one network: for pretext tasks and supernets.

        Their targets are not to be mixed, and a mean of the weights would mix paths that were not trained together.
        """
        plain: dict[str, Any] = {"loss": "cross-entropy", "mixup": 0.0, "cutmix": 0.0, "ema_epochs": 0.0}
        rate = self.peak_learning_rate
        return replace(self, **plain, micro_batch=None, learning_rate=rate, learning_rate_batch=None)

    def learning_rate_at(self, epochs_done: float) -> float:
        """Learning rate after ``epochs_done`` epochs, fractions included; with a warm-up it begins at 0."""
        rate = self.peak_learning_rate
        if epochs_done < self.warmup_epochs:
            return rate * epochs_done / self.warmup_epochs
        if self.schedule == "constant":
            return rate
        if self.schedule == "steps":
            steps = self.step_epochs
            count = bisect_right(steps, epochs_done) if isinstance(steps, tuple) else math.floor(epochs_done / steps)
            return rate * self.step_factor**count
        share = (epochs_done - self.warmup_epochs) / (self.epochs - self.warmup_epochs)
        return rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))

    @property
    def drop_epochs(self) -> tuple[float, ...]:
        """Epochs after which the learning rate of ``steps`` drops, within the schedule; none of the other schedules."""
        if self.schedule != "steps":
            return ()
        steps = self.step_epochs
        if not isinstance(steps, tuple):
            steps = tuple(steps * count for count in range(1, math.ceil(self.epochs / steps)))
        return tuple(step for step in steps if step < self.epochs)

    @property
    def problem(self) -> str:
        """Why it cannot be trained by here, in one line; empty if it can."""
        if self.optimizer == "lamb" and find_spec("timm") is None:
            return "optimizer is lamb, which needs timm; pip install 'taurank[timm]', or write optimizer: adamw"
        return ""

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """The recipe's optimiser of a network; a step leaves parameters without a gradient as they are.

        Raises:
            ValueError: timm is needed and not installed.
        """
        import torch

        groups = self._parameter_groups(network)
        settings: dict[str, Any] = {"lr": self.peak_learning_rate, "weight_decay": self.weight_decay}
        if self.optimizer == "adamw":
            return torch.optim.AdamW(groups, **settings)
        if self.optimizer == "rmsprop":
            # The square of this epsilon is TensorFlow's 0.001, which it adds below the root.
            return torch.optim.RMSprop(groups, **settings, alpha=0.9, eps=0.0316, momentum=self.momentum)
        if self.optimizer == "lamb":
            if self.problem:
                raise ValueError(self.problem)
            from taurank.spaces import import_torchvision

            import_torchvision()  # timm imports it
            from timm.optim.lamb import Lamb

            lamb: torch.optim.Optimizer = Lamb(groups, **settings)
            return lamb
        return torch.optim.SGD(groups, **settings, momentum=self.momentum, nesterov=self.nesterov)

    def _parameter_groups(self, network: nn.Module) -> Any:
        if self.decay_norms_and_biases:
            return network.parameters()
        listed: set[str] = getattr(network, "no_weight_decay", set)()
        named = list(network.named_parameters())
        others = [weight for name, weight in named if weight.ndim < 2 or name in listed]
        decayed = [weight for name, weight in named if weight.ndim >= 2 and name not in listed]
        return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
