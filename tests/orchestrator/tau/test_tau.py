from __future__ import annotations

import math
import time
import tracemalloc

import numpy as np
import pytest

from taurank.orchestrator.tau import (
    agreement,
    ceiling,
    partial_tau,
    tau_b,
    tau_of_true_top,
    top_overlap,
    top_regret,
    weighted_tau,
)
from taurank.orchestrator.tau.pairs import Pairs

# The nine networks of methods/supernet-mnist: (1,1), (1,2) ... (3,3).
SUPERNET = [0.853600, 0.941300, 0.951867, 0.935967, 0.962083, 0.968833, 0.947317, 0.969000, 0.971383]
STANDALONE = [0.950733, 0.977233, 0.988917, 0.963383, 0.983217, 0.989100, 0.965817, 0.983167, 0.990533]
GREEDY = [0.45045, 0.71024, 0.78290, 0.63340, 0.75484, 0.77347, 0.72526, 0.89172, 0.96905]
PARAMETERS = [66016, 103072, 140128, 75328, 112384, 149440, 84640, 121696, 158752]


class TestGoldenNumbers:
    def test_uniform_supernet(self):
        found = agreement(SUPERNET, STANDALONE)
        assert round(found.tau, 4) == 0.7222
        assert round(found.spearman, 4) == 0.8667
        assert round(found.pearson, 4) == 0.8572
        assert (found.n, found.ties) == (9, 0)

    def test_epsilon_greedy_supernet(self):
        found = agreement(GREEDY, STANDALONE)
        assert (round(found.tau, 4), round(found.spearman, 4)) == (0.7222, 0.8667)
        assert round(tau_b(SUPERNET, GREEDY), 3) == 0.889

    def test_parameters_alone(self):
        assert round(tau_b(PARAMETERS, STANDALONE), 3) == 0.944


class TestTauB:
    def test_without_ties(self):
        # Of 10 pairs one is discordant.
        assert tau_b([1, 2, 3, 4, 5], [1, 2, 3, 5, 4]) == pytest.approx(0.8)

    def test_ties_on_one_side(self):
        # 5 concordant pairs, one tied in x: 5 / sqrt(5 * 6).
        assert tau_b([1, 1, 2, 3], [1, 2, 3, 4]) == pytest.approx(5 / math.sqrt(30))

    def test_ties_on_both_sides(self):
        # Pairs: (1,2) tied in x, (3,4) tied in y, the other four concordant: 4 / sqrt(5 * 5).
        assert tau_b([1, 1, 2, 3], [1, 2, 3, 3]) == pytest.approx(0.8)

    @pytest.mark.parametrize(("x", "y"), [([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5, 5, 5])])
    def test_is_undefined_without_two_different_ones(self, x, y):
        assert math.isnan(tau_b(x, y))

    def test_two(self):
        assert tau_b([1, 2], [5, 7]) == pytest.approx(1.0)
        assert tau_b([1, 2], [7, 5]) == pytest.approx(-1.0)


