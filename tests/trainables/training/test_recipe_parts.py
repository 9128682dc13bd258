"""What a recipe has beyond optimiser and schedule, in a training: mixing, averages, parts of a batch, losses."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import beta, ks_2samp, kstest
from torch import Tensor, nn
from torch.nn import functional

import taurank.trainables.training.training
from taurank.trainables.data import Augmentation, ImageData
from taurank.trainables.training.mixing import Mixing
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Row, Training

Build = Callable[..., nn.Module]

EVERYTHING = Recipe(
    epochs=3,
    learning_rate=0.05,
    augmentation=Augmentation(
        flip=True, resized_crop=0.5, policy="randaugment", colour_jitter=0.2, erasing=0.3, repeats=2
    ),
    mixup=0.2,
    cutmix=1.0,
    mix_share=0.8,
    ema_epochs=0.5,
    micro_batch=24,
    decay_norms_and_biases=False,
    evaluated_centre=0.9,
)
MIXED = replace(EVERYTHING, augmentation=Augmentation(flip=True, resized_crop=0.5))


@pytest.fixture(scope="module")
def few(digits: ImageData) -> ImageData:
    """128 + 64 of the digits."""
    return replace(digits, train=digits.train.take(np.arange(128)), validation=digits.validation.take(np.arange(64)))


def build_plain() -> nn.Module:
    """A network without batch normalisation: what becomes of an image does not depend on the others."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(72, 10),
    )


def run(training: Training, epochs: int | None = None) -> list[Row]:
    left = training.recipe.epochs - training.epoch
    rows = [training.step_epoch() for _ in range(left if epochs is None else epochs)]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def copied(state: dict[str, Any]) -> dict[str, Any]:
    """Through a file and the safe loader."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def assert_same(left: nn.Module, right: nn.Module, **tolerance: float) -> None:
    for (name, value), other in zip(left.state_dict().items(), right.state_dict().values(), strict=True):
        torch.testing.assert_close(value, other, **({"rtol": 0, "atol": 0} | tolerance), msg=name)


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "adamw", "learning_rate": 0.003, "loss": "bce"},
        {"optimizer": "rmsprop", "learning_rate": 0.001, "schedule": "steps", "step_epochs": 0.7, "step_factor": 0.9},
        {"augmentation": Augmentation(policy="trivialaugment", policy_share=0.5)},
    ],
    ids=["sgd", "adamw", "rmsprop", "trivialaugment"],
)
def test_a_restored_training_goes_on_bit_for_bit(
    settings: dict[str, Any], done: int, few: ImageData, build_tiny: Build
) -> None:
    recipe = replace(EVERYTHING, **settings)

    def begin() -> Training:
        return Training(lambda: build_tiny(dropout=0.3), recipe, few, seed=3)

    whole = begin()
    rows = run(whole)
    half = begin()
    assert run(half, done) == rows[:done]
    state = copied(half.state_dict())
    run(half)  # what goes on elsewhere must not reach into the saved state
    restored = begin()
    restored.load_state_dict(state)
    assert run(restored) == rows[done:]
    assert_same(restored.model, whole.model)
    assert_same(restored.evaluated_model, whole.evaluated_model)


def test_batches_that_are_made_ahead_change_no_number(
    few: ImageData, build_tiny: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread, while dropout and mixing draw from torch's generator."""

    def begin() -> Training:
        return Training(lambda: build_tiny(dropout=0.3), replace(EVERYTHING, epochs=1), few, seed=3)

    one = run(begin())
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert run(begin()) == one


