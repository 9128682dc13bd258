from __future__ import annotations

import io
import math
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import taurank.trainables.training.training
from taurank.trainables.data import Augmentation, ImageData, ImageSet, iterate_batches, less_data
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import NonFiniteLossError, Row, Training

Build = Callable[..., nn.Module]

SHORT = Recipe(epochs=3, learning_rate=0.05)
DRAWN = replace(SHORT, augmentation=Augmentation(crop=1, flip=True, cutout=2))


def without_time(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "seconds"}


def run(training: Training, epochs: int | None = None) -> list[Row]:
    left = training.recipe.epochs - training.epoch
    return [without_time(training.step_epoch()) for _ in range(left if epochs is None else epochs)]


def copied(state: dict[str, Any]) -> dict[str, Any]:
    """Through a file and the safe loader."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def assert_same_weights(left: nn.Module, right: nn.Module) -> None:
    theirs = right.state_dict()
    assert left.state_dict().keys() == theirs.keys()
    for name, value in left.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def first_batch(data: ImageData) -> tuple[Tensor, Tensor]:
    return next(
        iterate_batches(data.train, batch_size=64, generator=None, augmentation=None, mean=data.mean, std=data.std)
    )


def test_it_learns_and_reports_every_metric(digits: ImageData, build_tiny: Build) -> None:
    training = Training(build_tiny, replace(SHORT, epochs=6), digits, seed=0)
    rows = [training.step_epoch() for _ in range(6)]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["validation_accuracy"] > 0.7  # chance is 0.1
    assert rows[-1]["test_accuracy"] > 0.7
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    always = {"epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds"}
    assert [set(row) for row in rows] == [always] * 5 + [always | {"test_loss", "test_accuracy"}]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert all(0 <= row[name] <= 1 for row in rows for name in row if name.endswith("accuracy"))
    assert all(row["seconds"] > 0 for row in rows)
    assert training.trained
    assert training.finished
    with pytest.raises(RuntimeError, match="all 6 epochs"):
        training.step_epoch()


def test_accuracy_and_loss_are_those_of_the_network(digits: ImageData, build_tiny: Build) -> None:
    training = Training(build_tiny, SHORT, digits, seed=0)
    run(training, 1)
    loss, accuracy = training.evaluate(digits.validation)
    channel = (digits.validation.images[..., 0].astype(np.float64) - digits.mean[0]) / digits.std[0]
    with torch.no_grad():
        logits = training.model.eval()(torch.from_numpy(channel.astype(np.float32))[:, None])
    labels = torch.tensor(digits.validation.labels)
    assert loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert accuracy == (logits.argmax(1) == labels).double().mean().item()


def test_the_seed_decides_every_number(digits: ImageData, build_tiny: Build) -> None:
    def build() -> nn.Module:
        return build_tiny(dropout=0.3)

    first, again, other = (run(Training(build, DRAWN, digits, seed=seed)) for seed in (7, 7, 8))
    assert first == again
    assert all(left["train_loss"] != right["train_loss"] for left, right in zip(first, other, strict=True))


def test_epochs_draw_anew(digits: ImageData) -> None:
    class Recording(nn.Module):
        """Keeps its input; its weight gets no gradient."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(10))
            self.seen: list[Tensor] = []

        def forward(self, images: Tensor) -> Tensor:
            if self.training:
                self.seen.append(images)
            return self.weight.expand(len(images), 10)

    training = Training(Recording, SHORT, digits, seed=0)
    run(training, 2)
    seen = training.model.seen
    assert isinstance(seen, list)
    assert len(seen) == 10
    assert not torch.equal(torch.cat(seen[:5]), torch.cat(seen[5:]))  # another order
    sums = [torch.cat(part).sum((1, 2, 3)).sort().values for part in (seen[:5], seen[5:])]
    assert torch.allclose(*sums)  # of the same images


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("done", [1, 2])
def test_a_restored_training_goes_on_bit_for_bit(
    optimizer: Any, dropout: float, done: int, digits: ImageData, build_tiny: Build
) -> None:
    recipe = replace(DRAWN, optimizer=optimizer, learning_rate=0.05 if optimizer == "sgd" else 0.005)

    def begin() -> Training:
        return Training(lambda: build_tiny(dropout=dropout), recipe, digits, seed=3)

    whole = begin()
    rows = run(whole)
    half = begin()
    assert run(half, done) == rows[:done]
    state = copied(half.state_dict())
    run(half)  # what goes on elsewhere must not reach into the saved state
    restored = begin()
    restored.load_state_dict(state)
    assert restored.epoch == done
    assert run(restored) == rows[done:]
    assert_same_weights(restored.model, whole.model)
    momenta = [
        value for state in whole.optimizer.state.values() for value in state.values() if isinstance(value, Tensor)
    ]
    theirs = [
        value for state in restored.optimizer.state.values() for value in state.values() if isinstance(value, Tensor)
    ]
    assert momenta
    assert all(torch.equal(left, right) for left, right in zip(momenta, theirs, strict=True))


