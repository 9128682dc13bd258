"""Trainings on less data: what the file says, what they cost, what they stand for, and which images they have."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.cluster.cluster import ClusterError, Slot
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import load_experiment, parse_experiment
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.planning.rounds import planned_epochs
from taurank.orchestrator.ranker.views import make_views
from taurank.orchestrator.stages import less_data
from taurank.orchestrator.stages.less_data import StageImages
from taurank.orchestrator.stages.scheduling import training_limits
from taurank.orchestrator.stages.stage import training_stage
from taurank.trainables.data import load_dataset, make_splits

FILE = """
name: less
space: mnist_blocks
data: {name: digits, validation: 200, test: 200, train: 320}
recipe: {epochs: 4}
trainings: [%s]
baseline: null
"""


def experiment(training: str) -> Experiment:
    return parse_experiment(FILE % training, where="less.yaml")


def spec(training: str) -> TrainingSpec:
    (found,) = experiment(training).trainings or ()
    return found


class TestFile:
    @pytest.mark.parametrize(
        ("training", "stage", "share"),
        [
            ("{epochs: 3}", "training-3", 1.0),
            ("{epochs: 3, subset: 1}", "training-3", 1.0),
            ("{epochs: 3, subset: 0.25}", "training-3-on-0.25", 0.25),
            ("{epochs: 3, subset: {share: 0.25, by: k-center}}", "training-3-on-0.25-k-center", 0.25),
            ("{epochs: 3, subset: {share: 0.5, by: difficulty}}", "training-3-on-0.5-difficulty", 0.5),
            ("{epochs: 3, resolution: 0.5}", "training-3-at-0.5", 0.25),
            ("{epochs: 3, until: 2, subset: 0.5, resolution: 0.5, scheduler: asha}",
             "training-3@2-on-0.5-at-0.5:asha", 0.125),
        ],
    )  # fmt: skip
    def test_stages_are_told_apart_and_cost_their_share(self, training: str, stage: str, share: float) -> None:
        found = spec(training)
        assert (found.stage, found.epoch_share) == (stage, share)
        assert found.cost(8) == 8 * found.last_epoch * share

    @pytest.mark.parametrize(
        ("training", "said"),
        [
            ("{epochs: 3, subset: 0}", "trainings.0.subset: has to be above 0, not 0"),
            ("{epochs: 3, subset: 200}", "trainings.0.subset: has to be at most 1, not 200"),
            ("{epochs: 3, subset: half}", "trainings.0.subset: "),
            ("{epochs: 3, subset: {share: 0.5, by: random}}", "trainings.0.subset.by: .*stratified"),
            ("{epochs: 3, subset: {by: k-center}}", "trainings.0.subset.share: "),
            ("{epochs: 3, resolution: 2}", "trainings.0.resolution: has to be at most 1, not 2"),
        ],
    )
    def test_mistakes_are_named(self, training: str, said: str) -> None:
        with pytest.raises(ExperimentError, match=said):
            experiment(training)

    def test_less_data_is_never_full_training(self) -> None:
        assert spec("{epochs: 4}").is_full(4)
        assert not spec("{epochs: 4, subset: 0.9}").is_full(4)
        assert not spec("{epochs: 4, resolution: 0.9}").is_full(4)

    def test_it_is_written_as_it_was_read(self) -> None:
        read = experiment("{epochs: 3, subset: {share: 0.25, by: k-center}, resolution: 0.5}")
        assert parse_experiment(read.to_yaml(), where="again") == read

    def test_finding_hard_images_is_paid_for_once(self) -> None:
        assert planned_epochs(spec("{epochs: 3, subset: {share: 0.5, by: difficulty}}"), 9) == 9 * 3 * 0.5 + 3 + 1 / 3
        assert planned_epochs(spec("{epochs: 3, subset: {share: 1.0, by: difficulty}}"), 9) == 27

    def test_a_policy_counts_whole_epochs_of_its_trainings(self) -> None:
        found = spec("{epochs: 3, subset: 0.25, scheduler: asha, budget_epochs: 2}")
        assert training_limits(found).budget_epochs == 8

    def test_a_stage_knows_its_cost_and_its_trials_what_an_epoch_is(self, tmp_path: Path) -> None:
        asked = experiment("{epochs: 3, subset: 0.25}")
        codes = [architecture.code for architecture in asked.space.make().enumerate()]
        (training,) = asked.trainings or ()
        stage = training_stage(asked, training, codes, tmp_path)
        assert stage.cost == 9 * 3 * 0.25
        assert {one.epoch_share for one in stage.specs} == {0.25}

    @pytest.mark.parametrize("kind", ["folder", "npz", "imagenet"])
    def test_a_path_is_relative_to_the_file(self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "below").mkdir()
        file = tmp_path / "below" / "less.yaml"
        file.write_text((FILE % "{epochs: 3}").replace("digits", f"'{kind}:../photos'"))
        monkeypatch.chdir("/")
        assert load_experiment(str(file)).data.name == f"{kind}:{tmp_path / 'photos'}"

    def test_an_absolute_path_stays_and_a_published_name_too(self, tmp_path: Path) -> None:
        file = tmp_path / "less.yaml"
        for name in ("folder:/photos/all", "digits"):
            file.write_text((FILE % "{epochs: 3}").replace("digits", name))
            assert load_experiment(str(file)).data.name == name

    def test_a_path_that_is_missing_is_said(self) -> None:
        with pytest.raises(ExperimentError, match=r"data\.name: 'folder:' has no path; write folder:PATH"):
            parse_experiment((FILE % "{epochs: 3}").replace("digits", "'folder:'"), where="less.yaml")


def rows(stage: str, share: float, *, epochs: int, schedule: int) -> list[Evidence]:
    return [
        Evidence(stage, f"{stage}/{code}", code, "training", epoch, schedule, 0, "validation_accuracy",
                 0.5 + number / 100, 1.0, share, share)
        for number, code in enumerate("abc")
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip


def views(*evidence: Evidence) -> dict[str, Any]:
    return {view.name: view for view in make_views(pd.DataFrame(evidence), list("abc"), full_epochs=8)}


class TestViews:
    def test_fidelity_is_the_share_of_full_training_that_it_costs(self) -> None:
        found = views(*rows("less", 0.25, epochs=4, schedule=4))["less"]
        assert found.fidelity == 4 * 0.25 / 8
        assert found.reached.tolist() == [0.125] * 3

    def test_full_schedules_on_less_data_are_not_full_trainings(self) -> None:
        found = views(*rows("less", 0.5, epochs=8, schedule=8), *rows("full", 1.0, epochs=8, schedule=8))
        assert found["full"].is_final
        assert not found["less"].is_final
        assert found["less"].is_short
        assert found["less"].fidelity == 0.5

    def test_a_training_ended_early_stands_for_what_it_had(self) -> None:
        found = views(*rows("less", 0.5, epochs=2, schedule=8))["less"]
        assert found.fidelity == 2 * 0.5 / 8


class TestLog:
    def test_a_row_keeps_its_share_and_an_older_log_has_whole_ones(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        (row, *_) = rows("less", 0.25, epochs=1, schedule=4)
        log.append([row])
        assert log.evidence()["epoch_share"].tolist() == [0.25]
        log.close()
        with sqlite3.connect(tmp_path / "log.sqlite") as database:
            database.execute("ALTER TABLE evidence DROP COLUMN epoch_share")
        older = EvidenceLog(tmp_path / "log.sqlite")
        assert older.evidence()["epoch_share"].tolist() == [1.0]
        older.append([replace(row, epoch=2)])
        assert older.evidence()["epoch_share"].tolist() == [1.0, 0.25]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs at once, in this process, what would be a task."""

    def task(work: Any) -> Any:
        return SimpleNamespace(remote=work)

    fake = SimpleNamespace(put=lambda images: images, get=lambda found: found, remote=lambda **taken: task)
    monkeypatch.setattr(less_data, "ray", fake)


