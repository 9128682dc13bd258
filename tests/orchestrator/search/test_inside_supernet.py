"""Searches that a supernet tells what options are worth: their proposals, their settings, and one as a run."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from taurank.orchestrator.campaigns.search_set_up import make_proposals
from taurank.orchestrator.campaigns.search_supernet import (
    check_constraints,
    is_trained,
    learned_scores,
    search_supernet,
)
from taurank.orchestrator.campaigns.searching import create_search
from taurank.orchestrator.candidates.screening import Screen
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.report import search_lines
from taurank.orchestrator.runs.extension import Changes, extend
from taurank.orchestrator.runs.image_loading import load_images
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.search import make_searcher
from taurank.orchestrator.search.proposals import proposed_codes
from taurank.orchestrator.search.searcher import SearchError
from taurank.spaces import get_space
from taurank.trainables.data import ImageData
from taurank.trainables.trials.supernets import SearchSupernetTrial, option_table
from tests.orchestrator.processes import log_with

ROOT = Path(__file__).parents[3]
TEXT = """
name: inside
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
data: {name: digits, validation: 200, test: 200, train: 200}
recipe: {epochs: 4, batch_size: 64, learning_rate: 0.05}
"""
SPACE = get_space("nasbench201", width=4, cells_per_stage=1)
SCORES = np.random.default_rng(0).normal(size=(6, 5)).tolist()
CONVOLUTIONS = [[0.0, 0.0, 0.1, 1.0, 0.0]] * 6


def read(more: str, text: str = TEXT) -> Experiment:
    return parse_experiment(text + more, where="test")


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images(read("").data, root=None, download=False)


class Sometimes:
    """Refuses all but one in sixty."""

    nearest = ""

    def fitting(self, codes: Sequence[str]) -> list[str]:
        return [code for code in codes if crc32(code.encode()) % 60 == 0]


class Never:
    """Refuses all."""

    nearest = ""

    def fitting(self, codes: Sequence[str]) -> list[str]:
        return []


class TestProposals:
    def test_they_are_the_functions_in_the_order_of_their_best_sums(self) -> None:
        best: dict[str, float] = {}
        for one in SPACE.enumerate():
            canonical = SPACE.canonical(one)
            if SPACE.is_live(canonical):
                total = math.fsum(SCORES[at][taken] for at, taken in enumerate(SPACE.choices(one)))
                best[canonical.code] = max(total, best.get(canonical.code, -math.inf))
        searcher = make_searcher("gdas", SPACE, scores=SCORES)
        found = [one.code for _ in range(300) for one in searcher.ask()]
        assert found == sorted(best, key=best.__getitem__, reverse=True)[:300]

    def test_the_first_takes_the_best_option_of_each_decision(self) -> None:
        first, second = make_searcher("manas", SPACE, scores=CONVOLUTIONS).ask(2)
        assert SPACE.short(first) == "3-33-333"
        assert sorted(SPACE.short(second)) == sorted("3-33-331")

    def test_options_that_are_left_out_are_never_proposed(self) -> None:
        scores = [[1.0, 0.9, 0.0, 0.0, 0.0]] * 6
        found = make_searcher("darts", SPACE, scores=scores, without=["none"]).ask(30)
        # A canonical code may say `none` where the cell that was chosen does not, so it is looked for among those.
        without = [SPACE.choose(taken) for taken in product(range(1, 5), repeat=6)]
        assert {one.code for one in found} <= {SPACE.canonical(one).code for one in without}
        assert found[0] == SPACE.canonical(SPACE.parse("s-ss-sss"))
        with_none = make_searcher("darts", SPACE, scores=scores).ask(30)
        assert found[0] not in with_none[:1]

    def test_refusals_end_it_only_where_they_come_in_a_row(self) -> None:
        searcher = make_searcher("gdas", SPACE, scores=SCORES, constraints=Sometimes())
        found = searcher.ask(40)  # some 2,400 were judged
        assert len(found) == 40
        again = make_searcher("gdas", SPACE, scores=SCORES, constraints=Sometimes())
        again.load([], found)
        assert again.ask(5) == searcher.ask(5)


class TestExperiment:
    def test_options_are_those_of_the_supernet_and_of_the_searcher(self) -> None:
        asked = read("search: {method: gdas, options: {epochs: 9, learning_rate: 0.02, sampler: {learning_rate: 0.1}}}")
        assert parse_experiment(asked.to_yaml(), where="again").search == asked.search
        run = Run(Path("run"), asked, (), EvidenceLog(Path("none")))
        stage = search_supernet(run)
        assert stage is not None
        (trial,) = stage.specs
        assert (stage.name, stage.cost, stage.trainable) == ("supernet:gumbel", 9.0, SearchSupernetTrial)
        assert (trial.label, trial.recipe.epochs, trial.recipe.learning_rate) == ("all of nasbench201", 9, 0.02)
        assert trial.supernet is not None
        assert (trial.supernet.sampler, dict(trial.supernet.options)) == ("gumbel", {"learning_rate": 0.1})

    @pytest.mark.parametrize(
        ("method", "sampler"), [("gdas", "gumbel"), ("manas", "multi-agent"), ("darts", "mixture")]
    )
    def test_a_method_alone_trains_for_thirty_epochs_with_the_seed_of_the_experiment(
        self, method: str, sampler: str
    ) -> None:
        stage = search_supernet(Run(Path("run"), read(f"search: {method}\nseed: 7"), (), EvidenceLog(Path("none"))))
        assert stage is not None
        assert (stage.name, stage.planned_epochs, stage.specs[0].seed) == (f"supernet:{sampler}", 30.0, 7)

    def test_other_searchers_have_none(self) -> None:
        assert search_supernet(Run(Path("run"), read("search: evolution"), (), EvidenceLog(Path("none")))) is None

    @pytest.mark.parametrize(
        ("more", "line"),
        [
            ("{method: gdas, options: {epochs: 0}}", "search.options: epochs: has to be at least 1, not 0"),
            ("{method: gdas, options: {epoch: 3}}", "search.options: epoch: unknown key; did you mean 'epochs'?"),
            (
                "{method: gdas, options: {scores: []}}",
                "search.options: scores: unknown key; known keys: epochs, learning_",
            ),
            (
                "{method: darts, options: {sampler: {learning_rate: 0}}}",
                "search.options: sampler: learning_rate is 0; it has to be a number above 0",
            ),
            (
                "{method: manas, options: {sampler: {epsilon: 1}}}",
                "search.options: sampler: unknown option 'epsilon' of sampler 'multi-agent'; allowed: feedback, gamma",
            ),
            (
                "{method: darts, options: {without: [nothing]}}",
                "search.options: without: 'nothing' is no option of nasbench201; there are avg_pool_3x3, none",
            ),
            (
                "{method: darts, options: {without: [none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3]}}",
                "search.options: scores, without: no option with a finite score is left of decision 0",
            ),
        ],
    )
    def test_a_mistake_is_one_line_before_anything_is_spent(self, more: str, line: str) -> None:
        with pytest.raises(ExperimentError) as caught:
            read(f"search: {more}")
        assert str(caught.value).startswith(f"test: {line}")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("space", "method", "line"),
        [
            ("pnas", "gdas", "search: space 'pnas' has no supernet; these have one: fbnet, "),
            ("zoo", "manas", "search: space 'zoo' has no supernet; these have one: fbnet, "),
            ("darts", "darts", "search: space 'darts' has no supernet; these have one: fbnet, "),
            (
                "once_for_all",
                "darts",
                "search: darts computes all options at once, which the supernet of once_for_all cannot; use gdas",
            ),
        ],
    )
    def test_a_space_that_does_not_suit_is_one_line_too(self, space: str, method: str, line: str) -> None:
        text = "name: a\ndata: digits\nrecipe: {epochs: 2}\n"
        with pytest.raises(ExperimentError) as caught:
            read(f"space: {space}\nsearch: {method}", text)
        assert str(caught.value).startswith(f"test: {line}")
        assert "\n" not in str(caught.value)


def trained(run: Run, table: Sequence[Sequence[float]]) -> None:
    """What the trial of a supernet leaves in the log."""
    stage = search_supernet(run)
    assert stage is not None
    (trial,) = stage.specs
    metrics = {"train_loss": 1.0} | {
        f"option_score:{decision}:{option}": score
        for decision, own in enumerate(table)
        for option, score in enumerate(own)
    }
    run.log.append(
        Evidence(stage.name, trial.trial, "", stage.name, 30, 30, 0, metric, value, 0.5, 30.0 / len(metrics))
        for metric, value in metrics.items()
    )
    run.log.append_event(stage.name, trial.trial, "completed")


class TestLog:
    def test_the_scores_come_back_as_they_were(self, tmp_path: Path, data: ImageData) -> None:
        run = create_search(read("search: gdas"), tmp_path, data)
        stage = search_supernet(run)
        assert stage is not None
        assert not is_trained(run.log, stage)
        with pytest.raises(
            SearchError, match=r"^supernet:gumbel: the supernet of the search has failed: it did not end;"
        ):
            learned_scores(run.log, stage, SPACE)
        trained(run, SCORES)
        assert is_trained(run.log, stage)
        assert learned_scores(run.log, stage, SPACE) == SCORES

    def test_scores_that_are_none_are_no_scores(self) -> None:
        table = option_table([("train_loss", 1.0), ("option_score:0:1", 0.5), ("option_score:1:0", -2.0)], [3, 2])
        assert table is not None
        assert np.array_equal(table, [[math.nan, 0.5, math.nan], [-2.0, math.nan, math.nan]], equal_nan=True)
        assert option_table([("train_loss", 1.0)], [3, 2]) is None

    def test_a_failed_supernet_is_one_line_with_its_reason(self, tmp_path: Path, data: ImageData) -> None:
        run = create_search(read("search: gdas"), tmp_path, data)
        stage = search_supernet(run)
        assert stage is not None
        run.log.append_event(stage.name, stage.specs[0].trial, "failed", "train_loss is nan in epoch 2")
        with pytest.raises(SearchError) as caught:
            learned_scores(run.log, stage, SPACE)
        expected = "supernet:gumbel: the supernet of the search has failed: train_loss is nan in epoch 2; begin another"
        assert str(caught.value).startswith(expected)
        assert "\n" not in str(caught.value)

    def test_a_search_that_is_extended_proposes_the_next_best_without_the_supernet(
        self, tmp_path: Path, data: ImageData
    ) -> None:
        run = create_search(read("search: {method: darts, evaluations: 3, options: {epochs: 30}}"), tmp_path, data)
        trained(run, SCORES)

        def proposals(one: Run) -> list[str]:
            stage = search_supernet(one)
            assert stage is not None
            assert is_trained(one.log, stage)
            made = make_proposals(
                one,
                data,
                screen=Screen(SPACE, (), data, None, print),
                latencies=None,
                results=None,
                names={},
                scores=learned_scores(one.log, stage, SPACE),
            )
            while made.following() is not None:
                pass
            return list(proposed_codes(one.log))

        expected = [one.code for one in make_searcher("darts", SPACE, scores=SCORES).ask(5)]
        assert proposals(run) == expected[:3]
        longer = extend(run, Changes(evaluations=5), data)
        assert proposals(longer) == expected

    def test_constraints_that_nobody_keeps_are_told_before_the_supernet_is_trained(self) -> None:
        check_constraints(SPACE, None, 0)
        check_constraints(SPACE, Sometimes(), 0)
        with pytest.raises(SearchError, match=r"^constraints: none of 1,000 random architectures of nasbench201"):
            check_constraints(SPACE, Never(), 0)


@pytest.mark.ray
def test_a_killed_search_goes_on_without_training_its_supernet_again(tmp_path: Path) -> None:
    file = tmp_path / "search.yaml"
    asked = "search: {method: gdas, evaluations: 6, unseen: 2, options: {epochs: 2, sampler: {learning_rate: 0.05}}}\n"
    file.write_text(f"{TEXT}{asked}share_results: false\nresources: {{cpus: 1, cpus_per_trial: 1}}\n", encoding="utf-8")
    command = [sys.executable, "-m", "taurank"]
    begun = subprocess.Popen(
        [*command, "search", str(file), "--out", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    log = log_with(tmp_path, proposals=1, process=begun)
    os.killpg(begun.pid, signal.SIGKILL)
    begun.wait()
    assert 1 <= len(proposed_codes(log)) < 6
    ended = subprocess.run(
        [*command, "resume", str(log.path.parent)], cwd=ROOT, check=True, timeout=300, capture_output=True, text=True
    )
    assert "a supernet of the whole space has been trained: supernet:gumbel, 2 epochs" in ended.stdout
    run = Run.open(log.path.parent)
    stage = search_supernet(run)
    assert stage is not None
    scores = learned_scores(log, stage, SPACE)
    expected = [one.code for one in make_searcher("gdas", SPACE, scores=scores).ask(6)]
    assert list(proposed_codes(log)) == expected
    events = log.events()
    assert list(events.loc[events["stage"] == "supernet:gumbel", "event"]) == [
        "started",
        "started",
        "completed",
        "ended",
    ]
    assert stage.spent(log) == pytest.approx(2.0, abs=0.7)  # steps are of 64 of 200 images
    assert not Path(stage.specs[0].checkpoint).exists()
    lines = search_lines(run.rank(), run.names, spent_epochs=24, full_epochs=4, supernet_epochs=stage.spent(log))
    assert lines[0].startswith("its supernet took 2 epochs, as much as 0.")