def test_the_global_generators_are_left_alone(digits: ImageData, build_tiny: Build) -> None:
    def states() -> tuple[bytes, Any, Any]:
        numbers = np.random.get_state()  # noqa: NPY002
        return torch.get_rng_state().numpy().tobytes(), str(numbers), random.getstate()

    before = states()
    run(Training(lambda: build_tiny(dropout=0.3), DRAWN, digits, seed=0))
    assert states() == before
    torch.rand(1)  # and results do not depend on them
    one = run(Training(lambda: build_tiny(dropout=0.3), DRAWN, digits, seed=0), 1)
    torch.manual_seed(99)
    assert run(Training(lambda: build_tiny(dropout=0.3), DRAWN, digits, seed=0), 1) == one


def test_divergence_is_an_error_of_its_own(digits: ImageData, build_tiny: Build) -> None:
    training = Training(build_tiny, replace(SHORT, learning_rate=1e30), digits, seed=0)
    with pytest.raises(NonFiniteLossError, match=r"^train_loss is (nan|inf) in epoch 1$"):
        training.step_epoch()
    assert training.epoch == 0
    assert training.spent == 1.0


def test_a_network_that_answers_nan_has_no_accuracy(digits: ImageData, build_tiny: Build) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = build_tiny()

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.network(images)
            return logits if self.training else logits * math.nan

    training = Training(Broken, SHORT, digits, seed=0)
    # argmax of NaN is class 0, and a tenth of the digits are zeros: a score like that must not get out
    with pytest.raises(NonFiniteLossError, match=r"^validation_loss is nan in epoch 1$"):
        training.step_epoch()


def test_spent_is_the_share_of_the_epoch_that_was_trained(digits: ImageData, build_tiny: Build) -> None:
    class Stumbling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = build_tiny()
            self.left = 7  # 5 steps make an epoch

        def forward(self, images: Tensor) -> Tensor:
            self.left -= self.training
            if self.left < 0:
                raise RuntimeError("stumbled")
            logits: Tensor = self.network(images)
            return logits

    training = Training(Stumbling, SHORT, digits, seed=0)
    assert training.spent == 0
    training.step_epoch()
    assert training.spent == 1.0
    with pytest.raises(RuntimeError, match="stumbled"):
        training.step_epoch()
    assert training.spent == pytest.approx(2 / 5)
    assert training.epoch == 1


def test_the_label_smoothing_is_in_the_training_loss_and_nowhere_else(digits: ImageData, build_tiny: Build) -> None:
    images, labels = first_batch(digits)
    sharp = Training(build_tiny, SHORT, digits, seed=0)
    smooth = Training(build_tiny, replace(SHORT, label_smoothing=0.5), digits, seed=0)
    assert smooth.evaluate(digits.validation) == sharp.evaluate(digits.validation)
    sharp.model.train()
    smooth.model.train()
    logs = functional.log_softmax(smooth.model(images), dim=1)
    own = -logs[torch.arange(len(labels)), labels].mean()
    expected = 0.5 * own + 0.5 * -logs.mean()
    assert sharp.train_batch(images, labels)[0].item() == pytest.approx(own.item(), rel=1e-5)
    assert smooth.train_batch(images, labels)[0].item() == pytest.approx(expected.item(), rel=1e-5)
    assert expected.item() != pytest.approx(own.item(), rel=1e-4)


