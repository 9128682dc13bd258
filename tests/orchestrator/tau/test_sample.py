from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.tau import estimate_tau, stratified_sample, tau_b


def estimated(scores, truth, sample):
    """The estimate from the truths of a sample of places."""
    known, stratum = np.full(len(truth), np.nan), np.full(len(truth), -1)
    known[sample.drawn], stratum[sample.drawn] = np.asarray(truth)[sample.drawn], sample.stratum
    return estimate_tau(scores, known, stratum, sample.sizes)


class TestDraw:
    @pytest.mark.parametrize(("candidates", "n"), [(300, 20), (300, 40), (299, 43), (40, 40), (41, 39), (7, 7), (5, 4)])
    def test_at_least_four_of_each_stratum(self, candidates, n):
        sample = stratified_sample(candidates, n, np.random.default_rng(n))
        assert len(set(sample.drawn)) == n
        assert sample.sizes.sum() == candidates
        assert len(sample.sizes) == n // 4
        taken = np.bincount(sample.stratum)
        assert taken.min() >= 4
        assert taken.max() - taken.min() <= 1
        assert (taken <= sample.sizes).all()
        # A stratum is a stretch of neighbouring places.
        ends = np.cumsum(sample.sizes)
        assert sample.stratum.tolist() == np.searchsorted(ends, sample.drawn, side="right").tolist()

    def test_everybody_has_the_same_chance(self):
        generator, count = np.random.default_rng(0), np.zeros(30)
        for _ in range(2000):
            count[stratified_sample(30, 10, generator).drawn] += 1
        # 667 expected, standard deviation 21.
        assert np.abs(count - 2000 / 3).max() < 4.5 * 21

    def test_the_generator_decides(self):
        first, same, other = (stratified_sample(100, 12, np.random.default_rng(seed)).drawn for seed in (1, 1, 2))
        assert first.tolist() == same.tolist() != other.tolist()

    def test_is_in_no_order(self):
        drawn = stratified_sample(1000, 100, np.random.default_rng(3)).drawn
        assert abs(tau_b(drawn, np.arange(100))) < 0.25

    @pytest.mark.parametrize("n", [3, 11])
    def test_out_of_range(self, n):
        with pytest.raises(ValueError, match=f"n is {n}; it has to be between 4 and the 10 candidates"):
            stratified_sample(10, n, np.random.default_rng(0))


class TestEstimate:
    def test_by_hand(self):
        # Of 3 + 5 candidates 2 + 2 are drawn. Pairs within count 3 and 10, each of the four across 15/4.
        stratum, sizes = [0, 0, 1, 1], [3, 5]
        scores, truth = [4, 3, 2, 1], [3, 4, 2, 1]
        found = estimate_tau(scores, truth, stratum, sizes)
        assert found.tau == pytest.approx((15 + 10 - 3) / 28)
        assert (found.n, found.ties) == (4, 0)
        assert math.isnan(found.spearman)

    def test_ties_by_hand(self):
        # As above, the second pair tied in the truth: 15 + 3 of 28 pairs and of the 18 that are untied there.
        found = estimate_tau([4, 3, 2, 1], [4, 3, 1, 1], [0, 0, 1, 1], [3, 5])
        assert found.tau == pytest.approx(18 / math.sqrt(28 * 18))
        assert found.ties == 1

    def test_of_everybody_it_is_tau(self):
        generator = np.random.default_rng(4)
        scores, truth = generator.integers(0, 9, 23).astype(float), generator.integers(0, 9, 23).astype(float)
        sample = stratified_sample(23, 23, generator)
        assert estimated(scores, truth, sample).tau == pytest.approx(tau_b(scores, truth))

    def test_who_is_not_drawn_and_where_one_stands_is_the_same(self):
        generator = np.random.default_rng(5)
        scores, truth = -np.arange(60.0), generator.standard_normal(60)
        sample = stratified_sample(60, 16, generator)
        found = estimated(scores, truth, sample)
        alone = estimate_tau(scores[sample.drawn], truth[sample.drawn], sample.stratum, sample.sizes)
        assert (found.tau, found.low, found.high) == pytest.approx((alone.tau, alone.low, alone.high))

    def test_turning_the_scores_around_turns_everything_around(self):
        generator = np.random.default_rng(6)
        truth = generator.standard_normal(60) - np.arange(60) / 20
        sample = stratified_sample(60, 16, generator)
        found, turned = estimated(-np.arange(60.0), truth, sample), estimated(np.arange(60.0), truth, sample)
        assert (turned.tau, turned.low, turned.high) == pytest.approx((-found.tau, -found.high, -found.low))

    def test_a_lost_truth_leaves_its_stratum_to_the_others(self):
        # Three of the first stratum answer: their pairs count 10 x 9 / (3 x 2), and not 10 x 9 / (4 x 3).
        stratum, sizes = [0, 0, 0, 0, 1, 1, 1, 1], [10, 10]
        scores = [8, 7, 6, 5, 4, 3, 2, 1]
        truth = [7, 8, math.nan, 5, 4, 3, 2, 1]
        found = estimate_tau(scores, truth, stratum, sizes)
        assert found.tau == pytest.approx((190 - 2 * 15) / 190)
        assert found.n == 7

    def test_a_stratum_of_one_joins_its_neighbour(self):
        # One left of four in each case: 1 + 4 drawn from 20 are a plain random sample, and so tau is the usual one.
        lost = [math.nan] * 3
        for truth in ([*lost, 1.0, 5.0, 4.0, 3.0, 2.0], [5.0, 4.0, 3.0, 2.0, *lost, 1.0], [1, 2, *lost, *lost]):
            kept = np.isfinite(truth)
            found = estimate_tau(range(8), truth, [0, 0, 0, 0, 1, 1, 1, 1], [10, 10])
            assert found.tau == pytest.approx(tau_b(np.arange(8)[kept], np.array(truth)[kept]))

    def test_scores_of_some_are_compared_among_them(self):
        generator = np.random.default_rng(7)
        truth = -np.arange(40.0)
        scores = truth.copy()
        scores[::2] = np.nan
        found = estimated(scores, truth, stratified_sample(40, 20, generator))
        assert found.tau == pytest.approx(1.0)
        assert found.n < 20

    def test_no_disagreement_is_not_certainty(self):
        found = estimated(-np.arange(300.0), -np.arange(300.0), stratified_sample(300, 20, np.random.default_rng(8)))
        assert found.tau == pytest.approx(1.0)
        assert 0.8 < found.low < 0.97
        assert found.high == 1.0

    @pytest.mark.parametrize(("scores", "truth"), [([1, 1, 1, 1], [1, 2, 3, 4]), ([1, 2, 3, 4], [math.nan] * 4)])
    def test_nothing_to_compare(self, scores, truth):
        found = estimate_tau(scores, truth, [0, 0, 0, 0], [9])
        assert math.isnan(found.tau)
        assert math.isnan(found.low)

    def test_three_say_nothing(self):
        found = estimate_tau([1, 2, 3], [1, 2, 3], [0, 0, 0], [9])
        assert (found.low, found.high) == (-1.0, 1.0)


