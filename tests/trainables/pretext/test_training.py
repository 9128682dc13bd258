"""Training by a task: what is learnt, booked, looked at, and the same after a restore; with trials, as in a run."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import pytest
import torch
from torch import nn

from taurank.orchestrator.tau import agreement
from taurank.trainables.data import (
    Augmentation,
    ImageData,
    ImageSet,
    iterate_batches,
    iterate_pixels,
    load_dataset,
    make_splits,
)
from taurank.trainables.pretext import PretextError, PretextTraining, get_task, list_tasks
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Row, Training
from taurank.trainables.trials.architecture import ArchitectureTrial
from taurank.trainables.trials.spec import TrialSpec
from tests.trainables.direct_trials import make_trial, results, spec_of

RECIPE = Recipe(epochs=3, batch_size=32, learning_rate=0.05, augmentation=Augmentation(crop=1, flip=True))
VIEWS = {"rotation": 4, "jigsaw": 4, "colorization": 1}


@pytest.fixture(scope="module")
def patches() -> ImageData:
    """128 + 64 + 64 images of 16 x 16: a blue sky over a field, at times with something red in it."""
    generator = np.random.default_rng(0)
    images = np.empty((256, 16, 16, 3), np.uint8)
    horizon = generator.integers(5, 11, 256)
    labels = np.arange(256) % 2
    for image, line, label in zip(images, horizon, labels, strict=True):
        image[:line], image[line:] = (140, 180, 230), (20, 80, 20)
        if label:
            image[line - 2 : line + 2, 3:8] = (200, 30, 30)
    noise = generator.integers(-20, 21, (*images.shape[:3], 1))  # of lightness, so that colours can be told
    images = np.clip(images + noise, 0, 255).astype(np.uint8)
    parts = [ImageSet(images[part], labels[part].astype(np.int64))
             for part in (slice(0, 128), slice(128, 192), slice(192, 256))]  # fmt: skip
    return ImageData(*parts, ("empty", "red"), (100.0, 110.0, 120.0), (60.0, 50.0, 70.0))


def build(input_shape: tuple[int, int, int], classes: int, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(input_shape[0], 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(16, classes),
    )


def begin(name: str, data: ImageData, recipe: Recipe = RECIPE, **settings: Any) -> PretextTraining:
    return PretextTraining(get_task(name), build, recipe, data, **({"seed": 3} | settings))


def run(training: Training) -> list[Row]:
    rows = []
    while not training.finished:
        row = training.step_epoch()
        rows.append({name: value for name, value in row.items() if name != "seconds"})
    return rows


@pytest.mark.parametrize("name", list_tasks())
class TestAll:
    def test_it_learns(self, name: str, patches: ImageData) -> None:
        training = begin(name, patches, replace(RECIPE, epochs=8, learning_rate=0.1))
        rows = run(training)
        answers = torch.cat([targets.flatten() for _, targets in training.batches(patches.validation, 64)])
        by_heart = (answers.bincount().max() / len(answers)).item()  # always the same answer
        assert rows[-1]["validation_accuracy"] > 1.5 * by_heart
        assert rows[-1]["train_loss"] < rows[0]["train_loss"]
        always = {"epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy"}
        assert all(set(row) == always for row in rows)
        assert all(0 <= row[key] <= 1 for row in rows for key in row if key.endswith("accuracy"))

    def test_views_are_booked(self, name: str, patches: ImageData) -> None:
        training = begin(name, patches)
        seen: list[int] = []
        training.model.register_forward_pre_hook(
            lambda network, given: seen.append(len(given[0])) if network.training else None
        )
        training.step_epoch()
        assert sum(seen) == VIEWS[name] * len(patches.train)
        assert training.spent == VIEWS[name]

    def test_less_data_is_cheaper(self, name: str, patches: ImageData) -> None:
        half = replace(patches, train=patches.train.take(np.arange(64)))
        training = begin(name, half, epoch_share=0.5)
        training.step_epoch()
        assert training.spent == VIEWS[name] / 2

    def test_labels_are_not_looked_at(self, name: str, patches: ImageData) -> None:
        def relabelled(images: ImageSet) -> ImageSet:
            return ImageSet(images.images, 1 - images.labels)

        other = replace(patches, train=relabelled(patches.train), validation=relabelled(patches.validation))
        assert run(begin(name, patches)) == run(begin(name, other))

    def test_neither_are_test_images(self, name: str, patches: ImageData) -> None:
        noise = np.random.default_rng(1).integers(0, 256, patches.test.images.shape, dtype=np.uint8)
        other = replace(patches, test=ImageSet(noise, patches.test.labels))
        assert run(begin(name, patches)) == run(begin(name, other))

    def test_a_restored_training_goes_on_bit_for_bit(self, name: str, patches: ImageData) -> None:
        def begun() -> PretextTraining:
            return PretextTraining(
                get_task(name), lambda shape, classes: build(shape, classes, dropout=0.3), RECIPE, patches, seed=5
            )

        whole, half, restored = begun(), begun(), begun()
        rows = run(whole)
        half.step_epoch()
        file = io.BytesIO()
        torch.save(half.state_dict(), file)
        file.seek(0)
        restored.load_state_dict(torch.load(file, weights_only=True))
        assert run(restored) == rows[1:]
        theirs = whole.model.state_dict()
        for key, value in restored.model.state_dict().items():
            assert torch.equal(value, theirs[key]), key

    def test_what_is_asked_of_held_back_images_stays(self, name: str, patches: ImageData) -> None:
        training, other = begin(name, patches), begin(name, patches, seed=4)

        def asked(training: PretextTraining) -> list[torch.Tensor]:
            return [part for batch in training.batches(patches.validation, 24) for part in batch]

        before = asked(training)
        training.step_epoch()
        for found in (asked(training), asked(other)):
            assert len(found) == len(before) == 6
            assert all(torch.equal(left, right) for left, right in zip(found, before, strict=True))

    def test_batches_made_ahead_change_nothing(self, name: str, patches: ImageData) -> None:
        alone = run(begin(name, patches))
        with pytest.MonkeyPatch.context() as patch:
            # Only says that there is a second core; PyTorch is not told to use it.
            patch.setattr(torch, "get_num_threads", lambda: 2)
            assert run(begin(name, patches)) == alone

    def test_channels_last_and_unit_scaling(self, name: str, patches: ImageData) -> None:
        changed = replace(RECIPE, epochs=1, channels_last=False, scaling="unit")
        (row,) = run(begin(name, patches, changed))
        assert np.isfinite(row["train_loss"])


def test_a_step_has_a_quarter_of_the_images_and_of_the_rate(patches: ImageData) -> None:
    training = begin("rotation", patches)
    assert (training.recipe.batch_size, training.recipe.learning_rate) == (8, 0.0125)
    assert training.optimizer.param_groups[0]["lr"] == 0.0125
    inputs, targets = next(iter(training.batches(patches.train, training.recipe.batch_size)))
    assert (len(inputs), len(targets)) == (32, 32)


def test_images_that_a_task_is_not_for(patches: ImageData) -> None:
    grey = replace(patches, train=ImageSet(patches.train.images[..., :1], patches.train.labels))
    with pytest.raises(PretextError, match="colorization: the images are grey"):
        begin("colorization", grey)


def test_pixels_are_those_of_the_labelled_batches(patches: ImageData) -> None:
    settings: dict[str, Any] = {"batch_size": 27, "augmentation": RECIPE.augmentation}
    pixels = iterate_pixels(patches.train, generator=np.random.default_rng(0), **settings)
    batches = iterate_batches(
        patches.train, generator=np.random.default_rng(0), mean=(), std=(), scaling="unit", **settings
    )
    sizes = []
    for found, (wanted, _) in zip(pixels, batches, strict=True):
        assert torch.equal(torch.from_numpy(found).permute(0, 3, 1, 2) / 255, wanted)
        sizes.append(len(found))
    assert sizes == [27, 27, 27, 27, 20]


# --- the trial of a run


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, patches: ImageData) -> Callable[..., ArchitectureTrial]:
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))

    def make(spec: TrialSpec) -> ArchitectureTrial:
        made: ArchitectureTrial = make_trial(ArchitectureTrial, spec, patches, stage="run pretext")
        return made

    return make


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return spec_of(tmp_path, trial="pretext-rotation-3/2,1/seed 5", recipe=RECIPE, task="rotation")


def numbers(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Evidence without seconds."""
    return [(*item[:4], item[5]) for row in rows for item in row["evidence"]]