@pytest.mark.parametrize("micro_batch", [2, 7, 32])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_parts_of_a_batch_add_up_to_it(micro_batch: int, optimizer: Any, few: ImageData) -> None:
    """All that is drawn is drawn for the whole batch: weights and rows agree up to the order of sums."""
    recipe = replace(MIXED, micro_batch=None, epochs=2, optimizer=optimizer, clip_gradient_norm=1.0)
    if optimizer == "adamw":
        recipe = replace(recipe, learning_rate=1e-3)
    whole = Training(build_plain, recipe, few, seed=0)
    parted = Training(build_plain, replace(recipe, micro_batch=micro_batch), few, seed=0)
    rows, others = run(whole), run(parted)
    assert_same(whole.model, parted.model, rtol=2e-3, atol=2e-5)
    for row, other in zip(rows, others, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
        assert row["train_accuracy"] == pytest.approx(other["train_accuracy"], abs=2e-3)


class Cramped(nn.Module):
    """A network that has room for so many images at a time."""

    def __init__(self, most: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.network = build_plain()
        self.most, self.error = most, error
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        if len(images) > self.most:
            raise self.error("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")
        logits: Tensor = self.network(images)
        return logits


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_short_memory_halves_the_part_and_not_the_batch(error: type[Exception], few: ImageData) -> None:
    recipe = replace(MIXED, micro_batch=None, epochs=1, ema_epochs=0.0)
    cramped = Training(lambda: Cramped(20, error), recipe, few, seed=0)
    rows = run(cramped)
    assert cramped.micro_batch == 16
    assert cramped.model.seen[:3] == [64, 32, 16]  # type: ignore[index]
    assert cramped.model.seen[3:10] == [16] * 7  # type: ignore[index]
    asked = Training(build_plain, replace(recipe, micro_batch=16), few, seed=0)
    assert run(asked)[0]["train_loss"] == rows[0]["train_loss"]
    assert_same(cramped.model.network, asked.model)  # type: ignore[arg-type]
    # What was found goes on with the state.
    restored = Training(lambda: Cramped(20, error), recipe, few, seed=0)
    restored.load_state_dict(copied(cramped.state_dict()))
    assert restored.micro_batch == 16


def test_without_room_for_two_images_it_fails(few: ImageData) -> None:
    training = Training(lambda: Cramped(1), replace(MIXED, micro_batch=None, ema_epochs=0.0), few, seed=0)
    with pytest.raises(torch.OutOfMemoryError):
        training.step_epoch()
    assert training.model.seen == [64, 32, 16, 8, 4, 2]


def test_another_error_is_not_tried_again(few: ImageData) -> None:
    class Broken(Cramped):
        def forward(self, images: Tensor) -> Tensor:
            self.seen.append(len(images))
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    training = Training(lambda: Broken(1), replace(MIXED, micro_batch=None, ema_epochs=0.0), few, seed=0)
    with pytest.raises(RuntimeError, match="mat1"):
        training.step_epoch()
    assert training.model.seen == [64]


def test_the_mean_of_the_weights_is_what_is_evaluated(
    digits: ImageData, build_tiny: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(epochs=2, learning_rate=0.05, ema_epochs=0.6)  # 5 steps an epoch: 3 steps
    training = Training(build_tiny, recipe, digits, seed=0)
    trained: list[dict[str, Tensor]] = []
    take_step = training._take_step

    def observed() -> None:
        take_step()
        trained.append({name: value.clone() for name, value in training.model.state_dict().items()})

    monkeypatch.setattr(training, "_take_step", observed)
    rows = run(training)
    mean = trained[0]
    for done, state in enumerate(trained[1:], 1):
        decay = min(math.exp(-1 / 3), (1 + done) / (10 + done))
        mean = {name: decay * mean[name] + (1 - decay) * value.float() for name, value in state.items()}
    averaged = training.evaluated_model.state_dict()
    for name, value in mean.items():
        if averaged[name].is_floating_point():
            torch.testing.assert_close(averaged[name], value, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(value, training.model.state_dict()[name]) for name, value in averaged.items())
    monkeypatch.undo()
    loss, _ = training.evaluate(digits.validation)
    assert loss == rows[-1]["validation_loss"]
    plain = Training(build_tiny, replace(recipe, ema_epochs=0.0), digits, seed=0)
    assert run(plain)[-1]["train_loss"] == rows[-1]["train_loss"]  # the training itself is the same


def test_averages_are_those_of_the_first_steps_only_for_a_while(digits: ImageData, build_tiny: Build) -> None:
    """With a mean over hundreds of epochs the first weights would stay for ever."""
    training = Training(build_tiny, Recipe(epochs=4, learning_rate=0.05, ema_epochs=500.0), digits, seed=0)
    assert run(training)[-1]["validation_accuracy"] > 0.5


def first_batch(count: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (count,), generator=generator)
    labels[0], labels[-1] = 3, 5
    return torch.rand(count, 3, 16, 16, generator=generator), labels


def mixed(recipe: Recipe, batches: int) -> list[tuple[Tensor, Tensor]]:
    mixing = Mixing(recipe, classes=10)
    mixing.start_epoch(0, 0)
    images, labels = first_batch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return [mixing(images, labels) for _ in range(batches)]


def shares_of(targets: Tensor) -> float:
    """By how much the first image is itself, where the one before it has another label."""
    return targets[0, 3].item()


@pytest.mark.parametrize(("name", "alpha"), [("mixup", 0.2), ("mixup", 1.0), ("cutmix", 1.0)])
def test_shares_of_labels_follow_the_distribution(name: str, alpha: float) -> None:
    images, labels = first_batch()
    shares = []
    for changed, targets in mixed(Recipe(**{name: alpha}), 400):  # type: ignore[arg-type]
        torch.testing.assert_close(targets.sum(1), torch.ones(64))
        share = shares_of(targets)
        shares.append(share)
        before = functional.one_hot(labels.roll(1), 10)
        torch.testing.assert_close(targets, share * functional.one_hot(labels, 10) + (1 - share) * before)
        if name == "mixup":
            torch.testing.assert_close(changed, share * images + (1 - share) * images.roll(1, 0))
        else:
            other = (changed != images).any(1)[0]  # the box of the first image
            assert other.float().mean().item() == pytest.approx(1 - share, abs=1e-6)
            assert torch.equal(changed[0][:, other], images[-1][:, other])
    if name == "mixup":
        assert kstest(shares, beta(alpha, alpha).cdf).pvalue > 1e-3
    else:  # boxes are cut at the edges
        from torchvision.transforms import v2

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            theirs = [v2.CutMix(alpha=alpha).make_params([images])["lam_adjusted"] for _ in range(400)]
        assert ks_2samp(shares, theirs).pvalue > 1e-3


def test_a_batch_has_one_kind_of_mixing_or_none() -> None:
    images, _ = first_batch()
    kinds = {"none": 0, "mixup": 0, "cutmix": 0}
    for changed, targets in mixed(Recipe(mixup=0.8, cutmix=1.0, mix_share=0.6), 1000):
        if targets.ndim == 1:
            assert torch.equal(changed, images)
            kinds["none"] += 1
        else:
            kinds["cutmix" if (changed == images).float().mean() > 0.01 else "mixup"] += 1
    assert kinds["none"] == pytest.approx(400, abs=60)
    assert kinds["mixup"] == pytest.approx(300, abs=60)


def test_predictions_on_mixed_labels_are_correct_by_their_share(digits: ImageData) -> None:
    """A network that always says 3."""

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(functional.one_hot(torch.tensor(3), 10).float())

        def forward(self, images: Tensor) -> Tensor:
            return self.weight.expand(len(images), 10)

    training = Training(Constant, Recipe(epochs=1, learning_rate=1e-9, mixup=1.0, weight_decay=0.0), digits, seed=0)
    assert run(training)[0]["train_accuracy"] == pytest.approx((digits.train.labels == 3).mean(), abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("soft", [False, True])
def test_losses_are_those_of_the_libraries(smoothing: float, soft: bool, digits: ImageData, build_tiny: Build) -> None:
    timm_loss = pytest.importorskip("timm.loss")
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 10, generator=generator)
    labels = torch.randint(10, (12,), generator=generator)
    targets = 0.3 * functional.one_hot(labels, 10) + 0.7 * functional.one_hot(labels.roll(1), 10) if soft else labels
    recipe = Recipe(label_smoothing=smoothing)
    found = Training(build_tiny, replace(recipe, loss="bce"), digits, seed=0).loss(logits, targets)
    smooth = targets * (1 - smoothing) + smoothing / 10 if soft else targets  # timm smooths labels only
    torch.testing.assert_close(found, timm_loss.BinaryCrossEntropy(smoothing)(logits, smooth))
    found = Training(build_tiny, recipe, digits, seed=0).loss(logits, targets)
    shares = targets if soft else functional.one_hot(labels, 10)
    wanted = -(((1 - smoothing) * shares + smoothing / 10) * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(found, wanted)


def test_the_centre_is_evaluated_and_not_trained_on(digits: ImageData, build_tiny: Build) -> None:
    seen: dict[bool, list[float]] = {True: [], False: []}

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = build_tiny()

        def forward(self, images: Tensor) -> Tensor:
            seen[self.training].append(images.sum().item())
            logits: Tensor = self.network(images)
            return logits

    sums = []
    for centre in (1.0, 0.75):
        seen = {True: [], False: []}
        run(Training(Watching, Recipe(epochs=1, evaluated_centre=centre), digits, seed=0))
        sums.append(seen)
    assert sums[0][True] == sums[1][True]
    assert sums[0][False] != sums[1][False]


def test_learns_with_everything(digits: ImageData, build_tiny: Build) -> None:
    recipe = replace(EVERYTHING, epochs=10, augmentation=Augmentation(resized_crop=0.8), evaluated_centre=1.0)
    assert run(Training(build_tiny, recipe, digits, seed=0))[-1]["test_accuracy"] > 0.7  # chance is 0.1


def test_evaluation_fits_into_memory(digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(epochs=1)
    cramped = Training(lambda: Cramped(70), recipe, digits, seed=0)
    roomy = Training(build_plain, recipe, digits, seed=0)
    found, wanted = cramped.evaluate(digits.validation), roomy.evaluate(digits.validation)
    assert found == pytest.approx(wanted, rel=1e-6)
    assert cramped.model.seen[:4] == [200, 100, 50, 50]  # type: ignore[index]
    assert taurank.trainables.training.training.EVALUATION_BATCH >= 200
