"""A run that more is asked of: what was bought stays evidence, and only the rest is bought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.candidates.latencies import WHOLE
from taurank.orchestrator.candidates.narrowing import narrowing_line
from taurank.orchestrator.evidence import BASELINE, EXTENDED
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.knowledge.known import KnowledgeError
from taurank.orchestrator.runs import creation, extension
from taurank.orchestrator.runs.creation import create_run
from taurank.orchestrator.runs.extension import Changes, extend, read_stages
from taurank.orchestrator.runs.image_loading import load_images
from taurank.orchestrator.runs.run import Run, RunError
from taurank.orchestrator.stages.supernet_runs import trained_for
from taurank.spaces import RestrictedSpace, get_space
from taurank.trainables.data import ImageData
from taurank.trainables.latency.candidates import CandidateLatency
from taurank.trainables.latency.table import Conditions, LatencyTable
from tests.orchestrator.processes import finished

ROOT = Path(__file__).parents[3]
SPACE = "space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}"
IMAGES = "data: {name: digits, validation: 200, test: 200, train: 200}"
TEXT = f"""
name: more
{SPACE}
candidates: 8
{IMAGES}
recipe: {{epochs: 12, batch_size: 64, learning_rate: 0.05}}
budget: 3x
proxies: null
"""
SPLIT = "trainings: [{epochs: 2, candidates: 5}, {epochs: 12, candidates: 1}]\nsupernets: [{epochs: 2}]\nbaseline: {}\n"


LARGE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"


class NoisyMeter:
    """A device on which whatever is measured again takes ten times as long."""

    by, table, conditions = WHOLE, None, Conditions("fake", "float32", 1, 1, "2.6.0")

    def __init__(self) -> None:
        self.measured: list[str] = []
        self.start()

    def start(self) -> None:
        """Another process: nothing is known in it."""
        self.found: dict[str, CandidateLatency] = {}
        self.shared_seconds, self.began, self.ended = 2.0, 0.0, 1.0

    @contextmanager
    def opened(self, experiment: Experiment, *_: object, **__: object) -> Iterator[NoisyMeter | None]:
        self.start()
        yield None if experiment.measured_latency is None else self

    @property
    def seconds(self) -> dict[str, float]:
        return dict.fromkeys(self.found, 0.5)

    def measure(self, codes: Sequence[str]) -> dict[str, CandidateLatency]:
        for code in codes:
            if code not in self.found:
                self.found[code] = CandidateLatency(30.0 if code in self.measured else 3.0)
                self.measured.append(code)
        return {code: self.found[code] for code in codes}

    def resume(self, by: str, table: LatencyTable | None) -> None:
        assert (by, table) == (WHOLE, None)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images(parse_experiment(TEXT, where="test").data, root=None, download=False)


def make(data: ImageData, folder: Path, more: str = SPLIT) -> Run:
    return create_run(parse_experiment(TEXT + more, where="test"), folder, data)


class TestCandidates:
    def test_more_are_drawn_and_those_there_stay_the_first(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path)
        longer = extend(run, Changes(candidates=12), data)
        assert longer.candidates[:8] == run.candidates
        assert len(set(longer.candidates)) == 12
        assert Run.open(longer.folder).candidates == longer.candidates
        assert extend(run, Changes(candidates=12), data).candidates == longer.candidates

    def test_named_ones_are_added_once(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path)
        others = [one.code for one in get_space("nasbench201").enumerate() if one.code not in run.candidates][:2]
        assert extend(run, Changes(add=tuple(others)), data).candidates == (*run.candidates, *others)
        both = extend(run, Changes(add=tuple(others), candidates=11), data)
        assert both.candidates[:10] == (*run.candidates, *others)
        assert len(set(both.candidates)) == 11

    def test_all_that_can_be_drawn(self, data: ImageData, tmp_path: Path) -> None:
        assert len(extend(make(data, tmp_path), Changes(candidates=5_389), data).candidates) == 5_389

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (Changes(), "nothing to extend"),
            (Changes(candidates=8), "--candidates: 8 in all; there are 8, so give more"),
            (Changes(candidates=15_626), "15626 are more than the 15625 of nasbench201"),
            (Changes(add=("no such cell",)), "no such cell"),
            (Changes(budget="cheap"), "cheap is no budget: write 10x"),
            (Changes(seeds=(1,)), "1"),
            (Changes(stages={"trainings": [{"epochs": 2}]}), "training-2 is listed twice"),
        ],
    )
    def test_what_cannot_be_is_said_in_one_line_and_leaves_nothing(
        self, changes: Changes, message: str, data: ImageData, tmp_path: Path
    ) -> None:
        run = make(data, tmp_path)
        with pytest.raises(ExperimentError, match=message) as caught:
            extend(run, changes, data)
        assert len(str(caught.value).splitlines()) == 1
        assert list(tmp_path.glob("more-*")) == [run.folder]

    def test_one_that_is_there_already_is_refused(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path)
        with pytest.raises(ExperimentError, match="is a candidate of the run already"):
            extend(run, Changes(add=(run.candidates[3],)), data)

    def test_a_sampled_baseline_is_of_those_it_was_drawn_from(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path, SPLIT.replace("baseline: {}", "baseline: {seeds: [1], candidates: 4}"))
        with pytest.raises(ExperimentError, match="its baseline is a sample of the 8"):
            extend(run, Changes(candidates=12), data)

    def test_one_that_violates_a_constraint(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path, SPLIT + "constraints: params <= 7000\n")
        with pytest.raises(ExperimentError, match="violates a constraint of the run: parameters"):
            extend(run, Changes(add=(LARGE,)), data)
        small = extend(run, Changes(candidates=12), data)
        assert len(small.candidates) == 12


class TestCandidatesThatAreThere:
    """They were judged when the run was made: nothing about them is measured again."""

    @pytest.fixture
    def bounded(self, data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, NoisyMeter]:
        """A run with a bound on latency and a meter whose second measurement of anything is beyond the bound."""
        meter = NoisyMeter()
        for module in (creation, extension):
            monkeypatch.setattr(module, "open_meter", meter.opened)
        return make(data, tmp_path, SPLIT + "constraints: latency <= 5ms\n"), meter

    @pytest.mark.parametrize("changes", [Changes(candidates=12), Changes(add=("named",)), Changes(12, ("named",))])
    def test_only_new_ones_are_measured(
        self, changes: Changes, bounded: tuple[Run, NoisyMeter], data: ImageData
    ) -> None:
        run, meter = bounded
        others = [one.code for one in get_space("nasbench201").enumerate() if one.code not in run.candidates]
        changes = replace(changes, add=tuple(others[:1]) if changes.add else ())
        before = list(meter.measured)
        longer = extend(run, changes, data)
        new = longer.candidates[8:]
        assert longer.candidates[:8] == run.candidates
        assert len(new) == (4 if changes.candidates else 1)
        assert sorted(meter.measured[len(before) :]) == sorted(new)
        rows = longer.log.evidence().query("metric == 'latency_ms'")
        assert sorted(rows["architecture"]) == sorted(longer.candidates)

    def test_what_measuring_the_new_ones_cost_is_booked(self, bounded: tuple[Run, NoisyMeter], data: ImageData) -> None:
        run, _ = bounded
        longer = extend(run, Changes(candidates=12), data)
        shared = longer.log.evidence().query("metric == 'shared_seconds'")
        assert list(shared["seconds"]) == [2.0, 2.0]

    def test_more_of_a_narrowed_space_are_drawn_from_it(
        self, data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = ["nor_conv_1x1", "skip_connect"]

        def narrowed(experiment: Experiment, *_: object, **__: object) -> RestrictedSpace:
            return RestrictedSpace(experiment.space.make(), [kept] * 6)

        meter = NoisyMeter()
        monkeypatch.setattr(creation, "open_meter", meter.opened)
        monkeypatch.setattr(extension, "open_meter", meter.opened)
        monkeypatch.setattr(creation, "narrowed_space", narrowed)
        run = make(data, tmp_path, SPLIT + "narrow: {keep: 2}\n")
        longer = extend(run, Changes(candidates=20), data)
        assert len(set(longer.candidates)) == 20
        assert all("nor_conv_3x3" not in code and "none" not in code for code in longer.candidates)
        assert narrowing_line(longer.log) is not None
        with pytest.raises(ExperimentError, match=r"^narrow: 500 .*; ask for fewer candidates, or name others"):
            extend(run, Changes(candidates=500), data)
        outside = get_space("nasbench201").parse(LARGE).code
        assert extend(run, Changes(add=(outside,)), data).candidates[8:] == (outside,)


class TestPlan:
    def test_named_stages_stay_as_they_are(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path)
        assert extend(run, Changes(candidates=12), data).experiment.trainings == run.experiment.trainings

    def test_a_split_of_ours_grows_with_the_budget_and_keeps_its_lengths(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path, "")
        before = run.experiment.trainings or []
        longer = extend(run, Changes(budget="1.5x"), data)
        after = longer.experiment.trainings or []
        assert longer.has_default_plan
        assert [spec.stage for spec in after][: len(before)] == [spec.stage for spec in before]

        def count(spec: object) -> int:
            return 8 if spec.candidates == "all" else int(spec.candidates)  # type: ignore[attr-defined]

        assert sum(map(count, after)) > sum(map(count, before))
        supernets = longer.experiment.supernets or []
        assert sum(spec.cost(count(spec)) for spec in after) + sum(spec.epochs for spec in supernets) <= 8 * 12 / 1.5

    def test_added_stages_make_the_split_the_users(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path, "")
        file = tmp_path / "stages.yaml"
        file.write_text("trainings: [{epochs: 5, candidates: 2}]")
        longer = extend(run, Changes(budget="1x", stages=read_stages(file)), data)
        assert [spec.stage for spec in longer.experiment.trainings or []][-1] == "training-5"
        assert not longer.has_default_plan

    @pytest.mark.parametrize("text", ["", "- 1", "budget: 2x", "trainings: {epochs: 2}", "trainings: [", "\x00"])
    def test_a_file_with_anything_else_is_refused(self, text: str, tmp_path: Path) -> None:
        file = tmp_path / "stages.yaml"
        file.write_text(text)
        with pytest.raises(ExperimentError, match=r"stages\.yaml") as caught:
            read_stages(file)
        assert len(str(caught.value).splitlines()) == 1


class TestKnowledge:
    @pytest.fixture
    def known(self, data: ImageData, tmp_path: Path) -> Run:
        codes = make(data, tmp_path / "other").candidates
        file = tmp_path / "old.csv"
        file.write_text("arch,acc\n" + "".join(f"{code},{place}\n" for place, code in enumerate(codes)))
        return make(data, tmp_path, f"{SPLIT}knowledge: [{file}]")

    def test_it_is_kept_although_its_source_has_gone(self, known: Run, data: ImageData, tmp_path: Path) -> None:
        (tmp_path / "old.csv").unlink()
        longer = Run.open(extend(known, Changes(candidates=10), data).folder)
        assert longer.knowledge == known.knowledge
        assert [source.name for source in longer.problem.knowledge] == ["old"]

    def test_own_images_by_a_relative_path_are_the_same_data(
        self, data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else an earlier run on the same images would pass for one on others."""
        monkeypatch.chdir(tmp_path)
        text = (TEXT + SPLIT).replace("name: digits", "name: 'npz:own.npz'").replace("name: more", "name: own")
        experiment = parse_experiment(text, where="test")
        first = create_run(experiment, tmp_path, data)
        for index, code in enumerate(first.candidates):
            row = Evidence("training-12", code, code, "training", 12, 12, 0, "validation_accuracy", index / 10)
            first.log.append([row])
        first.log.append_event("ranking", "", "ended")
        assert create_run(experiment, tmp_path, data).knowledge == ()
        other = parse_experiment(text.replace("own.npz", "other.npz"), where="test")
        assert first.log.noted("classes") == "10"
        assert [one.source.name for one in create_run(other, tmp_path, data).knowledge] == [first.folder.name]

    def test_it_may_be_omitted(self, known: Run, data: ImageData) -> None:
        without = extend(known, Changes(knowledge=("none",)), data)
        assert without.experiment.knowledge is None
        assert Run.open(without.folder).problem.knowledge == ()
        assert len(Run.open(known.folder).problem.knowledge) == 1

    def test_it_may_be_replaced(self, known: Run, data: ImageData, tmp_path: Path) -> None:
        other = tmp_path / "new.csv"
        other.write_text((tmp_path / "old.csv").read_text())
        replaced = extend(known, Changes(knowledge=(f"{other}:relation=same-kind",)), data)
        assert [(one.source.name, one.source.relation) for one in replaced.knowledge] == [("new", "same-kind")]

    def test_a_source_that_fails_leaves_nothing(self, known: Run, data: ImageData, tmp_path: Path) -> None:
        with pytest.raises(KnowledgeError, match="no such file"):
            extend(known, Changes(knowledge=("nowhere.csv",)), data)
        assert list(tmp_path.glob("more-*")) == [known.folder]

    def test_others_of_the_space_are_described_to_predict_candidates(self, data: ImageData, tmp_path: Path) -> None:
        drawn = get_space("nasbench201").sample(60, np.random.default_rng(9))
        file = tmp_path / "old.csv"
        file.write_text("arch,acc\n" + "".join(f"{one.code},{place}\n" for place, one in enumerate(drawn)))
        problem = make(data, tmp_path, f"{SPLIT}knowledge: [{file}]").problem
        assert problem.knowledge_encoding is not None
        others = {one.code for one in drawn} - set(problem.candidates)
        assert set(problem.knowledge_encoding.index) == others
        assert list(problem.knowledge_encoding.columns) == list(problem.encoding.columns)