def test_a_trial_that_starts_over_goes_on_where_it_was(make: Any, spec: TrialSpec, tmp_path: Path) -> None:
    whole = results(make(replace(spec, checkpoint=str(tmp_path / "other.pt"))))
    results(make(spec), 2)  # its worker is lost after two epochs
    again = results(make(spec))
    assert numbers(again) == numbers(whole)
    assert [row["outcome"] for row in again] == ["", "", "completed"]
    booked = [(item[2], item[4]) for item in numbers(again) if item[4]]
    assert booked == [("validation_accuracy", 4.0)] * 3
    assert {item[2] for item in numbers(again)} == {
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
    }


def test_a_checkpoint_of_another_task_is_not_gone_on_with(spec: TrialSpec) -> None:
    others = [replace(spec, task=task) for task in (None, "jigsaw")]
    assert len({one.fingerprint for one in (spec, *others)}) == 3


def test_a_network_without_a_place_for_the_head_is_an_outcome(make: Any, spec: TrialSpec) -> None:
    name = "torchvision:squeezenet1_1"
    asked = replace(
        spec, task="jigsaw", space="zoo", space_options={"models": [name]}, architectures=(name,), label="squeezenet"
    )
    (row,) = results(make(asked))
    assert (row["outcome"], row["done"]) == ("failed", True)
    assert "jigsaw: " in row["reason"]


# --- does it order networks?


@pytest.mark.slow
@pytest.mark.skipif("TAURANK_DATA" not in os.environ, reason="TAURANK_DATA is not set: no real images to read")
def test_rotation_orders_networks_of_different_capacity() -> None:
    data = make_splits(load_dataset("fashion-mnist"), seed=0, validation=1000, test=1000, train=2000, size=14)

    def deep(depth: int) -> Callable[[tuple[int, int, int], int], nn.Module]:
        def build(input_shape: tuple[int, int, int], classes: int) -> nn.Module:
            layers: list[nn.Module] = []
            channels = input_shape[0]
            for layer in range(depth):
                stride = 2 if layer in (1, 3) else 1
                layers += [nn.Conv2d(channels, 16, 3, stride=stride, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
                channels = 16
            return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))

        return build

    by_rotation, by_labels = [], []
    for depth in range(6):
        build = deep(depth)
        task = PretextTraining(get_task("rotation"), build, Recipe(epochs=2), data, seed=0)
        labelled = Training(lambda build=build: build(data.input_shape, 10), Recipe(epochs=3), data, seed=1)  # type: ignore[misc]
        by_rotation.append(run(task)[-1]["validation_accuracy"])
        by_labels.append(run(labelled)[-1]["test_accuracy"])
    assert agreement(by_rotation, by_labels).tau > 0.3
    assert by_rotation[0] < 0.4 < by_rotation[-1]  # a mean of pixels is no network, and four turns are not known by it