@pytest.mark.parametrize("n", [20, 40])
@pytest.mark.parametrize("tau", [0.5, 0.8, 0.95])
def test_no_bias_and_honest_intervals(n, tau):
    """300 candidates in 20 populations: the sample's own tau is too high, the estimate is not, and intervals hold.

    At .95 few of the pairs that are drawn disagree, and the interval has to be wide to be honest.
    """
    generator = np.random.default_rng(round(1000 * tau) + n)
    rho = math.sin(math.pi * tau / 2)
    errors, naive, inside = [], [], []
    for _ in range(20):
        quality = np.sort(generator.standard_normal(300))[::-1]
        truth = rho * quality + math.sqrt(1 - rho**2) * generator.standard_normal(300)
        scores = -np.arange(300.0)
        of_all = tau_b(scores, truth)
        for _ in range(50):
            sample = stratified_sample(300, n, generator)
            found = estimated(scores, truth, sample)
            errors.append(found.tau - of_all)
            naive.append(tau_b(scores[sample.drawn], truth[sample.drawn]) - of_all)
            inside.append(found.low <= of_all <= found.high)
    assert abs(np.mean(errors)) <= 0.01
    assert np.mean(naive) > np.mean(errors) + 0.002
    assert 0.90 <= np.mean(inside) <= (0.99 if tau < 0.9 else 0.995)


@pytest.mark.skipif(not os.environ.get("TAURANK_DATA"), reason="recorded trainings: set TAURANK_DATA to their folder")
@pytest.mark.parametrize("source", ["c10_val_hp12", "c10_params_M"])
def test_recorded_trainings(source):
    """1,000 cells of NAS-Bench-201 in five draws, 40 of them trained: real ties, real errors."""
    cells = pd.read_parquet(Path(os.environ["TAURANK_DATA"]) / "nb201" / "nb201_cifar10.parquet")
    generator = np.random.default_rng(9)
    errors, inside = [], []
    for draw in range(5):
        drawn = cells.sample(1000, random_state=draw).sort_values(source, ascending=False, kind="stable")
        truth, scores = drawn["c10_test_hp200_mean"].to_numpy(), -np.arange(1000.0)
        of_all = tau_b(scores, truth)
        for _ in range(60):
            found = estimated(scores, truth, stratified_sample(1000, 40, generator))
            errors.append(found.tau - of_all)
            inside.append(found.low <= of_all <= found.high)
    # Standard error of the mean error .004.
    assert abs(np.mean(errors)) <= 0.012
    assert 0.90 <= np.mean(inside) <= 0.99
