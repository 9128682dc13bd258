from __future__ import annotations

import numpy as np
import pytest

from taurank.schedulers.curves.estimators import best_so_far, last_value, training_speed_late
from taurank.schedulers.curves.matrix import CurveMatrix

NAN = np.nan
VALUES = np.array([[0.1, 0.5, 0.3, NAN], [0.2, NAN, 0.4, 0.6], [NAN, NAN, NAN, NAN]])
LOSSES = np.array([[2.0, 1.0, 0.5, NAN], [3.0, NAN, 1.0, 1.0], [NAN, NAN, NAN, NAN]])
CURVES = CurveMatrix(VALUES, np.arange(1, 5), training=LOSSES)


def test_scores_of_validation():
    np.testing.assert_allclose(last_value(CURVES), [0.3, 0.6, NAN])
    np.testing.assert_allclose(best_so_far(CURVES), [0.5, 0.6, NAN])


def test_scores_of_training():
    np.testing.assert_allclose(training_speed_late(CURVES), [-0.5, -1.0, NAN])
    np.testing.assert_allclose(training_speed_late(CURVES, 2), [-0.75, -1.0, NAN])


@pytest.mark.parametrize("score", [last_value, best_so_far])
@pytest.mark.parametrize("metric", ["error", "loss", "perplexity"])
def test_lower_metrics_are_turned(score, metric):
    falling = CurveMatrix(np.array([[3.0, 2.0], [3.0, 1.5]]), np.array([1, 2]), metric)
    better, worse = score(falling)[::-1]
    assert better > worse


def test_what_cannot_be_scored_is_named():
    bare = CurveMatrix(VALUES, np.arange(1, 5))
    with pytest.raises(ValueError, match="training=None; use best_so_far"):
        training_speed_late(bare)
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        training_speed_late(CURVES, 0)