class TestAgreement:
    @pytest.fixture
    def pair(self):
        generator = np.random.default_rng(3)
        x = generator.integers(0, 12, 20).astype(float)  # with ties
        return x, x + generator.normal(0, 4, 20)

    def test_permuting_candidates_changes_nothing(self, pair):
        x, y = pair
        order = np.random.default_rng(4).permutation(len(x))
        first, second = agreement(x, y), agreement(x[order], y[order])
        for name in ("tau", "low", "high", "spearman", "pearson", "n", "ties"):
            assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-12)

    def test_the_sides_are_alike(self, pair):
        x, y = pair
        assert agreement(x, y).tau == pytest.approx(agreement(y, x).tau)
        assert agreement(x, y).low == pytest.approx(agreement(y, x).low)

    def test_turning_one_side_around_turns_the_interval_around(self, pair):
        x, y = pair
        found, turned = agreement(x, y), agreement(-x, y)
        assert (turned.tau, turned.low, turned.high) == pytest.approx((-found.tau, -found.high, -found.low))

    def test_monotone_transforms_leave_tau_and_interval(self, pair):
        x, y = pair
        found, bent = agreement(x, y), agreement(np.exp(x), y**3)
        assert (bent.tau, bent.low, bent.high) == pytest.approx((found.tau, found.low, found.high))
        assert bent.pearson != pytest.approx(found.pearson)

    def test_missing_ones_are_left_out_on_either_side(self):
        found = agreement([1, 2, math.nan, 3, 4, 5], [1, 2, 9, math.nan, 4, 5])
        assert (found.n, found.tau) == (4, pytest.approx(1.0))

    def test_ties_are_counted_once_per_pair(self):
        assert agreement([1, 1, 1, 2], [1, 1, 2, 3]).ties == 3

    @pytest.mark.parametrize(
        ("x", "y", "n"),
        [([], [], 0), ([1.0], [2.0], 1), ([1, 1, 1, 1, 1], [1, 2, 3, 4, 5], 5), ([math.nan] * 3, [1, 2, 3], 0)],
    )
    def test_nothing_to_compare(self, x, y, n):
        found = agreement(x, y)
        assert found.n == n
        assert all(math.isnan(value) for value in (found.tau, found.low, found.high, found.spearman, found.pearson))

    @pytest.mark.parametrize("n", [2, 3])
    def test_very_few_say_nothing_about_tau(self, n):
        found = agreement(range(n), range(n))
        assert (found.tau, found.low, found.high) == (pytest.approx(1.0), -1.0, 1.0)

    def test_different_lengths(self):
        with pytest.raises(ValueError, match=r"one value per candidate each; got shapes \(2,\) and \(3,\)"):
            agreement([1, 2], [1, 2, 3])

    @pytest.mark.parametrize("n", [4, 5, 9, 24])
    def test_the_interval_holds_tau_and_stays_within_bounds(self, n):
        generator = np.random.default_rng(n)
        for _ in range(30):
            x, y = generator.integers(0, n, n), generator.integers(0, n, n)
            found = agreement(x, y)
            assert math.isnan(found.tau) or -1 <= found.low <= found.tau + 1e-12 <= found.high + 1e-12 <= 1 + 1e-12

    def test_without_a_discordant_pair_the_rule_of_three(self):
        # 36 pairs, none discordant: at 95 % at most 3 / 36 of them are.
        found = agreement(range(9), range(9))
        assert (found.low, found.high) == (pytest.approx(1 - 2 * 3 / 36, abs=1e-3), 1.0)
        turned = agreement(range(9), range(9, 0, -1))
        assert (turned.low, turned.high) == (-1.0, pytest.approx(-1 + 2 * 3 / 36, abs=1e-3))

    def test_one_swapped_pair_is_less_sure_than_none_but_not_ignorant(self):
        x = np.arange(24)
        y = np.array([1, 0, *range(2, 24)])
        found = agreement(x, y)
        assert 0.85 < found.low < agreement(x, x).low
        assert found.tau < found.high < 1

    def test_a_higher_level_is_wider(self, pair):
        narrow, wide = agreement(*pair, level=0.8), agreement(*pair, level=0.99)
        assert wide.low < narrow.low < narrow.high < wide.high

    @pytest.mark.parametrize(("n", "rho", "at_least"), [(24, 0.8, 0.93), (9, 0.95, 0.93), (60, 0.0, 0.92)])
    def test_the_interval_covers(self, n, rho, at_least):
        generator = np.random.default_rng(11)
        truth = 2 / math.pi * math.asin(rho)  # tau of the bivariate normal
        draws = 500
        x = generator.standard_normal((draws, n))
        y = rho * x + math.sqrt(1 - rho**2) * generator.standard_normal((draws, n))
        found = [agreement(*pair) for pair in zip(x, y, strict=True)]
        covered = np.mean([one.low <= truth <= one.high for one in found])
        assert covered >= at_least
        # And not by being empty of content.
        assert np.mean([one.high - one.low for one in found]) < {24: 0.5, 9: 1.1, 60: 0.4}[n]


class TestTopOverlap:
    def test_by_hand(self):
        assert top_overlap([5, 4, 3, 2, 1], [5, 1, 4, 2, 3], 2).value == 0.5
        assert top_overlap([5, 4, 3, 2, 1], [1, 2, 3, 4, 5], 2).value == 0.0
        assert top_overlap([5, 4, 3], [1, 2, 3], 3).value == 1.0

    def test_says_of_how_many(self):
        found = top_overlap([5, 4, 4, 2, 1], [5, 1, 4, 2, 3], 2)
        assert (found.n, found.ties) == (5, 1)

    def test_ties_at_the_edge_count_by_their_share(self):
        # Second place of x is shared by two, one of which is truly second: half of a half, and the sure first.
        assert top_overlap([3, 2, 2, 0], [4, 3, 2, 1], 2).value == pytest.approx(0.75)

    def test_a_constant_score_is_as_good_as_chance(self):
        assert top_overlap([1, 1, 1, 1], [4, 3, 2, 1], 2).value == pytest.approx(0.5)

    @pytest.mark.parametrize("k", [0, 4])
    def test_k_out_of_range(self, k):
        with pytest.raises(ValueError, match=f"k is {k}; it has to be between 1 and the 3 candidates"):
            top_overlap([1, 2, 3], [1, 2, 3], k)

    def test_missing_values_are_refused(self):
        with pytest.raises(ValueError, match="missing"):
            top_overlap([1, math.nan], [1, 2], 1)

    def test_different_lengths(self):
        with pytest.raises(ValueError, match="shapes"):
            top_overlap([1, 2, 3], [1, 2], 1)


