from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import taurank.trainables.training.training
from taurank.spaces import SearchSpace, get_space
from taurank.trainables.data import Augmentation, ImageData, ImageSet, iterate_batches
from taurank.trainables.supernet import (
    Paths,
    PathScore,
    SupernetConfig,
    SupernetTraining,
    extract,
    make_supernet,
    score_paths,
)
from taurank.trainables.supernet.samplers import Group, Judge, PathSampler
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import NonFiniteLossError, Row, Training

RECIPE = Recipe(epochs=2, batch_size=32, learning_rate=0.05, augmentation=Augmentation(crop=1))
STEPS = 10  # in an epoch
CALIBRATED = SupernetConfig(calibration_images=64)
GREEDY = replace(CALIBRATED, sampler="epsilon-greedy", options={"epsilon": 0.3, "random_rounds": 5})
SPLIT = replace(CALIBRATED, split_after=0.5)
JUDGED = replace(CALIBRATED, sampler="gumbel")
SPACES = {
    "mnist_blocks": get_space("mnist_blocks"),
    "nasbench201": get_space("nasbench201", width=4, cells_per_stage=1),
}


def paths_of(space: SearchSpace) -> Paths:
    if space.name == "mnist_blocks":
        return Paths(space, tuple(architecture.code for architecture in space.enumerate()))
    return Paths(space, tuple(architecture.code for architecture in space.sample(7, np.random.default_rng(0))))


def begin(
    data: ImageData,
    config: SupernetConfig = CALIBRATED,
    *,
    space: str = "mnist_blocks",
    seed: int = 0,
    recipe: Recipe = RECIPE,
) -> SupernetTraining:
    chosen = SPACES[space]
    return SupernetTraining(
        lambda: make_supernet(chosen, input_shape=data.input_shape, classes=len(data.classes)),
        recipe,
        data,
        paths=paths_of(chosen),
        config=config,
        seed=seed,
    )


def trained(data: ImageData, config: SupernetConfig = CALIBRATED, **options: Any) -> SupernetTraining:
    training = begin(data, config, **options)
    run(training)
    return training


def run(training: SupernetTraining) -> list[Row]:
    rows = []
    while not training.finished:
        row = training.step_epoch()
        rows.append({name: value for name, value in row.items() if name != "seconds"})
    return rows


