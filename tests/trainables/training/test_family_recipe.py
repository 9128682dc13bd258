from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from taurank.spaces import Family
from taurank.trainables.training.families import GOVERNED, FamilyRecipe, FamilyRecipes
from taurank.trainables.training.named_recipes import RECIPES
from taurank.trainables.training.recipe import Recipe

PLAIN = FamilyRecipe("sgd", 0.05, 5e-4, 0.05, 0.1, None)
ADAPTIVE = FamilyRecipe("adamw", 1e-3, 0.05, 0.1, 0.2, 1.0)


def test_every_family_has_one():
    assert tuple(field.name for field in fields(FamilyRecipes)) == get_args(Family)


def test_what_is_common_stays_and_what_is_governed_changes():
    common = Recipe(epochs=40, batch_size=64, momentum=0.8, scaling="unit")
    own = ADAPTIVE.applied_to(common)
    changed = {field.name for field in fields(Recipe) if getattr(own, field.name) != getattr(common, field.name)}
    assert changed == set(GOVERNED)
    assert own.warmup_epochs == pytest.approx(4)


@pytest.mark.parametrize(("own", "rate"), [(PLAIN, 0.2), (ADAPTIVE, 2e-3)])
def test_the_rate_follows_the_batch(own, rate):
    """Four times the batch: four times the step of SGD, twice that of AdamW."""
    assert own.applied_to(Recipe(batch_size=256)).learning_rate == pytest.approx(rate)
    assert own.applied_to(Recipe(batch_size=64)).learning_rate == own.learning_rate


def test_length_and_family_may_come_in_any_order():
    common = Recipe(epochs=40, warmup_epochs=0)
    one, other = PLAIN.applied_to(common.of_length(10)), PLAIN.applied_to(common).of_length(10)
    assert one == other
    assert one.warmup_epochs == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("warmup", 1.0, "^warmup is 1.0; it has to be a share of the training"),
        ("learning_rate", -1.0, "^learning_rate is -1.0;"),
        ("optimizer", "lion", "^optimizer is 'lion'; it has to be one of sgd, adamw"),
    ],
)
def test_values_out_of_range(field, value, message):
    with pytest.raises(ValueError, match=message):
        FamilyRecipe(**{name: getattr(PLAIN, name) for name in vars(PLAIN)} | {field: value})


def test_of_a_family():
    recipes = FamilyRecipes(transformer=ADAPTIVE)
    assert recipes.recipe(Recipe(), "transformer") == ADAPTIVE.applied_to(Recipe())
    assert recipes.recipe(Recipe(), "cnn").optimizer == "sgd"


def test_losses_of_families_compare_where_their_recipes_have_the_same() -> None:
    assert FamilyRecipes().share_loss(Recipe())
    assert not FamilyRecipes(transformer=ADAPTIVE).share_loss(Recipe())
    assert not FamilyRecipes(cnn=RECIPES["imagenet-90"]()).share_loss(Recipe())
    assert FamilyRecipes(**dict.fromkeys(get_args(Family), RECIPES["imagenet-vit"]())).share_loss(Recipe())