class TestLog:
    def test_it_is_copied_and_the_earlier_one_stays(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path)
        code = run.candidates[0]
        run.log.append([Evidence("training-2", "t", code, "training", 1, 2, 0, "validation_accuracy", 0.5, 1.0, 1.0)])
        run.log.append_event("training-2", "", "ended")
        (run.folder / "checkpoints" / "state.pt").write_bytes(b"weights")
        longer = extend(run, Changes(candidates=9), data)
        pd.testing.assert_frame_equal(longer.log.evidence(), run.log.evidence())
        assert (longer.folder / "checkpoints" / "state.pt").read_bytes() == b"weights"
        assert run.log.has_ended("training-2")
        assert not longer.log.has_ended("training-2")
        longer.log.append_event("training-2", "", "ended")
        assert longer.log.has_ended("training-2")
        assert list(longer.log.events()["event"]).count(EXTENDED) == 1
        assert EXTENDED not in set(run.log.events()["event"])

    def test_a_supernet_stays_that_of_the_first_candidates(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path)
        (spec,) = run.experiment.supernets or []
        assert trained_for(run.log, spec) is None
        longer = extend(run, Changes(candidates=9), data)
        assert trained_for(longer.log, spec) == 8
        assert trained_for(extend(longer, Changes(candidates=10), data).log, spec) == 8

    def test_a_run_that_is_worked_on_is_left_alone(self, data: ImageData, tmp_path: Path) -> None:
        run = make(data, tmp_path)
        with run.locked(), pytest.raises(RunError, match="another taurank is working on"):
            extend(run, Changes(candidates=9), data)