@pytest.mark.usefixtures("here")
class TestImages:
    DATA = make_splits(load_dataset("digits"), seed=0, train=320, validation=200, test=200)

    def images(self, training: str, folder: Path, log: EvidenceLog) -> Any:
        asked = experiment(training)
        (only,) = asked.trainings or ()
        whole = StageImages(self.DATA, self.DATA, asked, folder, log)  # type: ignore[arg-type]
        return whole.for_stage(only, "3,3", Slot(cpus=1))

    @pytest.fixture
    def log(self, tmp_path: Path) -> EvidenceLog:
        return EvidenceLog(tmp_path / "log.sqlite")

    def test_all_data_is_what_was_there(self, tmp_path: Path, log: EvidenceLog) -> None:
        assert self.images("{epochs: 3}", tmp_path, log) is self.DATA

    def test_less_is_the_same_each_time(self, tmp_path: Path, log: EvidenceLog) -> None:
        training = "{epochs: 3, subset: 0.25, resolution: 0.5, seed: 3}"
        first, again = (self.images(training, tmp_path, log) for _ in range(2))
        assert first.train.images.shape == (80, 4, 4, 1)
        np.testing.assert_array_equal(first.train.images, again.train.images)
        assert log.evidence().empty

    def test_hard_images_are_found_out_and_booked_once(self, tmp_path: Path, log: EvidenceLog) -> None:
        training = "{epochs: 3, subset: {share: 0.25, by: difficulty}}"
        first, again = (self.images(training, tmp_path, log) for _ in range(2))
        assert len(first.train) == 80
        np.testing.assert_array_equal(first.train.images, again.train.images)
        (row,) = log.evidence().to_dict("records")
        assert (row["stage"], row["architecture"]) == ("training-3-on-0.25-difficulty", "")
        assert row["epochs"] == pytest.approx(3 + 1 / 3)
        assert row["seconds"] > 0
        losses = np.load(tmp_path / "training-3-on-0.25-difficulty.difficulty.npy")
        assert losses.shape == (320,)
        assert (losses >= 0).all()

    def test_a_short_training_that_fails_says_so(
        self, tmp_path: Path, log: EvidenceLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(found: Any) -> Any:
            raise less_data.RayError("worker\nlost its node")

        monkeypatch.setattr(less_data.ray, "get", fail)
        with pytest.raises(ClusterError, match=r"of 3,3 .*failed: lost its node; select images by") as found:
            self.images("{epochs: 3, subset: {share: 0.25, by: difficulty}}", tmp_path, log)
        assert "\n" not in str(found.value)
