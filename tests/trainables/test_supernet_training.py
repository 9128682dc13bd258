from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import trainables.training
from spaces import SearchSpace, get_space
from trainables.data import Augmentation, ImageData, ImageSet, iterate_batches
from trainables.recipe import Recipe
from trainables.supernet import (
    PathScore,
    SupernetConfig,
    SupernetTraining,
    extract,
    make_sampler,
    make_supernet,
)
from trainables.training import NonFiniteLossError, Row, Training

RECIPE = Recipe(epochs=2, batch_size=32, learning_rate=0.05, augmentation=Augmentation(crop=1))
STEPS = 10  # in an epoch
CALIBRATED = SupernetConfig(calibration_images=64)
GREEDY = replace(CALIBRATED, sampler="epsilon-greedy", epsilon=0.3, random_rounds=5)
SPACES = {
    "mnist_blocks": get_space("mnist_blocks"),
    "nasbench201": get_space("nasbench201", width=4, cells_per_stage=1),
}


def paths_of(space: SearchSpace) -> list[str]:
    if space.name == "mnist_blocks":
        return [architecture.code for architecture in space.enumerate()]
    return [architecture.code for architecture in space.sample(7, np.random.default_rng(0))]


def begin(
    data: ImageData, config: SupernetConfig = CALIBRATED, *, space: str = "mnist_blocks", seed: int = 0
) -> SupernetTraining:
    chosen = SPACES[space]
    paths = paths_of(chosen)
    return SupernetTraining(
        lambda: make_supernet(chosen, input_shape=data.input_shape, classes=len(data.classes)),
        RECIPE,
        data,
        paths=paths,
        sampler=make_sampler(config, paths=len(paths)),
        config=config,
        seed=seed,
    )


def trained(data: ImageData, config: SupernetConfig = CALIBRATED, **options: Any) -> SupernetTraining:
    training = begin(data, config, **options)
    run(training)
    return training


def run(training: SupernetTraining) -> list[Row]:
    rows = []
    while not training.trained:
        row = training.step_epoch()
        rows.append({name: value for name, value in row.items() if name != "seconds"})
    return rows


def score_all(training: SupernetTraining, size: int = 4) -> list[PathScore]:
    scores: list[PathScore] = []
    while not training.finished:
        scores += training.score_chunk(size)
    return scores


