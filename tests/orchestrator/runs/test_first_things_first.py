"""What cannot run is refused before a folder is made for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from taurank.orchestrator.campaigns.searching import create_search
from taurank.orchestrator.candidates import screening
from taurank.orchestrator.cluster.cluster import ClusterError
from taurank.orchestrator.evidence import SIZE
from taurank.orchestrator.experiment.experiment import ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.experiment.from_options import TEST, experiment_of_models, load_with_test
from taurank.orchestrator.report.candidates import print_candidates
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.extension import Changes, extend
from taurank.orchestrator.runs.image_loading import load_images, split_images
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.search import searcher
from taurank.orchestrator.search.searcher import SearchError
from taurank.trainables.data import ImageData, load_dataset

DATA = "data: {name: digits, size: 20, validation: 100, test: 100, train: 100}\n"
MODELS = "name: m\nspace: zoo\nrecipe: {epochs: 4}\nbudget: 2\n" + DATA
CELLS = "name: c\nspace: {name: nasbench201, options: {width: 2, cells_per_stage: 1}}\nrecipe: {epochs: 4}\n" + DATA
SMALL = "candidates: [torchvision:squeezenet1_1, torchvision:mnasnet0_5]\n"
OWN = """
from torch import nn


def good(num_classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, num_classes))


def small_only(num_classes, img_size):
    assert img_size != (224, 224), "made for small images"
    return good(num_classes)


def unbuilt(num_classes):
    raise RuntimeError("no such layer")


