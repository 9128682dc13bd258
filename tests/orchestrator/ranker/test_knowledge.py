"""Earlier knowledge: how far it is trusted, how it is completed, and what it does to the order."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.ranker import KnowledgeSource, Ranking, RankingModel, rank_evidence, ranking_lines
from taurank.orchestrator.ranker.credit import Judge
from taurank.orchestrator.ranker.knowledge import (
    MOST_RELIABLE,
    WITHOUT_TRAININGS,
    Reference,
    is_vetoed,
    learned_reliability,
    pooled_reliability,
    reference_of,
    weight_of,
)
from taurank.orchestrator.ranker.views import normal_scores
from taurank.orchestrator.tau import tau_b

FULL = 40
COUNT = 60


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch, request):
    if "slow" not in request.keywords:
        monkeypatch.setattr("taurank.orchestrator.ranker.short_runs.TREES", 40)
        monkeypatch.setattr("taurank.orchestrator.ranker.regressors.TREES", 40)


class Case:
    """Candidates and others of their space with a quality that the encoding tells most of.

    Short trainings see the quality with a bias of their own, full ones nearly as it is.
    """

    def __init__(self, count: int = COUNT, *, others: int = 0, shorts: int | None = None, fulls: int = 0) -> None:
        generator = np.random.default_rng(count + others)
        codes = [f"a{place:03d}" for place in generator.permutation(count + others)]
        values = generator.standard_normal((count + others, 3))
        everything = pd.DataFrame(values, index=codes, columns=list("xyz"))
        own = generator.normal(0, 0.3, count + others)
        self.codes, self.everything = codes[:count], everything
        self.encoding = everything.iloc[:count]
        self.quality = pd.Series(values[:, 0] - values[:, 1] + own, codes)
        self.bias = pd.Series(values[:, 2] + generator.normal(0, 0.3, count + others), codes)
        self.rows: list[dict[str, object]] = []
        size = self.quality + generator.normal(0, 2, count + others)
        self.add("size", 0, np.exp(size), self.codes, source="size", metric="parameters")
        self.add(
            "training-4", 4, 0.5 + 0.05 * (self.quality + self.bias), self.codes[: count if shorts is None else shorts]
        )
        self.add(f"training-{FULL}", FULL, 0.5 + 0.05 * self.quality, self.codes[:fulls])

    def add(self, stage, epoch, values, codes, source="training", metric="validation_accuracy") -> None:
        same = {"stage": stage, "source": source, "epoch": epoch, "schedule_epochs": epoch, "seed": 0, "metric": metric}
        for code in codes:
            own = {"trial": f"{stage}/{code}", "architecture": code, "value": float(values[code])}
            self.rows.append(same | own | {"seconds": 0.0, "epochs": float(epoch)})

    def rank(self, *sources: KnowledgeSource, codes: Sequence[str] | None = None, others: bool = True) -> Ranking:
        encoding = self.encoding if codes is None else self.encoding.loc[list(codes)]
        known = self.everything if others else None
        frame = pd.DataFrame(self.rows)
        return rank_evidence(frame, encoding, full_epochs=FULL, seed=0, knowledge=sources, knowledge_encoding=known)

    def tau(self, ranking: Ranking) -> float:
        table = ranking.table
        return tau_b(-table["rank"].to_numpy(dtype=float), self.quality.loc[table["architecture"]].to_numpy())

    def noisy(self, sd: float = 0.3, seed: int = 5) -> pd.Series:
        return self.quality + np.random.default_rng(seed).normal(0, sd, len(self.quality))


def source(values: pd.Series, name: str = "other data", relation="same-kind", **rest) -> KnowledgeSource:
    return KnowledgeSource(name, dict(values), relation, **rest)


def order(ranking: Ranking) -> list[str]:
    return ranking.table["architecture"].tolist()


def assert_same(first: Ranking, second: Ranking) -> None:
    pd.testing.assert_frame_equal(first.table, second.table, check_exact=True)
    assert (first.samples == second.samples).all()
    assert first.weights == second.weights


class TestReliability:
    def test_weights(self):
        assert weight_of(0) == 0
        assert weight_of(0.5**0.5) == pytest.approx(1, abs=1e-9)
        assert weight_of(0.95) == pytest.approx(6.89, abs=0.01)

    @pytest.mark.parametrize(("expected", "lowered"), [(0.85, 0.75), (0.70, 0.52)])
    @pytest.mark.parametrize("known", [[], [0], [0, 1, 2]])
    def test_few_candidates_leave_the_expectation_lowered(self, known, expected, lowered):
        scores = np.full(100, np.nan)
        scores[known] = np.arange(len(known))
        reference = Reference(np.arange(100.0), 100, 0.85, 30)
        assert learned_reliability(scores, reference, expected)[0] == pytest.approx(lowered, abs=0.005)
        assert learned_reliability(np.arange(100.0), None, expected)[0] == pytest.approx(lowered, abs=0.005)

    @pytest.mark.parametrize(
        ("count", "expected", "most"), [(100, 0.70, 0.2), (100, 0.85, 0.22), (24, 0.70, 0.42), (24, 0.85, 0.42)]
    )
    def test_what_is_independent_of_the_evidence_is_hardly_trusted(self, count, expected, most):
        generator = np.random.default_rng(0)
        scores = normal_scores(np.arange(float(count)))
        reference = Reference(scores, count, 0.85, 30)
        found = [learned_reliability(generator.permutation(scores), reference, expected)[0] for _ in range(400)]
        assert np.mean(np.array(found) < most) >= 0.95

    def test_agreement_is_trusted_up_to_a_bound_and_the_opposite_never(self):
        scores = normal_scores(np.random.default_rng(0).permutation(100.0 * np.arange(100)))
        for reference in (Reference(scores, 100, 0.85, 30), Reference(scores, 0, 0.75, 10)):
            assert learned_reliability(scores, reference, 0.7)[0] == MOST_RELIABLE
            assert learned_reliability(-scores, reference, 0.85)[0] == 0

    def test_short_trainings_judge_from_eight_on(self):
        trained, others = np.arange(10.0), -np.arange(10.0)
        judge = reference_of(Judge(trained, np.arange(8)), others)
        assert judge is not None
        assert judge.scores is trained
        assert (judge.agreement, judge.most) == (0.85, 30)
        judge = reference_of(Judge(trained, np.arange(7)), others)
        assert judge is not None
        assert judge.scores is others
        assert (judge.agreement, judge.most) == (0.75, 10)
        assert reference_of(None, None) is None

    def test_pooled_shares(self):
        # Size and a proxy at .5 each, short trainings of 6 %: .61, knowledge: .9^2 = .81.
        odds = 1 + 1 + 0.6102 / 0.3898 + 0.81 / 0.19
        assert pooled_reliability([1, 1], 0.6102, 0.9) == pytest.approx(odds / (1 + odds), abs=1e-4)
        assert pooled_reliability([1, 1], 0.0, 0.95) == WITHOUT_TRAININGS
        assert pooled_reliability([1, 1], 0.0, 0.0) == 0.5


class TestOrder:
    def test_knowledge_raises_tau_and_is_accounted_for(self):
        case = Case()
        without, with_it = case.rank(), case.rank(source(case.noisy()))
        assert case.tau(with_it) > case.tau(without) + 0.1
        (use,) = with_it.knowledge
        assert with_it.weights["knowledge"] == pytest.approx(use.weight)
        assert use.weight > 0.3
        assert sum(with_it.weights.values()) == pytest.approx(1)
        assert (use.known, use.predicted) == (COUNT, 0)
        assert use.reason == f"agrees with the short trainings of {COUNT} candidates: r = {use.reliability:.2f}"
        assert without.knowledge == ()
        assert "knowledge" not in without.weights
        assert with_it.expected_tau > without.expected_tau

    @pytest.mark.parametrize("fulls", [0, 9, 20])
    def test_knowledge_that_is_not_trusted_leaves_no_trace(self, fulls):
        case = Case(fulls=fulls)
        ranking = case.rank(source(-case.quality))
        assert_same(ranking, case.rank())
        assert (ranking.knowledge[0].reliability, ranking.knowledge[0].weight) == (0, 0)
        assert ranking.knowledge[0].reason.startswith("dropped: does not agree with the short trainings")

    def test_a_source_given_twice_counts_once(self):
        case = Case(fulls=9)
        known = source(case.noisy())
        once, twice = case.rank(known), case.rank(known, replace(known, name="the same"))
        assert order(once) == order(twice)
        assert once.weights == pytest.approx(twice.weights)
        assert [use.weight for use in twice.knowledge] == pytest.approx([once.knowledge[0].weight / 2] * 2)

    def test_worthless_sources_beside_a_good_one_vanish(self):
        case = Case()
        known = source(case.noisy())
        bad = source(-case.quality, "inverted")
        assert order(case.rank(known, bad)) == order(case.rank(known))

    @pytest.mark.parametrize("partial", [False, True])
    def test_only_the_order_of_the_values_matters(self, partial):
        case = Case(others=30, fulls=9)
        values = case.noisy()
        values = values.iloc[::2] if partial else values
        assert_same(case.rank(source(values)), case.rank(source(np.exp(3 * values) - 7)))

    @pytest.mark.parametrize("partial", [False, True])
    def test_candidates_in_another_order_are_ranked_the_same(self, partial):
        case = Case(others=30)
        values = case.noisy()
        values = values.iloc[::2] if partial else values
        shuffled = values.iloc[::-1]
        assert_same(case.rank(source(values)), case.rank(source(shuffled), codes=sorted(case.codes)))

    def test_known_architectures_that_are_no_candidates_only_teach(self):
        case = Case(others=40)
        values = case.noisy()
        own = values.loc[case.codes]
        # All candidates known: others change nothing. Half of them: they are predicted better with the others.
        assert_same(case.rank(source(values)), case.rank(source(own), others=False))
        few = case.rank(source(own.iloc[:15]))
        taught = case.rank(source(pd.concat([own.iloc[:15], values.iloc[COUNT:]])))
        assert (few.knowledge[0].predicted, taught.knowledge[0].predicted) == (0, COUNT - 15)
        assert case.tau(taught) > case.tau(few)
        assert case.tau(taught) > case.tau(case.rank()) + 0.05
        assert order(taught) != order(case.rank(source(own)))

    def test_few_known_candidates_move_only_themselves(self):
        case = Case(shorts=0)
        case.encoding = case.encoding[[]]  # else the sum is smoothed over it
        moved = case.codes[:10]
        values = pd.Series(np.arange(10.0), moved)
        before, after = order(case.rank()), order(case.rank(source(values)))
        assert [code for code in before if code not in moved] == [code for code in after if code not in moved]
        assert before != after

    def test_what_is_known_of_predictions_bounds_the_reliability(self):
        case = Case(others=60)
        noise = pd.Series(np.random.default_rng(0).normal(size=60), case.everything.index[COUNT:])
        (use,) = case.rank(source(noise)).knowledge
        assert use.reliability < 0.3

    @pytest.mark.parametrize(
        "values",
        [
            {},
            {"a000": 1.0},
            {"nothing": 1.0},
            dict.fromkeys([f"a{n:03d}" for n in range(COUNT)], 0.5),
            {"a000": math.nan},
        ],
        ids=["none", "one candidate", "no candidate", "all alike", "NaN"],
    )
    @pytest.mark.parametrize("shorts", [COUNT, 3])
    def test_what_tells_nothing_leaves_no_trace(self, values, shorts):
        case = Case(shorts=shorts)
        ranking = case.rank(KnowledgeSource("poor", values))
        assert_same(ranking, case.rank())
        assert ranking.knowledge[0].reason == "dropped: it knows of no difference between the candidates"

    def test_short_trainings_on_other_data_count_while_there_are_few_of_the_candidates(self):
        few, many = Case(shorts=19), Case(shorts=20)
        (used,) = few.rank(source(few.noisy(), relation="short", fidelity=0.06)).knowledge
        assert 0 < used.reliability <= math.sqrt(0.611)
        (dropped,) = many.rank(source(many.noisy(), relation="short", fidelity=0.06)).knowledge
        assert dropped.reason == "dropped: 20 candidates have short trainings of their own"

    def test_unchecked_knowledge_says_so(self):
        case = Case(shorts=3)
        reason = case.rank(source(case.noisy())).knowledge[0].reason
        assert reason.startswith(
            "unchecked: fewer than 8 short trainings that can judge it; agrees with the other sources: r = 0."
        )

    def test_candidates_of_which_only_knowledge_says_something_are_not_at_any_rank(self):
        case = Case(24, shorts=0)
        bare, frame = case.encoding[[]], pd.DataFrame(case.rows).iloc[:1]
        known = source(case.quality)
        ranking = rank_evidence(frame, bare, full_epochs=FULL, seed=0, knowledge=[known])
        assert case.tau(ranking) > 0.9
        assert (ranking.table["rank_high"] - ranking.table["rank_low"]).mean() < 18
        assert ranking.knowledge[0].reliability == pytest.approx(0.75, abs=0.01)

    def test_a_relation_or_fidelity_that_is_none(self):
        with pytest.raises(
            ValueError, match="knowledge mine: relation is 'close'; it has to be one of same-kind, other"
        ):
            KnowledgeSource("mine", {}, "close")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="knowledge mine: fidelity is 0; it has to be above 0"):
            KnowledgeSource("mine", {}, "short", 0)


class TestFullTrainings:
    def test_they_drop_knowledge_that_errs_like_the_short_trainings(self):
        case = Case(fulls=20)
        without, ranking = case.rank(), case.rank(source(case.bias))
        assert Case().rank(source(case.bias)).knowledge[0].reliability > 0.5  # short trainings cannot tell
        assert case.tau(ranking) > case.tau(without) - 0.015
        assert_same(ranking, without)
        assert ranking.knowledge[0].reason == "dropped: 20 full trainings agree better without it"

    def test_they_keep_good_knowledge(self):
        case = Case(fulls=20)
        ranking = case.rank(source(case.noisy()))
        assert ranking.knowledge[0].weight > 0
        assert case.tau(ranking) > case.tau(case.rank())

    def test_fourteen_do_not_decide(self):
        scores = np.arange(15.0)
        assert is_vetoed(-scores, scores, scores)
        assert not is_vetoed(-scores[:14], scores[:14], scores[:14])
        assert not is_vetoed(scores, -scores, scores)
        assert is_vetoed(scores, scores, scores)

    def test_a_difference_within_its_error_is_no_veto(self):
        generator = np.random.default_rng(0)
        quality = generator.standard_normal((300, 20))
        first, second = (quality + generator.normal(0, 0.3, quality.shape) for _ in range(2))
        worse = quality + generator.normal(0, 1, quality.shape)
        assert np.mean([is_vetoed(*three) for three in zip(first, second, quality, strict=True)]) < 0.4
        assert np.mean([is_vetoed(*three) for three in zip(first, worse, quality, strict=True)]) == 0
        assert np.mean([is_vetoed(*three) for three in zip(worse, second, quality, strict=True)]) > 0.95

    @pytest.mark.parametrize(("fulls", "certainty"), [(7, "uncalibrated"), (8, "doubtful"), (15, "calibrated")])
    def test_eight_calibrate_an_order_with_knowledge(self, fulls, certainty):
        case = Case(fulls=fulls)
        assert case.rank(source(case.noisy())).certainty == certainty
        assert case.rank().certainty == ("doubtful" if fulls < 15 else certainty)

    def test_stages_before_them_are_taken_over_with_the_veto_anew(self):
        case = Case(fulls=20)
        known = source(case.bias)
        frame = pd.DataFrame(case.rows)
        before = frame[frame["epoch"] < FULL]

        def model(rows, earlier=None):
            return RankingModel(rows, case.encoding, full_epochs=FULL, seed=0, knowledge=[known], earlier=earlier)

        first = model(before)
        assert first.ranking().knowledge[0].weight > 0
        assert_same(model(frame, first).ranking(), model(frame).ranking())
        other = RankingModel(frame, case.encoding, full_epochs=FULL, seed=0, earlier=first)
        assert_same(other.ranking(), case.rank())


def test_lines_about_a_ranking_say_what_was_made_of_knowledge():
    case = Case()
    ranking = case.rank(source(case.noisy()), source(-case.quality, "inverted", "other"))
    lines = [text for decision, text in ranking_lines(ranking, []) if decision == "knowledge"]
    used, dropped = ranking.knowledge
    assert lines == [
        f"other data (same-kind, {COUNT} known): weight {used.weight:.2f}; {used.reason}",
        f"inverted (other, {COUNT} known): weight 0.00; {dropped.reason}",
    ]
    assert "knowledge 0." in ranking_lines(ranking, [])[0][1]


@pytest.mark.slow
@pytest.mark.skipif("TAURANK_DATA" not in os.environ, reason="needs $TAURANK_DATA, the recorded trainings")
def test_nasbench201_with_the_accuracies_on_other_images():
    from benchmarks.ranker.knowledge import KNOWN, NONE, SHUFFLED, measure

    folder = Path(os.environ["TAURANK_DATA"])

    def mean(column: str, variant: str, budget: str) -> float:
        return float(np.mean([measure("c100", variant, 100, budget, draw, folder)[column] for draw in range(4)]))

    assert mean("tau", KNOWN, "50x") >= 0.83
    assert mean("tau", SHUFFLED, "50x") == pytest.approx(mean("tau", NONE, "50x"), abs=0.01)
    assert 0.78 <= mean("expected_tau", KNOWN, "10x") <= 0.87
    assert 0.88 <= mean("coverage90", KNOWN, "10x") <= 0.96
