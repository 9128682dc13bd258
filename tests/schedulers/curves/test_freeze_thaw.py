from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import kendalltau, multivariate_normal

from taurank.schedulers.curves.freeze_thaw import FreezeThaw, freeze_thaw_kernel
from taurank.schedulers.curves.matrix import CurveMatrix

EPOCHS = np.arange(1, 51)


def curves(trials: int, noise: float, points: int, seed: int = 0) -> tuple[CurveMatrix, np.ndarray]:
    """Curves cut after some points, and their finals without noise."""
    rng = np.random.default_rng(seed)
    c, a, alpha = rng.uniform((0.6, 0.25, 0.5), (0.85, 0.4, 0.9), (trials, 3)).T[:, :, None]
    clean = c - a * EPOCHS**-alpha
    noisy = clean + rng.normal(0, noise, clean.shape)
    return CurveMatrix(np.where(np.arange(50) < points, noisy, np.nan), EPOCHS), clean[:, -1]


def test_kernel_by_hand():
    assert freeze_thaw_kernel(0.0, 0.0, 1.0, 0.5) == 1.0
    assert freeze_thaw_kernel(0.5, 0.5, 1.0, 0.5) == pytest.approx(1 / 3)
    assert freeze_thaw_kernel(0.25, 0.75, 2.0, 1.0) == pytest.approx(0.25)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("beta", [0.01, 0.3, 3.0])
def test_kernel_is_positive_semidefinite(alpha, beta):
    t = np.random.default_rng(0).uniform(0, 1, 40)
    covariance = freeze_thaw_kernel(t[:, None], t, alpha, beta)
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > -1e-12


class TestAlgebra:
    """The closed forms against one dense Gaussian over all points of all trials."""

    t = np.array([0.1, 0.2, 0.4, 1.0])
    y = np.array([[0.1, 0.3, np.nan, np.nan], [0.2, np.nan, 0.6, np.nan], [0.0, 0.5, 0.4, np.nan]])

    def dense(self, kernel, mean, scale):
        """Means and variances of the last points given all others, and the log density of these."""
        trials, points = self.y.shape
        of = np.repeat(np.arange(trials), points)
        t = np.tile(self.t, trials)
        same = of[:, None] == of
        own = freeze_thaw_kernel(t[:, None], t, kernel.alpha, kernel.beta) + kernel.asymptotes
        covariance = scale * (np.where(same, own, 0.0) + kernel.noise * np.eye(len(t)))
        seen = np.isfinite(self.y.ravel())
        last = np.arange(trials) * points + points - 1
        gain = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, last)]).T
        means = mean + gain @ (self.y.ravel()[seen] - mean)
        variances = np.diag(covariance)[last] - (gain * covariance[np.ix_(last, seen)]).sum(axis=1)
        density = multivariate_normal(np.full(seen.sum(), mean), covariance[np.ix_(seen, seen)])
        return means, variances, density.logpdf(self.y.ravel()[seen])

    def test_posterior(self):
        model = FreezeThaw()
        found = model._posterior(self.t, self.y, None)
        means, variances, _ = self.dense(*model._fit(self.t, self.y))
        np.testing.assert_allclose(found[0], means, rtol=1e-8)
        np.testing.assert_allclose(found[1], variances, rtol=1e-8)

    def test_mean_and_scale_are_the_likeliest(self):
        kernel, mean, scale = FreezeThaw()._fit(self.t, self.y)
        best = self.dense(kernel, mean, scale)[2]
        for other_mean, other_scale in ((mean + 0.02, scale), (mean - 0.02, scale), (mean, scale * 1.1)):
            assert self.dense(kernel, other_mean, other_scale)[2] < best
        assert self.dense(kernel, mean, scale / 1.1)[2] < best


def test_orders_noisy_curves_better_than_their_last_values():
    for seed in range(3):
        matrix, truth = curves(80, 0.03, 25, seed)
        found = FreezeThaw().forecast(matrix)
        gained = kendalltau(found.scores, truth).statistic - kendalltau(matrix.values[:, 24], truth).statistic
        assert gained > 0.1


def test_intervals_hold_at_least_what_they_say():
    covered = []
    for seed in range(3):
        matrix, truth = curves(80, 0.005, 20, seed)
        found = FreezeThaw().forecast(matrix)
        covered.append(np.abs(found.means - truth) <= 1.645 * found.sds)
    assert np.mean(covered) >= 0.86


def test_features_help_where_they_say_something():
    matrix, truth = curves(80, 0.05, 6)
    rng = np.random.default_rng(1)
    telling = np.stack([truth + rng.normal(0, 0.02, 80), rng.normal(0, 1, 80)], axis=1)
    told = CurveMatrix(matrix.values, EPOCHS, features=telling)
    with_features, without = (FreezeThaw().forecast(each).scores for each in (told, matrix))
    assert kendalltau(with_features, truth).statistic > kendalltau(without, truth).statistic + 0.1


def test_trials_that_end_early_do_not_bend_the_common_curve():
    rng = np.random.default_rng(0)
    level = np.sort(rng.uniform(0.4, 0.8, 60))
    values = level[:, None] - 0.3 / EPOCHS + rng.normal(0, 0.002, (60, 50))
    lengths = np.where(np.arange(60) < 30, 10, 30)  # the better half has gone on
    matrix = CurveMatrix(np.where(np.arange(50) < lengths[:, None], values, np.nan), EPOCHS)
    found = FreezeThaw().forecast(matrix)
    assert kendalltau(found.scores, level).statistic > 0.95
    assert np.abs(found.means - level).mean() < 0.03


def test_a_thousand_trials_take_less_than_two_seconds():
    matrix, _ = curves(1000, 0.01, 25)
    ragged = np.where(np.random.default_rng(0).random(matrix.values.shape) < 0.1, np.nan, matrix.values)
    for values in (matrix.values, ragged):
        begin = time.process_time()
        FreezeThaw().forecast(CurveMatrix(values, EPOCHS))
        assert time.process_time() - begin < 2.0


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="evaluations must be at least 1, got 0"):
        FreezeThaw(evaluations=0)
