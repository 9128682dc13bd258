"""Files that are gone, damaged or half written: what needs them starts over, and nobody takes them for whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import ray
import torch

import taurank.orchestrator.runs.creation
import taurank.orchestrator.stages.supernet_runs
from taurank.orchestrator.experiment.experiment import Experiment
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.run import EXPERIMENT_FILE, Run, RunError
from taurank.orchestrator.stages.stage import Stage
from taurank.orchestrator.stages.supernet_runs import SupernetRun
from taurank.orchestrator.text.whole_files import replaced
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.training.failure import describe_lost_images
from taurank.trainables.trials.checkpoint_file import Saved, write_checkpoint

SUPERNET = """
name: files
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 4
data: {name: digits, validation: 200, test: 200, train: 300}
recipe: {epochs: 10, batch_size: 64, learning_rate: 0.1}
budget: 1x
trainings: []
supernets: [{epochs: 3}]
baseline: null
"""
STATE = {"epoch": 3, "split": False, "updates": {}, "statistics": {}, "model": {"weight": torch.ones(2)}}


class Killed(BaseException):
    """No error that anybody handles."""


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return make_splits(load_dataset("digits"), seed=0, validation=200, test=200, train=300)


@pytest.fixture
def files() -> Experiment:
    return parse_experiment(SUPERNET, where="files.yaml")


# --- half written


def test_a_file_is_replaced_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    file = tmp_path / "ranking.csv"
    file.write_text("old")

    def die() -> None:
        with replaced(file) as partial:
            partial.write_text("half of the n")
            raise Killed

    with pytest.raises(Killed):
        die()
    assert file.read_text() == "old"
    with replaced(file) as partial:
        partial.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_killed_writer_leaves_the_ranking_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(self: pd.DataFrame, file: Path, **options: Any) -> None:
        Path(file).write_text("rank,tier\n1,")
        raise Killed

    (tmp_path / "ranking.csv").write_text("old")
    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    ranking = SimpleNamespace(with_tiers=pd.DataFrame({"rank": [1]}))
    with pytest.raises(Killed):
        Ranking.write(ranking, tmp_path)  # type: ignore[arg-type]
    assert (tmp_path / "ranking.csv").read_text() == "old"


@pytest.mark.parametrize("moment", ["make_folder", "book_candidates", "replaced"])
def test_a_run_that_is_killed_while_it_is_made_is_none(
    moment: str, tmp_path: Path, files: Experiment, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = getattr(taurank.orchestrator.runs.creation, moment)

    def kill(*arguments: Any, **options: Any) -> None:
        if moment != "replaced":  # killed right after it
            done(*arguments, **options)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(taurank.orchestrator.runs.creation, moment, kill)
        with pytest.raises(Killed):
            create_run(files, tmp_path, digits)
    (folder,) = tmp_path.iterdir()
    assert not (folder / EXPERIMENT_FILE).exists()
    with pytest.raises(RunError, match="is not the folder of a run") as caught:
        Run.open(folder)
    assert "\n" not in str(caught.value)
    Run.open(create_run(files, tmp_path, digits).folder)  # within the same second, too


def test_a_batch_larger_than_the_data_is_said(tmp_path: Path, files: Experiment, digits: ImageData) -> None:
    said: list[str] = []
    large = files.model_copy(update={"recipe": replace(files.recipe, batch_size=301)})
    create_run(large, tmp_path, digits, say=said.append)
    (line,) = [line for line in said if "batch_size" in line]
    assert line == "recipe.batch_size is 301, but digits has 300 training images: an epoch is one step"
    create_run(files, tmp_path, digits, say=said.append)
    assert sum("batch_size" in line for line in said) == 1


# --- gone: images


@pytest.mark.parametrize(
    ("harm", "reason"), [(Path.unlink, "No such file or directory"), (lambda file: file.write_bytes(b"\x93NUM"), "")]
)
def test_images_that_cannot_be_read_are_named(harm: Any, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "images.npy"
    np.save(file, np.zeros((3, 2, 2, 1), dtype=np.uint8))
    assert describe_lost_images(file) == ""
    assert describe_lost_images(None) == ""
    harm(file)
    said = describe_lost_images(file)
    assert said.startswith(f"{file}: {reason}")
    assert "\n" not in said


# --- gone: the weights of a supernet


class Launcher:
    """Launches stages as a campaign does; a training leaves its weights."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.launched: list[tuple[str, Any]] = []

    def __call__(self, stage: Stage, weights: Any) -> None:
        outcomes = self.run.log.outcomes()
        waiting = [spec for spec in stage.specs if spec.trial not in outcomes]
        if waiting:
            self.launched.append((stage.title, weights))
        for spec in waiting:
            if stage.keeps_states:
                write_checkpoint(Path(spec.checkpoint), spec.fingerprint, Saved([], STATE))
            self.run.log.append_event(stage.name, spec.trial, "completed")


@pytest.fixture
def launcher(tmp_path: Path, files: Experiment, digits: ImageData, monkeypatch: pytest.MonkeyPatch) -> Launcher:
    monkeypatch.setattr(ray, "put", lambda weights: float(weights["model"]["weight"].sum()))
    return Launcher(create_run(files, tmp_path, digits))


def supernet_of(launcher: Launcher, digits: ImageData) -> SupernetRun:
    run = launcher.run
    (spec,) = run.experiment.supernets or []
    return SupernetRun(run.experiment, spec, run.candidates, run.candidates, run.folder, digits)


def the_checkpoint(launcher: Launcher) -> Path:
    (file,) = (launcher.run.folder / "checkpoints").iterdir()
    return file


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"PK damaged")])
def test_a_supernet_whose_weights_are_gone_is_trained_again(harm: Any, launcher: Launcher, digits: ImageData) -> None:
    supernet = supernet_of(launcher, digits)
    launcher(supernet.planned[0], None)
    harm(the_checkpoint(launcher))
    launcher.launched.clear()
    supernet.run_with(launcher.run.log, launcher)
    assert launcher.launched == [("supernet:uniform again", None), ("supernet:uniform scores", 2.0)]
    launcher.launched.clear()
    supernet.run_with(launcher.run.log, launcher)
    assert launcher.launched == []


def test_weights_that_nobody_needs_any_more_are_not_missed(launcher: Launcher, digits: ImageData) -> None:
    supernet = supernet_of(launcher, digits)
    supernet.run_with(launcher.run.log, launcher)
    assert [title for title, _ in launcher.launched] == ["supernet:uniform", "supernet:uniform scores"]
    the_checkpoint(launcher).unlink()
    launcher.launched.clear()
    supernet.run_with(launcher.run.log, launcher)
    assert launcher.launched == []


def test_the_second_training_has_files_and_rows_of_its_own_and_the_same_numbers(
    launcher: Launcher, digits: ImageData
) -> None:
    supernet = supernet_of(launcher, digits)
    (first,), (again,) = supernet.planned[0].specs, supernet._trained_again.specs
    assert first.trial != again.trial
    assert first.checkpoint != again.checkpoint
    assert replace(again, trial=first.trial, checkpoint=first.checkpoint) == first