def copied(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


class Fixed(PathSampler):
    """The same group at every step."""

    group = Group(("1,1",))

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        return self.group


def of_group(training: SupernetTraining, *paths: str, teacher: Any = "none") -> SupernetTraining:
    training.sampler = Fixed(training.paths)
    training.sampler.group = Group(paths, teacher)
    return training


@pytest.mark.parametrize("config", [CALIBRATED, GREEDY, SPLIT, JUDGED], ids=["uniform", "greedy", "split", "judged"])
@pytest.mark.parametrize("space", sorted(SPACES))
def test_a_restored_supernet_has_the_same_scores_bit_for_bit(
    space: str, config: SupernetConfig, digits: ImageData
) -> None:
    recipe = replace(RECIPE, epochs=3)
    whole = begin(digits, config, space=space, recipe=recipe)
    rows, scores = run(whole), score_paths(whole)
    assert [score.path for score in scores] == list(whole.paths.codes)

    half = begin(digits, config, space=space, recipe=recipe)
    half.step_epoch()
    half.step_epoch()
    restored = begin(digits, config, space=space, recipe=recipe)
    restored.load_state_dict(copied(half.state_dict()))
    assert run(restored) == rows[2:]
    assert score_paths(restored) == scores
    for (name, left), right in zip(restored.model.named_parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(left, right), name

    other = begin(digits, config, space=space, recipe=recipe)
    other.load_weights(copied(whole.weights()))
    assert score_paths(other, whole.paths.codes[2:4]) == scores[2:4]


def test_the_seed_decides_every_number(digits: ImageData) -> None:
    first, again, other = (trained(digits, seed=seed) for seed in (1, 1, 2))
    assert first.updates == again.updates != other.updates
    scores = [score_paths(training) for training in (first, again, other)]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("config", [CALIBRATED, GREEDY], ids=["uniform", "epsilon-greedy"])
def test_updates_add_up_to_the_steps(config: SupernetConfig, digits: ImageData) -> None:
    training = begin(digits, config)
    training.step_epoch()
    assert sum(training.updates.values()) == STEPS
    training.step_epoch()
    assert sum(training.updates.values()) == 2 * STEPS
    for decision in training.statistics.updates:
        assert decision.sum() == 2 * STEPS
    for score in score_paths(training):
        first, second = (int(depth) - 1 for depth in score.path.split(","))
        assert score.updates == training.updates[score.path]
        by_option = training.statistics.updates[0][first], training.statistics.updates[1][second]
        assert score.option_updates == sum(by_option) / 2


def test_the_sampler_hears_what_was_right_before_each_step(digits: ImageData) -> None:
    training = begin(digits, GREEDY)
    heard: list[tuple[str, int, int]] = []
    expected: list[tuple[str, int, int]] = []
    learn = training.sampler.learn

    def listening(outcomes: Sequence[Any], judge: Judge) -> None:
        heard.extend((outcome.path, int(outcome.correct), outcome.images) for outcome in outcomes)
        learn(outcomes, judge)

    def look(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        path = ",".join(str(depth) for depth in module._depths)  # type: ignore[union-attr]
        expected.append((path, int((output.argmax(1) == labels.pop(0)).sum()), len(output)))

    labels: list[Tensor] = []
    train_batch = training.train_batch

    def recorded(images: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        labels.append(right)
        return train_batch(images, right)

    training.sampler.learn = listening  # type: ignore[method-assign]
    training.train_batch = recorded  # type: ignore[method-assign]
    training.model.register_forward_hook(look)
    row = training.step_epoch()
    assert heard == expected
    assert len(heard) == STEPS
    assert row["train_accuracy"] == sum(correct for _, correct, _ in heard) / 320


def gradients_after(training: SupernetTraining, images: Tensor, labels: Tensor) -> dict[str, Tensor | None]:
    """Gradients of one step, which is not taken."""
    training._take_step = lambda: None  # type: ignore[method-assign]
    training.model.train()
    training.train_batch(images, labels)
    return {name: weight.grad for name, weight in training.model.named_parameters()}


def a_batch(data: ImageData) -> tuple[Tensor, Tensor]:
    images = torch.tensor(data.train.images[:32]).permute(0, 3, 1, 2) / 255
    return images, torch.tensor(data.train.labels[:32])


def test_the_gradient_of_a_group_is_the_sum_of_those_of_its_paths(digits: ImageData) -> None:
    images, labels = a_batch(digits)
    together = gradients_after(of_group(begin(digits), "1,2", "3,1", "2,2"), images, labels)
    alone = [gradients_after(of_group(begin(digits), path), images, labels) for path in ("1,2", "3,1", "2,2")]
    for name, gradient in together.items():
        parts = [part[name] for part in alone if part[name] is not None]
        if gradient is None:
            assert not parts
        else:
            assert torch.allclose(gradient, torch.stack(parts).sum(0), atol=1e-6), name  # type: ignore[arg-type]


def test_in_place_distillation_learns_from_the_first_path(digits: ImageData) -> None:
    """The sandwich rule: the largest path learns from the labels, the others from its predictions alone."""
    images, labels = a_batch(digits)
    found = gradients_after(of_group(begin(digits), "3,3", "1,1", teacher="first"), images, labels)
    plain = begin(digits)
    plain.model.train()
    plain.supernet.activate("3,3")
    logits = plain.model(images)
    loss = functional.cross_entropy(logits, labels)
    plain.supernet.activate("1,1")
    loss = loss + functional.cross_entropy(plain.model(images), logits.detach().softmax(1))
    loss.backward()
    for name, weight in plain.model.named_parameters():
        assert torch.allclose(found[name], weight.grad, atol=1e-6), name  # type: ignore[arg-type]


def test_a_frozen_teacher_is_heard_beside_the_labels(digits: ImageData) -> None:
    images, labels = a_batch(digits)
    training = of_group(begin(digits), "1,1", "2,1", teacher="frozen")
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    training.sampler.teacher = teacher
    found = gradients_after(training, images, labels)
    assert training._passed == pytest.approx(32 * (2 + 1 / 3))
    assert all(weight.grad is None for weight in teacher.parameters())
    plain = begin(digits)
    plain.model.train()
    for path in ("1,1", "2,1"):
        plain.supernet.activate(path)
        logits = plain.model(images)
        soft = teacher(images).detach().softmax(1)
        (functional.cross_entropy(logits, labels) + functional.cross_entropy(logits, soft)).backward()
    for name, weight in plain.model.named_parameters():
        if weight.grad is not None:
            assert torch.allclose(found[name], weight.grad, atol=1e-6), name  # type: ignore[arg-type]


def test_weights_that_a_step_does_not_use_stay_as_they_are(digits: ImageData) -> None:
    recipe = replace(RECIPE, momentum=0.9, weight_decay=0.1)
    training = of_group(begin(digits, recipe=recipe), "3,3")
    training.step_epoch()  # momentum of all weights
    of_group(training, "1,2")
    before = copied(training.state_dict())["model"]
    training.step_epoch()
    used = set(training.supernet.inherited("1,2"))
    for name, weight in training.supernet.network.named_parameters():  # type: ignore[union-attr]
        assert torch.equal(weight, before[f"network.{name}"]) == (name not in used), name


def test_an_epoch_is_the_work_of_one_pass_whatever_the_group(digits: ImageData) -> None:
    training = of_group(begin(digits), "1,1", "2,2")
    training.step_epoch()
    assert training.spent == 1.0
    assert len(training._trained) == STEPS  # of 5 batches
    # Four paths on each of 10 batches: three steps are 1.2 epochs, the next two make it two.
    larger = of_group(begin(digits), "1,1", "2,2", "1,2", "3,3")
    larger.step_epoch()
    assert larger.spent == pytest.approx(1.2)
    restored = of_group(begin(digits), "1,1", "2,2", "1,2", "3,3")
    restored.load_state_dict(copied(larger.state_dict()))
    restored.step_epoch()
    assert restored.spent == pytest.approx(0.8)
    judged = begin(digits, JUDGED)
    assert len(judged.data.train) == 160
    judged.step_epoch()
    assert judged.spent == pytest.approx(1.0)
    assert judged.data.validation is digits.validation


def test_learning_rate_follows_the_work(digits: ImageData) -> None:
    training = of_group(begin(digits), "1,1", "2,2")
    rates: list[float] = []
    take = training._take_step

    def noted() -> None:
        rates.append(training.optimizer.param_groups[0]["lr"])
        take()

    training._take_step = noted  # type: ignore[method-assign]
    run(training)
    assert rates == pytest.approx([RECIPE.learning_rate_at(step / 5) for step in range(10)])


def test_a_path_scores_as_the_extracted_architecture_does(digits: ImageData) -> None:
    training = trained(digits)
    space = SPACES["mnist_blocks"]
    for path in training.paths.codes:
        score = training.score(path)

        def build(path: str = path) -> nn.Module:
            network = space.build(space.parse(path), input_shape=digits.input_shape, classes=10)
            return extract(training.supernet, path, network)

        alone = Training(build, RECIPE, digits, seed=0)
        loss, accuracy = alone.evaluate(digits.validation)
        assert score.accuracy == accuracy
        assert score.accuracy_sd == pytest.approx(math.sqrt(accuracy * (1 - accuracy) / 200))
        assert score.loss == pytest.approx(loss, rel=1e-5)


def test_the_order_of_scoring_does_not_matter(digits: ImageData) -> None:
    training = trained(digits)
    scores = score_paths(training)
    again = [training.score(path) for path in reversed(training.paths.codes)]
    assert again == scores[::-1]


def test_running_statistics_are_those_of_the_training(digits: ImageData) -> None:
    training = trained(digits, SupernetConfig(batch_norm="running"))
    before = copied(training.state_dict())["model"]
    shared = score_paths(training)
    assert all(torch.equal(value, before[name]) for name, value in training.model.state_dict().items())
    own = score_paths(trained(digits))
    assert [score.updates for score in own] == [score.updates for score in shared]
    assert all(left.loss != right.loss for left, right in zip(own, shared, strict=True))


def test_batch_statistics_are_those_of_the_validation_images(digits: ImageData) -> None:
    training = trained(digits, SupernetConfig(batch_norm="batch"))
    before = copied(training.state_dict())["model"]
    found = score_paths(training)
    assert all(torch.equal(value, before[name]) for name, value in training.model.state_dict().items())
    images = torch.cat([pixels for pixels, _ in training.batches(digits.validation, 512)])
    labels = torch.tensor(digits.validation.labels)
    training.model.train()  # there is no dropout: all that changes is batch norm, over the one batch that there is
    for score in found:
        training.supernet.activate(score.path)
        with torch.no_grad():
            assert score.loss == pytest.approx(
                float(functional.cross_entropy(training.model(images), labels)), rel=1e-5
            )


def test_recalibration_moves_statistics_and_nothing_else(digits: ImageData) -> None:
    training = trained(digits)
    before = copied(training.state_dict())["model"]
    training.score("1,1")
    moved = {name for name, value in training.model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.split(".")[-1] in ("running_mean", "running_var", "num_batches_tracked") for name in moved)


def test_scoring_looks_at_training_and_validation_images_only(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = begin(digits)
    seen: list[ImageSet] = []

    def recorded(images: ImageSet, **settings: Any) -> Any:
        seen.append(images)
        return iterate_batches(images, **settings)

    monkeypatch.setattr(taurank.trainables.training.training, "iterate_batches", recorded)
    rows = run(training)
    assert all(images is digits.train for images in seen)  # an epoch validates nothing
    assert all(set(row) == {"epoch", "train_loss", "train_accuracy"} for row in rows)
    seen.clear()
    score_paths(training, training.paths.codes[:3])
    assert seen[1::2] == [digits.validation] * 3
    assert seen[0] is seen[2] is seen[4]  # every path is calibrated on the same images
    pixels = seen[0].images.reshape(64, -1)
    pool = {image.tobytes() for image in digits.train.images.reshape(320, -1)}
    assert all(image.tobytes() in pool for image in pixels)
    assert len(np.unique(seen[0].labels)) == 10  # spread over the training images, not their beginning
    assert not np.array_equal(seen[0].labels, digits.train.labels[:64])


def test_the_cost_of_scores_counts_a_forward_pass_a_third(digits: ImageData) -> None:
    assert begin(digits).cost_per_score == pytest.approx((200 + 64) / 3 / 320)
    assert begin(digits, SupernetConfig(batch_norm="running")).cost_per_score == pytest.approx(200 / 3 / 320)
    everything = trained(digits, SupernetConfig(calibration_images=100_000))
    assert everything.cost_per_score == pytest.approx((200 + 320) / 3 / 320)
    assert math.isfinite(everything.score("1,1").loss)
    # what is held back for a judge is part of the training images
    assert begin(digits, JUDGED).cost_per_score == pytest.approx((200 + 64) / 3 / 320)


def test_a_path_that_answers_nan_has_no_accuracy(digits: ImageData) -> None:
    training = trained(digits)
    with torch.no_grad():
        training.model.network.stage1[2][0].weight.fill_(math.nan)  # type: ignore[union-attr,index]
    for score in score_paths(training):
        assert math.isnan(score.accuracy) == math.isnan(score.accuracy_sd) == score.path.startswith("3,")
        assert math.isnan(score.accuracy) == math.isnan(score.loss)


def test_divergence_is_an_error_of_its_own(digits: ImageData) -> None:
    training = begin(digits)
    training.recipe = replace(RECIPE, learning_rate=1e30)
    with pytest.raises(NonFiniteLossError, match="train_loss is"):
        training.step_epoch()


def test_a_split_gives_each_option_weights_of_its_own(digits: ImageData) -> None:
    config = replace(CALIBRATED, split_after=0.5, split_decision=1)
    training = begin(digits, config)
    training.step_epoch()
    assert training.split_decision is None
    shared = copied(training.state_dict())["model"]
    of_group(training, "2,3")
    training.step_epoch()
    assert training.split_decision == 1
    for option, path in enumerate(("1,1", "1,2", "3,3")):
        own = training.supernet.inherited(path)
        same = [torch.equal(value, shared[f"network.{name}"]) for name, value in own.items() if "weight" in name]
        assert all(same) == (option < 2)  # only the third option's weights were trained
    scores: list[PathScore] = score_paths(training)
    assert all(math.isfinite(score.loss) for score in scores)


def test_a_split_takes_the_decision_with_the_most_impact(digits: ImageData) -> None:
    training = begin(digits, SPLIT)
    training.step_epoch()
    training.statistics._sums[0][:] = 0.0
    training.step_epoch()
    assert training.split_decision == 1


def test_a_split_needs_a_decision(digits: ImageData) -> None:
    space = SPACES["mnist_blocks"]

    def make(*codes: str, decision: int | None = None) -> SupernetTraining:
        return SupernetTraining(
            lambda: make_supernet(space, input_shape=digits.input_shape, classes=10),
            RECIPE,
            digits,
            paths=Paths(space, codes),
            config=replace(SPLIT, split_decision=decision),
            seed=0,
        )

    with pytest.raises(ValueError, match=r"split_after is 0\.5, but no decision of mnist_blocks has two options"):
        make("1,1")
    with pytest.raises(ValueError, match=r"split_after is 0\.5, but decision 0 of mnist_blocks has two options"):
        make("1,1", "1,2", decision=0)
    assert make("1,1", "1,2").split_decision is None


def test_no_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="codes is empty"):
        Paths(SPACES["mnist_blocks"], ())


def test_paths_know_the_options_that_occur() -> None:
    paths = Paths(SPACES["mnist_blocks"], ("1,3", "2,3"))
    assert paths.allowed == ((0, 1), (2,))
    assert paths.options == (3, 3)
    assert paths.choices("3,1") == (2, 0)
    assert paths.code((0, 2)) == "1,3"
