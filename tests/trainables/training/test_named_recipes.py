from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from taurank.spaces import ModelOptions
from taurank.trainables.data import Augmentation
from taurank.trainables.training.families import COMMON, FAMILIES_OF_LARGE_IMAGES, FamilyRecipes
from taurank.trainables.training.named_recipes import RECIPES
from taurank.trainables.training.recipe import Recipe


def optimizer_of(recipe: Recipe, network: nn.Module | None = None) -> torch.optim.Optimizer:
    return recipe.make_optimizer(network or nn.Linear(2, 2))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_names_its_source_and_what_it_reaches(name):
    text = RECIPES[name].__doc__
    assert "arXiv" in text
    assert "Published: " in text.replace("published: ", "Published: ")
    assert " %" in text


# Epochs, batch, optimiser, rate, decay, warm-up; of the papers' tables.
PUBLISHED = {
    "cifar-200": (200, 256, "sgd", 0.1, 5e-4, 0.0),
    "imagenet-90": (90, 256, "sgd", 0.1, 1e-4, 5.0),
    "imagenet-a2": (300, 2048, "lamb", 5e-3, 0.02, 5.0),
    "imagenet-a3": (100, 2048, "lamb", 8e-3, 0.02, 5.0),
    "imagenet-vit": (300, 1024, "adamw", 1e-3, 0.05, 5.0),
    "imagenet-mobile": (350, 4096, "rmsprop", 0.256, 1e-5, 5.0),
}


@pytest.mark.parametrize("name", RECIPES)
def test_settings_are_the_published_ones(name):
    recipe = RECIPES[name]()
    found = (recipe.epochs, recipe.batch_size, recipe.optimizer, recipe.peak_learning_rate)
    assert (*found, recipe.weight_decay, recipe.warmup_epochs) == PUBLISHED[name]


def test_crops_of_a3_are_of_160_pixels():
    recipe = RECIPES["imagenet-a3"]()
    assert recipe.augmentation.output_side(224) == 160
    assert round(224 / recipe.evaluated_centre) == 236  # the short side that its source resizes to


def test_the_mean_of_weights_is_the_published_one():
    """0.9999 a step with 4096 of 1,281,167 images."""
    recipe = RECIPES["imagenet-mobile"]()
    steps = math.ceil(1_281_167 / 4096)
    assert math.exp(-1 / (recipe.ema_epochs * steps)) == pytest.approx(0.9999, abs=1e-6)


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.4), ("rmsprop", 0.4), ("adamw", 0.2), ("lamb", 0.2)])
def test_the_rate_grows_with_the_batch(optimizer, rate):
    recipe = Recipe(optimizer=optimizer, batch_size=1024, learning_rate=0.1, learning_rate_batch=256)
    assert recipe.peak_learning_rate == pytest.approx(rate)
    assert recipe.learning_rate_at(0) == recipe.peak_learning_rate
    assert optimizer_of(recipe).param_groups[0]["lr"] == recipe.peak_learning_rate
    assert replace(recipe, learning_rate_batch=None).peak_learning_rate == 0.1


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        ({"step_epochs": 3.0}, lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.1)),
        (
            {"step_epochs": (2.0, 5.0, 6.0), "step_factor": 0.5},
            lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5, 6], 0.5),
        ),
    ],
)
def test_steps_are_those_of_torch(settings, make):
    recipe = Recipe(epochs=9, schedule="steps", learning_rate=0.1, **settings)
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    schedule = make(optimizer)
    for epoch in range(9):
        assert recipe.learning_rate_at(epoch) == pytest.approx(optimizer.param_groups[0]["lr"])
        assert recipe.learning_rate_at(epoch + 0.99) == recipe.learning_rate_at(epoch)
        optimizer.step()
        schedule.step()
    short = replace(recipe, epochs=90, warmup_epochs=5).of_length(9)
    assert short.learning_rate_at(0.25) == pytest.approx(0.05)


@pytest.mark.parametrize("steps", [3.0, 4.5, (2.0, 5.0, 12.0)])
def test_the_drops_are_where_the_rate_of_steps_changes(steps):
    recipe = Recipe(epochs=9, schedule="steps", step_epochs=steps)
    for drop in recipe.drop_epochs:
        assert recipe.learning_rate_at(drop) == pytest.approx(recipe.learning_rate_at(drop - 0.01) * recipe.step_factor)
    rates = {recipe.learning_rate_at(epoch / 4) for epoch in range(4 * 9)}
    assert len(rates) == len(recipe.drop_epochs) + 1
    assert Recipe(epochs=9).drop_epochs == Recipe(epochs=9, schedule="constant").drop_epochs == ()


def test_steps_shrink_with_the_training():
    long = Recipe(epochs=90, schedule="steps", step_epochs=(30.0, 60.0, 80.0))
    short = long.of_length(9)
    for share in (0.1, 0.4, 0.7, 0.95):
        assert short.learning_rate_at(9 * share) == pytest.approx(long.learning_rate_at(90 * share))
    assert replace(long, step_epochs=2.4).of_length(9).step_epochs == pytest.approx(0.24)


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.position = nn.Parameter(torch.zeros(1, 4, 1))
        self.head = nn.Linear(4, 2)

    def no_weight_decay(self) -> set[str]:
        return {"position"}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop", "lamb"])
def test_norms_and_biases_without_decay(optimizer):
    network = Normalised()
    recipe = Recipe(optimizer=optimizer, weight_decay=0.1, decay_norms_and_biases=False)
    decayed, others = optimizer_of(recipe, network).param_groups
    assert {id(weight) for weight in decayed["params"]} == {id(network.convolution.weight), id(network.head.weight)}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(others["params"]) == len(list(network.parameters()))


