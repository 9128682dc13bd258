"""Final values stay useful when some trainings diverge, a drop is still to come, or some take off late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from taurank.schedulers.curves import CurveEnsemble, CurveMatrix, FreezeThaw, Ladder
from taurank.schedulers.curves.matrix import Floats
from taurank.schedulers.curves.signals import contained

TRIALS, EPOCHS = 60, 50
SICK = 6


def accuracies(rng: np.random.Generator) -> Floats:
    time = np.arange(1, EPOCHS + 1)
    clean = rng.uniform(0.8, 0.9, (TRIALS, 1)) - rng.uniform(0.4, 0.6, (TRIALS, 1)) * time**-0.8
    return np.asarray(clean + rng.normal(0, 0.01, clean.shape))


def coverage(whole: CurveMatrix, points: int, finished: int = 0) -> float:
    """Share of the unfinished whose final value lies in its 90 % interval; the last ones have finished."""
    values = whole.values.copy()
    values[: TRIALS - finished, points:] = np.nan
    forecast = Ladder().forecast(replace(whole, values=values))
    finals = whole.values[: TRIALS - finished, -1]
    open_ = slice(0, TRIALS - finished)
    return float(np.mean(np.abs(forecast.means[open_] - finals) <= 1.645 * forecast.sds[open_]))


@pytest.mark.parametrize("model", [Ladder(), CurveEnsemble(), FreezeThaw()], ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("metric", ["loss", "perplexity", "score"])
@pytest.mark.parametrize("finished", [0, 5])
def test_trainings_that_diverge_do_not_widen_the_intervals_of_others(model, metric, finished):
    rng = np.random.default_rng(0)
    healthy = 3 * (1 - accuracies(rng))
    sick = healthy.copy()
    for row in (*range(SICK), TRIALS - 1):
        sick[row, 4:] = 10.0 ** rng.uniform(3, 300)
    sick[:, 20:][: TRIALS - finished] = np.nan
    values = {"loss": sick, "perplexity": np.exp(np.minimum(sick, 700)), "score": -sick}[metric]
    forecast = model.forecast(CurveMatrix(values, np.arange(1, EPOCHS + 1), metric))
    well = slice(SICK, TRIALS - max(finished, 1))
    assert np.isfinite(forecast.means[well]).all()
    assert forecast.sds[well].max() < (3 * np.exp(3) if metric == "perplexity" else 3)
    finals = {"loss": healthy, "perplexity": np.exp(healthy), "score": -healthy}[metric][well, -1]
    assert np.mean(np.abs(forecast.means[well] - finals) <= 1.645 * forecast.sds[well]) > 0.7


@pytest.mark.parametrize("points", [5, 15, 25])
def test_a_drop_that_no_training_has_gone_through_may_come(points):
    values = accuracies(np.random.default_rng(1))
    values[:, 35:] = 1 - (1 - values[:, 35:]) / 2
    assert coverage(CurveMatrix(values, np.arange(1, EPOCHS + 1), drops=(35,)), points) >= 0.9


def test_without_a_drop_intervals_are_narrow_and_hold():
    """A few percent of a schedule that ends gradually do not leave the errors of half of it open."""
    held = []
    for seed in range(4):
        values = accuracies(np.random.default_rng(seed))
        values[:, 25:] = values[:, 24:25] + (values[:, 25:] - values[:, 24:25]) * 0.8
        seen = values.copy()
        seen[:, 15:] = np.nan
        matrix = CurveMatrix(seen, np.arange(1, EPOCHS + 1))
        forecast = Ladder().forecast(matrix)
        held.append(np.mean(np.abs(forecast.means - values[:, -1]) <= 1.645 * forecast.sds))
        assert np.median(forecast.sds) < 0.04
        assert np.median(Ladder().forecast(replace(matrix, drops=(30,))).sds) > 0.06
        over = replace(matrix, drops=(10,))
        np.testing.assert_array_equal(Ladder().forecast(over).sds, forecast.sds)
    assert np.mean(held) >= 0.9


@pytest.mark.parametrize("points", [5, 15, 25])
def test_trainings_at_the_start_may_still_come_to_where_the_others_are(points):
    """Half of the trainings leave chance at a time of their own; none has finished."""
    held = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        values = accuracies(rng)
        for row in range(TRIALS // 2):
            start = rng.integers(1, EPOCHS)
            values[row] = np.r_[0.1 + rng.normal(0, 0.005, start), values[row, : EPOCHS - start]]
        held.append(coverage(CurveMatrix(values, np.arange(1, EPOCHS + 1)), points))
    assert np.mean(held) >= 0.85


def test_some_that_take_off_late_widen_the_intervals():
    held = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        values = accuracies(rng)
        for row, start in enumerate(np.where(rng.random(TRIALS) < 0.5, 0, rng.integers(1, EPOCHS, TRIALS))):
            values[row] = np.r_[0.1 + rng.normal(0, 0.005, start), values[row, : EPOCHS - start]]
        held.append(coverage(CurveMatrix(values, np.arange(1, EPOCHS + 1)), 25, finished=5))
    assert np.mean(held) >= 0.85


def test_a_jump_of_different_sizes_is_measured_by_the_finished_trainings():
    """The errors fall by 40 to 60 % after the last point: no prefix shows how differently."""
    held = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = accuracies(rng)
        values[:, 35:] = 1 - (1 - values[:, 35:]) * rng.uniform(0.4, 0.6, (TRIALS, 1))
        held.append(coverage(CurveMatrix(values, np.arange(1, EPOCHS + 1)), 25, finished=5))
    assert 0.85 <= np.mean(held) <= 0.95


def test_intervals_are_as_narrow_as_finished_trainings_are_predicted():
    """The rank among all foretells the end worse than the value itself does, from which the finished hardly depart."""
    ratios, held = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        values = accuracies(rng)
        values[:, 25:] = values[:, 24:25] + rng.normal(0, 0.002, (TRIALS, 25))
        whole = CurveMatrix(values, np.arange(1, EPOCHS + 1))
        seen = values.copy()
        seen[:-20, 25:] = np.nan
        forecast = Ladder().forecast(replace(whole, values=seen))
        errors = np.abs(forecast.means - values[:, -1])[:-20]
        ratios.append(1.645 * np.median(forecast.sds[:-20]) / np.quantile(errors, 0.9))
        held.append(np.mean(errors <= 1.645 * forecast.sds[:-20]))
    assert 0.85 <= np.mean(held) <= 0.95
    assert np.mean(ratios) <= 1.2


def test_contained_values_keep_their_order():
    values = np.array([0.5, -0.9, -1.5, -2.0, -10.0, -1e300])
    found = contained(values, centre=0.0, reach=1.0)
    np.testing.assert_allclose(found, [0.5, -0.9, -1 - 1 / 3, -1.5, -1.9, -2.0])
