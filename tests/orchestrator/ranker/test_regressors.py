from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from taurank.orchestrator.ranker.regressors import (
    PRIOR_SHARE,
    REGRESSORS,
    FinalInputs,
    GaussianProcessRegressor,
    stack_weights,
)

N = 80
ROWS = np.arange(0, N, 2)
ONES = np.ones(len(ROWS))


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch):
    monkeypatch.setattr("taurank.orchestrator.ranker.regressors.TREES", 40)
    monkeypatch.setattr("taurank.orchestrator.ranker.regressors.OPPONENTS", 10)


@pytest.fixture
def truth() -> np.ndarray:
    return inputs().encoding[:, 0] + 0.5 * np.tanh(inputs().encoding[:, 1])


def inputs() -> FinalInputs:
    encoding = np.random.default_rng(0).standard_normal((N, 3))
    nothing = np.zeros((N, 0))
    return FinalInputs(encoding, nothing, nothing, np.zeros(N), encoding)


def fitted(name: str, truth: np.ndarray, seed: int = 0):
    return REGRESSORS[name](inputs(), np.random.default_rng(seed)).fit(ROWS, truth[ROWS], ONES)


@pytest.mark.parametrize("name", REGRESSORS)
class TestAll:
    def test_orders_unseen_candidates(self, name, truth):
        mean, sd = fitted(name, truth).predict()
        assert stats.kendalltau(mean[1::2], truth[1::2]).statistic > 0.55
        assert mean.shape == sd.shape == (N,)
        assert (sd >= 0).all()

    def test_is_on_the_scale_of_its_labels(self, name, truth):
        shifted = fitted(name, 3 + 0.1 * truth).predict()[0]
        assert shifted.mean() == pytest.approx(3.0, abs=0.3)
        assert np.ptp(shifted) < 2.5

    def test_left_out_is_worse_than_seen_and_better_than_nothing(self, name, truth):
        regressor = fitted(name, truth)
        unseen, seen = regressor.left_out(), regressor.predict()[0][ROWS]
        labels = truth[ROWS]
        assert ((seen - labels) ** 2).mean() < ((unseen - labels) ** 2).mean() < 0.7 * labels.var()

    def test_the_seed_decides(self, name, truth):
        first, again = fitted(name, truth), fitted(name, truth)
        assert (first.predict()[0] == again.predict()[0]).all()
        assert (first.left_out() == again.left_out()).all()

    def test_equal_labels(self, name):
        regressor = fitted(name, np.full(N, 0.5))
        assert np.isfinite(regressor.predict()[0]).all()
        assert np.isfinite(regressor.left_out()).all()


class TestGaussianProcess:
    def test_without_deviations_it_is_the_prior(self):
        prior = np.linspace(-2, 2, N)
        nothing = np.zeros((N, 0))
        regressor = GaussianProcessRegressor(
            FinalInputs(nothing, nothing, nothing, prior, nothing), np.random.default_rng(0)
        )
        regressor.fit(ROWS, PRIOR_SHARE * prior[ROWS], ONES)
        assert regressor.predict()[0] == pytest.approx(PRIOR_SHARE * prior, abs=1e-9)

    def test_noisy_labels_count_less(self, truth):
        labels = truth[ROWS].copy()
        labels[5] += 3
        factors = np.where(np.arange(len(ROWS)) == 5, 100.0, 1.0)
        trusting = GaussianProcessRegressor(inputs(), np.random.default_rng(0)).fit(ROWS, labels, ONES)
        doubting = GaussianProcessRegressor(inputs(), np.random.default_rng(0)).fit(ROWS, labels, factors)
        errors = [abs(regressor.predict()[0] - truth).mean() for regressor in (trusting, doubting)]
        assert errors[1] < 0.7 * errors[0]


class TestStack:
    def columns(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        generator = np.random.default_rng(0)
        target = generator.standard_normal(count)
        return target, generator.standard_normal(count), generator.standard_normal(count)

    def test_a_perfect_one_gets_nearly_all_with_many_labels(self):
        target, *useless = self.columns(2000)
        weights = stack_weights([useless[0], target, useless[1]], target, [1.0, 0.5, 0.25])
        assert weights[1] > 0.97

    def test_defaults_with_few_labels(self):
        target, useless, _ = self.columns(4)
        weights = stack_weights([useless, target], target, [1.0, 0.5])
        assert weights == pytest.approx([2 / 3, 1 / 3], abs=0.1)

    @pytest.mark.parametrize("count", [2, 8, 100])
    @pytest.mark.parametrize("seed", range(5))
    def test_none_is_negative_and_they_add_up_to_one(self, count, seed):
        generator = np.random.default_rng(seed)
        left_out = generator.standard_normal((3, count))
        weights = stack_weights(list(left_out), generator.standard_normal(count), [1.0, 0.5, 0.5])
        assert weights.sum() == pytest.approx(1.0)
        assert weights.min() >= 0

    def test_one_that_is_always_wrong_gets_nothing(self):
        target, *_ = self.columns(500)
        assert stack_weights([target, -target], target, [1.0, 0.0]) == pytest.approx([1.0, 0.0])
        assert stack_weights([target, -target], target, [1.0, 1.0])[1] < 0.03

    def test_when_all_are_wrong_the_defaults_stay(self):
        target, *_ = self.columns(500)
        assert stack_weights([-target, -target], target, [3.0, 1.0]) == pytest.approx([0.75, 0.25])

    def test_monotone_transforms_change_nothing(self):
        target, other, _ = self.columns(50)
        first = stack_weights([target + other, other], target, [1.0, 1.0])
        assert stack_weights([np.exp(target + other), other**3], np.exp(target), [1.0, 1.0]) == pytest.approx(first)

    def test_a_left_out_prediction_may_be_missing(self):
        target, other, _ = self.columns(50)
        holed = target.copy()
        holed[3] = np.nan
        assert np.isfinite(stack_weights([holed, other], target, [1.0, 1.0])).all()
