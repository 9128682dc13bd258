"""What every curve model owes, whatever it does inside."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from taurank.schedulers.curves.ensemble import CurveEnsemble
from taurank.schedulers.curves.freeze_thaw import FreezeThaw
from taurank.schedulers.curves.matrix import CurveMatrix

NAN = np.nan
EPOCHS = np.arange(1, 31)
MODELS = {
    "ensemble": CurveEnsemble(),
    "ensemble, each alone": CurveEnsemble(pooled=False, recency=0.0),
    "freeze-thaw": FreezeThaw(evaluations=30),
}
pytestmark = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def cut(values: np.ndarray, points: int | np.ndarray) -> np.ndarray:
    """The first points of each trial; the others are not measured yet."""
    return np.where(np.arange(30) < np.reshape(points, (-1, 1)), values, NAN)


def some(trials: int = 24, seed: int = 0) -> np.ndarray:
    """Accuracies of trials of which a third has finished and the others have not."""
    rng = np.random.default_rng(seed)
    c, a, alpha = rng.uniform((0.6, 0.2, 0.3), (0.9, 0.5, 1.2), (trials, 3)).T[:, :, None]
    values = c - a * EPOCHS**-alpha + rng.normal(0, 0.01, (trials, 30))
    return cut(values, np.array([30, 12, 6] * (trials // 3)))


def test_shapes_and_signs(model):
    found = model.forecast(CurveMatrix(some(), EPOCHS))
    for array in (found.scores, found.variances, found.means, found.sds):
        assert array.shape == (24,)
        assert np.isfinite(array).all()
    assert (found.variances > 0).all()
    assert (found.means <= 1).all()


def test_the_order_of_trials_does_not_matter(model):
    values, features = some(), np.random.default_rng(1).normal(0, 1, (24, 3))
    order = np.random.default_rng(2).permutation(24)
    found = model.forecast(CurveMatrix(values, EPOCHS, features=features))
    moved = model.forecast(CurveMatrix(values[order], EPOCHS, features=features[order]))
    np.testing.assert_allclose(moved.scores, found.scores[order], atol=1e-5)


def test_error_is_accuracy_turned_round(model):
    accuracy = model.forecast(CurveMatrix(some(), EPOCHS))
    error = model.forecast(CurveMatrix(1 - some(), EPOCHS, "error"))
    np.testing.assert_allclose(error.scores, accuracy.scores, atol=1e-5)
    np.testing.assert_allclose(error.means, 1 - accuracy.means, atol=1e-5)
    np.testing.assert_allclose(error.sds, accuracy.sds, atol=1e-5)


@pytest.mark.parametrize("metric", ["loss", "perplexity"])
def test_lower_is_better_where_it_is(model, metric):
    loss = 2.3 * (1 - some())
    found = model.forecast(CurveMatrix(np.exp(loss) if metric == "perplexity" else loss, EPOCHS, metric))
    assert (np.diff(found.means[np.argsort(found.scores)]) <= 0).all()
    unfinished = np.isnan(loss[:, -1])
    last = np.array([row[np.isfinite(row)][-1] for row in loss])
    last = np.exp(last) if metric == "perplexity" else last
    assert (found.means[unfinished] < last[unfinished] * 1.05).all()
    assert (found.means > 0).all()


def test_the_unit_of_a_loss_does_not_matter(model):
    loss = 2.3 * (1 - some())
    nats, bits = (model.forecast(CurveMatrix(values, EPOCHS, "loss")) for values in (loss, loss / np.log(2)))
    np.testing.assert_allclose(bits.means * np.log(2), nats.means, rtol=1e-5)


def test_a_score_may_be_any_number(model):
    scores = model.forecast(CurveMatrix(100 * some() - 300, EPOCHS, "score"))
    assert (np.diff(scores.means[np.argsort(scores.scores)]) >= 0).all()
    assert -300 < scores.means.min() < scores.means.max() < -150


def test_nothing_measured(model):
    found = model.forecast(CurveMatrix(np.full((3, 30), NAN), EPOCHS))
    for array in (found.scores, found.variances, found.means, found.sds):
        assert np.isnan(array).all()


def test_a_trial_without_a_value_is_nan_and_harms_no_other(model):
    values = some()
    values[4] = NAN
    found = model.forecast(CurveMatrix(values, EPOCHS))
    assert np.isfinite(found.scores).tolist() == [i != 4 for i in range(24)]
    assert found.probability_above()[4, 0] == 0.5


@pytest.mark.parametrize("points", [1, 2, 3, 29, 30])
@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 1.0])
def test_constant_curves_stay_where_they_are(model, points, level):
    values = cut(np.full((5, 30), level), points)
    found = model.forecast(CurveMatrix(values, EPOCHS))
    assert np.isfinite(found.scores).all()
    assert np.ptp(found.scores) < 1e-9
    assert (found.sds > 0).all()
    np.testing.assert_allclose(found.means, level, atol=0.35 if points < 4 else 0.05)


@pytest.mark.parametrize("points", [1, 2, 3, 10, 30])
def test_one_trial(model, points):
    found = model.forecast(CurveMatrix(cut(some()[:1], points), EPOCHS))
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_schedules(model, length):
    found = model.forecast(CurveMatrix(some()[:, :length], EPOCHS[:length]))
    assert np.isfinite(found.scores).all()


def test_saturated_curves(model):
    values = some()
    values[:12, 3:] = np.where(np.isfinite(values[:12, 3:]), 1.0, NAN)
    found = model.forecast(CurveMatrix(values, EPOCHS))
    assert (found.means <= 1 + 1e-12).all()
    assert found.scores[:12].min() > np.median(found.scores[12:])


def test_what_is_not_finite_is_missing(model):
    values = some()
    values[3, 5], values[6, 2], values[9, 20:] = np.inf, -np.inf, NAN
    clean = np.where(np.isfinite(values), values, NAN)
    found, expected = (model.forecast(CurveMatrix(each, EPOCHS)) for each in (values, clean))
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_curves_that_start_late(model):
    values = some()
    values[:, :2] = NAN
    values[4, :11] = NAN  # leaves one point
    assert np.isfinite(model.forecast(CurveMatrix(values, EPOCHS)).scores).all()


def test_a_diverged_loss_is_the_worst(model):
    loss = 2.3 * (1 - some())
    loss[5] = np.where(np.isfinite(loss[5]), 1e6, NAN)
    found = model.forecast(CurveMatrix(loss, EPOCHS, "loss"))
    assert np.isfinite(found.scores).all()
    assert found.scores.argmin() == 5


def test_percentages_taken_for_accuracies_harm_nobody(model):
    values = some()
    values[3] *= 100
    assert np.isfinite(model.forecast(CurveMatrix(values, EPOCHS)).scores).all()
