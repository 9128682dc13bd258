"""Trainings by a pretext task in a run: the file, the cost, the evidence, the ranking; and one small run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.cluster.cluster import Slot
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.planning.outlook import counts
from taurank.orchestrator.planning.rounds import planned_epochs
from taurank.orchestrator.ranker import RankerOptions, choose_short_runs
from taurank.orchestrator.ranker.inputs import make_inputs
from taurank.orchestrator.ranker.model import RankingModel
from taurank.orchestrator.ranker.prior import prior_order
from taurank.orchestrator.ranker.short_runs import complete_short_runs
from taurank.orchestrator.ranker.trust import supernet_trust
from taurank.orchestrator.ranker.views import View, make_views
from taurank.orchestrator.replay import ReplayError, choose_cheap, make_bench, plan_replay
from taurank.orchestrator.replay.plan import read_trainings
from taurank.orchestrator.report.why import explain
from taurank.orchestrator.stages import less_data
from taurank.orchestrator.stages.less_data import StageImages
from taurank.orchestrator.stages.pretext_check import check_task
from taurank.orchestrator.stages.scheduling import training_limits
from taurank.orchestrator.stages.stage import training_stage
from taurank.spaces import get_space, measure_size
from taurank.trainables.data import ImageData, ImageSet, load_dataset, make_splits
from tests.orchestrator.processes import finished

ROOT = Path(__file__).parents[3]
FILE = """
name: pretext
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 6
data: {name: digits, validation: 200, test: 200, train: 320}
recipe: {epochs: 8}
trainings: [%s]
baseline: {seeds: [1]}
"""


def experiment(training: str) -> Experiment:
    return parse_experiment(FILE % training, where="pretext.yaml")


def spec(training: str) -> TrainingSpec:
    (found,) = experiment(training).trainings or ()
    return found


class TestFile:
    @pytest.mark.parametrize(
        ("training", "stage", "source", "cost"),
        [
            ("{epochs: 4}", "training-4", "training", 4.0),
            ("{epochs: 4, task: rotation}", "pretext-rotation-4", "pretext:rotation", 16.0),
            ("{epochs: 4, task: jigsaw}", "pretext-jigsaw-4", "pretext:jigsaw", 16.0),
            ("{epochs: 4, task: colorization}", "pretext-colorization-4", "pretext:colorization", 4.0),
            ("{epochs: 4, until: 3, task: rotation, subset: 0.25, resolution: 0.5, scheduler: asha}",
             "pretext-rotation-4@3-on-0.25-at-0.5:asha", "pretext:rotation", 4 * 3 * 0.25 * 0.25),
        ],
    )  # fmt: skip
    def test_stage_source_and_cost(self, training: str, stage: str, source: str, cost: float) -> None:
        found = spec(training)
        assert (found.stage, found.source) == (stage, source)
        assert found.cost(6) == 6 * cost
        assert planned_epochs(found, 6) == 6 * cost

    @pytest.mark.parametrize(
        ("training", "said"),
        [
            (
                "{epochs: 4, task: rotations}",
                r"trainings\.0\.task: unknown task 'rotations'; did you mean 'rotation'\?",
            ),
            ("{epochs: 4, task: simclr}", r"trainings\.0\.task: unknown task 'simclr'; there are colorization, jigsaw"),
            ("{epochs: 4, task: 3}", r"trainings\.0\.task: "),
            ("{epochs: 9, task: rotation}", r"trainings\.0\.epochs: 9 is longer than full training"),
            (
                "{epochs: 4, task: rotation, subset: {share: 0.5, by: difficulty}}",
                r"trainings\.0\.subset\.by: difficulty trains with labels, and a task has none; choose images by strat",
            ),
            (
                "{epochs: 4, task: rotation, subset: {share: 0.5, by: classes}}",
                r"trainings\.0\.subset\.by: classes chooses by labels, and a task has none; choose images by strat",
            ),
            (
                "{epochs: 4, task: rotation}, {epochs: 4, task: rotation}",
                r"trainings\.1: pretext-rotation-4 is listed twice",
            ),
        ],
    )
    def test_mistakes_are_one_line(self, training: str, said: str) -> None:
        with pytest.raises(ExperimentError, match=said) as caught:
            experiment(training)
        assert len(str(caught.value).splitlines()) == 1

    def test_a_task_is_no_truth_so_that_its_seed_is_free(self) -> None:
        assert spec("{epochs: 4, task: rotation, seed: 1}").seed == 1
        with pytest.raises(ExperimentError, match="seed 1 is reserved for the baseline"):
            experiment("{epochs: 4, seed: 1}")

    def test_it_is_never_full_training(self) -> None:
        assert not spec("{epochs: 8, task: colorization}").is_full(8)
        assert spec("{epochs: 8}").is_full(8)

    def test_it_is_written_as_it_was_read(self) -> None:
        read = experiment("{epochs: 4, task: jigsaw}, {epochs: 4}")
        assert parse_experiment(read.to_yaml(), where="again") == read

    def test_a_plan_counts_it_neither_as_short_nor_as_full(self) -> None:
        asked = experiment("{epochs: 2, task: rotation}, {epochs: 2}, {epochs: 8, candidates: 3}").trainings or []
        assert counts(asked, 6, 8) == (6, 3)

    def test_a_policy_counts_epochs_of_all_views(self) -> None:
        found = spec("{epochs: 4, task: rotation, subset: 0.5, scheduler: asha, budget_epochs: 16}")
        assert training_limits(found).budget_epochs == 8

    def test_trials_know_the_task(self, tmp_path: Path) -> None:
        asked = experiment("{epochs: 2, task: rotation}")
        codes = [one.code for one in asked.space.make().sample(2, np.random.default_rng(0))]
        stage = training_stage(asked, spec("{epochs: 2, task: rotation}"), codes, tmp_path)
        assert {(one.task, one.epoch_share) for one in stage.specs} == {("rotation", 1.0)}
        assert (stage.source, stage.cost) == ("pretext:rotation", 16.0)


class TestReplay:
    def test_tables_have_none(self, table: Any) -> None:
        trainings = read_trainings("[{epochs: 10, task: rotation}]")
        settings: dict[str, Any] = {"candidates": 10, "budget": "1x", "seed": 0, "workers": 1}
        cheap = choose_cheap(table, proxies="none", supernets="")
        with pytest.raises(ReplayError, match="pretext-rotation-10: trainings by a pretext task are not recorded"):
            plan_replay(make_bench(table), trainings=trainings, cheap=cheap, **settings)


class TestCheck:
    DATA = make_splits(load_dataset("digits"), seed=0, train=320, validation=200, test=200)

    def check(self, training: str, data: ImageData = DATA) -> None:
        asked = experiment(training)
        code = next(iter(asked.space.make().enumerate())).code
        check_task(asked, spec(training), code, data)

    @pytest.mark.parametrize(
        ("training", "said"),
        [
            ("{epochs: 2, task: jigsaw}", "jigsaw: images of 8 x 8 make tiles of 3 pixels a side"),
            ("{epochs: 2, task: colorization}", "colorization: the images are grey"),
        ],
    )
    def test_images_that_are_not_fit(self, training: str, said: str) -> None:
        with pytest.raises(ValueError, match=f"^{said}"):
            self.check(training)

    def test_images_are_seen_at_the_size_of_the_stage(self) -> None:
        def doubled(images: ImageSet) -> ImageSet:
            return ImageSet(np.repeat(np.repeat(images.images, 2, axis=1), 2, axis=2), images.labels)

        data = replace(self.DATA, train=doubled(self.DATA.train), validation=doubled(self.DATA.validation))
        self.check("{epochs: 2, task: jigsaw}", data)
        with pytest.raises(ValueError, match="images of 8 x 8 make tiles of 3"):
            self.check("{epochs: 2, task: jigsaw, resolution: 0.5}", data)

    def test_a_space_whose_networks_are_not_fit(self) -> None:
        colours = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
        data = replace(self.DATA, train=ImageSet(colours, np.zeros(8, np.int64)))
        training = "{epochs: 2, task: colorization}"
        asked = parse_experiment(
            FILE.replace("{name: nasbench201, options: {width: 4, cells_per_stage: 1}}", "fbnet") % training,
            where="pretext.yaml",
        )
        code = asked.space.make().sample(1, np.random.default_rng(0))[0].code
        with pytest.raises(ValueError, match=r"^colorization: for images of 32 x 32 the last map .* is a single pixel"):
            check_task(asked, spec(training), code, data)

    def test_models_are_tried_one_by_one_when_they_are_trained(self) -> None:
        names = ["torchvision:squeezenet1_1", "torchvision:resnet18"]
        text = FILE.replace("{name: nasbench201, options: {width: 4, cells_per_stage: 1}}", "zoo")
        asked = parse_experiment(
            text.replace("candidates: 6", f"candidates: {names}") % "{epochs: 2, task: rotation}", where="pretext.yaml"
        )
        tiles = replace(self.DATA, train=ImageSet(np.zeros((8, 16, 16, 3), np.uint8), np.zeros(8, np.int64)))
        check_task(asked, spec("{epochs: 2, task: jigsaw}"), names[0], tiles)  # ends in no linear layer

    def test_what_can_be_done_passes(self) -> None:
        self.check("{epochs: 2, task: rotation}")
        self.check("{epochs: 2}")

    def test_choosing_images_looks_at_no_label(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(less_data, "ray", SimpleNamespace(put=lambda images: images))

        def chosen(training: str, data: ImageData) -> np.ndarray:
            images = StageImages(data, None, experiment(training), tmp_path, EvidenceLog(tmp_path / "log.sqlite"))  # type: ignore[arg-type]
            found: Any = images.for_stage(spec(training), "", Slot(cpus=1))
            pixels: np.ndarray = found.train.images
            return pixels

        shuffled = np.random.default_rng(0).permutation(self.DATA.train.labels)
        other = replace(self.DATA, train=ImageSet(self.DATA.train.images, shuffled))
        for by in ("stratified", "k-center"):
            of_task = f"{{epochs: 2, task: rotation, subset: {{share: 0.25, by: {by}}}}}"
            assert len(chosen(of_task, other)) == 80
            assert np.array_equal(chosen(of_task, self.DATA), chosen(of_task, other))
            labelled = of_task.replace("task: rotation, ", "")
            assert not np.array_equal(chosen(labelled, self.DATA), chosen(labelled, other))


def rows(
    stage: str,
    curves: Sequence[Sequence[float]],
    *,
    source: str = "pretext:rotation",
    schedule: int = 3,
    metric: str = "validation_accuracy",
) -> list[Evidence]:
    return [
        Evidence(stage, f"{stage}/{code}", code, source, epoch, schedule, 0, metric, value, 1.0, 4.0)
        for code, curve in zip("abcdefghijklmnopqrst", curves, strict=False)
        for epoch, value in enumerate(curve, start=1)
    ]


def views(evidence: Sequence[Evidence], count: int) -> dict[str, View]:
    codes = list("abcdefghijklmnopqrst")[:count]
    return {view.name: view for view in make_views(pd.DataFrame(evidence), codes, full_epochs=8)}


STAGE = "pretext-rotation-3"


class TestViews:
    def test_the_accuracy_of_the_last_epoch(self) -> None:
        found = views(rows(STAGE, [[0.5, 0.9, 0.6], [0.4, 0.5, 0.7], [0.3, 0.4, 0.5]]), 4)
        assert list(found) == [STAGE]
        view = found[STAGE]
        assert (view.kind, view.fidelity, view.is_training, view.is_accuracy) == ("pretext", 0.0, False, False)
        assert view.values[:3].tolist() == view.order[:3].tolist() == [0.6, 0.7, 0.5]
        assert math.isnan(view.values[3])

    def test_trainings_beside_it_stay_what_they_are(self) -> None:
        supervised = rows("training-3", [[0.1, 0.2, 0.3]] * 3, source="training")
        alone = views(supervised, 3)["training-3"]
        both = views([*rows(STAGE, [[0.5, 0.9, 0.6]] * 3), *supervised], 3)
        assert set(both) == {STAGE, "training-3"}
        assert both["training-3"].equals(alone)

    def test_its_training_loss_is_no_view(self) -> None:
        found = views([*rows(STAGE, [[0.5] * 3] * 3), *rows(STAGE, [[1.0, 0.9, 0.8]] * 3, metric="train_loss")], 3)
        assert set(found) == {STAGE}

    def test_all_cut_at_one_epoch(self) -> None:
        view = views(rows(STAGE, [[0.5, 0.6], [0.4, 0.7]], schedule=3), 2)[STAGE]
        assert view.values.tolist() == view.order.tolist() == [0.6, 0.7]

    def test_whole_epochs_come_first_where_some_ended_early(self) -> None:
        view = views(rows(STAGE, [[0.9], [0.1, 0.2, 0.3], [0.4, 0.8]]), 3)[STAGE]
        assert view.order.argsort().tolist() == [0, 2, 1]
        assert np.isnan(view.values).tolist() == [True, False, True]

    def test_those_with_a_prediction_are_seen_by_it(self) -> None:
        evidence = rows(STAGE, [[0.9], [0.1, 0.2, 0.3]])
        for metric, value in (("predicted_accuracy", 0.95), ("predicted_accuracy_sd", 0.02)):
            evidence.append(Evidence(STAGE, f"{STAGE}/a", "a", "pretext:rotation", 1, 3, 0, metric, value))
        view = views(evidence, 2)[STAGE]
        assert view.values.tolist() == view.order.tolist() == [0.95, 0.3]
        assert view.sds[0] == 0.02
        assert math.isnan(view.sds[1])

    def test_a_failed_one_is_unknown(self) -> None:
        view = views(rows(STAGE, [[0.5, math.nan], [0.4, 0.5, 0.6]]), 2)[STAGE]
        assert np.isfinite(view.order).tolist() == [False, True]

    def test_two_lengths_of_a_task_are_two_views(self) -> None:
        both = [*rows(STAGE, [[0.5] * 3] * 2), *rows("pretext-rotation-1", [[0.4]] * 2, schedule=1)]
        assert set(views(both, 2)) == {STAGE, "pretext-rotation-1"}

    def test_it_is_no_supernet(self) -> None:
        assert supernet_trust(pd.DataFrame(rows(STAGE, [[0.5] * 3] * 3)), list("abc"), full_epochs=8) == []


class TestPrior:
    N = 60
    QUALITY = np.random.default_rng(0).permutation(np.linspace(-2, 2, N))

    def view(self, name: str, kind: Any, values: np.ndarray, fidelity: float = 0.0) -> View:
        return View(name, kind, values, values, fidelity, np.full(self.N, fidelity), name)

    def prior(self, *views: View) -> Any:
        inputs = make_inputs(np.zeros((self.N, 0)), views)
        shorts = complete_short_runs(inputs, views, np.random.default_rng(0))
        return prior_order(inputs, shorts, np.random.default_rng(1))

    def test_it_is_a_group_beside_size(self) -> None:
        found = self.prior(self.view("flops", "size", self.QUALITY**3), self.view(STAGE, "pretext", self.QUALITY))
        assert found.weights == {"size": 1.0, STAGE: 1.0}

    def test_several_tasks_are_one_group(self) -> None:
        tasks = [self.view(f"pretext-{name}-3", "pretext", self.QUALITY + shift)
                 for shift, name in enumerate(("rotation", "jigsaw", "colorization"))]  # fmt: skip
        supernet = self.view("supernet:uniform", "supernet", self.QUALITY)
        found = self.prior(self.view("flops", "size", -self.QUALITY), supernet, *tasks)
        assert found.weights == {"size": 1.0, "supernet:uniform": 1.0, "pretext tasks": 1.0}

    def test_trainings_tell_how_far_it_counts(self) -> None:
        trained = self.view("training-3", "training", self.QUALITY, 0.1)
        useless = self.QUALITY**2  # of both ends alike
        assert set(self.prior(self.view(STAGE, "pretext", useless), trained).weights) == {"training-3"}
        assert self.prior(self.view(STAGE, "pretext", self.QUALITY), trained).weights[STAGE] == 1.0

    def test_it_says_nothing_of_final_accuracies(self) -> None:
        count = 20
        generator = np.random.default_rng(0)
        accuracies = np.sort(generator.uniform(0.3, 0.6, count))
        evidence = pd.DataFrame(rows(STAGE, [[value] * 3 for value in accuracies]))
        codes = list("abcdefghijklmnopqrst")
        model = RankingModel(evidence, pd.DataFrame(index=codes), full_epochs=8, seed=0, options=RankerOptions())
        ranking = model.ranking()
        assert ranking.table["architecture"].tolist() == codes[::-1]
        assert ranking.table["predicted_accuracy"].isna().all()
        assert ranking.weights == {STAGE: 1.0}

    def test_who_is_asked_may_have_been_trained_before(self) -> None:
        evidence = pd.DataFrame(rows("training-3", [[0.1 * place] * 3 for place in range(1, 7)], source="training"))
        model = RankingModel(evidence, pd.DataFrame(index=list("abcdef")), full_epochs=8, seed=0)
        assert len(set(choose_short_runs(model, 4))) == 4
        assert sorted(choose_short_runs(model, 4, had="abcd")) == ["e", "f"]


def test_why_shows_it_by_its_stage(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "log.sqlite")
    log.append([*rows(STAGE, [[0.5, 0.6, 0.7], [0.5, 0.6, 0.8]]), *rows("pretext-rotation-1", [[0.4], [0.3]])])
    names = {"a": "A", "b": "B"}
    found = explain(log, "a", names=names, stages=[], encoding=pd.DataFrame(index=["a", "b"]))
    shown = {one.source: (one.metric, one.value, one.place, one.of) for one in found.other_evidence}
    assert shown == {
        STAGE: ("validation_accuracy", 0.7, 2, 2),
        "pretext-rotation-1": ("validation_accuracy", 0.4, 1, 2),
    }


# --- a run


RUN = """
name: pretext
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 4
data: {name: digits, validation: 200, test: 200, train: 300}
recipe: {epochs: 12, learning_rate: 0.05}
budget: 1x
trainings:
  - {epochs: 2, task: rotation, subset: 0.5, scheduler: full}
  - {epochs: 1}
