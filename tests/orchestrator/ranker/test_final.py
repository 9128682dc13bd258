from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from taurank.orchestrator.ranker.final import (
    FEW_LABELS,
    HEADROOM,
    MOST_DIVERGED,
    SHOWN,
    Labels,
    align_to_prior,
    find_labels,
    score_finally,
    score_targets,
    without_diverged,
)
from taurank.orchestrator.ranker.regressors import LABEL_NOISE, FinalInputs
from taurank.orchestrator.ranker.views import View, normal_scores

N = 60
NAN = float("nan")


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch):
    monkeypatch.setattr("taurank.orchestrator.ranker.regressors.TREES", 40)
    monkeypatch.setattr("taurank.orchestrator.ranker.regressors.OPPONENTS", 5)


@pytest.fixture
def truth() -> np.ndarray:
    return inputs().encoding[:, 0] + 0.3 * np.random.default_rng(5).standard_normal(N)


def inputs() -> FinalInputs:
    """A prior order that half of the truth is in, and an encoding with the other half."""
    generator = np.random.default_rng(0)
    encoding = generator.standard_normal((N, 2))
    prior = normal_scores(encoding[:, 0] + generator.normal(0, 1, N))
    return FinalInputs(encoding, np.zeros((N, 0)), prior[:, None], prior, np.column_stack([encoding, prior]))


def score(values, count: int, models=("gaussian-process", "extra-trees")):
    rows = np.random.default_rng(1).permutation(N)[:count]
    labels = Labels(np.sort(rows), np.asarray(values)[np.sort(rows)], np.ones(count))
    return score_finally(inputs(), labels, np.random.default_rng(2), models=models)