def copied(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("config", [CALIBRATED, GREEDY], ids=["uniform", "epsilon-greedy"])
@pytest.mark.parametrize("space", sorted(SPACES))
def test_a_restored_supernet_has_the_same_scores_bit_for_bit(
    space: str, config: SupernetConfig, digits: ImageData
) -> None:
    whole = begin(digits, config, space=space)
    rows, scores = run(whole), score_all(whole)
    assert [score.path for score in scores] == whole.paths
    assert whole.finished

    half = begin(digits, config, space=space)
    half.step_epoch()
    after_epoch = begin(digits, config, space=space)
    after_epoch.load_state_dict(copied(half.state_dict()))
    assert run(after_epoch) == rows[1:]
    first = after_epoch.score_chunk(3)
    assert not after_epoch.finished

    amid_scoring = begin(digits, config, space=space)
    amid_scoring.load_state_dict(copied(after_epoch.state_dict()))
    assert first + score_all(amid_scoring) == scores
    assert amid_scoring.updates == whole.updates
    for (name, left), right in zip(amid_scoring.model.named_parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(left, right), name


def test_the_seed_decides_every_number(digits: ImageData) -> None:
    first, again, other = (trained(digits, seed=seed) for seed in (1, 1, 2))
    assert first.updates == again.updates != other.updates
    scores = [score_all(training) for training in (first, again, other)]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("config", [CALIBRATED, GREEDY], ids=["uniform", "epsilon-greedy"])
def test_updates_add_up_to_the_steps(config: SupernetConfig, digits: ImageData) -> None:
    training = begin(digits, config)
    training.step_epoch()
    assert sum(training.updates) == STEPS
    training.step_epoch()
    assert sum(training.updates) == 2 * STEPS
    assert [score.updates for score in score_all(training)] == training.updates


def test_the_sampler_hears_what_was_right_before_each_step(digits: ImageData) -> None:
    training = begin(digits, GREEDY)
    heard: list[tuple[int, int, int]] = []
    expected: list[tuple[int, int, int]] = []
    sampler_feedback = training.sampler.feedback

    def feedback(path: int, correct: int, images: int) -> None:
        heard.append((path, correct, images))
        sampler_feedback(path, correct, images)

    def look(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        path = training.paths.index(",".join(str(depth) for depth in module._depths))  # type: ignore[union-attr]
        expected.append((path, int((output.argmax(1) == labels.pop(0)).sum()), len(output)))

    labels: list[Tensor] = []
    train_batch = training.train_batch

    def recorded(images: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        labels.append(right)
        return train_batch(images, right)

    training.sampler.feedback = feedback  # type: ignore[method-assign]
    training.train_batch = recorded  # type: ignore[method-assign]
    training.model.register_forward_hook(look)
    row = training.step_epoch()
    assert heard == expected
    assert len(heard) == STEPS
    assert row["train_accuracy"] == sum(correct for _, correct, _ in heard) / 320
    assert training.updates == np.bincount([path for path, _, _ in heard], minlength=9).tolist()


def test_a_path_scores_as_the_extracted_architecture_does(digits: ImageData) -> None:
    training = trained(digits)
    space = SPACES["mnist_blocks"]
    for index, path in enumerate(training.paths):
        score = training.score(index)

        def build(path: str = path) -> nn.Module:
            network = space.build(space.parse(path), input_shape=digits.input_shape, classes=10)
            return extract(training.supernet, path, network)

        alone = Training(build, RECIPE, digits, seed=0)
        loss, accuracy = alone.evaluate(digits.validation)
        assert score.accuracy == accuracy
        assert score.loss == pytest.approx(loss, rel=1e-5)


def test_the_order_of_scoring_does_not_matter(digits: ImageData) -> None:
    training = trained(digits)
    scores = score_all(training)
    again = [training.score(index) for index in reversed(range(9))]
    assert again == scores[::-1]


def test_without_recalibration_the_statistics_are_those_of_the_training(digits: ImageData) -> None:
    training = trained(digits, SupernetConfig(recalibrate=False))
    before = copied(training.state_dict())["model"]
    shared = score_all(training)
    assert all(torch.equal(value, before[name]) for name, value in training.model.state_dict().items())
    own = score_all(trained(digits))
    assert [score.updates for score in own] == [score.updates for score in shared]
    assert all(left.loss != right.loss for left, right in zip(own, shared, strict=True))


def test_recalibration_moves_statistics_and_nothing_else(digits: ImageData) -> None:
    training = trained(digits)
    before = copied(training.state_dict())["model"]
    training.score(0)
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

    monkeypatch.setattr(trainables.training, "iterate_batches", recorded)
    rows = run(training)
    assert all(images is digits.train for images in seen)  # an epoch validates nothing
    assert all(set(row) == {"epoch", "train_loss", "train_accuracy"} for row in rows)
    seen.clear()
    training.score_chunk(3)
    assert seen[1::2] == [digits.validation] * 3
    assert seen[0] is seen[2] is seen[4]  # every path is calibrated on the same images
    pixels = seen[0].images.reshape(64, -1)
    pool = {image.tobytes() for image in digits.train.images.reshape(320, -1)}
    assert all(image.tobytes() in pool for image in pixels)
    assert len(np.unique(seen[0].labels)) == 10  # spread over the training images, not their beginning
    assert not np.array_equal(seen[0].labels, digits.train.labels[:64])


def test_calibration_takes_no_more_images_than_there_are(digits: ImageData) -> None:
    training = trained(digits, SupernetConfig(calibration_images=100_000))
    assert math.isfinite(training.score(0).loss)
    assert training.cost_per_score == pytest.approx((200 + 320) / 3 / 320)


def test_the_cost_of_scores_counts_a_forward_pass_a_third(digits: ImageData) -> None:
    training = trained(digits)
    assert training.spent == 1.0
    assert training.cost_per_score == pytest.approx((200 + 64) / 3 / 320)
    training.score_chunk(4)
    assert training.spent == pytest.approx(4 * training.cost_per_score)
    assert begin(digits, SupernetConfig(recalibrate=False)).cost_per_score == pytest.approx(200 / 3 / 320)


def test_a_path_that_answers_nan_has_no_accuracy(digits: ImageData) -> None:
    training = trained(digits)
    with torch.no_grad():
        training.model.network.stage1[2][0].weight.fill_(math.nan)  # type: ignore[union-attr,index]
    scores = score_all(training)
    for score in scores:
        assert math.isnan(score.accuracy) == math.isnan(score.loss) == score.path.startswith("3,")


def test_divergence_is_an_error_of_its_own(digits: ImageData) -> None:
    training = begin(digits)
    training.recipe = replace(RECIPE, learning_rate=1e30)
    with pytest.raises(NonFiniteLossError, match="train_loss is"):
        training.step_epoch()


def test_scoring_has_its_time(digits: ImageData) -> None:
    training = begin(digits)
    with pytest.raises(RuntimeError, match="epoch 0 of 2, 0 of 9 paths scored"):
        training.score_chunk()
    run(training)
    assert len(training.score_chunk(100)) == 9
    assert training.finished
    with pytest.raises(RuntimeError, match="epoch 2 of 2, 9 of 9 paths scored"):
        training.score_chunk()


def test_no_paths_are_refused(digits: ImageData) -> None:
    with pytest.raises(ValueError, match="paths is empty"):
        SupernetTraining(
            nn.Identity, RECIPE, digits, paths=[], sampler=make_sampler(CALIBRATED, paths=0), config=CALIBRATED, seed=0
        )
