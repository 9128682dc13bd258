"""A search as a run: its log is its state, workers are given what it proposes, and it ends in a ranking."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from taurank.orchestrator.campaigns.search_set_up import make_proposals
from taurank.orchestrator.campaigns.searching import best_unseen, create_search
from taurank.orchestrator.candidates.latencies import Meter
from taurank.orchestrator.candidates.screening import Screen
from taurank.orchestrator.candidates.search_latencies import KeptLatencies
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.report import search_lines
from taurank.orchestrator.runs.extension import Changes, extend
from taurank.orchestrator.runs.image_loading import load_images
from taurank.orchestrator.runs.run import Run, RunError
from taurank.orchestrator.search import make_searcher
from taurank.orchestrator.search.proposals import STAGE, Proposals, note_unseen, proposed_codes, unseen_codes
from taurank.orchestrator.search.searcher import SearchError
from taurank.orchestrator.stages.searching import ProposalSearch
from taurank.orchestrator.stages.shared_results import SharedResults
from taurank.spaces import Architecture, get_space, measure_size
from taurank.trainables.data import ImageData
from taurank.trainables.latency.candidates import CandidateLatency
from taurank.trainables.latency.table import Conditions
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.trials.spec import TrialSpec
from tests.orchestrator.processes import log_with

ROOT = Path(__file__).parents[3]
TEXT = """
name: found
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
data: {name: digits, validation: 200, test: 200, train: 200}
recipe: {epochs: 4, batch_size: 64, learning_rate: 0.05}
"""
SPACE = get_space("nasbench201", width=4, cells_per_stage=1)


def read(more: str) -> Experiment:
    return parse_experiment(TEXT + more, where="test")


def quality(code: str) -> float:
    """A made-up accuracy: the share of 3x3 convolutions."""
    return 0.2 + 0.1 * code.count("nor_conv_3x3")


def spec(code: str) -> TrialSpec:
    return TrialSpec(f"search/{code}/seed 0", code, "nasbench201", {}, Recipe(epochs=2), 0, "", (code,))


def proposals(log: EvidenceLog, *, evaluations: int = 12, method: str = "evolution") -> Proposals:
    options = {"population": 3, "sample": 2} if method == "evolution" else {}
    searcher = make_searcher(method, SPACE, seed=1, **options)
    return Proposals(searcher, log, evaluations=evaluations, full_epochs=4, spec=spec, book=lambda code: {})


def train(log: EvidenceLog, trial: TrialSpec, *, fails: bool = False) -> None:
    """What a worker leaves in the log."""
    (code,) = trial.architectures
    value = math.nan if fails else quality(code)
    log.append([Evidence(STAGE, trial.trial, code, "training", 2, 2, 0, "validation_accuracy", value, 1.0, 2.0)])
    log.append_event(STAGE, trial.trial, "failed" if fails else "completed")


def to_the_end(found: Proposals, log: EvidenceLog, *, most: int | None = None) -> None:
    """One worker, which ends after ``most`` trainings."""
    done = 0
    while most is None or done < most:
        trial = found.open[0] if found.open else found.following()
        if trial is None:
            return
        train(log, trial)
        done += 1


class TestProposals:
    def test_each_is_in_the_log_before_it_is_trained(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        found = proposals(log)
        first, second = found.following(), found.following()
        assert first is not None
        assert second is not None
        assert proposed_codes(log) == (*first.architectures, *second.architectures)
        events = log.events()
        assert list(events["event"]) == ["proposed", "proposed"]
        assert list(events["trial"]) == [first.trial, second.trial]
        assert events["reason"].iloc[1] == "2 of 12, when 0 had ended and 1 had not"
        assert found.open == [first, second]

    @pytest.mark.parametrize("cut", [1, 5, 9])
    @pytest.mark.parametrize("method", ["evolution", "random", "tpe"])
    def test_a_search_that_was_cut_off_proposes_what_an_undisturbed_one_does(
        self, tmp_path: Path, method: str, cut: int
    ) -> None:
        whole, parts = EvidenceLog(tmp_path / "whole.sqlite"), EvidenceLog(tmp_path / "parts.sqlite")
        to_the_end(proposals(whole, method=method), whole)
        before = proposals(parts, method=method)
        to_the_end(before, parts, most=cut)
        before.following()  # one is open when the run is killed
        after = proposals(parts, method=method)
        assert len(after.open) == 1
        to_the_end(after, parts)
        assert proposed_codes(parts) == proposed_codes(whole)
        assert len(proposed_codes(whole)) == 12

    def test_results_are_told_in_the_order_of_their_ends(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        found = proposals(log)
        asked = [trial for _ in range(3) if (trial := found.following()) is not None]
        train(log, asked[2])
        train(log, asked[0], fails=True)
        for state in (found, proposals(log)):
            state.tell()
            told = state.searcher.observations
            assert [one.architecture.code for one in told] == [asked[2].label, asked[0].label]
            assert told[0].values["accuracy"] == quality(asked[2].label)
            assert math.isnan(told[1].values["accuracy"])
            assert [(one.fidelity, one.cost) for one in told] == [(0.5, 0.5), (0.5, 0.5)]
            assert [one.code for one in state.searcher.open] == [asked[1].label]


def asks(found: Proposals, *, places: int = 2, over: Callable[[], bool] = lambda: False) -> ProposalSearch:
    return ProposalSearch(found, found.open, places=lambda: places, over=over, expect=lambda trial: None)


class TestProposalSearch:
    """Ray Tune as it would ask, without Ray."""

    def test_as_many_are_under_way_as_have_room(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        tuner = asks(proposals(log))
        first, second = tuner.suggest("a"), tuner.suggest("b")
        assert isinstance(first, dict)
        assert isinstance(second, dict)
        assert first["spec"].trial == first["trial"] != second["trial"]
        assert tuner.suggest("c") is None
        assert len(proposed_codes(log)) == 2
        train(log, first["spec"])
        tuner.on_trial_complete("a")
        assert isinstance(tuner.suggest("c"), dict)

    def test_it_is_finished_with_the_last_evaluation(self, tmp_path: Path) -> None:
        tuner = asks(proposals(EvidenceLog(tmp_path / "log.sqlite"), evaluations=2), places=5)
        assert isinstance(tuner.suggest("a"), dict)
        assert isinstance(tuner.suggest("b"), dict)
        assert tuner.suggest("c") == tuner.FINISHED

    def test_open_ones_of_an_earlier_part_come_first(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        earlier = proposals(log)
        trials = [earlier.following(), earlier.following()]
        tuner = asks(proposals(log), places=3)
        again = [tuner.suggest(name) for name in "ab"]
        assert [one["trial"] for one in again if isinstance(one, dict)] == [one.trial for one in trials if one]
        assert len(proposed_codes(log)) == 2
        assert isinstance(tuner.suggest("c"), dict)
        assert len(proposed_codes(log)) == 3

    def test_nothing_new_begins_once_the_run_is_asked_to_end(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        tuner = asks(proposals(log), over=lambda: True)
        assert tuner.suggest("a") == tuner.FINISHED
        assert proposed_codes(log) == ()

    def test_a_searcher_that_waits_for_results_is_waited_for(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        searcher = make_searcher("hurricane", SPACE, seed=0, initial=2, first=3)
        found = Proposals(searcher, log, evaluations=12, full_epochs=4, spec=spec, book=lambda code: {})
        tuner = asks(found, places=9)
        first, second = tuner.suggest("a"), tuner.suggest("b")
        assert tuner.suggest("c") is None
        for name, one in (("a", first), ("b", second)):
            assert isinstance(one, dict)
            train(log, one["spec"])
            tuner.on_trial_complete(name)
        assert isinstance(tuner.suggest("c"), dict)

    def test_what_stops_the_search_is_kept_and_what_runs_is_left_alone(self, tmp_path: Path) -> None:
        found = proposals(EvidenceLog(tmp_path / "log.sqlite"))
        tuner = asks(found)
        tuner.suggest("a")

        def refuse(count: int = 1) -> list[object]:
            raise SearchError("constraints: none of 1,000 keeps them; loosen them")

        found.searcher.ask = refuse  # type: ignore[method-assign, assignment]
        assert tuner.suggest("b") is None
        assert str(tuner.problem) == "constraints: none of 1,000 keeps them; loosen them"
        assert tuner.suggest("b") == tuner.FINISHED


class TestExperiment:
    def test_a_method_alone_is_a_search_with_its_defaults(self) -> None:
        found = read("search: evolution").search
        assert found is not None
        assert (found.method, found.evaluations, found.epochs, found.unseen) == ("evolution", 60, None, 20)

    def test_the_file_that_it_writes_says_the_same(self) -> None:
        asked = read("search: {method: pnas, evaluations: 7, epochs: 2}\nconstraints: params <= 1e6")
        again = parse_experiment(asked.to_yaml(), where="again")
        assert again.to_yaml() == asked.to_yaml()
        assert (again.search, again.constraints) == (asked.search, asked.constraints)
        assert "candidates" not in asked.to_yaml()
        assert "search" not in read("candidates: 5").to_yaml()

    @pytest.mark.parametrize(
        ("more", "line"),
        [
            ("search: posterior\ncandidates: 8", "candidates: a search proposes its candidates itself; omit candid"),
            (
                "search: posterior\nbudget: 5x",
                "budget: search.evaluations and search.epochs define the cost of a search",
            ),
            ("search: posterior\nbaseline: {seeds: [1]}", "baseline: a search has no such section; omit baseline,"),
            ("search: posterior\ntrainings: [{epochs: 2}]", "trainings: a search has no such section"),
            ("search: {epochs: 9}", "search.epochs: 9 is longer than full training (recipe.epochs: 4)"),
            ("search: posteriour", "search: unknown searcher 'posteriour'; known: random"),
            ("search: {options: {warmth: 1}}", "search.options: unknown option 'warmth' of searcher 'posterior'"),
            ("search: {options: {initial: some}}", "search.options: posterior cannot take {'initial': 'some'}"),
            ("search: {evaluations: 1}", "search.evaluations: has to be at least 2, not 1"),
        ],
    )
    def test_a_mistake_is_one_line(self, more: str, line: str) -> None:
        with pytest.raises(ExperimentError) as caught:
            read(more)
        assert str(caught.value).startswith(f"test: {line}")
        assert "\n" not in str(caught.value)

    def test_te_nas_is_for_the_space_that_it_can_measure(self) -> None:
        with pytest.raises(ExperimentError, match="te_nas measures networks of nasbench201 only, not of mnist_blocks"):
            parse_experiment(
                "name: a\nspace: mnist_blocks\nsearch: te_nas\ndata: digits\nrecipe: {epochs: 2}", where="test"
            )


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images(read("").data, root=None, download=False)


def searched(folder: Path, data: ImageData, *, evaluations: int = 8) -> Run:
    """A run whose search has ended, without images."""
    experiment = read(f"search: {{method: random, evaluations: {evaluations}, epochs: 2, unseen: 3}}")
    run = create_search(experiment, folder, data)
    found = proposals(run.log, evaluations=evaluations, method="random")
    to_the_end(found, run.log)
    found.tell()
    note_unseen(run.log, best_unseen(found.searcher, experiment))
    return Run.open(run.folder)


class TestRun:
    def test_it_is_opened_with_whom_it_looked_at_and_the_best_of_the_others(
        self, tmp_path: Path, data: ImageData
    ) -> None:
        run = searched(tmp_path, data)
        assert run.candidates == (*proposed_codes(run.log), *unseen_codes(run.log))
        assert len(set(run.candidates)) == 11
        table = run.rank().table
        assert set(table.loc[table["looked_at"], "architecture"]) == set(proposed_codes(run.log))
        assert (table["rank_low"] <= table["rank"]).all()

    def test_its_end_says_what_was_trained_and_what_that_cost(self, tmp_path: Path, data: ImageData) -> None:
        run = searched(tmp_path, data)
        spent = run.log.spent_in(STAGE)[1]
        trained, others = search_lines(run.rank(), run.names, spent_epochs=spent, full_epochs=4)
        assert trained.startswith("the search trained 8 for 16 epochs, as much as 4.0 full trainings; best of them: ")
        assert others.startswith("not trained, best predicted: ")

    def test_fewer_than_two_trained_architectures_have_no_ranking(self, tmp_path: Path, data: ImageData) -> None:
        run = create_search(read("search: random"), tmp_path, data)
        with pytest.raises(RunError, match="has 0 candidates; a ranking needs 2, so resume it first"):
            Run.open(run.folder).rank()

    def test_where_all_failed_there_is_no_ranking_either(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        found = proposals(log, evaluations=2)
        while (trial := found.following()) is not None:
            train(log, trial, fails=True)
        found.tell()
        with pytest.raises(SearchError, match="all 2 trainings failed"):
            best_unseen(found.searcher, read("search: random"))

    def test_it_is_extended_by_evaluations(self, tmp_path: Path, data: ImageData) -> None:
        run = searched(tmp_path, data)
        run.log.append_event(STAGE, "", "ended")
        assert run.log.has_ended(STAGE)
        longer = extend(run, Changes(evaluations=12), data)
        assert longer.experiment.search is not None
        assert longer.experiment.search.evaluations == 12
        assert not longer.log.has_ended(STAGE)
        assert proposed_codes(longer.log) == proposed_codes(run.log)
        assert Run.open(longer.folder).experiment == longer.experiment
        with pytest.raises(ExperimentError, match="--evaluations: 8 in all; it has 8, so give more"):
            extend(run, Changes(evaluations=8), data)
        with pytest.raises(ExperimentError, match="a search is extended by --evaluations alone"):
            extend(run, Changes(candidates=20), data)


class TestSetUp:
    """The searcher of a run as it is made for real, with trainings that nobody runs."""

    def make(self, folder: Path, data: ImageData, more: str) -> tuple[Run, Proposals]:
        run = create_search(read(more), folder, data)
        screen = Screen(SPACE, run.experiment.bounds, data, None, print)
        return run, make_proposals(
            run,
            data,
            screen=screen,
            latencies=None,
            results=SharedResults(folder / ".results", "digest", "cpu"),
            names={},
        )

    def test_all_that_is_proposed_or_returned_keeps_the_constraints(self, tmp_path: Path, data: ImageData) -> None:
        more = "search: {method: random, evaluations: 4, unseen: 2}\nconstraints: params <= 6000"
        run, found = self.make(tmp_path, data, more)
        to_the_end(found, run.log)
        found.tell()
        codes = [*proposed_codes(run.log), *best_unseen(found.searcher, run.experiment)]
        assert len(set(codes)) == 6
        assert found.searcher.problem.constraints is not None
        assert found.searcher.problem.constraints.nearest  # somebody was refused
        sizes = [
            measure_size(SPACE, Architecture(SPACE.name, code), input_shape=data.input_shape, classes=10).parameters
            for code in codes
        ]
        assert max(sizes) <= 6000
        rows = run.log.evidence()
        assert list(rows.loc[rows["metric"] == "parameters", "value"]) == sizes[:4]

    def test_nsga2_is_told_flops_where_no_latency_is_measured(self, tmp_path: Path, data: ImageData) -> None:
        run, found = self.make(tmp_path, data, "search: {method: nsga2, evaluations: 2}")
        to_the_end(found, run.log)
        found.tell()
        rows = run.log.evidence()
        flops = list(rows.loc[rows["metric"] == "flops", "value"])
        assert [one.values["flops"] for one in found.searcher.observations] == flops
        assert found.searcher.problem.objectives == {"accuracy": "higher", "flops": "lower"}

    def test_a_training_is_as_long_as_the_search_says_and_shared(self, tmp_path: Path, data: ImageData) -> None:
        run, found = self.make(tmp_path, data, "search: {method: random, evaluations: 2, epochs: 3}")
        trial = found.following()
        assert trial is not None
        assert (trial.recipe.epochs, trial.seed) == (3, 0)
        assert trial.label == SPACE.short(Architecture(SPACE.name, trial.architectures[0]))
        assert Path(trial.kept).is_relative_to(run.folder.parent / ".results")


class CountingMeter:
    """Measures by the length of a code, and counts."""

    shared_seconds = 0.0
    by, table, conditions = "whole networks", None, Conditions("cpu", "float32", 1, 1, "2.13")

    def __init__(self) -> None:
        self.found: dict[str, CandidateLatency] = {}
        self.measured: list[str] = []

    @property
    def seconds(self) -> dict[str, float]:
        return dict.fromkeys(self.found, 0.5)

    def measure(self, codes: list[str]) -> dict[str, CandidateLatency]:
        self.measured += codes
        self.found |= {code: CandidateLatency(float(len(code)), seconds=0.5) for code in codes}
        return self.found


class TestKeptLatencies:
    def keep(self, log: EvidenceLog) -> tuple[CountingMeter, KeptLatencies]:
        meter = CountingMeter()
        return meter, KeptLatencies(cast(Meter, meter), log, log.path.parent / "latency.json", 1)

    def test_nobody_is_measured_twice_in_the_life_of_a_run(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        meter, kept = self.keep(log)
        first = kept.measure(["a", "bb"])
        assert [first[code].milliseconds for code in ("a", "bb")] == [1.0, 2.0]
        kept.measure(["bb"])
        assert meter.measured == ["a", "bb"]
        meter, kept = self.keep(log)  # the run goes on: refused ones are known too
        again = kept.measure(["bb", "ccc"])
        assert [again[code].milliseconds for code in ("bb", "ccc")] == [2.0, 3.0]
        assert meter.measured == ["ccc"]

    def test_who_is_proposed_is_evidence_once_and_others_are_not(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "log.sqlite")
        _, kept = self.keep(log)
        kept.measure(["a", "bb"])
        assert kept.book("bb") == 2.0
        assert kept.book("bb") == 2.0
        rows = log.evidence()
        assert list(rows["architecture"]) == ["", "bb"]
        assert list(rows["metric"]) == ["shared_seconds", "latency_ms"]
        assert list(rows["value"]) == [1.0, 2.0]
        assert list(rows["seconds"]) == [1.0, 0.0]  # the refused one has cost as much


@pytest.mark.ray
def test_a_killed_search_goes_on_to_the_same_proposals(tmp_path: Path) -> None:
    """One worker: what is proposed depends on the results alone, so that a kill changes nothing."""
    file = tmp_path / "search.yaml"
    parts = "search: {method: posterior, evaluations: 8, unseen: 4, options: {initial: 4}}\nshare_results: false\n"
    one = TEXT.replace("epochs: 4", "epochs: 1") + parts + "resources: {cpus: 1, cpus_per_trial: 1}\n"
    # Kept by all; but each is measured while trainings hold the only core.
    one += "constraints: latency <= 60000ms\n"
    file.write_text(one, encoding="utf-8")

    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "taurank", *words]

    def start(out: Path) -> subprocess.Popen[bytes]:
        words = command("search", str(file), "--out", str(out))
        return subprocess.Popen(words, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True)

    whole = start(tmp_path / "whole")
    assert whole.wait(timeout=300) == 0
    cut = start(tmp_path / "cut")
    log = log_with(tmp_path / "cut", proposals=5, process=cut)
    os.killpg(cut.pid, signal.SIGKILL)
    cut.wait()
    assert len(proposed_codes(log)) < 8
    subprocess.run(command("resume", str(log.path.parent)), cwd=ROOT, check=True, timeout=300)
    (folder,) = (tmp_path / "whole").glob("found-*")
    undisturbed = Run.open(folder)
    assert proposed_codes(log) == proposed_codes(undisturbed.log)
    assert unseen_codes(log) == unseen_codes(undisturbed.log)
    assert len(set(Run.open(log.path.parent).candidates)) == 12
    assert "looked_at" in (log.path.parent / "ranking.csv").read_text(encoding="utf-8").splitlines()[0]
