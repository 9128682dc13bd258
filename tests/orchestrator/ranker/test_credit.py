from __future__ import annotations

import numpy as np
import pytest

from taurank.orchestrator.ranker.credit import (
    MIN_SHARED,
    OF_MANY_DESIGNS,
    ONE_DESIGN,
    Judge,
    beside_the_best,
    credible,
    size_score,
)
from taurank.orchestrator.ranker.views import normal_scores


def correlated(count: int, correlation: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two columns with exactly this correlation."""
    first, second = np.random.default_rng(seed).standard_normal((2, count))
    first = (first - first.mean()) / first.std()
    second = second - second.mean() - (second @ first) / count * first
    return first, correlation * first + np.sqrt(1 - correlation**2) * second / second.std()


def judge(trained: np.ndarray, rows: np.ndarray | None = None) -> Judge:
    return Judge(trained, np.arange(len(trained)) if rows is None else rows)


class TestCredible:
    @pytest.mark.parametrize(
        ("count", "correlation", "credit"),
        [
            (12, 0.0, 0.3890),  # r = tanh((.5493 / .09) / (1 / .09 + 9)) = .2945
            (12, 0.6, 0.8934),
            (24, 0.0, 0.1756),
            (24, 0.7, 1.0),
            (10_000, 0.4, 0.6002),
            (10_000, 0.05, 0.0),
            (100, -0.1, 0.0),
        ],
    )
    def test_a_known_one_is_judged_by_what_is_known_and_observed(self, count, correlation, credit):
        source, trained = correlated(count, correlation)
        kept, found = credible(source, judge(trained), expected=ONE_DESIGN)
        assert found == pytest.approx(credit, abs=1e-4)
        assert kept is source

    @pytest.mark.parametrize(("correlation", "credit"), [(0.0, 0.0), (0.6, 0.6985), (0.9, 1.0)])
    def test_networks_that_differ_in_kind_are_expected_to_agree_less(self, correlation, credit):
        source, trained = correlated(12, correlation)  # r = tanh((.3095 / .25 + 9 artanh(.6)) / (1 / .25 + 9)) = .5191
        assert credible(source, judge(trained), expected=OF_MANY_DESIGNS)[1] == pytest.approx(credit, abs=1e-4)

    @pytest.mark.parametrize(("correlation", "credit"), [(0.0, 0.0), (0.2, 0.5), (0.3, 1.0), (0.9, 1.0)])
    def test_others_lose_weight_as_soon_as_it_is_low(self, correlation, credit):
        source, trained = correlated(24, correlation)
        assert credible(source, judge(trained))[1] == pytest.approx(credit)

    @pytest.mark.parametrize(("correlation", "turned"), [(-0.6, True), (-0.57, False)])  # 2 / sqrt(12) = .577
    def test_an_opposite_one_is_turned(self, correlation, turned):
        source, trained = correlated(12, correlation)
        found, credit = credible(source, judge(trained), expected=ONE_DESIGN)
        assert np.array_equal(found, -source if turned else source)
        assert credit == pytest.approx(1.0 if turned else 0.0)

    def test_without_a_judge_or_with_few_trainings(self):
        source, trained = correlated(50, -0.9)
        assert credible(source, None, expected=ONE_DESIGN) == (pytest.approx(source), 1.0)
        few = judge(trained, np.arange(MIN_SHARED - 1))
        assert credible(source, few, expected=ONE_DESIGN) == (pytest.approx(source), 1.0)

    def test_only_trained_candidates_count(self):
        source, trained = correlated(40, 0.0)
        trained[:20] = source[:20]
        assert credible(source, judge(trained, np.arange(20)))[1] == 1.0


class TestBesideTheBest:
    @pytest.mark.parametrize(
        ("distance", "kept"),
        [(0.0, 1.0), (0.65, 1.0), (0.8, 0.5), (0.95, 0.0), (2.0, 0.0)],  # .6 and a quarter of 1 / sqrt(28 - 3) are free
    )
    def test_far_below_it_a_source_loses_its_weight(self, distance, kept):
        trained = judge(np.arange(28.0))
        found = beside_the_best({"size": np.tanh(1.2), "nwot": np.tanh(1.2 - distance)}, trained)
        assert found == {"size": 1.0, "nwot": pytest.approx(kept)}

    def test_fewer_trainings_allow_more(self):
        agreements = {"size": np.tanh(1.2), "nwot": np.tanh(0.5)}
        assert beside_the_best(agreements, judge(np.arange(12.0)))["nwot"] == pytest.approx(0.9444, abs=1e-4)
        assert beside_the_best(agreements, judge(np.arange(103.0)))["nwot"] == pytest.approx(0.75)

    def test_it_keeps_it_where_nothing_is_known(self):
        assert beside_the_best({"size": 0.9, "nwot": float("nan")}, judge(np.arange(28.0))) == {"size": 1, "nwot": 1}
        assert beside_the_best({"size": 0.9, "nwot": 0.0}, None) == {"size": 1, "nwot": 1}
        assert beside_the_best({}, judge(np.arange(28.0))) == {}

    def test_exact_agreement_and_its_opposite_are_finite(self):
        assert beside_the_best({"size": 1.0, "nwot": -1.0}, judge(np.arange(28.0))) == {"size": 1.0, "nwot": 0.0}


class TestSize:
    def columns(self, *, agreement: float, count: int = 100) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Size columns, the depth of which is independent of the trainings."""
        trained, size = correlated(count, agreement, seed=1)
        depth = np.random.default_rng(2).standard_normal(count)
        depth -= (depth @ (trained - trained.mean())) / (count * trained.var()) * trained
        return {name: normal_scores(column) for name, column in (("parameters", size), ("depth", depth))}, trained

    def test_without_depth_it_is_the_mean(self):
        columns = {name: normal_scores(np.random.default_rng(seed).normal(size=9)) for seed, name in enumerate("ab")}
        expected = normal_scores(np.mean([columns["a"], columns["b"]], axis=0))
        assert size_score(columns, None).tobytes() == expected.tobytes()

    def test_depth_has_half_a_weight(self):
        columns = {
            name: normal_scores(np.random.default_rng(seed).normal(size=9))
            for seed, name in enumerate(("parameters", "flops", "depth"))
        }
        total = columns["parameters"] + columns["flops"] + columns["depth"] / 2
        assert size_score(columns, None) == pytest.approx(normal_scores(total))

    def test_depth_that_the_trainings_refute_drops_out(self):
        columns, trained = self.columns(agreement=0.85)
        assert np.array_equal(size_score(columns, judge(trained)), columns["parameters"])

    def test_a_column_far_below_the_best_one_drops_out(self):
        trained, parameters = correlated(40, 0.9)
        flops = np.random.default_rng(3).permutation(parameters)
        columns = {"parameters": normal_scores(parameters), "flops": normal_scores(flops)}
        judge_of = judge(normal_scores(trained))
        assert judge_of.agreement(columns["flops"]) < 0.3
        assert np.array_equal(size_score(columns, judge_of), columns["parameters"])

    def test_columns_that_agree_about_as_well_have_equal_weights(self):
        columns, trained = self.columns(agreement=0.5)
        columns["flops"] = normal_scores(columns["parameters"] + 0.3 * columns.pop("depth"))
        both = normal_scores(columns["parameters"] + columns["flops"])
        assert size_score(columns, judge(trained)) == pytest.approx(both)

    def test_depth_alone_is_size(self):
        depth = normal_scores(np.array([3.0, 1.0, 2.0]))
        assert np.array_equal(size_score({"depth": depth}, None), depth)
