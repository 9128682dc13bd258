"""What runs share: the address of a training holds all that its numbers depend on, and nothing else."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import taurank.spaces
import taurank.trainables
from taurank.orchestrator.evidence import TAKEN
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.trainings import SubsetSpec, TrainingSpec
from taurank.orchestrator.stages import shared_results
from taurank.orchestrator.stages.checkpoints import CheckpointStore
from taurank.orchestrator.stages.display import Display
from taurank.orchestrator.stages.recording import Recorder
from taurank.orchestrator.stages.shared_results import (
    SharedResults,
    code_version,
    images_of,
    own_code_version,
    taken_over_line,
)
from taurank.trainables.data import ImageData, ImageSet
from taurank.trainables.data.digest import digest_images
from taurank.trainables.data.mapped import MappedImages
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.trials.spec import TrialSpec
from tests.orchestrator.processes import finished

ROOT = Path(__file__).parents[3]
SPEC = TrialSpec(
    trial="training-3/a/seed 5",
    label="a",
    space="nasbench201",
    space_options={"width": 4},
    recipe=Recipe(epochs=3),
    seed=5,
    checkpoint="one.pt",
    architectures=("a",),
)


@pytest.fixture
def results(tmp_path: Path) -> SharedResults:
    return SharedResults(tmp_path / ".results", images="digest", device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"space": "darts"},
        {"space_options": {"width": 8}},
        {"architectures": ("b",)},
        {"recipe": Recipe(epochs=3, learning_rate=0.01)},
        {"recipe": Recipe(epochs=4)},
        {"seed": 6},
        {"epoch_share": 0.5},
        {"task": "rotation"},
    ],
)
def test_what_numbers_depend_on_is_in_the_address(change: dict[str, object], results: SharedResults) -> None:
    assert results.address(replace(SPEC, **change)) != results.address(SPEC)


@pytest.mark.parametrize("change", [{"trial": "baseline/a"}, {"label": "A"}, {"checkpoint": "b.pt"}, {"until": 2}])
def test_what_they_do_not_depend_on_is_not(change: dict[str, object], results: SharedResults) -> None:
    assert results.address(replace(SPEC, **change)) == results.address(SPEC)


def test_images_device_and_code_are_in_the_address(results: SharedResults, monkeypatch: pytest.MonkeyPatch) -> None:
    own = results.address(SPEC)
    assert replace(results, images="other").address(SPEC) != own
    assert replace(results, device="cuda").address(SPEC) != own
    monkeypatch.setattr(shared_results, "code_version", lambda: "another")
    assert results.address(SPEC) != own


def test_the_file_is_below_the_folder(results: SharedResults) -> None:
    file = Path(results.shared(SPEC).kept)
    assert file.parent.parent == results.folder
    assert file.stem == results.address(SPEC)
    assert file.parent.name == file.stem[:2]


@pytest.mark.slow
def test_the_address_is_the_same_in_another_process() -> None:
    code = "from taurank.orchestrator.stages.shared_results import code_version; print(code_version())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == shared_results.code_version()


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_networks_of_this_test.py").write_text("def make(num_classes): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    own_code_version.cache_clear()
    sys.modules.pop("my_networks_of_this_test", None)


def test_a_change_of_own_code_or_of_what_lies_beside_it_changes_its_version(own_module: Path) -> None:
    name = "my_networks_of_this_test:make"
    versions = [own_code_version(name)]
    for file in ("my_networks_of_this_test.py", "parts_of_it.py"):
        (own_module / file).write_text("def make(num_classes): return None\n")
        own_code_version.cache_clear()
        versions.append(own_code_version(name))
    assert len(set(versions)) == 3


@pytest.mark.parametrize("moved", ["first/parts.py", "parts.py"])
def test_a_file_that_moves_to_another_folder_changes_the_version(
    moved: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its path changes: its name, its content and its place in the order stay."""
    monkeypatch.setattr(taurank.spaces, "__path__", [str(tmp_path)])
    monkeypatch.setattr(taurank.trainables, "__path__", [str(tmp_path / "nothing")])
    versions = []
    for path in ("apart/parts.py", moved):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text("WIDTH = 4\n")
        versions.append(code_version.__wrapped__())
        file.unlink()
    assert versions[0] != versions[1]


