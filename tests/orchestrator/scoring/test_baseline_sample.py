"""A baseline of some of the candidates: drawn once by design, scored as what it is."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.experiment import ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report import Content, print_score, write_page
from taurank.orchestrator.scoring import Score, ScoringError, baseline_truth, read_truth, score_ranking
from taurank.orchestrator.scoring.baseline_sample import draw_baseline, sampled_baseline
from taurank.orchestrator.tau import agreement, estimate_tau, partial_of, tau_b
from tests.orchestrator.processes import finished

ROOT = Path(__file__).parents[3]
EXPERIMENT = """
name: sampled
space: {name: nasbench201, options: {width: 2, cells_per_stage: 1}}
candidates: 10
data: {name: digits, validation: 200, test: 200, train: 300}
recipe: {epochs: 2}
budget: 2x
trainings: [{epochs: 1}]
baseline: {seeds: [1], candidates: 4}
"""


def book(log: EvidenceLog, codes, *, seed: int = 1, lost: str = "") -> None:
    """Full trainings of 40 epochs, 4 seconds each, of accuracies that are made up from the code."""
    for code in codes:
        trial = f"{BASELINE}/{code}/seed {seed}"
        value = 0.9 - (place_of(code) % 97) / 200 + 0.001 * seed
        rows = [Evidence(BASELINE, trial, code, "training", 40, 40, seed, "validation_accuracy", value, 4.0, 40.0)]
        if code != lost:
            rows.append(Evidence(BASELINE, trial, code, "training", 40, 40, seed, "test_accuracy", value))
        log.append(rows)
        log.append_event(BASELINE, trial, "failed" if code == lost else "completed")


def place_of(code: str) -> int:
    """A number that depends on the code alone."""
    return sum(ord(letter) * (index + 1) for index, letter in enumerate(code))


def ranked(codes: Sequence[str]) -> Ranking:
    """An order that has little to do with the accuracies."""
    order, count = [str(code) for code in np.random.default_rng(5).permutation(sorted(codes))], len(codes)
    table = pd.DataFrame({"rank": np.arange(1, count + 1), "architecture": order})
    nothing = ("score", "predicted_accuracy", "accuracy_low", "accuracy_high")
    table = table.assign(**dict.fromkeys(nothing, np.nan), rank_low=1, rank_high=count)
    table = table.assign(evidence="training-2", seconds=0.2, epochs=2.0, problem="")
    return Ranking(table=table, samples=np.zeros((2, count)), weights={"training-2": 1.0})


def scored(log: EvidenceLog, codes) -> Score:
    return score_ranking(ranked(codes), baseline_truth(log, codes), log, codes, full_epochs=40)


class TestDraw:
    @pytest.fixture
    def log(self, tmp_path):
        return EvidenceLog(tmp_path / "evidence.sqlite")

    def test_once(self, log):
        order = [f"c{index}" for index in range(30)]
        first = draw_baseline(log, order, 8, seed=0)
        assert draw_baseline(log, order[::-1], 12, seed=5) == first
        assert sampled_baseline(log) == first
        assert first.candidates == 30
        assert sorted(first.strata.values()) == [0] * 4 + [1] * 4

    def test_the_order_of_training_survives_the_log(self, log):
        order = [f"c{index}" for index in range(30)]
        drawn = list(draw_baseline(log, order, 20, seed=0).strata)
        assert drawn != sorted(drawn, key=order.index)
        assert list(draw_baseline(log, order, 20, seed=0).strata) == drawn

    def test_strata_are_stretches_of_the_order(self, log):
        order = [f"c{index}" for index in range(30)]
        sample = draw_baseline(log, order, 8, seed=3)
        assert all((order.index(code) >= sample.sizes[0]) == bool(stratum) for code, stratum in sample.strata.items())
        assert sample.stratum_of(["nobody", next(iter(sample.strata))])[0] == -1

    def test_the_seed_decides(self, tmp_path):
        drawn = [
            draw_baseline(EvidenceLog(tmp_path / f"{index}.sqlite"), [f"c{i}" for i in range(30)], 8, seed=seed)
            for index, seed in enumerate((0, 0, 1))
        ]
        assert drawn[0] == drawn[1] != drawn[2]

    def test_none_when_everybody_is_trained(self, log):
        assert sampled_baseline(log) is None
        sample = draw_baseline(log, [f"c{index}" for index in range(8)], 4, seed=0)
        book(log, list(sample.strata))
        assert sampled_baseline(log) == sample
        book(log, [f"c{index}" for index in range(8)], seed=2)
        assert sampled_baseline(log) is None


class TestScore:
    @pytest.fixture
    def log(self, make_log, codes):
        """The log of a run that has drawn 12 of its 24 candidates and trained them."""
        log = make_log(seeds=())
        order = [str(code) for code in ranked(codes).table["architecture"]]
        book(log, list(draw_baseline(log, order, 12, seed=0).strata))
        return log

    def test_all_taus_are_estimated_by_the_design(self, log, codes):
        found = scored(log, codes)
        sample, truth = sampled_baseline(log), baseline_truth(log, codes).values
        stratum = sample.stratum_of(codes)
        places = {code: place for place, code in enumerate(ranked(codes).table["architecture"])}
        scores = np.array([-places[code] for code in codes])
        assert found.ranking.tau == estimate_tau(scores, truth, stratum, sample.sizes).tau
        assert found.ranking.tau != pytest.approx(agreement(scores, truth).tau)
        assert found.ranking.n == 12
        size = next(source for source in found.sources if source.name == "parameters only")
        assert size.agreement == pytest.approx(estimate_tau(size.values, truth, stratum, sample.sizes), nan_ok=True)
        partial = partial_of(found.ranking.tau, tau_b(scores, size.values), size.agreement.tau)
        assert found.beyond_size.value == pytest.approx(partial)

    def test_a_sample_says_nothing_of_the_best(self, log, codes):
        assert scored(log, codes).top is None

    def test_the_full_cost_is_estimated_and_wall_time_is_not_claimed(self, log, codes):
        found = scored(log, codes).speed_up
        rows = log.evidence()
        spent = rows[rows["stage"] != BASELINE]
        assert found.estimated
        assert found.epochs == pytest.approx(24 * 40 / spent["epochs"].sum())
        assert found.seconds == pytest.approx(24 * 4.0 / spent["seconds"].sum())
        assert np.isnan(found.wall)

    def test_no_speed_up_before_all_of_the_sample_have_ended(self, make_log, codes):
        log = make_log(seeds=())
        sample = draw_baseline(log, list(codes), 12, seed=0)
        book(log, list(sample.strata)[:11])
        found = scored(log, codes)
        assert found.speed_up is None
        assert found.ranking.n == 11

    def test_two_seeds_give_a_ceiling_by_the_design(self, log, codes):
        book(log, list(sampled_baseline(log).strata), seed=2)
        found = scored(log, codes).ceiling
        # The second seed has the order of the first: a second full training would lose nothing.
        assert (found.ceiling, found.n, found.seeds) == (pytest.approx(1.0), 12, 2)
        assert found.ours == pytest.approx(scored(log, codes).ranking.tau)

    def test_of_another_run_of_the_same_candidates(self, log, codes):
        there = read_truth(log.path.parent, codes[::-1])
        assert there.sample == sampled_baseline(log)
        assert np.allclose(there.values[::-1], baseline_truth(log, codes).values, equal_nan=True)

    def test_of_other_candidates(self, log, codes):
        with pytest.raises(
            ScoringError, match="trained 12 drawn from 24 other candidates, which do not represent"
        ) as caught:
            read_truth(log.path.parent, codes[:20])
        assert "\n" not in str(caught.value)

    def test_what_is_printed(self, log, codes, experiment, tmp_path):
        console = Console(file=io.StringIO(), width=130, force_terminal=False)
        score = scored(log, codes)
        print_score(console, score)
        text = console.file.getvalue()
        assert "test accuracy, 1 seed, estimated from a stratified random sample of 12 of 24\n" in text
        assert "times cheaper (estimated)" in text
        assert "full cost estimated as mean sampled training x 24: " in text
        assert "as measured" not in text
        assert "wall" not in text
        assert "Spearman" not in text
        assert "top-5" not in text
        names = dict(zip(codes, codes, strict=True))
        file = tmp_path / "page.html"
        write_page(file, Content("page", "", names, ranked(codes), log.evidence(), log.events(), 40, score=score))
        page = file.read_text(encoding="utf-8")
        assert ", estimated, 95 % interval" in page
        assert "full cost estimated" in page

    def test_a_training_that_failed_is_said(self, make_log, codes):
        log = make_log(seeds=())
        drawn = list(draw_baseline(log, list(codes), 12, seed=0).strata)
        book(log, drawn, lost=drawn[3])
        console = Console(file=io.StringIO(), width=130, force_terminal=False)
        print_score(console, scored(log, codes))
        assert "sample of 12 of 24 (1 of them without a result)" in console.file.getvalue()


class TestExperiment:
    def test_all_by_default(self):
        found = parse_experiment(EXPERIMENT.replace(", candidates: 4}", "}"), where="t.yaml")
        assert found.baseline.candidates == "all"

    def test_a_number_is_kept(self):
        found = parse_experiment(EXPERIMENT, where="t.yaml")
        assert found.baseline.candidates == 4
        assert parse_experiment(found.to_yaml(), where="again").baseline == found.baseline

    @pytest.mark.parametrize(
        ("value", "message"), [("3", "has to be at least 4, not 3"), ("some", "has to be 'all' or a whole number")]
    )
    def test_mistakes(self, value, message):
        with pytest.raises(ExperimentError, match=f"baseline.candidates: {message}"):
            parse_experiment(EXPERIMENT.replace("candidates: 4", f"candidates: {value}"), where="t.yaml")

    def test_what_the_ranker_buys_is_never_the_truth(self):
        text = EXPERIMENT.replace("{epochs: 1}", "{epochs: 2, candidates: 2, seed: 1}")
        with pytest.raises(ExperimentError, match="seed 1 is reserved for the baseline"):
            parse_experiment(text, where="t.yaml")


@pytest.mark.ray
class TestRun:
    def test_trains_the_drawn_ones_and_says_so(self, tmp_path):
        (tmp_path / "sampled.yaml").write_text(EXPERIMENT)
        done = finished(tmp_path, "run", "sampled.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
        (folder,) = (tmp_path / "runs").glob("[!.]*")
        log = EvidenceLog(folder / "evidence.sqlite")
        rows, sample = log.evidence(), sampled_baseline(log)
        trained = rows[(rows["stage"] == BASELINE) & (rows["metric"] == "test_accuracy")]["architecture"]
        assert sorted(trained) == sorted(sample.strata)
        assert len(trained) == 4
        assert sample.candidates == 10
        assert "estimated from a stratified random sample of 4 of 10" in done.stdout
        again = finished(tmp_path, "resume", str(folder))
        assert "nothing left to run" in again.stdout
        assert again.stdout.split("against")[1] == done.stdout.split("against")[1]

    def test_more_than_there_are(self, tmp_path):
        (tmp_path / "sampled.yaml").write_text(EXPERIMENT.replace("candidates: 4", "candidates: 11"))
        done = finished(tmp_path, "run", "sampled.yaml")
        assert done.returncode == 2
        assert done.stderr == "taurank: baseline: candidates: asks for 11; there are 10\n"


def test_the_design_in_the_log_is_plain_json(tmp_path):
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    sample = draw_baseline(log, ["a", "b", "c", "d"], 4, seed=0)
    assert json.loads(log.noted("selected:baseline")) == {"strata": sample.strata, "sizes": [4]}
