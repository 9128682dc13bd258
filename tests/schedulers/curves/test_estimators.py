from __future__ import annotations

import numpy as np
import pytest

from taurank.schedulers.curves.estimators import (
    best_so_far,
    last_value,
    mean_of_last,
    training_speed,
    training_speed_late,
)
from taurank.schedulers.curves.matrix import CurveMatrix

NAN = np.nan
VALUES = np.array([[0.1, 0.5, 0.3, NAN], [0.2, NAN, 0.4, 0.6], [NAN, NAN, NAN, NAN]])
LOSSES = np.array([[2.0, 1.0, 0.5, NAN], [3.0, NAN, 1.0, 1.0], [NAN, NAN, NAN, NAN]])
CURVES = CurveMatrix(VALUES, np.arange(1, 5), training=LOSSES)


def test_scores_of_validation():
    np.testing.assert_allclose(last_value(CURVES), [0.3, 0.6, NAN])
    np.testing.assert_allclose(best_so_far(CURVES), [0.5, 0.6, NAN])
    np.testing.assert_allclose(mean_of_last(CURVES, 2), [0.4, 0.5, NAN])
    np.testing.assert_allclose(mean_of_last(CURVES), [0.3, 0.4, NAN])


def test_scores_of_training():
    np.testing.assert_allclose(training_speed(CURVES), [-3.5, -5.0, NAN])
    np.testing.assert_allclose(training_speed_late(CURVES), [-0.5, -1.0, NAN])
    np.testing.assert_allclose(training_speed_late(CURVES, 2), [-0.75, -1.0, NAN])


def test_speed_is_the_cumulative_sum_at_every_cut():
    losses = np.random.default_rng(0).uniform(0, 3, (5, 8))
    for count in range(1, 9):
        cut = np.where(np.arange(8) < count, losses, NAN)
        found = training_speed(CurveMatrix(cut, np.arange(1, 9), training=cut))
        np.testing.assert_allclose(found, -losses.cumsum(axis=1)[:, count - 1])


@pytest.mark.parametrize("score", [last_value, best_so_far, mean_of_last])
@pytest.mark.parametrize("metric", ["error", "loss", "perplexity"])
def test_lower_metrics_are_turned(score, metric):
    falling = CurveMatrix(np.array([[3.0, 2.0], [3.0, 1.5]]), np.array([1, 2]), metric)
    better, worse = score(falling)[::-1]
    assert better > worse


def test_what_cannot_be_scored_is_named():
    bare = CurveMatrix(VALUES, np.arange(1, 5))
    for score in (training_speed, training_speed_late):
        with pytest.raises(ValueError, match="training=None; use best_so_far"):
            score(bare)
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        mean_of_last(CURVES, 0)
