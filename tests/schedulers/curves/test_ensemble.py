from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import kendalltau

from taurank.schedulers.curves.ensemble import CurveEnsemble
from taurank.schedulers.curves.matrix import CurveMatrix

EPOCHS = np.arange(1, 51)


def powers(trials: int, noise: float, seed: int = 0, epochs: np.ndarray = EPOCHS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    c, a, alpha = rng.uniform((0.6, 0.25, 0.5), (0.85, 0.4, 0.9), (trials, 3)).T[:, :, None]
    return c - a * epochs**-alpha + rng.normal(0, noise, (trials, len(epochs)))


def cut(values: np.ndarray, points: int) -> CurveMatrix:
    return CurveMatrix(np.where(np.arange(values.shape[1]) < points, values, np.nan), np.arange(1, values.shape[1] + 1))


def test_finals_are_predicted_after_two_fifths():
    values = powers(100, noise=0.01)
    found = CurveEnsemble().forecast(cut(values, 20))
    truth = powers(100, noise=0.0)[:, -1]
    assert np.abs(found.means - values[:, -1]).mean() < 0.015
    assert np.quantile(np.abs(found.means - truth), 0.95) < 0.03


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_nine_of_ten_finals_lie_in_the_interval(noise):
    covered = []
    for seed in range(5):
        values = powers(100, noise, seed)
        found = CurveEnsemble().forecast(cut(values, 20))
        covered.append(np.abs(found.means - values[:, -1]) <= 1.645 * found.sds)
    assert 0.86 <= np.mean(covered) <= 0.97


def test_orders_noisy_curves_better_than_their_last_values():
    better = []
    for seed in range(5):
        values, truth = powers(100, 0.03, seed), powers(100, 0.0, seed)
        found = CurveEnsemble().forecast(cut(values, 25))
        better.append(
            kendalltau(found.scores, truth[:, -1]).statistic - kendalltau(values[:, 24], truth[:, -1]).statistic
        )
    assert min(better) > 0.1


def test_a_dominated_curve_will_not_win_and_a_dominating_one_may():
    x = EPOCHS
    curves = np.stack([0.9 - 0.5 * x**-0.8, 0.5 - 0.3 * x**-0.8, 0.75 - 0.4 * x**-0.8])
    curves += np.random.default_rng(0).normal(0, 0.005, curves.shape)
    found = CurveEnsemble().forecast(cut(curves, 20))
    above = found.probability_above()
    assert above[1, 2] < 0.05
    assert above[0, 2] > 0.95


def test_trials_share_what_they_say_of_the_shape():
    # Two points say nothing of their own shape; the others have shown that curves are flat from here on.
    flat = 0.7 - 0.3 * np.exp(-1.5 * EPOCHS) + np.random.default_rng(0).normal(0, 0.002, (60, 50))
    flat[0] += 0.1
    curves = np.where(np.arange(50) < np.r_[4, np.full(59, 45)][:, None], flat, np.nan)
    matrix = CurveMatrix(curves, EPOCHS)
    together, alone = CurveEnsemble().forecast(matrix), CurveEnsemble(pooled=False).forecast(matrix)
    assert abs(together.means[0] - 0.8) < abs(alone.means[0] - 0.8)


def test_finished_trials_keep_their_value():
    values = powers(3, 0.01)
    matrix = CurveMatrix(np.where(np.arange(50) < np.array([50, 20, 20])[:, None], values, np.nan), EPOCHS)
    found = CurveEnsemble().forecast(matrix)
    assert found.means[0] == values[0, -1]
    assert found.sds[0] < found.sds[1:].min()


def test_fewer_points_are_less_sure():
    values = powers(50, 0.01)
    sds = [np.median(CurveEnsemble().forecast(cut(values, points)).sds) for points in (1, 5, 10, 20, 40)]
    assert (np.diff(sds) < 0).all()


def test_recency_forgets_the_beginning():
    settled = np.where(np.arange(50) < 6, 0.6, 0.4) + np.random.default_rng(0).normal(0, 0.005, (10, 50))
    even, recent = (CurveEnsemble(recency=recency).forecast(cut(settled, 25)).means for recency in (0.0, 4.0))
    assert np.abs(recent - 0.4).mean() < 0.01
    assert np.abs(even - 0.4).mean() > 0.02


def test_a_thousand_trials_take_less_than_a_second():
    matrix = cut(powers(1000, 0.01, epochs=np.arange(1, 101)), 50)
    begin = time.process_time()
    CurveEnsemble().forecast(matrix)
    assert time.process_time() - begin < 1.0


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match=r"families must be some of .*, got pow5"):
        CurveEnsemble(families=("pow3", "pow5"))
    with pytest.raises(ValueError, match="got none"):
        CurveEnsemble(families=())
    with pytest.raises(ValueError, match="recency must be"):
        CurveEnsemble(recency=-1.0)
    with pytest.raises(ValueError, match="gain_per_doubling must be"):
        CurveEnsemble(gain_per_doubling=0.0)