class TestLabels:
    def view(self, values, reached, fidelity=1.0, sds=NAN) -> View:
        return View(
            "s", "training", np.array(values), np.array(values), fidelity, np.array(reached), "s", np.array(sds)
        )

    def test_seeds_are_averaged(self):
        found = find_labels([self.view([0.8, NAN, 0.6], [1, 1, 1]), self.view([0.9, NAN, NAN], [1, 1, 1])])
        assert found.rows.tolist() == [0, 2]
        assert found.values == pytest.approx([0.85, 0.6])
        assert found.noise_factors == pytest.approx([0.5, 1.0])

    def test_a_prediction_weighs_what_was_trained(self):
        found = find_labels([self.view([0.8], [0.25]), self.view([0.9], [0.75])])
        assert found.values == pytest.approx([0.875])
        assert find_labels([self.view([0.8], [0.25])]).noise_factors == pytest.approx([4.0])

    FINISHED = (0.50, 0.52, 0.54, 0.56, 0.60, 0.62, 0.64, 0.68, 0.70, 0.72, 0.74)
    PREDICTED = (0.58, 0.66)
    SPREAD = 0.12 / (2 * stats.norm.ppf(0.75))
    """Of the thirteen: the middle half of them lies from .56 to .68."""

    def stage(self, *sds: float, finished: int = 11, unit: float = 1.0) -> View:
        reached = [1.0] * finished + [0.5] * (13 - finished)
        values = unit * np.array([*self.FINISHED, *self.PREDICTED])
        return self.view(values, reached, sds=unit * np.array([*[NAN] * 11, *sds]))

    def predicted(self, *sds: float, **changed) -> list[float]:
        """Noise factors of the two predictions; those of the finished are 1."""
        found = find_labels([self.stage(*sds, **changed)])
        assert found.values == pytest.approx([*self.FINISHED, *self.PREDICTED])
        assert found.noise_factors[:11] == pytest.approx(np.ones(11))
        return found.noise_factors[11:].tolist()

    def test_a_known_variance_adds_to_the_noise_of_a_full_training(self):
        expected = [(LABEL_NOISE + (sd / self.SPREAD) ** 2) / LABEL_NOISE for sd in (0.02, 0.04)]
        assert self.predicted(0.02, 0.04) == pytest.approx(expected)

    def test_the_unit_of_accuracy_does_not_matter(self):
        percent = find_labels([self.stage(0.02, 0.04, unit=100.0)])
        assert percent.noise_factors[11:] == pytest.approx(self.predicted(0.02, 0.04))

    def test_a_prediction_is_no_worse_than_the_spread_of_all(self):
        most = (LABEL_NOISE + 1) / LABEL_NOISE
        assert self.predicted(self.SPREAD, 9.0) == pytest.approx([most, most])

    def test_a_sure_prediction_is_as_good_as_a_full_training(self):
        assert self.predicted(0.0, 0.0) == pytest.approx([1.0, 1.0])

    def test_who_has_no_sd_beside_others_that_do_weighs_what_was_trained(self):
        assert self.predicted(0.0, NAN) == pytest.approx([1.0, 2.0])

    @pytest.mark.parametrize(("finished", "factor"), [(SHOWN, 1.0), (SHOWN - 1, 2.0)])
    def test_an_sd_counts_once_enough_have_finished(self, finished, factor):
        found = find_labels([self.stage(0.0, 0.0, finished=finished)])
        assert found.noise_factors[:finished] == pytest.approx(np.ones(finished))
        assert found.noise_factors[11:] == pytest.approx([factor, factor])

    def test_a_prediction_beside_a_full_training_of_another_stage(self):
        other = self.view([*[NAN] * 12, 0.66], [*[0.0] * 12, 1.0])
        found = find_labels([self.stage(0.02, 0.02), other])
        # One more value at the upper quartile of the others: the middle half is now from .565 to .675.
        precision = LABEL_NOISE / (LABEL_NOISE + (0.02 / (0.11 / 0.12 * self.SPREAD)) ** 2)
        assert found.noise_factors[12] == pytest.approx(1 / (precision + 1))
        assert found.values[12] == pytest.approx(0.66)

    def test_averaged_by_precision(self):
        other = self.view([*[NAN] * 12, 0.70], [*[0.0] * 12, 1.0])
        found = find_labels([self.stage(0.0, 0.0), other])
        assert found.values[12] == pytest.approx(0.68)
        assert found.noise_factors[12] == pytest.approx(0.5)

    @pytest.mark.filterwarnings("error")
    def test_equal_labels_with_sds(self):
        view = self.view([0.5] * 11, [*[1.0] * 10, 0.5], sds=[*[NAN] * 10, 0.1])
        assert np.isfinite(find_labels([view]).noise_factors).all()

    def test_short_trainings_are_no_labels(self):
        assert len(find_labels([self.view([0.8], [0.5], fidelity=0.5)]).rows) == 0
        assert len(find_labels([]).rows) == 0


