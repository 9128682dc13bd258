"""Some of the classes in an experiment: of the data, and of a cheap training."""

from __future__ import annotations

from pathlib import Path

import pytest

from taurank.orchestrator.experiment import load_experiment
from taurank.orchestrator.experiment.parts import DataSpec, ImageCounts
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.runs import read_images
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.image_loading import split_images
from taurank.trainables.data import DataError

TEXT = """
name: some
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 4
data: {name: digits, classes: list.txt, local_copy: scratch, test: 0.2}
recipe: {epochs: 10}
budget: 2x
trainings: [{epochs: 2}, {epochs: 4, subset: {share: 0.5, by: classes}}]
"""


def test_a_file_of_classes_is_read_beside_the_experiment_and_kept_in_the_run(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("7\n1\n4\n2\n")
    (tmp_path / "some.yaml").write_text(TEXT)
    data = load_experiment(tmp_path / "some.yaml").data
    assert data.classes == ["7", "1", "4", "2"]
    assert data.local_copy == str(tmp_path / "scratch")
    (tmp_path / "list.txt").unlink()
    with pytest.raises(DataError, match=r"data\.classes: .*list\.txt cannot be read"):
        load_experiment(tmp_path / "some.yaml")


def test_the_classes_reach_the_images_the_stage_and_the_ranker(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("7\n1\n4\n2\n")
    (tmp_path / "some.yaml").write_text(TEXT.replace("local_copy: scratch, ", ""))
    experiment = load_experiment(tmp_path / "some.yaml")
    images = split_images(experiment.data, read_images(experiment.data, root=None, download=False))
    assert images.classes == ("1", "2", "4", "7")
    run = create_run(experiment, tmp_path, images)
    assert run.experiment.data.classes == ["7", "1", "4", "2"]
    # Of two classes half of the validation images are left.
    assert (run.problem.classes, run.problem.images) == (2, round(len(images.validation) / 2))


def test_a_training_on_some_classes_costs_its_share() -> None:
    spec = TrainingSpec.model_validate({"epochs": 4, "subset": {"share": 0.25, "by": "classes"}})
    assert (spec.stage, spec.cost(6), spec.is_full(4)) == ("training-4-on-0.25-classes", 6.0, False)
    assert TrainingSpec.model_validate({"epochs": 4, "subset": 0.25}).subset.class_share == 1


@pytest.mark.parametrize(
    ("share", "expected"),
    [(1.0, (800, 200, 1000)), (0.1, (80, 20, 100)), (0.001, (1, 1, 2))],
)
def test_counts_of_some_classes(share: float, expected: tuple[int, int, int]) -> None:
    assert ImageCounts(800, 200, 1000).of_some_classes(share) == ImageCounts(*expected)


def test_a_number_of_classes_and_a_name_with_a_number() -> None:
    assert DataSpec(name="cifar10", classes=3).classes == 3
    assert DataSpec(name="imagenet:x#100").relative_to(Path("/data")).name == "imagenet:/data/x#100"