class TestCeiling:
    def test_two_seeds(self):
        # The seeds differ in one pair of six; ours agrees with the first entirely.
        found = ceiling([1, 2, 3, 4], [[1, 2, 3, 4], [1, 2, 4, 3]])
        assert found.ceiling == pytest.approx(2 / 3)
        assert found.ours == pytest.approx((1 + 2 / 3) / 2)
        assert found.retained == pytest.approx(1.25)
        assert found.seeds == 2

    def test_three_seeds_each_against_the_mean_of_the_others(self):
        seeds = [[1, 2, 3, 4], [2, 1, 3, 4], [1, 2, 4, 3]]
        # Means of two: [1.5, 1.5, 3.5, 3.5] (without the first), [1, 2, 3.5, 3.5], [1.5, 1.5, 3, 4].
        against = [
            tau_b(seeds[0], [1.5, 1.5, 3.5, 3.5]),
            tau_b(seeds[1], [1, 2, 3.5, 3.5]),
            tau_b(seeds[2], [1.5, 1.5, 3, 4]),
        ]
        assert against == pytest.approx([4 / math.sqrt(24), 3 / math.sqrt(30), 3 / math.sqrt(30)])
        ours = np.mean(
            [tau_b([1, 2, 3, 4], truth) for truth in ([1.5, 1.5, 3.5, 3.5], [1, 2, 3.5, 3.5], [1.5, 1.5, 3, 4])]
        )
        found = ceiling([1, 2, 3, 4], seeds)
        assert found.ceiling == pytest.approx(np.mean(against))
        assert found.ours == pytest.approx(ours)
        assert found.retained == pytest.approx(ours / np.mean(against))

    @pytest.mark.parametrize("seeds", [[], [[1, 2, 3]]])
    def test_needs_two_seeds(self, seeds):
        assert ceiling([1, 2, 3], seeds) is None

    def test_seeds_that_contradict_each_other_have_nothing_to_retain(self):
        found = ceiling([1, 2, 3], [[1, 2, 3], [3, 2, 1]])
        assert found.ceiling == pytest.approx(-1.0)
        assert math.isnan(found.retained)


