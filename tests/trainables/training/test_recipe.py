from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from taurank.trainables.data import Augmentation
from taurank.trainables.training.recipe import Recipe


def test_cosine_rate_begins_at_the_top_is_half_in_the_middle_and_ends_at_zero() -> None:
    recipe = Recipe(epochs=20, learning_rate=0.1)
    assert recipe.learning_rate_at(0) == 0.1
    assert recipe.learning_rate_at(5) == pytest.approx(0.1 * (1 + math.sqrt(0.5)) / 2)
    assert recipe.learning_rate_at(10) == pytest.approx(0.05)
    assert recipe.learning_rate_at(20) == pytest.approx(0, abs=1e-15)


def test_warm_up_rises_in_a_straight_line_and_the_cosine_takes_the_rest() -> None:
    recipe = Recipe(epochs=20, learning_rate=0.1, warmup_epochs=4)
    assert recipe.learning_rate_at(0) == 0
    assert recipe.learning_rate_at(1) == pytest.approx(0.025)
    assert recipe.learning_rate_at(4) == 0.1
    assert recipe.learning_rate_at(12) == pytest.approx(0.05)  # half of the 16 epochs that are left
    assert recipe.learning_rate_at(20) == pytest.approx(0, abs=1e-15)


def test_constant_rate_stays_after_the_warm_up() -> None:
    recipe = Recipe(epochs=10, learning_rate=0.2, schedule="constant", warmup_epochs=0.5)
    assert recipe.learning_rate_at(0.25) == pytest.approx(0.1)
    assert [recipe.learning_rate_at(done) for done in (0.5, 5, 9.99, 10)] == [0.2] * 4


def test_cosine_never_rises() -> None:
    recipe = Recipe(epochs=3)
    rates = [recipe.learning_rate_at(step / 50) for step in range(151)]
    assert all(later < earlier for earlier, later in pairwise(rates))


def test_another_length_is_a_training_in_small() -> None:
    long = Recipe(epochs=200, learning_rate=0.1, warmup_epochs=5, weight_decay=1e-3, augmentation=Augmentation(crop=1))
    short = long.of_length(12)
    assert (short.epochs, short.warmup_epochs) == (12, pytest.approx(0.3))
    assert short.learning_rate_at(12) == pytest.approx(0, abs=1e-15)
    for share in (0.01, 0.3, 0.7):
        assert short.learning_rate_at(12 * share) == pytest.approx(long.learning_rate_at(200 * share))
    assert short.of_length(200) == long
    assert long.of_length(12, learning_rate=0.4).learning_rate == 0.4
    assert long.of_length(1).warmup_epochs == 0.025


def in_short(**full: Any) -> Recipe:
    return Recipe(epochs=30, **full).in_short(3)


@pytest.mark.parametrize(
    ("images", "full", "batch", "rate"),
    [
        (2560, {}, 64, 0.1),  # 120 steps
        (2559, {}, 64, 0.1),
        (2496, {}, 32, 0.2),  # 117 steps
        (700, {"batch_size": 20}, 16, 0.2),
        (100, {"batch_size": 8}, 8, 0.2),
        (700, {"learning_rate_batch": 256}, 32, 0.05),
        (700, {"optimizer": "adamw", "learning_rate_batch": 256}, 32, 0.1),
    ],
)
def test_a_short_training_of_few_steps_takes_more_and_larger_ones(images, full, batch, rate) -> None:
    found = in_short(**full).on_images(images)
    assert (found.batch_size, found.peak_learning_rate) == (batch, pytest.approx(rate))


def test_full_training_takes_the_steps_that_are_asked_for() -> None:
    full = Recipe(epochs=3)
    assert full.in_short(3) == full.in_short(3).on_images(10) == full.on_images(10) == full
    assert Recipe(epochs=3, least_steps=120).on_images(10).batch_size == 32


BAD: list[tuple[str, dict[str, Any]]] = [
    ("epochs", {"epochs": 0}),
    ("epochs", {"epochs": 2.5}),
    ("epochs", {"epochs": True}),
    ("batch_size", {"batch_size": 1}),
    ("optimizer", {"optimizer": "adam"}),
    ("schedule", {"schedule": "linear"}),
    ("scaling", {"scaling": "none"}),
    ("learning_rate", {"learning_rate": 0.0}),
    ("learning_rate", {"learning_rate": math.nan}),
    ("learning_rate", {"learning_rate": math.inf}),
    ("momentum", {"momentum": 1.0}),
    ("momentum", {"momentum": -0.1}),
    ("label_smoothing", {"label_smoothing": 1.0}),
    ("weight_decay", {"weight_decay": -1e-4}),
    ("weight_decay", {"weight_decay": math.inf}),
    ("warmup_epochs", {"epochs": 3, "warmup_epochs": 3}),
    ("warmup_epochs", {"warmup_epochs": -1}),
    ("clip_gradient_norm", {"clip_gradient_norm": 0.0}),
    ("clip_gradient_norm", {"clip_gradient_norm": math.nan}),
    ("nesterov", {"momentum": 0.0}),
]


@pytest.mark.parametrize(("field", "settings"), BAD)
def test_a_bad_value_is_refused_by_the_name_of_its_field(field: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"^{field} is ") as caught:
        Recipe(**settings)
    message = str(caught.value)
    assert "\n" not in message
    assert field == "nesterov" or str(settings[field]) in message


def test_the_bounds_themselves_are_allowed() -> None:
    Recipe(epochs=1, batch_size=2, momentum=0.0, nesterov=False, weight_decay=0.0, warmup_epochs=0.999)
    Recipe(optimizer="adamw", momentum=0.0)  # AdamW looks at neither momentum nor nesterov


def test_sgd_has_the_settings() -> None:
    recipe = Recipe(learning_rate=0.05, momentum=0.8, nesterov=True, weight_decay=3e-4)
    optimizer = recipe.make_optimizer(nn.Linear(2, 2))
    assert isinstance(optimizer, torch.optim.SGD)
    (group,) = optimizer.param_groups
    assert len(group["params"]) == 2  # weight decay is the bias's too
    wanted = {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 3e-4, "dampening": 0}
    assert {name: group[name] for name in wanted} == wanted


def test_plain_sgd_has_neither_momentum_nor_nesterov() -> None:
    optimizer = Recipe(momentum=0.0, nesterov=False).make_optimizer(nn.Linear(2, 2))
    assert (optimizer.param_groups[0]["momentum"], optimizer.param_groups[0]["nesterov"]) == (0.0, False)


def test_adamw_has_the_settings() -> None:
    recipe = Recipe(optimizer="adamw", learning_rate=1e-4, weight_decay=0.01)
    optimizer = recipe.make_optimizer(nn.Linear(2, 2))
    assert isinstance(optimizer, torch.optim.AdamW)
    (group,) = optimizer.param_groups
    assert len(group["params"]) == 2
    wanted = {"lr": 1e-4, "weight_decay": 0.01, "betas": (0.9, 0.999)}
    assert {name: group[name] for name in wanted} == wanted