class TestDiverged:
    """Twenty labels that follow the prior order closely, some of them at chance."""

    prior = np.linspace(-2, 2, 40)
    rows = np.arange(0, 40, 2)

    def kept(self, diverged, noise: float = 0.02) -> list[int]:
        values = 0.8 + 0.03 * self.prior[self.rows] + noise * np.random.default_rng(0).standard_normal(20)
        values[list(diverged)] = 0.1
        found = without_diverged(Labels(self.rows, values, np.arange(20.0)), self.prior)
        assert found.values == pytest.approx(values[np.searchsorted(self.rows, found.rows)])
        assert found.noise_factors.tolist() == (found.rows / 2).tolist()
        return sorted(set(range(20)) - set((found.rows // 2).tolist()))

    def test_those_far_below_the_prior_order_are_taken_out(self):
        assert self.kept([]) == []
        assert self.kept([15]) == [15]
        assert self.kept([10, 15, 18]) == [10, 15, 18]

    def test_those_that_were_expected_last_stay(self):
        assert self.kept([0]) == []

    def test_where_the_prior_is_wrong_about_many_they_stay_in(self):
        taken = self.kept(range(8, 20))
        assert len(taken) <= MOST_DIVERGED * 20

    def test_a_prior_that_says_little_takes_nothing_out(self):
        assert self.kept([], noise=0.3) == []

    def test_few_labels_stay(self):
        values = np.array([0.8, 0.81, 0.82, 0.83, 0.1, 0.85, 0.86, 0.87])
        labels = Labels(np.arange(8), values, np.ones(8))
        assert without_diverged(labels, np.arange(8.0)).rows.tolist() == list(range(8))


class TestTargets:
    VALUES = np.array([0.1, 0.9, 0.5, 0.7, 0.85])

    def test_log_distance_to_a_ceiling(self):
        ceiling = 0.9 + HEADROOM * (0.9 - 0.7)
        assert score_targets(self.VALUES)[1] == pytest.approx(-np.log(ceiling - self.VALUES))

    def test_a_monotone_transform_leaves_the_first(self):
        assert score_targets(np.exp(9 * self.VALUES))[0] == pytest.approx(score_targets(self.VALUES)[0])

    def test_an_affine_one_leaves_both_once_aligned(self):
        prior = np.array([0.3, -1.0, 0.2, 0.9, 1.5])
        for one, other in zip(score_targets(self.VALUES), score_targets(40 - 3 + 7 * self.VALUES), strict=True):
            assert align_to_prior(other, prior) == pytest.approx(align_to_prior(one, prior))

    def test_the_order_stays(self):
        for target in score_targets(self.VALUES):
            assert np.argsort(target).tolist() == np.argsort(self.VALUES).tolist()

    @pytest.mark.parametrize("values", [[0.5] * 7, [0.9, 0.9, 0.9, 0.9, 0.2], [0.3]])
    def test_the_best_may_be_most(self, values):
        _, target = score_targets(np.array(values))
        assert np.isfinite(target).all()
        assert np.ptp(target) < 2  # not a thousand times farther apart than labels that differ

    def test_alignment_takes_the_prior_of_the_same_candidates(self):
        prior = np.array([1.0, 2.0, 4.0])
        found = align_to_prior(np.array([0.1, 0.7, 0.3]), prior)
        assert (found.mean(), found.std()) == (pytest.approx(prior.mean()), pytest.approx(prior.std()))


class TestScores:
    @pytest.mark.parametrize("count", [0, 1, 2, FEW_LABELS])
    def test_few_labels_leave_the_prior_s_order(self, truth, count):
        found = score(truth, count)
        prior = normal_scores(inputs().prior)
        assert found.scores == pytest.approx(prior)
        assert (found.prior_share, found.weights) == (1.0, {})

    def test_the_share_of_the_prior_falls_with_the_square(self, truth):
        assert score(truth, 12).prior_share == pytest.approx((FEW_LABELS / 12) ** 2)

    def test_more_labels_help(self, truth):
        taus = [stats.kendalltau(score(truth, count).scores, truth).statistic for count in (0, 20, 50)]
        assert taus[0] + 0.05 < taus[1] + 0.02 < taus[2]

    def test_regressors_join_from_eight_labels(self, truth):
        assert set(score(truth, 7).weights) == {"gaussian-process"}
        every = ("extra-trees", "boosted-trees", "pairwise")
        assert set(score(truth, 8, models=every).weights) == {"gaussian-process", *every}
        assert sum(score(truth, 8, models=every).weights.values()) == pytest.approx(1.0)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("count", [7, 8, 20])
    def test_equal_labels(self, count):
        found = score(np.full(N, 0.5), count)
        assert found.scores == pytest.approx(normal_scores(inputs().prior))
        assert (found.regressor, found.weights) == (None, {})

    def test_labels_are_smoothed(self, truth):
        """One seed is noisy: the order of the labelled ones is better than that of their labels."""
        rows = np.sort(np.random.default_rng(1).permutation(N)[:40])
        smooth = inputs().encoding[:, 0]
        ours, labels = [], []
        for seed in range(4):
            noisy = smooth + np.random.default_rng(seed).normal(0, 0.6, N)
            found = score(noisy, 40, models=("gaussian-process",))
            ours.append(stats.kendalltau(found.scores[rows], smooth[rows]).statistic)
            labels.append(stats.kendalltau(noisy[rows], smooth[rows]).statistic)
        assert np.mean(ours) > np.mean(labels) + 0.05
