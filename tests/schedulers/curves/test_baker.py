from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from taurank.schedulers.curves.baker import BakerSVR
from taurank.schedulers.curves.matrix import CurveMatrix

EPOCHS = np.arange(1, 21)


def curves(trials: int, finished: int, points: int, seed: int = 0) -> tuple[CurveMatrix, np.ndarray]:
    """Curves of which the first ones are finished, the finals of all."""
    rng = np.random.default_rng(seed)
    c, a, alpha = rng.uniform((0.6, 0.2, 0.3), (0.9, 0.5, 1.2), (trials, 3)).T[:, :, None]
    values = c - a * EPOCHS**-alpha + rng.normal(0, 0.005, (trials, 20))
    seen = (np.arange(trials)[:, None] < finished) | (np.arange(20) < points)
    return CurveMatrix(np.where(seen, values, np.nan), EPOCHS), values[:, -1]


def test_learns_the_end_from_the_beginning():
    matrix, finals = curves(100, finished=60, points=5)
    found = BakerSVR(searches=20).forecast(matrix)
    assert kendalltau(found.scores[60:], finals[60:]).statistic > 0.7
    error = np.abs(found.means - finals)[60:]
    assert 0.8 <= np.mean(error <= 1.645 * found.sds[60:]) <= 1.0
    assert error.mean() < np.abs(finals[60:] - matrix.values[60:, 4]).mean() / 2


def test_finished_trials_keep_their_value():
    matrix, finals = curves(20, finished=12, points=5)
    found = BakerSVR(searches=5).forecast(matrix)
    np.testing.assert_array_equal(found.means[:12], finals[:12])
    assert (found.sds[:12] < found.sds[12:].min()).all()


def test_features_are_used():
    matrix, finals = curves(60, finished=30, points=1)
    told = CurveMatrix(matrix.values, EPOCHS, features=finals[:, None])
    plain, with_features = (BakerSVR(searches=20).forecast(each).scores[30:] for each in (matrix, told))
    assert kendalltau(with_features, finals[30:]).statistic > 0.9 > kendalltau(plain, finals[30:]).statistic


def test_every_length_has_its_own_regression():
    matrix, _ = curves(30, finished=20, points=5)
    values = matrix.values.copy()
    values[25:, 3:] = np.nan
    mixed = BakerSVR(searches=5).forecast(CurveMatrix(values, EPOCHS))
    rest = np.r_[0:25]
    alone = BakerSVR(searches=5).forecast(CurveMatrix(values[rest], EPOCHS))
    np.testing.assert_array_equal(mixed.scores[rest], alone.scores)


def test_without_finished_trials_the_last_value_counts():
    matrix, _ = curves(12, finished=5, points=5)
    found = BakerSVR(finished=6).forecast(matrix)
    np.testing.assert_array_equal(found.scores[5:], matrix.values[5:, 4])
    assert np.isnan(found.means).all()
    assert np.isnan(found.sds).all()


def test_the_same_seed_gives_the_same_forecast():
    matrix, _ = curves(20, finished=12, points=5)
    once, again = (BakerSVR(searches=5, seed=3).forecast(matrix).scores for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="finished must be at least 6, got 5"):
        BakerSVR(finished=5)
    with pytest.raises(ValueError, match="searches must be at least 1, got 0"):
        BakerSVR(searches=0)