class TestPairsOfMany:
    def test_counts_are_those_of_all_pairs(self):
        generator = np.random.default_rng(8)
        for n in (2, 3, 7, 64, 101):
            x, y = generator.integers(0, n, n).astype(float), generator.integers(0, n // 2 + 1, n).astype(float)
            sx, sy = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
            found = Pairs.of(x, y)
            assert found.agreeing.tolist() == (sx * sy).sum(1).tolist()
            assert found.untied_x.tolist() == (sx != 0).sum(1).tolist()
            assert found.untied_y.tolist() == (sy != 0).sum(1).tolist()
            assert found.ties == np.triu(sx * sy == 0, 1).sum()
            assert (found.concordant, found.discordant) == tuple((sx * sy == sign).sum() // 2 for sign in (1, -1))

    def test_a_whole_space_takes_seconds_and_no_gigabytes(self):
        generator = np.random.default_rng(9)
        x = generator.standard_normal(15_625)
        y = x + generator.standard_normal(15_625)
        tracemalloc.start()
        started = time.perf_counter()
        found = agreement(x, y)
        seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.tau == pytest.approx(0.5, abs=0.02)  # 2 / pi asin(sqrt(1 / 2))
        assert seconds < 10
        assert peak < 50e6


class TestMeasures:
    def test_weighted_tau_by_hand(self):
        # Weights by the truth's places: 1 + 1/2, 1 + 1/3, 1/2 + 1/3 for pairs 12, 13, 23, by ours the same numbers.
        # Swapping the two best turns 1 + 1/2 around, whoever places them.
        weights = [1 + 1 / 2, 1 + 1 / 3, 1 / 2 + 1 / 3]
        swapped_best = weighted_tau([2, 3, 1], [3, 2, 1])
        assert swapped_best.value == pytest.approx((sum(weights) - 2 * weights[0]) / sum(weights))
        assert (swapped_best.n, swapped_best.ties) == (3, 0)
        swapped_worst = weighted_tau([3, 1, 2], [3, 2, 1])
        assert swapped_worst.value == pytest.approx((sum(weights) - 2 * weights[2]) / sum(weights))

    def test_weighted_tau_of_nothing(self):
        assert math.isnan(weighted_tau([1, 1, 1], [1, 2, 3]).value)
        assert weighted_tau([], []).n == 0
        assert weighted_tau([1, 2, math.nan], [1, 2, 3]).value == pytest.approx(1.0)

    def test_partial_tau_by_hand(self):
        # Pairs of four: xy 5 of 6 concordant, xz 4 of 6, yz 3 of 6.
        x, y, z = [1, 2, 3, 4], [1, 2, 4, 3], [2, 1, 4, 3]
        taus = (tau_b(x, y), tau_b(x, z), tau_b(y, z))
        assert taus == pytest.approx((2 / 3, 1 / 3, 2 / 3))
        found = partial_tau(x, y, z)
        assert found.value == pytest.approx((2 / 3 - 2 / 9) / math.sqrt((1 - 1 / 9) * (1 - 4 / 9)))
        assert (found.n, found.ties) == (4, 0)

    def test_an_order_that_is_only_size_is_nothing_beyond_it(self):
        generator = np.random.default_rng(3)
        z = generator.standard_normal(400)
        x, y = (z + generator.standard_normal(400) for _ in range(2))
        assert partial_tau(x, y, z).value < tau_b(x, y) / 2
        assert math.isnan(partial_tau(z, y, z).value)
        assert math.isnan(partial_tau(x, y, -x).value)
        assert math.isnan(partial_tau(x, y, np.ones(400)).value)

    def test_missing_in_one_of_three(self):
        found = partial_tau([1, 2, 3, 4, math.nan], [1, 2, 4, 3, 5], [2, 1, 4, 3, 0])
        assert found == partial_tau([1, 2, 3, 4], [1, 2, 4, 3], [2, 1, 4, 3])

    def test_different_lengths(self):
        with pytest.raises(ValueError, match=r"x and y and z need one value"):
            partial_tau([1, 2], [1, 2], [1, 2, 3])


class TestRegret:
    def test_by_hand(self):
        assert top_regret([3, 2, 1], [0.5, 0.75, 0.25]).value == pytest.approx(0.25)
        assert top_regret([1, 2, 0], [0.5, 0.75, 0.25]).value == 0

    def test_of_several_firsts_the_mean(self):
        assert top_regret([2, 2, 1], [0.5, 0.75, 1.0]).value == pytest.approx(1 - 0.625)

    def test_who_has_no_truth_is_no_first(self):
        found = top_regret([9, 2, 1], [math.nan, 0.5, 0.75])
        assert (found.value, found.n) == (0.25, 2)
        assert math.isnan(top_regret([math.nan], [1.0]).value)


class TestTrueTop:
    def test_by_hand(self):
        # The best 20 % of 15 are three: 15, 14 and 13, of which we have two the other way round.
        truth = np.arange(1, 16)
        scores = truth.astype(float).copy()
        scores[[13, 14]] = scores[[14, 13]]
        found = tau_of_true_top(scores, truth)
        assert (found.value, found.n) == (pytest.approx(1 / 3), 3)

    def test_rounds_up(self):
        assert tau_of_true_top(range(11), range(11)).n == 3
        assert tau_of_true_top(range(10), range(10)).n == 2

    def test_all_who_tie_with_the_last_are_in(self):
        truth = [9, 8, 8, 8, 1, 1, 1, 1, 1, 1]
        found = tau_of_true_top([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], truth)
        assert (found.n, found.ties) == (4, 3)
        assert found.value == pytest.approx(3 / math.sqrt(3 * 6))

    def test_nobody(self):
        found = tau_of_true_top([math.nan], [1.0])
        assert (math.isnan(found.value), found.n) == (True, 0)

    @pytest.mark.parametrize("share", [0, -0.1, 1.5])
    def test_share_out_of_range(self, share):
        with pytest.raises(ValueError, match=f"share is {share}; it has to be above 0 and at most 1"):
            tau_of_true_top([1, 2], [1, 2], share=share)


def test_the_ceiling_says_of_how_many():
    found = ceiling([1, 2, 2, 4, math.nan], [[1, 2, 3, 4, 5], [1, 2, 4, 3, 5]])
    assert (found.n, found.ties) == (4, 2)  # 2-2 in ours, 3.5-3.5 in the mean of the seeds