@pytest.mark.parametrize("code", ["timm:resnet10t", "torchvision:resnet18"])
def test_models_of_libraries_are_not_taken_for_own_code(code: str, results: SharedResults) -> None:
    spec = replace(SPEC, space="zoo", space_options={}, architectures=(code,))
    assert results.address(spec) != results.address(replace(spec, architectures=("torchvision:resnet34",)))


def test_own_code_is_in_the_address_of_its_model(own_module: Path, results: SharedResults) -> None:
    code = "my_networks_of_this_test:make"
    spec = replace(SPEC, space="zoo", space_options={}, architectures=(code,))
    before = results.address(spec)
    (own_module / "my_networks_of_this_test.py").write_text("def make(num_classes): return None\n")
    own_code_version.cache_clear()
    assert results.address(spec) != before


def test_images_of_stages() -> None:
    full = TrainingSpec(epochs=2)
    less = TrainingSpec(epochs=2, subset=SubsetSpec(share=0.5))
    others = [
        full,
        less,
        less.model_copy(update={"seed": 1}),
        less.model_copy(update={"task": "rotation"}),
        TrainingSpec(epochs=2, subset=SubsetSpec(share=0.25)),
        TrainingSpec(epochs=2, subset=SubsetSpec(share=0.5, by="k-center")),
        TrainingSpec(epochs=2, resolution=0.5),
    ]
    assert images_of("digest", full, "a") == "digest"
    assert len({images_of("digest", spec, "a") for spec in others}) == len(others)
    assert images_of("digest", less, "a") == images_of("digest", less, "b")
    hard = TrainingSpec(epochs=2, subset=SubsetSpec(share=0.5, by="difficulty"))
    assert images_of("digest", hard, "a") != images_of("digest", hard, "b")


def make_data(images: np.ndarray | MappedImages, labels: np.ndarray) -> ImageData:
    part = ImageSet(images, labels)
    return ImageData(part, part, part, ("a", "b"), (1.0,), (2.0,))


class TestDigest:
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1, 0, 1])

    def test_the_same_images_have_the_same(self) -> None:
        assert digest_images(make_data(self.images.copy(), self.labels)) == digest_images(
            make_data(np.asfortranarray(self.images), self.labels)
        )

    def test_a_pixel_a_label_an_order_and_a_class_count(self) -> None:
        pixel = self.images.copy()
        pixel[3, 2, 1, 0] ^= 1
        data = make_data(self.images, self.labels)
        digests = [
            digest_images(data),
            digest_images(make_data(pixel, self.labels)),
            digest_images(make_data(self.images, self.labels[::-1].copy())),
            digest_images(make_data(self.images[::-1], self.labels)),
            digest_images(make_data(self.images.reshape(6, 2, 8, 1), self.labels)),
            digest_images(replace(data, classes=("a", "c"))),
        ]
        assert len(set(digests)) == len(digests)

    def test_images_in_a_file_are_told_by_file_and_positions(self, tmp_path: Path) -> None:
        np.save(tmp_path / "one.npy", self.images)
        np.save(tmp_path / "two.npy", self.images)
        one = MappedImages(tmp_path / "one.npy")
        digests = [
            digest_images(make_data(one, self.labels)),
            digest_images(make_data(MappedImages(tmp_path / "two.npy"), self.labels)),
            digest_images(make_data(one.part(np.arange(6)[::-1]), self.labels)),
        ]
        assert len(set(digests)) == 3
        assert digest_images(make_data(MappedImages(tmp_path / "one.npy"), self.labels)) == digests[0]


def test_what_was_taken_over_is_said(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "log.sqlite")
    assert taken_over_line(log) == ""
    for trial in ("one", "two"):
        log.append(
            Evidence("training-2", trial, trial, "training", epoch, 2, 0, "validation_accuracy", 0.5, 1.0, 1.0)
            for epoch in (1, 2)
        )
    log.append_event("training-2", "one", TAKEN, "trained by earlier training-2")
    assert taken_over_line(log).startswith("1 training was taken over from earlier runs here (2 epochs,")
    log.append_event("training-2", "two", TAKEN, "trained by earlier training-2")
    assert taken_over_line(log).startswith("2 trainings were taken over from earlier runs here (4 epochs,")


