from __future__ import annotations

import numpy as np
import pytest

from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.curves.rising import last_values, rising_curves

NAN = np.nan
VALUES = np.array([[0.8, 0.4, 0.2], [0.4, 0.5, NAN], [NAN, NAN, NAN]])


def rising(metric: str):
    return rising_curves(CurveMatrix(VALUES, np.arange(1, 4), metric))


def test_accuracy_and_error():
    np.testing.assert_array_equal(rising("accuracy").values, VALUES)
    np.testing.assert_array_equal(rising("error").values, 1 - VALUES)


def test_a_loss_begins_at_0_and_has_the_limit_1():
    # Median of the first values: .6
    np.testing.assert_allclose(rising("loss").values, 1 - VALUES / 0.6)


def test_a_score_runs_from_its_start_to_its_best():
    np.testing.assert_allclose(rising("score").values, (VALUES - 0.6) / 0.2)


def test_a_loss_below_0_is_a_score_turned_round():
    epochs = np.arange(1, 4)
    found, score = (
        rising_curves(CurveMatrix(VALUES - 1, epochs, "loss")),
        rising_curves(CurveMatrix(1 - VALUES, epochs, "score")),
    )
    np.testing.assert_array_equal(found.values, score.values)
    assert found.limit == score.limit
    means, _ = found.metric(found.values, np.zeros_like(VALUES))
    np.testing.assert_allclose(means, VALUES - 1)


def test_perplexity_is_a_loss_by_its_logarithm():
    found = rising_curves(CurveMatrix(np.exp(VALUES), np.arange(1, 4), "perplexity"))
    np.testing.assert_allclose(found.values, rising("loss").values)
    means, sds = found.metric(found.values, np.full_like(VALUES, 0.1))
    np.testing.assert_allclose(means, np.exp(VALUES))
    np.testing.assert_allclose(sds, np.where(np.isfinite(VALUES), 0.06 * means, NAN))


def test_what_is_no_perplexity_is_missing():
    found = rising_curves(CurveMatrix(np.array([[-1.0, 0.0, 2.0]]), np.arange(1, 4), "perplexity"))
    assert np.isfinite(found.values).tolist() == [[False, False, True]]


@pytest.mark.parametrize("metric", ["accuracy", "error", "loss", "score"])
def test_there_and_back(metric):
    found = rising(metric)
    means, sds = found.metric(found.values, np.full_like(VALUES, 0.1))
    np.testing.assert_allclose(means, VALUES)
    np.testing.assert_allclose(sds, 0.1 * abs(found.slope))


def test_last_values():
    np.testing.assert_array_equal(last_values(VALUES), [0.2, 0.5, NAN])


@pytest.mark.parametrize("metric", ["loss", "perplexity"])
def test_a_list_that_overfits_has_not_diverged(metric: str) -> None:
    """All end far above the loss that they began with; their order and values stay."""
    losses = 1 + np.linspace(2, 6, 20)[:, None] * np.linspace(0, 1, 10)
    values = np.exp(losses) if metric == "perplexity" else losses
    found = rising_curves(CurveMatrix(values, np.arange(1, 11), metric))
    means, _ = found.metric(found.values, np.zeros_like(found.values))
    assert np.allclose(means, values)
