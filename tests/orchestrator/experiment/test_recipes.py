"""Recipes by name in an experiment, for all candidates and for families."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from taurank import load_experiment
from taurank.orchestrator.experiment import Experiment, ExperimentError, parse_experiment
from taurank.trainables.training import RECIPES, FamilyRecipes, Recipe

MODELS = ["torchvision:resnet18", "torchvision:vgg11", "torchvision:convnext_tiny", "torchvision:vit_b_16"]


def experiment(**changes: Any) -> Experiment:
    return load_experiment({"name": "x", "space": "nasbench201", "candidates": 4, "data": "digits"} | changes)


def again(found: Experiment) -> Experiment:
    """As the file that a run stores."""
    return parse_experiment(found.to_yaml(), where="experiment.yaml")


@pytest.mark.parametrize("name", RECIPES)
def test_a_name_is_a_whole_recipe(name):
    found = experiment(recipe=name)
    assert found.recipe == RECIPES[name]() == experiment(recipe={"name": name}).recipe
    assert again(found) == found


def test_every_key_can_be_changed():
    full = RECIPES["imagenet-mobile"]()
    found = experiment(recipe={"name": "imagenet-mobile", "step_epochs": [100, 200], "dropout": None, "momentum": 0.8})
    assert found.recipe == replace(full, step_epochs=(100.0, 200.0), dropout=None, momentum=0.8)
    assert again(found) == found


def test_an_augmentation_is_changed_key_by_key():
    full = RECIPES["imagenet-a3"]()
    found = experiment(recipe={"name": "imagenet-a3", "augmentation": {"resolution": 1.0, "repeats": 2}})
    assert found.recipe == replace(full, augmentation=replace(full.augmentation, resolution=1.0, repeats=2))


def test_another_length_is_the_recipe_in_small_and_what_is_given_stays():
    full = RECIPES["imagenet-vit"]()
    assert experiment(recipe={"name": "imagenet-vit", "epochs": 30}).recipe == full.of_length(30)
    given = {
        "name": "imagenet-vit",
        "epochs": 30,
        "warmup_epochs": 2,
        "mix_share": 1,
        "augmentation": {"erasing": 0.25},
    }
    found = experiment(recipe=given).recipe
    short = full.of_length(30)
    wanted = replace(short.augmentation, erasing=0.25)
    assert found == replace(short, warmup_epochs=2.0, mix_share=1.0, augmentation=wanted)


def test_candidates_of_a_space_are_trained_by_it():
    found = experiment(recipe="imagenet-90")
    assert found.families is None
    assert (
        found.recipe_of("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|") == RECIPES["imagenet-90"]()
    )


def test_models_by_name_have_one_recipe_if_it_has_a_name():
    assert experiment(space="zoo", candidates=MODELS, recipe="imagenet-90").families is None
    assert experiment(space="zoo", candidates=MODELS, recipe={"name": "cifar-200", "epochs": 3}).families is None


@pytest.mark.parametrize("asked", [{}, {"families": "auto"}, {"recipe": "auto"}])
@pytest.mark.parametrize(("size", "large"), [(None, False), (64, False), (95, False), (96, True), (224, True)])
def test_large_images_have_recipes_of_imagenet(asked, size, large):
    data = {"name": "digits"} if size is None else {"name": "digits", "size": size}
    found = experiment(space="zoo", candidates=MODELS, data=data, **asked)
    assert found.families is not None
    assert again(found) == found
    if not large:
        assert found.families == FamilyRecipes()
        return
    common = {"epochs": 20, "batch_size": 64}
    ninety, vit = (replace(RECIPES[name]().of_length(20), **common) for name in ("imagenet-90", "imagenet-vit"))
    recipes = [found.recipe_of(model) for model in MODELS]
    assert recipes == [ninety, replace(ninety, learning_rate=0.01), vit, vit]


@pytest.mark.parametrize("recipe", [{"augmentation": {"crop": 4}}, {"epochs": 9, "momentum": 0.8, "scaling": "unit"}])
def test_large_images_with_a_recipe_by_hand_are_trained_as_ever(recipe):
    found = experiment(space="zoo", candidates=MODELS, data={"name": "digits", "size": 96}, recipe=recipe)
    assert found.families == FamilyRecipes()
    assert all(found.recipe_of(code).augmentation == found.recipe.augmentation for code in MODELS)


def test_families_by_name_beside_short_ones():
    short = {"optimizer": "sgd", "learning_rate": 0.2, "weight_decay": 0, "warmup": 0, "label_smoothing": 0}
    families = {"cnn": "imagenet-mobile", "transformer": {"name": "imagenet-vit", "drop_path": 0.2}}
    found = experiment(families=families | {"bare_cnn": short | {"clip_gradient_norm": None}})
    assert found.families is not None
    assert found.families.cnn == RECIPES["imagenet-mobile"]()
    assert found.families.transformer == replace(RECIPES["imagenet-vit"](), drop_path=0.2)
    assert found.families.bare_cnn.learning_rate == 0.2
    assert found.families.modern_cnn == FamilyRecipes().modern_cnn
    assert again(found) == found


@pytest.mark.parametrize(
    ("changes", "loss", "one_design"),
    [
        ({"recipe": {"epochs": 3}}, True, True),
        ({"space": "zoo", "candidates": MODELS}, True, False),
        ({"space": "zoo", "candidates": MODELS, "data": {"name": "digits", "size": 224}}, False, False),
        ({"space": "zoo", "candidates": MODELS, "ranker": {"training_loss": False, "one_design": True}}, False, True),
    ],
)
def test_the_ranker_knows_what_the_candidates_have_in_common(changes, loss, one_design):
    options = experiment(**changes).ranker_options
    assert (options.training_loss, options.one_design) == (loss, one_design)


def test_lamb_without_timm_is_refused_before_anything_is_spent(monkeypatch):
    monkeypatch.setattr("taurank.trainables.training.recipe.find_spec", lambda name: None)
    for changes, place in (
        ({"recipe": "imagenet-a3"}, "recipe"),
        ({"families": {"cnn": "imagenet-a2"}}, "families.cnn"),
    ):
        with pytest.raises(ExperimentError) as caught:
            experiment(**changes)
        assert str(caught.value).startswith(f"the experiment: {place}: optimizer is lamb, which needs timm;")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("gpus", [0.0, 0.25, 1.0, "auto"])
def test_a_share_of_a_gpu_is_fine(gpus):
    assert experiment(resources={"gpus_per_trial": gpus}).resources.gpus_per_trial == gpus


def test_a_file_of_an_earlier_version():
    """As it was stored: no key of a recipe that came later."""
    recipe = {
        "epochs": 6, "batch_size": 32, "optimizer": "adamw", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True,
        "weight_decay": 0.05, "schedule": "constant", "warmup_epochs": 0.5, "label_smoothing": 0.1,
        "clip_gradient_norm": 1.0, "augmentation": {"crop": 2, "flip": True, "cutout": 0}, "scaling": "unit",
        "mixed_precision": False, "channels_last": False,
    }  # fmt: skip
    found = experiment(recipe=recipe).recipe
    assert isinstance(found, Recipe)
    assert "mixup" not in repr(found)
    assert {name: value for name, value in vars(found).items() if name in recipe and name != "augmentation"} == {
        name: value for name, value in recipe.items() if name != "augmentation"
    }