def test_predictions_are_counted_before_the_step(digits: ImageData, build_tiny: Build) -> None:
    images, labels = first_batch(digits)
    training = Training(build_tiny, SHORT, digits, seed=0)
    training.model.train()
    with torch.no_grad():
        before = training.model(images).argmax(1)
    _, correct = training.train_batch(images, labels)
    after = training.model(images).argmax(1)
    assert correct.item() == (before == labels).sum().item() != (after == labels).sum().item()


PLAIN = replace(SHORT, learning_rate=0.5, momentum=0.0, nesterov=False, weight_decay=0.0)


def moved(recipe: Recipe, data: ImageData, build: Build) -> list[Tensor]:
    """What one step adds to each weight."""
    training = Training(build, recipe, data, seed=0)
    training.model.train()
    before = [weight.detach().clone() for weight in training.model.parameters()]
    training.train_batch(*first_batch(data))
    return [weight.detach() - old for weight, old in zip(training.model.parameters(), before, strict=True)]


def test_the_gradient_is_clipped_to_its_norm(digits: ImageData, build_tiny: Build) -> None:
    free = torch.cat([step.flatten() for step in moved(PLAIN, digits, build_tiny)])
    norm = free.norm().item() / 0.5
    clipped = moved(replace(PLAIN, clip_gradient_norm=norm / 4), digits, build_tiny)
    assert torch.cat([step.flatten() for step in clipped]).norm().item() == pytest.approx(0.5 * norm / 4, rel=1e-3)
    loose = moved(replace(PLAIN, clip_gradient_norm=norm * 4), digits, build_tiny)
    assert torch.allclose(torch.cat([step.flatten() for step in loose]), free)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_weight_decay_pulls_every_weight_to_zero(optimizer: Any, digits: ImageData, build_tiny: Build) -> None:
    recipe = replace(PLAIN, optimizer=optimizer)
    weights = list(Training(build_tiny, recipe, digits, seed=0).model.parameters())
    without = moved(recipe, digits, build_tiny)
    decayed = moved(replace(recipe, weight_decay=0.1), digits, build_tiny)
    for weight, left, right in zip(weights, without, decayed, strict=True):
        # minus rate x decay x weight: for plain SGD and, decoupled, for AdamW
        assert torch.allclose(right - left, -0.5 * 0.1 * weight.detach(), atol=1e-5)


def test_each_step_has_the_rate_of_its_place_in_the_schedule(digits: ImageData, build_tiny: Build) -> None:
    recipe = replace(SHORT, warmup_epochs=0.5)
    training = Training(build_tiny, recipe, digits, seed=0)
    rates: list[float] = []
    training.optimizer.register_step_pre_hook(
        lambda optimizer, arguments, options: rates.append(optimizer.param_groups[0]["lr"])
    )
    run(training)
    assert rates == [recipe.learning_rate_at(step / 5) for step in range(15)]
    assert rates[0] == 0.0


def test_evaluation_changes_nothing(digits: ImageData, build_tiny: Build) -> None:
    training = Training(build_tiny, SHORT, digits, seed=0)
    run(training, 1)
    before = copied(training.state_dict())
    first = training.evaluate(digits.validation)
    assert training.evaluate(digits.validation) == first
    after = training.state_dict()
    for name, value in before["model"].items():
        assert torch.equal(value, after["model"][name]), name
    assert str(before["optimizer"]) == str(after["optimizer"])


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[ImageSet]:
    """The image sets that a training goes through, in order."""
    seen: list[ImageSet] = []

    def recorded(images: ImageSet, **settings: Any) -> Any:
        seen.append(images)
        return iterate_batches(images, **settings)

    monkeypatch.setattr(taurank.trainables.training.training, "iterate_batches", recorded)
    return seen


def test_test_images_are_looked_at_once_after_the_last_epoch(
    digits: ImageData, build_tiny: Build, looked_at: list[ImageSet]
) -> None:
    run(Training(build_tiny, SHORT, digits, seed=0))
    epoch = [digits.train, digits.validation]
    expected = [*epoch, *epoch, *epoch, digits.test]
    assert len(looked_at) == 7
    assert all(seen is wanted for seen, wanted in zip(looked_at, expected, strict=True))


