"""The trials of a supernet without a cluster: handed what Tune would hand them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np
import pytest
import torch

from taurank.spaces import get_space
from taurank.trainables.data import Augmentation, ImageData, less_data
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, extract, make_supernet, score_paths
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Training
from taurank.trainables.trials.checkpointed import CheckpointedTrial
from taurank.trainables.trials.spec import TrialSpec
from taurank.trainables.trials.supernets import ContenderTrial, PathScoresTrial, SupernetTrial, share_weights
from tests.trainables.direct_trials import make_trial, results, spec_of

Rows = list[dict[str, Any]]
MakeTrial = Callable[..., CheckpointedTrial]

RECIPE = Recipe(epochs=3, learning_rate=0.05, augmentation=Augmentation(crop=1))
SPACE = get_space("mnist_blocks")
NINE = tuple(architecture.code for architecture in SPACE.enumerate())
CONFIG = SupernetConfig(
    sampler="epsilon-greedy", options={"random_rounds": 4}, calibration_images=64, split_after=0.6, split_decision=1
)


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return spec_of(tmp_path, trial="supernet", recipe=RECIPE, architectures=NINE, supernet=CONFIG)


@pytest.fixture
def supernet(digits: ImageData) -> SupernetTraining:
    training = SupernetTraining(
        lambda: make_supernet(SPACE, input_shape=digits.input_shape, classes=10),
        RECIPE,
        digits,
        paths=Paths(SPACE, NINE),
        config=CONFIG,
        seed=5,
    )
    while not training.finished:
        training.step_epoch()
    return training


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, digits: ImageData) -> MakeTrial:
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))

    def make(kind: type[CheckpointedTrial], spec: TrialSpec, weights: Any = None) -> CheckpointedTrial:
        made: CheckpointedTrial = make_trial(kind, spec, digits, stage="run supernet", weights=weights)
        return made

    return make


@pytest.fixture
def weights(make: MakeTrial, spec: TrialSpec) -> dict[str, Any]:
    """As the driver reads them from the file of a trained supernet, read-only as they come from an object store."""
    results(make(SupernetTrial, spec))
    shared = share_weights(torch.load(spec.checkpoint, weights_only=True)["state"])
    for array in shared["model"].values():
        array.flags.writeable = False
    return shared


def evidence(rows: Rows) -> list[tuple[Any, ...]]:
    return [item for row in rows for item in row["evidence"]]


def numbers(rows: Rows) -> list[tuple[Any, ...]]:
    """Evidence without seconds."""
    return [(*item[:4], item[5]) for item in evidence(rows)]


def test_rows_of_a_supernet(make: MakeTrial, spec: TrialSpec, supernet: SupernetTraining) -> None:
    rows = results(make(SupernetTrial, spec))
    assert [row["outcome"] for row in rows] == ["", "", "completed"]
    for epoch, row in enumerate(rows, start=1):
        assert math.isnan(row["validation_accuracy"])
        assert [item[:3] for item in row["evidence"]] == [("", epoch, "train_loss"), ("", epoch, "train_accuracy")]
        assert [item[5] for item in row["evidence"]] == [1.0, 0.0]
        assert row["evidence"][0][4] > 0 == row["evidence"][1][4]


def test_what_a_sampler_thinks_of_the_candidates_is_evidence(make: MakeTrial, spec: TrialSpec) -> None:
    rows = results(make(SupernetTrial, replace(spec, supernet=SupernetConfig(sampler="ucb"))))
    scores = [item for item in evidence(rows) if item[2] == "sampler_score"]
    assert [item[:2] for item in scores] == [(code, 3) for code in NINE]
    assert all(math.isfinite(item[3]) and item[4:] == (0.0, 0.0) for item in scores)


@pytest.mark.parametrize("done", [1, 2])
def test_a_supernet_goes_on_after_a_crash(done: int, make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    whole = results(make(SupernetTrial, replace(spec, checkpoint=str(tmp_path / "whole.pt"))))
    lost = results(make(SupernetTrial, spec), most=done)
    rows = results(make(SupernetTrial, spec))
    assert evidence(rows[:done]) == evidence(lost)  # reported again, not done again
    assert numbers(rows) == numbers(whole)


def test_chunks_on_any_worker_score_as_the_supernet_does(
    make: MakeTrial, spec: TrialSpec, supernet: SupernetTraining, weights: dict[str, Any], tmp_path: Path
) -> None:
    found = []
    for number, chunk in enumerate((NINE[:4], NINE[4:])):
        own = replace(
            spec,
            trial=f"chunk {number}",
            architectures=chunk,
            candidates=NINE,
            checkpoint=str(tmp_path / f"chunk-{number}.pt"),
        )
        rows = results(make(PathScoresTrial, own, weights))
        assert rows[-1]["outcome"] == "completed"
        found += evidence(rows)
    expected = []
    for score in score_paths(supernet):
        values = (score.accuracy, score.accuracy_sd, score.loss, float(score.updates), score.option_updates)
        names = ("validation_accuracy", "validation_accuracy_sd", "validation_loss", "updates", "option_updates")
        expected += [(score.path, 3, name, value) for name, value in zip(names, values, strict=True)]
    assert [item[:3] for item in found] == [item[:3] for item in expected]
    # alike up to rounding: where arrays lie in memory decides how sums are grouped
    assert [item[3] for item in found] == pytest.approx([item[3] for item in expected], rel=1e-5)
    # a forward pass over 200 + 64 images for each path, at a third
    costs = [item[5] for item in found if item[2] == "validation_accuracy"]
    assert costs == pytest.approx([(200 + 64) / (3 * 320)] * 9)
    assert all((item[4] > 0) == (item[5] > 0) == (item[2] == "validation_accuracy") for item in found)


def test_a_chunk_goes_on_between_two_results(
    make: MakeTrial, spec: TrialSpec, weights: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("taurank.trainables.trials.supernets.RESULT_SECONDS", 0.0)
    own = replace(spec, trial="chunk", candidates=NINE, checkpoint=str(tmp_path / "chunk.pt"))
    lost = results(make(PathScoresTrial, own, weights), most=5)
    rows = results(make(PathScoresTrial, own, weights))
    assert len(rows) == 9
    assert evidence(rows[:5]) == evidence(lost)
    assert [item[0] for item in evidence(rows) if item[2] == "updates"] == list(NINE)


def test_a_contender_starts_from_its_weights_in_the_supernet(
    make: MakeTrial, spec: TrialSpec, supernet: SupernetTraining, weights: dict[str, Any], digits: ImageData,
    tmp_path: Path,
) -> None:  # fmt: skip
    recipe = RECIPE.of_length(2)
    own = replace(
        spec,
        trial="2,3",
        recipe=recipe,
        architectures=("2,3",),
        candidates=NINE,
        epoch_share=0.25,
        checkpoint=str(tmp_path / "contender.pt"),
    )
    rows = results(make(ContenderTrial, own, weights))
    assert rows[-1]["outcome"] == "completed"
    alone = Training(
        lambda: extract(
            supernet.supernet, "2,3", SPACE.build(SPACE.parse("2,3"), input_shape=digits.input_shape, classes=10)
        ),
        recipe,
        less_data(digits, share=0.25, seed=5),
        seed=5,
        epoch_share=0.25,
    )
    expected = [alone.step_epoch()["validation_accuracy"] for _ in range(2)]
    assert [row["validation_accuracy"] for row in rows] == expected
    assert sum(item[5] for item in evidence(rows)) == pytest.approx(2 * 0.25)


def test_trials_of_a_supernet_need_its_settings(make: MakeTrial, spec: TrialSpec) -> None:
    (row,) = results(make(SupernetTrial, replace(spec, supernet=None)))
    assert row["reason"] == (
        "could not be set up: ValueError: supernet of trial 'supernet' is None; trials of supernets need its settings"
    )


def test_scores_that_fail_say_so(
    make: MakeTrial, spec: TrialSpec, weights: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = replace(spec, trial="chunk", candidates=NINE, checkpoint=str(tmp_path / "chunk.pt"))
    trial = make(PathScoresTrial, own, weights)

    def fail(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("taurank.trainables.supernet.training.recalibrate", fail)
    (row,) = results(trial)
    assert row["outcome"] == "failed"
    assert row["reason"] == "out of memory: OutOfMemoryError: CUDA out of memory."
    ((architecture, epoch, metric, value, _, epochs),) = row["evidence"]
    assert (architecture, epoch, metric, epochs) == ("", 3, "validation_loss", 0.0)
    assert math.isnan(value)


def test_shared_weights_are_plain_arrays(weights: dict[str, Any]) -> None:
    assert weights["split"] == 1
    assert all(isinstance(array, np.ndarray) for array in weights["model"].values())
    assert "optimizer" not in weights
