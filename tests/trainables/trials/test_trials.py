"""The trials without a cluster: Ray Tune's class is made here directly, and handed what Tune would hand it."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import warnings
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import cv2
import pytest
import torch
from torch import Tensor, nn

from taurank.spaces import ModelOptions, SpaceError, get_space
from taurank.trainables.data import Augmentation, ImageData
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.training import Training
from taurank.trainables.trials.architecture import ArchitectureTrial
from taurank.trainables.trials.checkpointed import POINTER
from taurank.trainables.trials.spec import TrialSpec
from tests.trainables.direct_trials import spec_of

Rows = list[dict[str, Any]]
MakeTrial = Callable[..., ArchitectureTrial]

RECIPE = Recipe(epochs=3, learning_rate=0.05, augmentation=Augmentation(crop=1))


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return spec_of(tmp_path, recipe=RECIPE)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, digits: ImageData) -> MakeTrial:
    """Makes the trial of the first spec; the others are those that its worker may be given later."""
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))

    def make(*specs: TrialSpec, config: dict[str, Any] | None = None) -> ArchitectureTrial:
        class Direct(ArchitectureTrial):
            def setup(self, config: dict[str, Any]) -> None:
                super().setup(config, specs={spec.trial: spec for spec in specs}, data=digits, stage="run training-3")

        made: ArchitectureTrial = Direct({"trial": specs[0].trial} | (config or {}))
        return made

    return make


OURS = ("trial", "epoch", "validation_accuracy", "train_loss", "evidence", "outcome", "reason", "done")


def results(trial: ArchitectureTrial, most: int = 100) -> Rows:
    """What the trial reports until it is done, without what Tune adds."""
    rows: Rows = []
    while len(rows) < most and not (rows and rows[-1]["done"]):
        result = trial.train()
        rows.append({name: result[name] for name in OURS if name in result})
    return rows


def without_seconds(rows: Rows) -> str:
    """For comparison: as text, in which NaN equals NaN."""
    return str([row | {"evidence": [(*item[:4], item[5]) for item in row["evidence"]]} for row in rows])


def evidence(rows: Rows) -> list[tuple[Any, ...]]:
    return [item for row in rows for item in row["evidence"]]


# --- one architecture


def test_a_network_is_built_with_the_options_of_the_recipe(make: MakeTrial, tmp_path: Path) -> None:
    recipe = replace(RECIPE, drop_path=0.5, dropout=0.25)
    spec = spec_of(tmp_path, architectures=("torchvision:mobilenet_v3_small",), space="zoo", recipe=recipe)
    trial = make(spec)
    trial._set_up()
    training = trial._work
    assert isinstance(training, Training)
    assert [module.p for module in training.model.modules() if isinstance(module, nn.Dropout)] == [0.25]


def test_rows_of_a_training(make: MakeTrial, spec: TrialSpec, digits: ImageData) -> None:
    rows = results(make(spec))
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["done"] for row in rows] == [False, False, True]
    assert [row["outcome"] for row in rows] == ["", "", "completed"]
    assert all(row["trial"] == spec.trial and row["reason"] == "" for row in rows)
    each = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]
    for row, names in zip(rows, [each, each, [*each, "test_loss", "test_accuracy"]], strict=True):
        assert [item[2] for item in row["evidence"]] == names
        assert all(item[:2] == ("2,1", row["epoch"]) for item in row["evidence"])
        for shown in ("validation_accuracy", "train_loss"):
            assert ("2,1", row["epoch"], shown, row[shown]) in [item[:4] for item in row["evidence"]]

    def build() -> nn.Module:
        space = get_space("mnist_blocks")
        return space.build(space.parse("2,1"), input_shape=digits.input_shape, classes=10)

    training = Training(build, RECIPE, digits, seed=5)
    assert [row["validation_accuracy"] for row in rows] == [
        training.step_epoch()["validation_accuracy"] for _ in range(3)
    ]


def test_an_epoch_is_booked_once(make: MakeTrial, spec: TrialSpec) -> None:
    for row in results(make(spec)):
        booked = [item for item in row["evidence"] if item[4] or item[5]]
        assert [(item[2], item[5]) for item in booked] == [("validation_accuracy", 1.0)]
        assert booked[0][4] > 0


def test_waiting_is_not_booked_but_setting_up_is(
    make: MakeTrial, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("taurank.trainables.trials.checkpointed.time.perf_counter", lambda: now)
    build, step_epoch = Training.__init__, Training.step_epoch

    def slow_build(self: Training, *arguments: Any, **options: Any) -> None:
        nonlocal now
        now += 2
        build(self, *arguments, **options)

    def slow_epoch(self: Training) -> Any:
        nonlocal now
        now += 30
        return step_epoch(self)

    monkeypatch.setattr(Training, "__init__", slow_build)
    monkeypatch.setattr(Training, "step_epoch", slow_epoch)
    trial = make(spec)
    rows: Rows = []
    for _ in range(3):
        now += 1000  # Tune is busy with others
        rows.append(trial.train())
    assert [sum(item[4] for item in row["evidence"]) for row in rows] == [32, 30, 30]


def test_two_workers_report_the_same(make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    other = replace(spec, checkpoint=str(tmp_path / "other.pt"))
    assert without_seconds(results(make(spec))) == without_seconds(results(make(other)))
    seeded = replace(spec, seed=6, checkpoint=str(tmp_path / "seeded.pt"))
    assert results(make(spec))[0]["validation_accuracy"] != results(make(seeded))[0]["validation_accuracy"]


# --- crashes and pauses


@pytest.mark.parametrize("done", [1, 2, 3])
def test_after_a_crash_rows_are_reported_again_and_the_rest_is_the_same(
    done: int, make: MakeTrial, spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = results(make(replace(spec, checkpoint=str(tmp_path / "whole.pt"))))
    lost = results(make(spec), most=done)
    epochs: list[int] = []
    step_epoch = Training.step_epoch

    def counted(self: Training) -> Any:
        epochs.append(self.epoch + 1)
        return step_epoch(self)

    monkeypatch.setattr(Training, "step_epoch", counted)
    rows = results(make(spec))
    assert rows[:done] == lost  # seconds too: the cost is that of the first time
    assert without_seconds(rows) == without_seconds(whole)
    assert epochs == list(range(done + 1, 4))


def test_what_another_run_has_trained_is_not_trained_again(
    make: MakeTrial, spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = str(tmp_path / "kept.json")
    first = make(replace(spec, kept=kept))
    first._stage = "another training-3"
    trained = results(first)

    def never(self: Training) -> Any:
        raise AssertionError("trained again")

    monkeypatch.setattr(Training, "step_epoch", never)
    other = replace(spec, kept=kept, trial="baseline/2,1/seed 5", checkpoint=str(tmp_path / "other.pt"))
    trial = make(other)
    taken = trial.train()
    assert taken["taken_from"] == "another training-3"
    rows = results(make(other))
    assert str(rows) == str([row | {"trial": other.trial} for row in trained])  # seconds too
    short = results(make(replace(other, until=2)))
    assert [(row["epoch"], row["outcome"]) for row in short] == [(1, ""), (2, "completed")]
    again = results(make(replace(other, last_epoch=1)))
    assert [(row["epoch"], row["outcome"], row["done"]) for row in again[:1]] == [(1, "", False)]


def damage_cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def damage_emptied(file: Path) -> None:
    file.write_bytes(b"")


def damage_text(file: Path) -> None:
    file.write_text("not a checkpoint")


def damage_other_content(file: Path) -> None:
    torch.save([1, 2, 3], file)


def damage_unsafe(file: Path) -> None:
    file.write_bytes(pickle.dumps({"fingerprint": Path("/"), "rows": [], "state": {}}, protocol=2))


@pytest.mark.parametrize("damage", [damage_cut, damage_emptied, damage_text, damage_other_content, damage_unsafe])
def test_a_damaged_checkpoint_means_starting_over(
    damage: Callable[[Path], None], make: MakeTrial, spec: TrialSpec
) -> None:
    whole = results(make(spec))
    damage(Path(spec.checkpoint))
    assert without_seconds(results(make(spec))) == without_seconds(whole)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 6},
        {"architectures": ("1,1",)},
        {"recipe": replace(RECIPE, learning_rate=0.01)},
        {"space_options": {"reference": False}},
    ],
)
def test_the_checkpoint_of_another_trial_means_starting_over(
    change: dict[str, Any], make: MakeTrial, spec: TrialSpec, tmp_path: Path
) -> None:
    results(make(spec), most=2)
    other = replace(spec, **change)
    fresh = results(make(replace(other, checkpoint=str(tmp_path / "fresh.pt"))))
    assert without_seconds(results(make(other))) == without_seconds(fresh)


def test_where_the_file_lies_and_how_much_is_replayed_make_no_other_trial(spec: TrialSpec) -> None:
    assert replace(spec, checkpoint="elsewhere.pt", last_epoch=2, label="x").fingerprint == spec.fingerprint
    assert replace(spec, recipe=RECIPE.of_length(2)).fingerprint != spec.fingerprint


def test_only_the_checkpoint_is_left_on_disk(make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    results(make(spec), most=2)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["trial.pt"]


def test_a_trial_goes_on_where_its_state_cannot_be_written(
    make: MakeTrial, spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = results(make(replace(spec, checkpoint=str(tmp_path / "whole.pt"))))
    trial = make(spec)

    def full(content: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("taurank.trainables.trials.checkpoint_file.torch.save", full)
        first = trial.train()
    assert first["unsaved"] == f"{tmp_path}: No space left on device"
    assert not (tmp_path / "trial.pt").exists()
    assert not list(tmp_path.glob("*.partial"))
    second = trial.train()
    assert second["unsaved"] == ""
    assert without_seconds([{name: row[name] for name in OURS if name in row} for row in (first, second)]) == (
        without_seconds(whole[:2])
    )
    # Another worker goes on from the second epoch, whose state there was room for.
    assert without_seconds(results(make(spec))) == without_seconds(whole)


def test_a_complete_training_keeps_its_rows_and_no_state(make: MakeTrial, spec: TrialSpec) -> None:
    whole = results(make(spec))
    content = torch.load(spec.checkpoint, weights_only=True)
    assert content["state"] is None
    assert len(content["rows"]) == 3
    assert results(make(spec)) == whole


@pytest.mark.parametrize("reported", [1, 2])
def test_a_paused_trial_goes_on_where_it_was(reported: int, make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    whole = results(make(replace(spec, checkpoint=str(tmp_path / "whole.pt"))))
    paused = make(spec)
    results(paused, most=reported)
    folder = str(tmp_path / "pause")
    paused.save(folder)
    assert json.loads(Path(folder, POINTER).read_text()) == reported
    resumed = make(spec)
    resumed.restore(folder)
    assert without_seconds(results(resumed)) == without_seconds(whole[reported:])


def test_a_pause_is_no_harm_when_the_checkpoint_is_gone(make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    paused = make(spec)
    whole = results(paused, most=2)
    paused.save(str(tmp_path / "pause"))
    Path(spec.checkpoint).unlink()
    resumed = make(spec)
    resumed.restore(str(tmp_path / "pause"))
    rows = results(resumed)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert without_seconds(rows[:2]) == without_seconds(whole)


def test_a_trial_restored_at_its_end_reports_its_end(make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    finished = make(spec)
    last = results(finished)[-1]
    finished.save(str(tmp_path / "pause"))
    resumed = make(spec)
    resumed.restore(str(tmp_path / "pause"))
    assert results(resumed) == [last]


# --- replay


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its start on, nothing is built or trained."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("something was trained")

    monkeypatch.setattr(Training, "__init__", refuse)


def test_a_replay_of_a_stopped_trial_ends_without_an_outcome(
    make: MakeTrial, spec: TrialSpec, request: pytest.FixtureRequest
) -> None:
    lost = results(make(spec), most=2)
    request.getfixturevalue("no_training")
    rows = results(make(replace(spec, last_epoch=2)))
    assert rows[:2] == lost
    assert rows[2] == {"trial": spec.trial, "epoch": 2, "evidence": [], "done": True}
    assert results(make(replace(spec, last_epoch=1)))[:1] == lost[:1]


def test_a_replay_of_a_completed_trial_is_complete(
    make: MakeTrial, spec: TrialSpec, request: pytest.FixtureRequest
) -> None:
    whole = results(make(spec))
    request.getfixturevalue("no_training")
    assert results(make(replace(spec, last_epoch=3))) == whole


def test_a_replay_of_nothing_ends_at_once(make: MakeTrial, spec: TrialSpec, no_training: None) -> None:
    assert results(make(replace(spec, last_epoch=2))) == [
        {"trial": spec.trial, "epoch": 2, "evidence": [], "done": True}
    ]


# --- failures


class FaultyNetwork(nn.Module):
    """Has room for one weight; from the step `healthy` on it does what `fault` does."""

    def __init__(self, fault: Callable[[Tensor], Tensor], healthy: int = 0) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.fault, self.left = fault, healthy

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(images.flatten(1))
        self.left -= self.training
        return self.fault(logits) if self.left < 0 else logits


class FaultySpace:
    """Builds networks that fail; `broken` is what building itself raises."""

    def __init__(
        self, fault: Callable[[Tensor], Tensor] | None = None, *, healthy: int = 0, broken: Exception | None = None
    ) -> None:
        self.fault, self.healthy, self.broken = fault, healthy, broken

    def parse(self, text: str) -> str:
        return text

    def build_with(self, architecture: str, options: ModelOptions, **task: Any) -> nn.Module:
        if self.broken is not None:
            raise self.broken
        assert self.fault is not None
        return FaultyNetwork(self.fault, self.healthy)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, spec: TrialSpec, tmp_path: Path) -> Callable[[FaultySpace], TrialSpec]:
    """The spec of a trial in a space that fails."""

    def faulty(space: FaultySpace) -> TrialSpec:
        monkeypatch.setattr(
            "taurank.trainables.trials.architecture.get_space",
            lambda name, **options: space if name == "faulty" else get_space(name, **options),
        )
        return replace(spec, trial="faulty", space="faulty", checkpoint=str(tmp_path / "faulty.pt"))

    return faulty


def out_of_gpu_memory(logits: Tensor) -> Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total of 4.00 GiB")


def out_of_cpu_memory(logits: Tensor) -> Tensor:
    return logits + torch.empty(10**15)


def stumble(logits: Tensor) -> Tensor:
    raise RuntimeError("mat1 and mat2\n  shapes cannot be multiplied")


def diverge(logits: Tensor) -> Tensor:
    return logits * math.nan


def assert_worker_goes_on(trial: ArchitectureTrial, spec: TrialSpec) -> None:
    """The worker trains a healthy trial as if nothing had been."""
    assert trial.reset({"trial": spec.trial})
    rows = results(trial)
    assert [row["outcome"] for row in rows] == ["", "", "completed"]
    assert all(math.isfinite(item[3]) for item in evidence(rows))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            out_of_gpu_memory,
            "out of memory: OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. "
            "GPU 0 has a total of 4.00 GiB",
        ),
        (out_of_cpu_memory, "out of memory: RuntimeError: .* can't allocate memory: you tried to allocate .*"),
        (stumble, "could not be trained: RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        (diverge, "non-finite loss: train_loss is nan in epoch 1"),
    ],
)
def test_a_training_that_fails_has_an_outcome(
    fault: Callable[[Tensor], Tensor],
    reason: str,
    make: MakeTrial,
    spec: TrialSpec,
    faulty: Callable[[FaultySpace], TrialSpec],
) -> None:
    trial = make(faulty(FaultySpace(fault)), spec)
    (row,) = results(trial)
    assert (row["outcome"], row["done"], row["epoch"]) == ("failed", True, 1)
    assert re.fullmatch(reason, row["reason"])
    assert math.isnan(row["validation_accuracy"])
    ((architecture, epoch, metric, value, seconds, epochs),) = row["evidence"]
    assert (architecture, epoch, metric) == ("2,1", 1, "validation_accuracy")
    assert math.isnan(value)
    assert seconds > 0
    assert epochs == (1.0 if fault is diverge else 0.0)  # a diverged epoch is paid for, an early error is not
    assert str(results(trial)) == str([row])  # asked again, it says so again
    assert_worker_goes_on(trial, spec)


def test_a_failure_in_the_middle_of_an_epoch_costs_what_was_trained(
    make: MakeTrial, spec: TrialSpec, faulty: Callable[[FaultySpace], TrialSpec]
) -> None:
    failing = faulty(FaultySpace(stumble, healthy=7))  # 5 steps make an epoch
    trial = make(failing, spec)
    first, last = results(trial)
    assert (first["outcome"], first["epoch"]) == ("", 1)
    assert (last["outcome"], last["epoch"]) == ("failed", 2)
    assert last["evidence"][0][5] == pytest.approx(2 / 5)
    assert_worker_goes_on(trial, spec)


def test_what_was_trained_before_a_failure_is_reported_again_after_a_crash(
    make: MakeTrial, faulty: Callable[[FaultySpace], TrialSpec]
) -> None:
    failing = faulty(FaultySpace(stumble, healthy=5))
    before = results(make(failing))
    assert [row["outcome"] for row in before] == ["", "failed"]
    with_memory_gone = faulty(FaultySpace(broken=MemoryError("no room")))
    again = results(make(with_memory_gone))
    assert again[:1] == before[:1]
    assert (again[1]["outcome"], again[1]["epoch"]) == ("failed", 2)
    assert again[1]["reason"] == "out of memory: MemoryError: no room"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (SpaceError("code: edge 0->1 is missing"), "could not be set up: SpaceError: code: edge 0->1 is missing"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory: OutOfMemoryError: CUDA out of memory."),
        (ValueError("x" * 10_000), "could not be set up: ValueError: x+"),
    ],
)
def test_an_architecture_that_cannot_be_built_has_an_outcome(
    broken: Exception, reason: str, make: MakeTrial, spec: TrialSpec, faulty: Callable[[FaultySpace], TrialSpec]
) -> None:
    trial = make(faulty(FaultySpace(broken=broken)), spec)
    (row,) = results(trial)
    assert (row["outcome"], row["done"], row["epoch"]) == ("failed", True, 1)
    assert re.fullmatch(reason, row["reason"])
    assert len(row["reason"]) < 600
    assert row["evidence"][0][5] == 0.0  # nothing was trained
    assert_worker_goes_on(trial, spec)


def test_a_healthy_worker_may_meet_a_broken_trial_and_go_on(
    make: MakeTrial, spec: TrialSpec, faulty: Callable[[FaultySpace], TrialSpec], tmp_path: Path
) -> None:
    failing = faulty(FaultySpace(broken=SpaceError("code: no such thing")))
    third = replace(spec, trial="third", checkpoint=str(tmp_path / "third.pt"))
    trial = make(spec, failing, third)
    results(trial)
    assert trial.reset({"trial": failing.trial})
    assert [row["outcome"] for row in results(trial)] == ["failed"]
    assert_worker_goes_on(trial, third)


def test_an_unknown_space_or_code_has_an_outcome(make: MakeTrial, spec: TrialSpec) -> None:
    (row,) = results(make(replace(spec, architectures=("9,9",))))
    assert row["reason"].startswith("could not be set up: SpaceError: code: a1 of '9,9' is '9'")
    (row,) = results(make(replace(spec, space="nosuch")))
    assert row["reason"].startswith("could not be set up: ")


def test_a_worker_that_has_lost_its_gpu_dies(
    make: MakeTrial, faulty: Callable[[FaultySpace], TrialSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make(faulty(FaultySpace(stumble)))
    monkeypatch.setattr("taurank.trainables.trials.checkpointed.gpu_is_lost", lambda: True)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):  # Tune starts another worker for the trial
        trial.train()


def test_the_memory_of_a_failed_step_is_free_before_the_next_trial(
    make: MakeTrial, faulty: Callable[[FaultySpace], TrialSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[weakref.ref[Tensor]] = []

    def keep(logits: Tensor) -> Tensor:
        kept.append(weakref.ref(logits))
        return stumble(logits)

    trial = make(faulty(FaultySpace(keep)))
    alive: list[bool] = []
    release = trial._release

    def watched() -> None:
        release()
        alive.append(kept[0]() is not None)

    monkeypatch.setattr(trial, "_release", watched)
    assert [row["outcome"] for row in results(trial)] == ["failed"]
    assert alive == [False]
    assert trial._work is None


def test_images_that_are_gone_are_no_outcome_of_a_candidate(
    make: MakeTrial, faulty: Callable[[FaultySpace], TrialSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "taurank.trainables.trials.checkpointed.describe_lost_images",
        lambda file: "images.npy: No such file or directory",
    )
    trial = make(faulty(FaultySpace(stumble)))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):  # Tune tries again, and the driver looks at the file
        trial.train()


# --- workers


def test_a_worker_trains_one_trial_after_the_other(make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    other = replace(spec, trial="other", architectures=("1,2",), checkpoint=str(tmp_path / "other.pt"))
    fresh = results(make(replace(other, checkpoint=str(tmp_path / "fresh.pt"))))
    trial = make(spec, other)
    results(trial, most=2)
    assert trial.reset({"trial": "other"})
    assert without_seconds(results(trial)) == without_seconds(fresh)
    assert trial.reset({"trial": spec.trial})
    assert [row["epoch"] for row in results(trial)] == [1, 2, 3]  # two from file


def test_the_repr_tells_the_stage_and_stays(make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    other = replace(spec, trial="other", label="1,2", checkpoint=str(tmp_path / "other.pt"))
    trial = make(spec, other)
    assert repr(trial) == "run training-3 worker: see its tasks"
    trial.reset({"trial": "other"})
    assert repr(trial) == "run training-3 worker: see its tasks"


def test_the_end_lets_go_of_the_training(make: MakeTrial, spec: TrialSpec) -> None:
    trial = make(spec)
    trial.train()
    assert trial._work is not None
    trial.stop()
    assert trial._work is None


@pytest.mark.parametrize(("cores", "threads"), [(3.0, 3), (0.5, 1), (2.9, 2)])
def test_a_trial_takes_as_many_threads_as_it_has_cores(
    cores: float, threads: int, make: MakeTrial, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(cv2, "setNumThreads", asked.append)
    make(spec, config={"__trial_info__": share({"CPU": cores})}).train()
    assert asked == [threads, threads]
    asked.clear()
    make(spec).train()
    assert asked == []


def share(resources: dict[str, float]) -> Any:
    """What Tune tells a trial about itself."""
    return SimpleNamespace(trial_resources=SimpleNamespace(required_resources=resources), trial_id="0", trial_name="0")


def test_a_trial_without_a_share_of_a_gpu_keeps_off_it(
    make: MakeTrial, spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = make(spec, config={"__trial_info__": share({"CPU": 1.0})})
    with_share = make(spec, config={"__trial_info__": share({"CPU": 1.0, "GPU": 0.5})})
    outside = make(spec)
    assert {trial._device for trial in (without, with_share, outside)} == {"cpu"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [trial._device for trial in (without, with_share, outside)] == ["cpu", "cuda", "cuda"]


def test_no_warnings_from_shared_images(make: MakeTrial, spec: TrialSpec, digits: ImageData) -> None:
    assert not digits.train.images.flags.writeable
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trial = make(spec)
        results(trial)
    assert trial._data is digits


def test_best_weights_of_a_network_load_into_it(make: MakeTrial, spec: TrialSpec, tmp_path: Path) -> None:
    file = tmp_path / "weights" / "best.pt"
    rows = results(make(replace(spec, best=str(file))))
    content = torch.load(file, weights_only=True)
    values = [row["validation_accuracy"] for row in rows]
    assert content["epoch"] == 1 + values.index(max(values))
    assert content["validation_accuracy"] == max(values)
    space = get_space("mnist_blocks")
    space.build(space.parse("2,1"), input_shape=(1, 8, 8), classes=10).load_state_dict(content["weights"])