class WrongShape(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(5, num_classes)

    def forward(self, images):
        return self.layer(images.flatten(1))
"""


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images(parse_experiment(MODELS + SMALL, where="t").data, root=None, download=False)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets_of_first_things.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


def make(data: ImageData, folder: Path, text: str = MODELS + SMALL) -> Run:
    return create_run(parse_experiment(text, where="t"), folder, data)


class TestExtend:
    @pytest.mark.parametrize("added", ["torchvision:shufflenet_v2_x0_5", "nets_of_first_things:good"])
    @pytest.mark.usefixtures("own")
    def test_a_model_that_is_added_is_sized_before_the_plan_is_printed(
        self, added: str, data: ImageData, tmp_path: Path
    ) -> None:
        longer = extend(make(data, tmp_path / "runs"), Changes(add=(added,)), data)
        assert longer.candidates[-1] == added
        assert longer.log.architectures(SIZE) == set(longer.candidates)
        written = io.StringIO()
        print_candidates(Console(file=written, width=100), longer.experiment, longer.log, longer.candidates)
        assert added in written.getvalue()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (Changes(budget="1000x"), r"budget: the evidence costs up to .*, but 1000x cheaper"),
            (Changes(budget="20"), r"budget: the evidence costs up to .*, but 20x cheaper"),
            (
                Changes(add=("torchvision:mnasnet0_5",)),
                "--add: torchvision:mnasnet0_5 is a candidate of the run already",
            ),
            (Changes(add=("torchvision:mnasnet0_5*",)), "no new candidate; the run has all of them already"),
            (Changes(add=("torchvision:no_such",)), "--add: torchvision has no model 'no_such'"),
            (
                Changes(add=("torchvision:alexnet",)),
                "--add: torchvision:alexnet cannot take 1x20x20 images: .*data.size",
            ),
            (Changes(add=("nets_of_first_things:unbuilt",)), "--add: .* no such layer"),
        ],
    )
    @pytest.mark.usefixtures("own")
    def test_what_is_refused_leaves_no_folder(
        self, changes: Changes, message: str, data: ImageData, tmp_path: Path
    ) -> None:
        run = make(data, tmp_path / "runs")
        with pytest.raises(ExperimentError, match=message) as caught:
            extend(run, changes, data)
        assert "\n" not in str(caught.value)
        assert list((tmp_path / "runs").iterdir()) == [run.folder]


class TestResources:
    @pytest.mark.parametrize("asked", ["{gpus_per_trial: 1}", "{gpus_per_trial: 0.5}", "{cpus: 2, cpus_per_trial: 3}"])
    @pytest.mark.parametrize("kind", ["run", "search", "extend"])
    def test_no_node_has_as_many(
        self, kind: str, asked: str, data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        more = f"resources: {asked}\n"
        models = parse_experiment(MODELS + SMALL + more, where="t")
        cells = parse_experiment(CELLS + "search: random\n" + more, where="t")
        first = make(data, tmp_path / "first")
        commands: dict[str, Callable[[], object]] = {
            "run": lambda: create_run(models, tmp_path / "runs", data),
            "search": lambda: create_search(cells, tmp_path / "runs", data),
            "extend": lambda: extend(replace(first, experiment=models), Changes(candidates=3), data),
        }
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ClusterError, match=r"^resources\.[cg]pus_per_trial is .*, but the largest node has .*$"):
            commands[kind]()
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_stage_that_asks_for_more_candidates_than_there_are(self, data: ImageData, tmp_path: Path) -> None:
        with pytest.raises(ExperimentError, match="training-2 asks for 3 candidates; there are 2"):
            make(data, tmp_path / "runs", MODELS + SMALL + "trainings: [{epochs: 2, candidates: 3}]\n")
        assert not (tmp_path / "runs").exists()


class Clock:
    """Each look at it takes four seconds."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 4.0
        return self.now


class TestConstraintsThatNothingKeeps:
    def test_draws_end_after_some_seconds_with_progress(
        self, data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screening.time, "monotonic", Clock())
        said: list[str] = []
        experiment = parse_experiment(CELLS + "candidates: 8\nconstraints: params <= 10\n", where="t")
        with pytest.raises(
            ExperimentError, match=r"none of (\d) random candidates keeps them; nearest: .*; loosen them"
        ):
            create_run(experiment, tmp_path / "runs", data, say=said.append)
        assert "  1 candidates sized, 1 of them violate the constraints" in said
        assert not (tmp_path / "runs").exists()

    def test_those_of_a_search_too(self, data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(searcher, "SECONDS", 0.0)
        experiment = parse_experiment(CELLS + "search: posterior\nconstraints: params <= 10\n", where="t")
        with pytest.raises(SearchError, match="constraints: none of 1 random architectures of nasbench201 keeps them"):
            create_search(experiment, tmp_path / "runs", data)
        assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("own")
class TestBadModels:
    def test_they_are_left_out_and_the_others_are_ranked(self, data: ImageData, tmp_path: Path) -> None:
        names = [f"nets_of_first_things:{name}" for name in ("good", "small_only", "unbuilt", "WrongShape")]
        run = make(data, tmp_path / "runs", MODELS + f"candidates: [{', '.join(names)}]\n")
        assert run.candidates == (names[0], names[1])
        written = io.StringIO()
        print_candidates(Console(file=written, width=100), run.experiment, run.log, run.candidates)
        assert (
            f"skipped: {names[2]} cannot be made for 1x20x20 images: RuntimeError: no such layer" in written.getvalue()
        )
        assert f"skipped: {names[3]} cannot take 1x20x20 images" in written.getvalue()

    def test_fewer_than_two_are_no_order(self, data: ImageData, tmp_path: Path) -> None:
        text = MODELS + "candidates: [nets_of_first_things:good, nets_of_first_things:unbuilt]\n"
        with pytest.raises(ExperimentError, match=r"1 of 2 models cannot take these images, .*no such layer") as caught:
            make(data, tmp_path / "runs", text)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "runs").exists()


def test_images_without_a_test_set_are_read_once() -> None:
    dataset, read = load_dataset("digits"), list[str]()

    def read_once(spec: object) -> object:
        read.append(str(spec))
        return dataset

    models = ["torchvision:squeezenet1_1", "torchvision:mnasnet0_5"]
    experiment, text, images = load_with_test(
        lambda test: experiment_of_models(models, "digits", size=20, test=test),
        read_once,  # type: ignore[arg-type]
        split_images,
    )
    assert len(read) == 1
    assert experiment.data.test == TEST
    assert f"test: {TEST}" in text
    assert len(images.test) == round(TEST * len(dataset.train))
