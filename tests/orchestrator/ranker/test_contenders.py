"""Who contends, and the order of those who were trained on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taurank.orchestrator.ranker.contenders import SHARING_SD, UNSETTLED, find_contenders, rank_again

NAN = math.nan
# Gaps of 2 and of .2 in log-odds: at sd 0 they are 2 / (.25 sqrt 2) = 5.7 and .57 standard deviations of a difference.
CLEAR = 1 / (1 + np.exp(-np.array([3.0, 1.0, -1.0, -3.0])))
CLOSE = 1 / (1 + np.exp(-np.array([3.0, 1.0, 0.8, -3.0])))
NO_NOISE = np.zeros(4)


def from_logits(*logits: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.array(logits)))


class TestFind:
    def test_nobody_where_the_gaps_are_clear(self):
        assert find_contenders(CLEAR, NO_NOISE) == ()

    def test_a_close_pair(self):
        assert find_contenders(CLOSE, NO_NOISE) == (1, 2)

    def test_best_first_whatever_the_order_of_the_candidates(self):
        assert find_contenders(CLOSE[::-1], NO_NOISE) == (2, 1)

    @pytest.mark.parametrize(("share", "found"), [(0.99, (0, 1)), (1.01, ())])
    def test_without_images_the_limit_is_what_sharing_adds(self, share, found):
        gap = share * UNSETTLED * SHARING_SD * math.sqrt(2)
        assert find_contenders(from_logits(gap, 0.0), np.zeros(2)) == found

    @pytest.mark.parametrize(("share", "found"), [(0.99, (0, 1)), (1.01, ())])
    def test_images_add_their_noise(self, share, found):
        # An sd of .1 at an accuracy of 1/2 is .4 in log-odds; both have it here, to a thousandth.
        gap = share * UNSETTLED * math.hypot(0.4, SHARING_SD) * math.sqrt(2)
        accuracies = from_logits(gap / 2, -gap / 2)
        sds = 0.4 * accuracies * (1 - accuracies)
        assert find_contenders(accuracies, sds) == found

    def test_noise_makes_clear_gaps_unsettled(self):
        assert find_contenders(CLEAR, np.full(4, 0.3)) == (0, 1, 2, 3)

    def test_most_keeps_the_closest_calls(self):
        accuracies = from_logits(3.0, 2.9, 1.0, 0.95, -1.0, -1.3)
        assert find_contenders(accuracies, np.zeros(6)) == (0, 1, 2, 3, 4, 5)
        assert find_contenders(accuracies, np.zeros(6), most=4) == (0, 1, 2, 3)
        assert find_contenders(accuracies, np.zeros(6), most=2) == (2, 3)

    def test_most_takes_a_neighbour_where_no_pair_fits(self):
        # The closest pair, then one that would make four, then one that makes three.
        accuracies = from_logits(3.0, 2.9, 1.0, 0.95, 0.6)
        assert find_contenders(accuracies, np.zeros(5), most=3) == (2, 3, 4)

    def test_who_has_no_accuracy_takes_no_part(self):
        accuracies = np.array([CLOSE[0], CLOSE[1], NAN, CLOSE[2]])
        assert find_contenders(accuracies, NO_NOISE) == (1, 3)
        assert find_contenders(np.full(3, NAN), np.zeros(3)) == ()

    def test_without_a_standard_deviation_only_sharing_counts(self):
        assert find_contenders(CLOSE, np.full(4, NAN)) == (1, 2)

    @pytest.mark.parametrize("count", [0, 1])
    def test_nobody_to_contend_with(self, count):
        assert find_contenders(np.full(count, 0.5), np.zeros(count)) == ()

    def test_right_and_wrong_altogether_are_finite(self):
        assert find_contenders(np.array([1.0, 1.0, 0.0, 0.0]), NO_NOISE) == (0, 1, 2, 3)
        assert find_contenders(np.array([1.0, 0.0]), np.zeros(2)) == ()


class TestRankAgain:
    def test_a_pair_changes_places(self):
        found = rank_again(CLOSE, NO_NOISE, np.array([NAN, 0.7, 0.8, NAN]))
        assert found.tolist() == [CLOSE[0], CLOSE[2], CLOSE[1], CLOSE[3]]

    def test_or_stays(self):
        assert rank_again(CLOSE, NO_NOISE, np.array([NAN, 0.8, 0.7, NAN])).tolist() == CLOSE.tolist()

    def test_nobody_trained_on_changes_nothing(self):
        assert rank_again(CLOSE, NO_NOISE, np.full(4, NAN)).tolist() == CLOSE.tolist()

    def test_clear_gaps_stay_whatever_training_on_says(self):
        assert rank_again(CLEAR, NO_NOISE, np.array([0.1, 0.2, 0.3, 0.4])).tolist() == CLEAR.tolist()

    def test_a_group_keeps_its_places_however_well_it_did(self):
        accuracies = from_logits(3.0, 1.0, 0.9, 0.8, -3.0)
        found = rank_again(accuracies, np.zeros(5), np.array([NAN, 0.97, 0.98, 0.99, NAN]))
        assert np.argsort(-found).tolist() == [0, 3, 2, 1, 4]
        assert sorted(found) == sorted(accuracies)

    def test_a_group_is_split_by_one_that_was_not_trained_on(self):
        accuracies = from_logits(1.0, 0.9, 0.8, 0.7, 0.6)
        found = rank_again(accuracies, np.zeros(5), np.array([0.1, NAN, 0.2, 0.3, NAN]))
        assert np.argsort(-found).tolist() == [0, 1, 3, 2, 4]

    def test_a_group_with_all_others_left_out_stays(self):
        accuracies = from_logits(1.0, 0.9, 0.8)
        assert rank_again(accuracies, np.zeros(3), np.array([0.1, NAN, 0.2])).tolist() == accuracies.tolist()

    def test_equal_accuracies_are_told_apart(self):
        accuracies = np.array([0.8, 0.8, 0.8, 0.3])
        found = rank_again(accuracies, NO_NOISE, np.array([0.7, 0.9, 0.8, NAN]))
        assert np.argsort(-found).tolist() == [1, 2, 0, 3]
        assert found == pytest.approx(accuracies, abs=1e-12)

    def test_equal_ones_that_train_on_equally_stay_equal(self):
        found = rank_again(np.array([0.8, 0.8, 0.8]), np.zeros(3), np.array([0.7, 0.9, 0.7]))
        assert found[0] == found[2] < found[1]

    def test_missing_stays_missing(self):
        found = rank_again(np.array([0.8, NAN, 0.79]), np.zeros(3), np.array([0.1, 0.9, 0.2]))
        assert found.tolist() == pytest.approx([0.79, NAN, 0.8], nan_ok=True)

    def test_the_order_of_the_candidates_does_not_matter(self):
        generator = np.random.default_rng(0)
        accuracies, trained_on = generator.uniform(0.2, 0.9, 40), generator.uniform(0.2, 0.9, 40)
        trained_on[::3] = NAN
        sds = np.sqrt(accuracies * (1 - accuracies) / 200)
        found = rank_again(accuracies, sds, trained_on)
        assert (found != accuracies).any()
        assert sorted(found) == sorted(accuracies)
        shuffled = generator.permutation(40)
        assert (
            rank_again(accuracies[shuffled], sds[shuffled], trained_on[shuffled]).tolist() == found[shuffled].tolist()
        )

    def test_what_is_given_is_left_as_it_is(self):
        accuracies = CLOSE.copy()
        rank_again(accuracies, NO_NOISE, np.array([NAN, 0.7, 0.8, NAN]))
        assert accuracies.tolist() == CLOSE.tolist()