baseline: null
"""


@pytest.mark.ray
def test_a_run(tmp_path: Path) -> None:
    (tmp_path / "pretext.yaml").write_text(RUN)
    done = finished(tmp_path, "run", "pretext.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "runs").glob("[!.]*")
    stage = "pretext-rotation-2-on-0.5:full"
    evidence = EvidenceLog(run / "evidence.sqlite").evidence()
    own = evidence[evidence["stage"] == stage]
    assert set(own["source"]) == {"pretext:rotation"}
    assert set(own["metric"]) >= {"validation_accuracy", "train_loss"}
    assert not own["metric"].str.startswith("test").any()
    assert own["epochs"].sum() == 4 * 2 * 0.5 * 4  # candidates, epochs, share, views
    assert (own["epoch_share"] == 0.5).all()
    # Size is that of the candidates: no head of a task is in it.
    space = get_space("nasbench201", width=4, cells_per_stage=1)
    sizes = evidence[(evidence["source"] == "size") & (evidence["metric"] == "parameters")]
    for code, parameters in sizes.set_index("architecture")["value"].items():
        size = measure_size(space, space.parse(str(code)), input_shape=(1, 8, 8), classes=10)
        assert parameters == size.parameters
    ranking = pd.read_csv(run / "ranking.csv")
    assert ranking["evidence"].str.contains(stage).all()
    why = finished(tmp_path, "why", str(ranking["architecture"][0]), "--run", str(run))
    assert f"{stage} validation_accuracy: 0." in why.stdout, why.stdout + why.stderr


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("jigsaw", "jigsaw: images of 8 x 8 make tiles of 3 pixels a side"),
        ("colorization", "colorization: the images are grey"),
    ],
)
def test_a_mistake_in_a_run_is_one_line(
    task: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taurank: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretext.yaml").write_text(RUN.replace("rotation", task))
    code, _, error = taurank("run", "pretext.yaml")
    (line,) = error.splitlines()
    assert code == 2
    assert line.startswith(f"taurank: trainings: pretext-{task}-2-on-0.5:full: {said}")