def test_test_images_that_are_the_validation_images_are_not_measured_twice(
    digits: ImageData, build_tiny: Build, looked_at: list[ImageSet]
) -> None:
    data = replace(digits, test=digits.validation)
    (row,) = run(Training(build_tiny, replace(SHORT, epochs=1), data, seed=0))
    assert len(looked_at) == 2
    assert (row["test_loss"], row["test_accuracy"]) == (row["validation_loss"], row["validation_accuracy"])


@pytest.mark.parametrize("scaling", ["unit", "normalise"])
def test_scaling_of_what_the_network_sees(scaling: Any, digits: ImageData, build_tiny: Build) -> None:
    seen: list[Tensor] = []
    training = Training(build_tiny, replace(SHORT, scaling=scaling), digits, seed=0)
    training.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    training.step_epoch()
    pixels = torch.cat(seen[:5])
    assert pixels.shape == (320, 1, 8, 8)
    if scaling == "unit":
        assert (pixels.min().item(), pixels.max().item()) == (0, digits.train.images.max() / np.float32(255))
        assert pixels.mean().item() == pytest.approx(digits.train.images.mean() / 255, rel=1e-5)
    else:
        assert pixels.mean().item() == pytest.approx(0, abs=1e-4)
        assert pixels.std().item() == pytest.approx(1, abs=1e-3)


def test_channels_last_changes_the_layout_and_not_the_result(digits: ImageData, build_tiny: Build) -> None:
    last = Training(build_tiny, replace(SHORT, channels_last=True), digits, seed=0)
    first = Training(build_tiny, replace(SHORT, channels_last=False), digits, seed=0)
    weights = [training.model.state_dict()["3.weight"] for training in (last, first)]
    assert torch.equal(*weights)
    assert [weight.is_contiguous() for weight in weights] == [False, True]
    for left, right in zip(run(last), run(first), strict=True):
        assert left == pytest.approx(right, abs=5e-3)


def test_mixed_precision_is_for_gpus(digits: ImageData, build_tiny: Build) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        on, off = (
            run(Training(build_tiny, replace(SHORT, epochs=1, mixed_precision=mixed), digits, seed=0))
            for mixed in (True, False)
        )
    assert on == off


def test_read_only_images_are_not_copied_and_raise_no_warning(digits: ImageData, build_tiny: Build) -> None:
    assert not digits.train.images.flags.writeable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training = Training(build_tiny, replace(DRAWN, epochs=1), digits, seed=0)
        training.step_epoch()
    assert training.data is digits


def test_the_schedule_may_be_one_step_long(digits: ImageData, build_tiny: Build) -> None:
    few = replace(digits, train=digits.train.take(np.arange(2)))
    (row,) = run(Training(build_tiny, replace(SHORT, epochs=1), few, seed=0))
    assert all(math.isfinite(value) for value in row.values())


def test_a_negative_seed_is_refused_at_once(digits: ImageData, build_tiny: Build) -> None:
    with pytest.raises(ValueError, match="seed is -1"):
        Training(build_tiny, SHORT, digits, seed=-1)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_what_an_epoch_costs_is_a_share(share: float, digits: ImageData, build_tiny: Build) -> None:
    with pytest.raises(ValueError, match=f"epoch_share is {share}; it has to be above 0 and at most 1"):
        Training(build_tiny, SHORT, digits, seed=0, epoch_share=share)


def test_an_epoch_on_less_data_costs_its_share(digits: ImageData, build_tiny: Build) -> None:
    training = Training(build_tiny, SHORT, less_data(digits, share=0.25), seed=0, epoch_share=0.25)
    training.step_epoch()
    assert training.spent == 0.25


def test_batches_made_ahead_change_nothing(digits: ImageData, build_tiny: Build) -> None:
    alone = run(Training(build_tiny, DRAWN, digits, seed=0))
    # Only says that there is a second core; PyTorch is not told to use it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 2)
        assert run(Training(build_tiny, DRAWN, digits, seed=0)) == alone
