"""A recipe for each family of networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, get_args

from taurank.spaces import Family
from taurank.trainables.training.recipe import Recipe

REFERENCE_BATCH = 64
"""Images of a batch that the learning rates are for."""

GOVERNED = ("optimizer", "learning_rate", "weight_decay", "warmup_epochs", "label_smoothing", "clip_gradient_norm")
"""Fields of a recipe that a family of short settings sets; all others are common to all."""

COMMON = ("epochs", "batch_size", "mixed_precision", "channels_last", "micro_batch")
"""Fields that are common to all families even where each has a whole recipe."""

OF_THE_LOSS = (
    *("loss", "label_smoothing", "mixup", "cutmix", "mix_share"),
    *("dropout", "drop_path", "augmentation"),
)
"""Fields of a recipe that a training loss depends on even for a network that has learned the same."""

FAMILIES_OF_LARGE_IMAGES: dict[str, Any] = {
    "cnn": "imagenet-90",
    "bare_cnn": {"name": "imagenet-90", "learning_rate": 0.01},
    "modern_cnn": "imagenet-vit",
    "transformer": "imagenet-vit",
}
"""Of images of ``LARGE`` pixels and more. torchvision's reference, too, trains AlexNet and VGG at a tenth of the rate.
"""
LARGE = 96


@dataclass(frozen=True)
class FamilyRecipe:
    """Settings of a family; the rest of the recipe (epochs, batch, images) is common to all.

    Attributes:
        optimizer: ``sgd`` or ``adamw``.
        learning_rate: for batches of 64 images. With ``sgd`` it grows in proportion to the batch (Goyal et al. 2017),
            with ``adamw`` as its square root (Malladi et al. 2022).
        weight_decay: as in ``Recipe``.
        warmup: share of the training in which the learning rate rises.
        label_smoothing: as in ``Recipe``.
        clip_gradient_norm: as in ``Recipe``.
    """

    # Read by pydantic where it comes from a file; this package does not import pydantic.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    optimizer: Literal["sgd", "adamw"]
    learning_rate: float
    weight_decay: float
    warmup: float
    label_smoothing: float
    clip_gradient_norm: float | None

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is {self.warmup}; it has to be a share of the training, below 1")
        self.applied_to(Recipe())

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe of a network of this family."""
        times = recipe.batch_size / REFERENCE_BATCH
        return replace(
            recipe,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate * (times if self.optimizer == "sgd" else math.sqrt(times)),
            weight_decay=self.weight_decay,
            warmup_epochs=self.warmup * recipe.epochs,
            label_smoothing=self.label_smoothing,
            clip_gradient_norm=self.clip_gradient_norm,
        )


@dataclass(frozen=True)
class FamilyRecipes:
    """A recipe for each of ``taurank.spaces.Family``.

    Plain convolutional networks take SGD with momentum; without normalisation only a small step with bounded gradients
    keeps them from diverging. Layer normalisation and attention want AdamW with warm-up, decay and smoothing, as
    ConvNeXt (Liu et al. 2022, appendix A) and DeiT (Touvron et al. 2021, table 9) are trained, but with steps for small
    batches and short trainings from scratch.

    A family may have a whole recipe instead, which is taken in the length and with the batch that are common to all.

    Attributes:
        cnn: networks with batch normalisation.
        bare_cnn: convolutional networks without normalisation.
        modern_cnn: convolutional networks with layer or group normalisation.
        transformer: networks with attention, or that mix tokens without convolutions.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    cnn: FamilyRecipe | Recipe = FamilyRecipe("sgd", 0.05, 5e-4, 0.05, 0.1, None)
    bare_cnn: FamilyRecipe | Recipe = FamilyRecipe("sgd", 0.01, 5e-4, 0.1, 0.1, 1.0)
    modern_cnn: FamilyRecipe | Recipe = FamilyRecipe("adamw", 1e-3, 0.05, 0.1, 0.1, 1.0)
    transformer: FamilyRecipe | Recipe = FamilyRecipe("adamw", 5e-4, 0.05, 0.1, 0.1, 1.0)

    def recipe(self, common: Recipe, family: Family) -> Recipe:
        """The recipe of a family: ``common`` with what it has of its own."""
        own: FamilyRecipe | Recipe = getattr(self, family)
        if isinstance(own, FamilyRecipe):
            return own.applied_to(common)
        return replace(own.of_length(common.epochs), **{name: getattr(common, name) for name in COMMON})

    def share_loss(self, common: Recipe) -> bool:
        """Whether training losses of all families measure the same: they have all of ``OF_THE_LOSS`` in common."""
        recipes = (self.recipe(common, family) for family in get_args(Family))
        return len({tuple(getattr(recipe, name) for name in OF_THE_LOSS) for recipe in recipes}) == 1

    @property
    def governed(self) -> tuple[str, ...]:
        """Fields of the common recipe that have no effect on all families."""
        if not self.recipes:
            return GOVERNED
        return tuple(field.name for field in fields(Recipe) if field.name not in COMMON)

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Families that have a whole recipe."""
        found = {family.name: getattr(self, family.name) for family in fields(self)}
        return {name: own for name, own in found.items() if isinstance(own, Recipe)}
