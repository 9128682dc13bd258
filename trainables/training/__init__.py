"""The training of one network by a recipe."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.trainables.training.difficulty import measure_difficulty
    from taurank.trainables.training.difficulty_cost import COST, EPOCHS
    from taurank.trainables.training.failure import describe_failure, describe_lost_images, gpu_is_lost
    from taurank.trainables.training.families import (
        COMMON,
        FAMILIES_OF_LARGE_IMAGES,
        GOVERNED,
        LARGE,
        FamilyRecipe,
        FamilyRecipes,
    )
    from taurank.trainables.training.named_recipes import RECIPES
    from taurank.trainables.training.recipe import Recipe
    from taurank.trainables.training.step_time import (
        OWN_EPOCHS,
        EpochTime,
        batches_needed,
        measure_epoch,
        measure_own_epoch,
        measured_share,
    )
    from taurank.trainables.training.training import EVALUATION_BATCH, Row, Training

__all__ = [
    "COMMON",
    "COST",
    "EPOCHS",
    "EVALUATION_BATCH",
    "FAMILIES_OF_LARGE_IMAGES",
    "GOVERNED",
    "LARGE",
    "OWN_EPOCHS",
    "RECIPES",
    "EpochTime",
    "FamilyRecipe",
    "FamilyRecipes",
    "Recipe",
    "Row",
    "Training",
    "batches_needed",
    "describe_failure",
    "describe_lost_images",
    "gpu_is_lost",
    "measure_difficulty",
    "measure_epoch",
    "measure_own_epoch",
    "measured_share",
]

__getattr__ = lazy_names(__name__)
