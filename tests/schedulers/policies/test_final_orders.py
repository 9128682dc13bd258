from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.policies.orders import by_best_so_far, by_epochs_and_value, by_last_value

NAN = np.nan
VALUES = np.array(
    [[0.1, 0.6, 0.5], [0.9, NAN, NAN], [0.2, 0.4, NAN], [NAN, NAN, NAN], [0.3, 0.7, NAN], [0.2, 0.4, NAN]]
)
CURVES = CurveMatrix(VALUES, np.array([1, 3, 9]))


@pytest.mark.parametrize(
    ("order", "scores"),
    [
        (by_last_value, [0.5, 0.9, 0.4, -np.inf, 0.7, 0.4]),
        (by_best_so_far, [0.6, 0.9, 0.4, -np.inf, 0.7, 0.4]),
        (by_epochs_and_value, [6, 2, 3.5, 1, 5, 3.5]),
    ],
)
def test_scores(order, scores):
    np.testing.assert_array_equal(order(CURVES), scores)


def test_a_loss_is_lower_when_better():
    loss = CurveMatrix(VALUES, CURVES.epochs, "loss")
    np.testing.assert_array_equal(rankdata(by_last_value(loss)), [4, 2, 5.5, 1, 3, 5.5])
    np.testing.assert_array_equal(rankdata(by_best_so_far(loss)), [6, 2, 4.5, 1, 3, 4.5])
    assert by_last_value(loss)[3] == -np.inf
    np.testing.assert_array_equal(by_epochs_and_value(loss), [6, 2, 4.5, 1, 3, 4.5])


@pytest.mark.parametrize("order", [by_last_value, by_best_so_far, by_epochs_and_value])
def test_permuted_trials_keep_their_scores(order):
    places = np.array([3, 0, 5, 1, 4, 2])
    permuted = CurveMatrix(VALUES[places], CURVES.epochs)
    np.testing.assert_array_equal(order(permuted), order(CURVES)[places])


@pytest.mark.parametrize("order", [by_last_value, by_best_so_far, by_epochs_and_value])
def test_one_trial_and_none(order):
    assert order(CurveMatrix(np.array([[0.5]]), np.array([4]))).shape == (1,)
    assert order(CurveMatrix(np.zeros((0, 2)), np.array([1, 2]))).shape == (0,)