class TestKilledWhileTakingOver:
    """A kill between the rows of a training that is taken over and its event must not leave rows that look measured."""

    RESULT: ClassVar = {
        "epoch": 1,
        "evidence": [("a", 1, "validation_accuracy", 0.5, 3.0, 1.0)],
        "taken_from": "earlier training-3",
    }

    @staticmethod
    def report(log: EvidenceLog) -> None:
        recorder = Recorder(
            log,
            stage="training-3",
            source="training",
            specs=[SPEC],
            schedule_epochs=3,
            share=1.0,
            scheduler=None,
            display=Display(Console(file=io.StringIO()), total_epochs=3.0, budget_epochs=3.0, names={}),
            checkpoints=CheckpointStore(log.path.parent, 1e9),
        )
        recorder._display.start_stage("training-3", trials=1, epochs=3.0, spent=0.0)
        trial = SimpleNamespace(config={"trial": SPEC.trial}, storage=None, experiment_tag="")
        recorder.on_trial_result(0, [], trial, TestKilledWhileTakingOver.RESULT)

    @pytest.mark.parametrize("written", [0, 1])
    def test_what_was_taken_over_never_counts_as_measured(
        self, written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The process dies after as many writes."""
        log = EvidenceLog(tmp_path / "log.sqlite")
        writes = iter(range(10))

        def dying(write: Callable[..., Any]) -> Callable[..., Any]:
            def attempt(*arguments: Any, **options: Any) -> Any:
                if next(writes) >= written:
                    raise KeyboardInterrupt
                return write(*arguments, **options)

            return attempt

        with monkeypatch.context() as killed:
            killed.setattr(log, "append", dying(log.append))
            killed.setattr(log, "append_event", dying(log.append_event))
            with pytest.raises(KeyboardInterrupt):
                self.report(log)
        measured = log.evidence()
        taken = log.events().query("event == @TAKEN")["trial"]
        assert set(measured["trial"]) <= set(taken)
        self.report(log)  # the run goes on
        assert taken_over_line(log).startswith("1 training was taken over from earlier runs here (1 epochs,")
        assert len(log.events().query("event == @TAKEN")) == 1


EXPERIMENT = """
name: sharing
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 3
data: {name: digits, validation: 200, test: 200, train: 200}
recipe: {epochs: 6, batch_size: 64, learning_rate: 0.05}
budget: 1x
proxies: null
trainings: [{epochs: 2, scheduler: uniform, budget_epochs: 5}, {epochs: 4}]
supernets: []
baseline: null
"""


@pytest.mark.ray
def test_a_second_run_takes_over_what_the_first_has_completed(tmp_path: Path) -> None:
    (tmp_path / "sharing.yaml").write_text(EXPERIMENT)
    for _ in range(2):
        done = finished(tmp_path, "run", "sharing.yaml")
        assert done.returncode == 0, done.stderr
    assert "taken over from earlier runs here" in done.stdout
    first, second = sorted((tmp_path / "runs").glob("sharing-*"))
    rows = [EvidenceLog(run / "evidence.sqlite").evidence() for run in (first, second)]
    keys = ["stage", "trial", "architecture", "epoch", "metric"]
    trained = [one[one["source"] == "training"].sort_values(keys)[[*keys, "value", "epochs"]] for one in rows]
    pd.testing.assert_frame_equal(*(one.reset_index(drop=True) for one in trained))
    # Seconds too, of what was complete.
    seconds = [one[one["stage"] == "training-4"].sort_values(keys)["seconds"].to_numpy() for one in rows]
    np.testing.assert_array_equal(*seconds)
    taken = EvidenceLog(second / "evidence.sqlite").events().query("event == @TAKEN")
    assert set(taken.loc[taken["stage"] == "training-4", "reason"]) == {f"trained by {first.name} training-4"}
    assert len(taken[taken["stage"] == "training-4"]) == 3