@pytest.mark.ray
def test_only_what_is_lacking_is_trained(tmp_path: Path) -> None:
    text = TEXT + SPLIT.replace("baseline: {}", "baseline: {seeds: [1]}")
    (tmp_path / "more.yaml").write_text(
        text.replace("epochs: 12", "epochs: 6").replace("candidates: 8", "candidates: 6").replace("3x", "1x")
    )

    def taurank(*arguments: str) -> str:
        done = finished(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    taurank("run", "more.yaml")
    (first,) = (tmp_path / "runs").glob("more-*")
    before = EvidenceLog(first / "evidence.sqlite").evidence()
    said = taurank("extend", str(first), "--candidates", "8", "--baseline-seed", "2", "--stages", _stages(tmp_path))
    assert "taken over" not in said
    (second,) = set((tmp_path / "runs").glob("more-*")) - {first}
    pd.testing.assert_frame_equal(EvidenceLog(first / "evidence.sqlite").evidence(), before)
    run = Run.open(second)
    rows = run.log.evidence()
    pd.testing.assert_frame_equal(rows.iloc[: len(before)], before)
    assert len(pd.read_csv(second / "ranking.csv")) == 8
    new = rows.iloc[len(before) :]
    # Everybody with both seeds; of the first seed only who is new.
    baseline = new[(new["stage"] == BASELINE) & (new["metric"] == "test_accuracy")]
    assert baseline.groupby("seed")["architecture"].nunique().to_dict() == {1: 2, 2: 8}
    assert new.loc[new["stage"] == "training-3", "architecture"].nunique() == 2
    assert set(new["stage"]) == {"size", "supernet:uniform", "training-3", BASELINE}
    scores = rows[(rows["stage"] == "supernet:uniform") & (rows["metric"] == "validation_accuracy")]
    assert set(scores["architecture"]) == set(run.candidates)
    assert not ((new["stage"] == "supernet:uniform") & (new["metric"] == "train_loss")).any()
    assert "nothing left to run" in taurank("resume", str(second))


def _stages(folder: Path) -> str:
    file = folder / "stages.yaml"
    file.write_text("trainings: [{epochs: 3, candidates: 2}]")
    return str(file)