def test_rmsprop_is_that_of_the_references():
    group = optimizer_of(Recipe(optimizer="rmsprop")).param_groups[0]
    assert (group["alpha"], group["eps"], group["momentum"]) == (0.9, 0.0316, 0.9)


def test_lamb_needs_timm(monkeypatch):
    recipe = RECIPES["imagenet-a3"]()
    assert type(optimizer_of(recipe)).__name__ == "Lamb"
    assert recipe.problem == ""
    monkeypatch.setattr("taurank.trainables.training.recipe.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"^optimizer is lamb, which needs timm; pip install 'taurank\[timm\]', or write"
    ):
        optimizer_of(recipe)
    assert RECIPES["imagenet-90"]().problem == ""


def test_a_short_training_is_the_recipe_in_small():
    """A ninth of the epochs: a third of what is changed at random, a ninth of what is counted in epochs."""
    long = replace(RECIPES["imagenet-vit"](), epochs=270, dropout=0.3, ema_epochs=9.0)
    long = replace(long, augmentation=replace(long.augmentation, colour_jitter=0.3))
    short = long.of_length(30)
    assert short.warmup_epochs == pytest.approx(5 / 9)
    assert short.ema_epochs == pytest.approx(1)
    assert short.mix_share == pytest.approx(1 / 3)
    assert (short.drop_path, short.dropout) == (pytest.approx(0.1 / 3), pytest.approx(0.1))
    assert short.augmentation.policy_share == pytest.approx(0.5 / 3)
    assert short.augmentation.erasing == pytest.approx(0.25 / 3)
    assert short.augmentation.colour_jitter == pytest.approx(0.1)
    kept = ("mixup", "cutmix", "learning_rate", "batch_size", "weight_decay", "label_smoothing", "evaluated_centre")
    assert all(getattr(short, name) == getattr(long, name) for name in kept)
    assert short.augmentation.resized_crop == 0.08
    again = short.of_length(270)
    assert again.mix_share == pytest.approx(long.mix_share)
    assert again.augmentation.policy_share == pytest.approx(long.augmentation.policy_share)


@pytest.mark.parametrize("name", ["cifar-200", "imagenet-90"])
def test_what_a_recipe_does_not_use_stays_as_it_is(name):
    long = RECIPES[name]()
    short = long.of_length(20)
    changed = {key for key in vars(long) if getattr(long, key) != getattr(short, key)}
    assert changed <= {"epochs", "warmup_epochs"}


def test_what_is_not_in_use_is_not_in_the_text():
    """Digests of trainings are made from it: those of earlier versions stay valid."""
    recipe = Recipe(epochs=3, augmentation=Augmentation(crop=1)).of_length(2)
    assert repr(recipe) == (
        "Recipe(epochs=2, batch_size=64, optimizer='sgd', learning_rate=0.1, momentum=0.9, nesterov=True, "
        "weight_decay=0.0005, schedule='cosine', warmup_epochs=0.0, label_smoothing=0.0, clip_gradient_norm=None, "
        "augmentation=Augmentation(crop=1, flip=False, cutout=0), scaling='normalise', mixed_precision=True, "
        "channels_last=True)"
    )
    assert repr(replace(recipe, mixup=0.2)).endswith("channels_last=True, mixup=0.2)")


def test_pretext_tasks_and_supernets_have_targets_of_their_own():
    recipe = replace(RECIPES["imagenet-a3"](), ema_epochs=2.0, batch_size=512, micro_batch=8)
    plain = recipe.for_own_targets()
    assert (plain.loss, plain.mixup, plain.cutmix, plain.ema_epochs) == ("cross-entropy", 0, 0, 0)
    assert plain.micro_batch is None
    assert plain.peak_learning_rate == plain.learning_rate == recipe.peak_learning_rate == 4e-3
    assert Recipe().for_own_targets() == Recipe()


def test_model_options():
    assert RECIPES["imagenet-mobile"]().model_options == ModelOptions(dropout=0.2, drop_path=0.2)
    assert RECIPES["imagenet-90"]().model_options == ModelOptions(zero_init_last=True)
    assert Recipe().model_options == ModelOptions()


def test_families_with_whole_recipes():
    vit = RECIPES["imagenet-vit"]()
    families = FamilyRecipes(transformer=vit)
    common = Recipe(epochs=30, batch_size=512, micro_batch=64, augmentation=Augmentation(crop=4))
    found = families.recipe(common, "transformer")
    assert found == replace(vit.of_length(30), batch_size=512, micro_batch=64)
    assert found.peak_learning_rate == pytest.approx(1e-3 / math.sqrt(2))
    assert families.recipe(common, "cnn").augmentation == Augmentation(crop=4)
    assert not set(families.governed) & set(COMMON)
    assert "augmentation" in families.governed
    assert "augmentation" not in FamilyRecipes().governed


def test_large_images_have_a_recipe_for_every_family():
    assert list(FAMILIES_OF_LARGE_IMAGES) == list(vars(FamilyRecipes()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_epochs": 0.0}, "step_epochs is 0.0;"),
        ({"step_epochs": (3.0, 3.0)}, r"step_epochs is \[3.0, 3.0\];"),
        ({"micro_batch": 1}, "micro_batch is 1;"),
        ({"mix_share": 0.0}, "mix_share is 0.0;"),
        ({"drop_path": 1.0}, "drop_path is 1.0;"),
        ({"loss": "mse"}, "loss is 'mse'; it has to be one of cross-entropy, bce"),
        ({"evaluated_centre": 1.5}, "evaluated_centre is 1.5;"),
        ({"cutmix": -1.0}, "cutmix is -1.0;"),
    ],
)
def test_values_out_of_range(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Recipe(**settings)
