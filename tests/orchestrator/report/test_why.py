"""What is told of a candidate, from logs that are written by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.explanation import Explanation, TrainingStage
from taurank.orchestrator.report.why import explain
from taurank.orchestrator.text.naming import UnknownCandidateError, find_candidate

STAGE = "training-10:order-settling"
CODES = ("a", "b", "c", "d")
NAMES = {code: code.upper() for code in CODES}
TRIALS = {f"{STAGE}/{name}/seed 0": code for code, name in NAMES.items()}
NO_FEATURES = pd.DataFrame(index=list(CODES))
RISE = {"a": 0.09, "b": 0.07, "c": 0.05}
"""Accuracy that an epoch brings; d has not begun."""


def trial_of(code: str) -> str:
    return f"{STAGE}/{NAMES[code]}/seed 0"


def book_curve(log: EvidenceLog, code: str, values: Sequence[float], *, stage: str = STAGE, trial: str = "") -> None:
    log.append(
        Evidence(stage, trial or trial_of(code), code, "training", epoch, 10, 0, "validation_accuracy", value, 0.5, 1.0)
        for epoch, value in enumerate(values, start=1)
    )


@pytest.fixture
def log(tmp_path: Path) -> EvidenceLog:
    """A run that was cut off: a is at its end, b waits, c was in training, d has not begun."""
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    sizes = {"a": 30.0, "b": 10.0, "c": 20.0, "d": 40.0}
    log.append(
        Evidence("size", f"size/{c}", c, "size", 0, 0, 0, "parameters", size, seconds=0.25) for c, size in sizes.items()
    )
    scores = {"a": 1.5, "b": math.nan, "c": 2.5}
    log.append(
        Evidence("proxies", "proxies/nwot", c, "proxy:nwot", 0, 0, 0, "score", score, 0.0, 0.25)
        for c, score in scores.items()
    )
    log.append_event(STAGE, "", "started")
    for code, epochs in (("a", 10), ("b", 6), ("c", 4)):
        log.append_event(STAGE, trial_of(code), "started", "to epoch 4: all train to epoch 4")
        book_curve(log, code, [RISE[code] * epoch for epoch in range(1, epochs + 1)])
    log.append_event(STAGE, trial_of("a"), "completed")
    log.append_event(STAGE, trial_of("b"), "paused", "came to epoch 6; after epoch 6, 4 epochs saved")
    return log


def told(log: EvidenceLog, code: str, ranking: Ranking | None = None, stages: Sequence[str] = (STAGE,)) -> Explanation:
    known = [TrainingStage(name, 10, TRIALS) for name in stages]
    return explain(log, code, names=NAMES, stages=known, encoding=NO_FEATURES, ranking=ranking)


def make_ranking() -> Ranking:
    """The order b, a, c, d: four draws of the scores."""
    samples = np.array([[4.0, 3, 2, 1], [4, 3, 2, 1], [3, 4, 2, 1], [4, 3, 1, 2]])
    table = pd.DataFrame(
        {
            "rank": [1, 2, 3, 4],
            "architecture": list("bacd"),
            "predicted_accuracy": [0.9, 0.8, 0.7, 0.6],
            "accuracy_low": [0.85, 0.75, 0.65, 0.55],
            "accuracy_high": [0.95, 0.85, 0.75, 0.65],
            "rank_low": [1.0, 1, 3, 3],
            "rank_high": [2.0, 2, 4, 4],
            "problem": ["", "", "", ""],
        }
    )
    return Ranking(table, samples, {"size": 0.25, STAGE: 0.75}, "doubtful")


class TestTraining:
    def test_a_sudden_drop_of_the_learning_rate_widens_the_forecast(self, log: EvidenceLog) -> None:
        widths = []
        for drops in ((), (8.0,), (3.0,)):
            stage = TrainingStage(STAGE, 10, TRIALS, drops=drops)
            final = explain(log, "b", names=NAMES, stages=[stage], encoding=NO_FEATURES).trainings[0].forecast
            assert final is not None
            widths.append(final.high - final.low)
        assert widths[1] > 1.5 * widths[0]
        assert widths[2] == widths[0]  # it is over

    def test_that_waits(self, log: EvidenceLog) -> None:
        (training,) = told(log, "b").trainings
        assert training.trial == trial_of("b")
        assert training.state == "paused, with its checkpoint"
        assert training.epochs == (1, 2, 3, 4, 5, 6)
        assert training.accuracies[-1] == pytest.approx(0.42)
        assert (training.cost_epochs, training.cost_seconds, training.saved_epochs) == (6.0, 3.0, 4)
        assert [(event.event, event.reason) for event in training.decisions] == [
            ("started", "to epoch 4: all train to epoch 4"),
            ("paused", "came to epoch 6; after epoch 6, 4 epochs saved"),
        ]
        final = training.forecast
        assert final is not None
        assert (final.place, final.of) == (2, 3)
        assert 0 <= final.low < final.accuracy < final.high <= 1

    def test_that_came_to_its_end_has_what_was_measured(self, log: EvidenceLog) -> None:
        (training,) = told(log, "a").trainings
        assert training.state == "complete"
        assert training.saved_epochs == 0
        final = training.forecast
        assert final is not None
        assert (final.accuracy, final.low, final.high) == pytest.approx((0.9, 0.9, 0.9))
        assert final.place == 1

    def test_that_was_cut_off(self, log: EvidenceLog) -> None:
        (training,) = told(log, "c").trainings
        assert training.state == "in training"
        assert training.saved_epochs == 6

    def test_that_has_not_begun(self, log: EvidenceLog) -> None:
        found = told(log, "d")
        (training,) = found.trainings
        assert (training.state, training.epochs, training.decisions) == ("not begun", (), ())
        assert training.forecast is None
        assert (found.rivals, found.rivals_by) == ((), "")

    def test_the_features_of_architectures_tell_of_one_that_has_not_begun(self, log: EvidenceLog) -> None:
        encoding = pd.DataFrame({"width": [9.0, 7.0, 5.0, 8.0]}, index=list(CODES))
        found = explain(log, "d", names=NAMES, stages=[TrainingStage(STAGE, 10, TRIALS)], encoding=encoding)
        final = found.trainings[0].forecast
        assert final is not None
        assert final.of == 4

    def test_that_diverged(self, log: EvidenceLog) -> None:
        book_curve(log, "d", [0.5, math.nan])
        log.append_event(STAGE, trial_of("d"), "failed", "not finite at epoch 2")
        (training,) = told(log, "d").trainings
        assert training.state == "failed"
        assert training.accuracies[0] == 0.5
        assert math.isnan(training.accuracies[1])

    def test_the_only_one_of_its_stage(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "evidence.sqlite")
        book_curve(log, "a", [0.2])
        stage = TrainingStage(STAGE, 10, {trial_of("a"): "a"})
        found = explain(log, "a", names=NAMES, stages=[stage], encoding=NO_FEATURES)
        final = found.trainings[0].forecast
        assert final is not None
        assert (final.place, final.of) == (1, 1)
        assert found.rivals == ()

    def test_a_stage_that_trained_others(self, log: EvidenceLog) -> None:
        book_curve(log, "a", [0.2], stage="other", trial="other/a")
        other = TrainingStage("other", 10, {"other/a": "a"}, "1 of 4 by design")
        empty = TrainingStage("empty", 10, {})
        stages = [TrainingStage(STAGE, 10, TRIALS), other, empty, TrainingStage(BASELINE, 10, {f"{BASELINE}/a": "a"})]
        found = explain(log, "b", names=NAMES, stages=stages, encoding=NO_FEATURES)
        assert found.passed_over == (("other", "1 of 4 by design"),)
        assert explain(log, "a", names=NAMES, stages=stages, encoding=NO_FEATURES).passed_over == ()

    def test_a_baseline_is_no_evidence(self, log: EvidenceLog) -> None:
        trials = {f"{BASELINE}/{name}/seed 1": code for code, name in NAMES.items()}
        for trial, code in trials.items():
            book_curve(log, code, [0.1] * 10, stage=BASELINE, trial=trial)
        stages = [TrainingStage(STAGE, 10, TRIALS), TrainingStage(BASELINE, 10, trials)]
        found = explain(log, "b", names=NAMES, stages=stages, encoding=NO_FEATURES)
        assert [training.is_evidence for training in found.trainings] == [True, False]
        assert found.rivals_by == STAGE
        assert found.cost_epochs == 6.25  # six epochs and a proxy


class TestRivals:
    def test_before_there_is_a_ranking_the_forecast_names_them(self, log: EvidenceLog) -> None:
        found = told(log, "b")
        assert found.standing is None
        assert found.rivals_by == STAGE
        assert [(rival.architecture, rival.name, rival.place) for rival in found.rivals] == [
            ("a", "A", 1),
            ("c", "C", 3),
        ]
        against_a, against_c = (rival.probability for rival in found.rivals)
        assert against_a < 0.5 < against_c
        mirrored = next(rival for rival in told(log, "a").rivals if rival.architecture == "b")
        assert against_a + mirrored.probability == pytest.approx(1)

    def test_of_the_ranking(self, log: EvidenceLog) -> None:
        found = told(log, "a", make_ranking())
        assert found.rivals_by == "ranking"
        assert [(rival.architecture, rival.place, rival.probability) for rival in found.rivals] == [
            ("b", 1, 0.25),
            ("c", 3, 1.0),
            ("d", 4, 1.0),
        ]

    def test_are_the_five_that_are_nearest(self, tmp_path: Path) -> None:
        log = EvidenceLog(tmp_path / "evidence.sqlite")
        codes = [f"c{number:02d}" for number in range(12)]
        trials = {f"{STAGE}/{code}/seed 0": code for code in codes}
        for number, (trial, code) in enumerate(trials.items()):
            book_curve(log, code, [0.9 - 0.05 * number] * 3, trial=trial)
        found = explain(
            log,
            "c06",
            names={code: code for code in codes},
            stages=[TrainingStage(STAGE, 10, trials)],
            encoding=pd.DataFrame(index=codes),
        )
        places = [rival.place for rival in found.rivals]
        assert len(places) == 5
        assert places == sorted(places)
        assert {6, 8} < set(places) < set(range(4, 12))


def test_the_place_in_the_ranking(log: EvidenceLog) -> None:
    standing = told(log, "a", make_ranking()).standing
    assert standing is not None
    assert (standing.rank, standing.of, standing.rank_low, standing.rank_high) == (2, 4, 1, 2)
    assert standing.best_probability == 0.25
    assert (standing.accuracy, standing.accuracy_low, standing.accuracy_high) == (0.8, 0.75, 0.85)
    assert standing.certainty == "doubtful"


def test_other_evidence(log: EvidenceLog) -> None:
    parameters, proxy = told(log, "a", make_ranking()).other_evidence
    assert (parameters.source, parameters.metric, parameters.value) == ("size", "parameters", 30.0)
    assert (parameters.place, parameters.of, parameters.weight) == (2, 4, 0.25)
    assert (proxy.source, proxy.value, proxy.place, proxy.of, proxy.weight) == ("proxy:nwot", 1.5, 2, 2, 0.0)
    failed = told(log, "b").other_evidence[1]
    assert math.isnan(failed.value)
    assert math.isnan(failed.weight)
    assert failed.place == 0
    assert failed.reason == "the score could not be computed"


def test_a_void_score_says_why(log: EvidenceLog) -> None:
    log.append([Evidence("proxies", "proxies/snip/a", "a", "proxy:snip", 0, 0, 0, "score", math.nan)])
    log.append_event("proxies", "proxies/snip/a", "void", "the batch has no labels")
    assert told(log, "a").other_evidence[-1].reason == "the batch has no labels"
    assert told(log, "a").other_evidence[1].reason == ""


def test_less_is_better_of_some_proxies(log: EvidenceLog) -> None:
    log.append(
        Evidence("proxies", f"ntk/{c}", c, "proxy:ntk_condition", 0, 0, 0, "score", value)
        for c, value in {"a": 4.0, "b": 2.0, "c": 3.0}.items()
    )
    condition = told(log, "b").other_evidence[-1]
    assert (condition.place, condition.of, condition.lower_is_better) == (1, 3, True)
    assert not told(log, "b").other_evidence[0].lower_is_better


CELLS = {"|x~0|+|y~0|": "x-y", "|x~0|+|z~0|": "x-z", "|y~0|+|y~0|": "y"}
CELL_TRIALS = {"training-3/x-y/seed 0": "|x~0|+|y~0|", "training-3/x-z/seed 0": "|x~0|+|z~0|"}


class TestNames:
    @pytest.mark.parametrize(
        "text", ["|x~0|+|y~0|", " |x~0| + |y~0| ", "x-y", "training-3/x-y/seed 0", "training-3/x-y", "|x~0|+|y"]
    )
    def test_of_one_candidate(self, text: str) -> None:
        assert find_candidate(text, CELLS, CELL_TRIALS) == "|x~0|+|y~0|"

    def test_a_whole_name_goes_before_a_beginning(self) -> None:
        names = {"1": "n", "2": "n-2"}
        assert find_candidate("n", names, {}) == "1"

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("resnet10t", "timm:resnet10t"),  # an end
            ("small", "my_nets:small"),
            ("ViT", "timm:test_vit"),  # in another case
            ("mobilenet", "timm:mobilenetv4_conv_small_050"),  # a part
            ("conv_small", "timm:mobilenetv4_conv_small_050"),
            ("18", "torchvision:resnet18"),
            ("torch", "torchvision:resnet18"),
            ("my_nets", "my_nets:small"),
            ("net", "own:net"),  # an end goes before other parts
        ],
    )
    def test_any_part_that_only_one_has(self, text: str, code: str) -> None:
        codes = (
            "timm:resnet10t",
            "torchvision:resnet18",
            "my_nets:small",
            "timm:test_vit",
            "timm:mobilenetv4_conv_small_050",
            "own:net",
        )
        trials = {f"training-2/{code}/seed 0": code for code in codes}
        assert find_candidate(text, {code: code for code in codes}, trials) == code

    def test_a_part_of_two_lists_them(self) -> None:
        names = {code: code for code in ("timm:resnet18", "torchvision:resnet18", "timm:test_vit")}
        with pytest.raises(UnknownCandidateError, match="'resnet18' may be timm:resnet18, torchvision:resnet18; give"):
            find_candidate("resnet18", names, {})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("x", "'x' may be x-y, x-z; give the whole name"),
            ("x-w", r"none of the 3 candidates of the run, .*; did you mean 'x-[yz]'\?"),
            ("?", "none of the 3 candidates of the run, .*; names look like 'x-y'"),
            ("", "none of the 3 candidates"),
        ],
    )
    def test_of_none_or_of_several(self, text: str, message: str) -> None:
        with pytest.raises(UnknownCandidateError, match=message) as caught:
            find_candidate(text, CELLS, CELL_TRIALS)
        assert "\n" not in str(caught.value)

    def test_a_short_name_of_two_is_told_by_their_codes(self) -> None:
        with pytest.raises(UnknownCandidateError, match="'n' may be 1, 2; give the whole name"):
            find_candidate("n", {"1": "n", "2": "n"}, {})


def test_supernets_say_how_often_they_trained_it_and_weigh_together(log: EvidenceLog) -> None:
    for name in ("fair", "uniform"):
        source = f"supernet:{name}"
        log.append(
            Evidence(source, f"{source} scores", "a", source, 3, 3, 0, metric, value)
            for metric, value in (("validation_accuracy", 0.5), ("validation_accuracy_sd", 0.02), ("updates", 7.0))
        )
    again = "supernet:fair:contenders"
    log.append([Evidence("supernet:fair", "again", "a", again, 1, 1, 0, "validation_accuracy", 0.6)])
    ranking = replace(make_ranking(), weights={"size": 0.25, "supernets": 0.75})
    found = {evidence.source: evidence for evidence in told(log, "a", ranking).other_evidence}
    assert [found[name].weight for name in ("size", "supernet:fair", "supernet:uniform", again)] == [0.25] + [0.75] * 3
    assert (found["supernet:fair"].sd, found["supernet:fair"].updates) == (0.02, 7.0)
    assert math.isnan(found[again].updates)
    assert math.isnan(found["size"].sd)
    alone = replace(ranking, weights={"supernet:fair": 1.0})
    found = {evidence.source: evidence for evidence in told(log, "a", alone).other_evidence}
    assert (found["supernet:fair"].weight, found["supernet:uniform"].weight) == (1.0, 0.0)
