"""The ladder: what it learns from prefixes, what it makes of mixed rungs, and how sure it says it is."""

import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from taurank.schedulers.curves.ladder import Ladder
from taurank.schedulers.curves.matrix import CurveMatrix, Metric
from taurank.schedulers.curves.signals import (
    best_level,
    filled_gaps,
    from_quality,
    normal_scores,
    quality,
    training_signal,
)

EPOCHS = 60


def power_curves(
    seed: int, *, trials: int = 100, noise: float = 0.02, training_noise: float = 0.02, related: bool = True
) -> CurveMatrix:
    """Accuracies ``c - a x^-.5`` with noise, and a training loss that shows the same, or nothing."""
    rng = np.random.default_rng(seed)
    limit = rng.normal(0.6, 0.05, trials)
    fall = rng.normal(0.3, 0.03, trials)
    clean = limit[:, None] - fall[:, None] * np.arange(1, EPOCHS + 1) ** -0.5
    shown = clean if related else clean[rng.permutation(trials)]
    training = np.exp(-3 * (shown + training_noise * rng.standard_normal(clean.shape)))
    return CurveMatrix(clean + noise * rng.standard_normal(clean.shape), np.arange(1, EPOCHS + 1), training=training)


def walk(seed: int, *, trials: int = 100, variance: float = 0.06) -> CurveMatrix:
    """Scores that drift alike and apart as a random walk in log time."""
    rng = np.random.default_rng(seed)
    time = np.log(np.arange(1, EPOCHS + 1))
    steps = rng.standard_normal((trials, EPOCHS - 1)) * np.sqrt(variance * np.diff(time))
    start = rng.normal(0, 0.5, trials)
    values = 2 * time + start[:, None] + np.hstack([np.zeros((trials, 1)), np.cumsum(steps, axis=1)])
    return CurveMatrix(values, np.arange(1, EPOCHS + 1), metric="score")


def cut(curves: CurveMatrix, points: int | np.ndarray) -> CurveMatrix:
    later = np.arange(len(curves.epochs)) >= np.broadcast_to(points, len(curves.values))[:, None]
    training = None if curves.training is None else np.where(later, np.nan, curves.training)
    return CurveMatrix(np.where(later, np.nan, curves.values), curves.epochs, curves.metric, training, curves.features)


def tau(first: np.ndarray, second: np.ndarray) -> float:
    return float(kendalltau(first, second).statistic)


@pytest.mark.parametrize(
    ("noise", "training_noise", "related", "low", "high"),
    [(0.05, 0.005, True, 0.7, 1.0), (0.02, 0.02, False, 0.0, 0.1), (0.003, 0.05, True, 0.0, 0.3)],
)
def test_weights_follow_the_signal_that_foretells(
    noise: float, training_noise: float, related: bool, low: float, high: float
) -> None:
    weights = []
    for seed in range(5):
        curves = power_curves(seed, noise=noise, training_noise=training_noise, related=related)
        weights.append(Ladder().fit(cut(curves, 15)).weights[15][1])
    assert low <= np.mean(weights) <= high


def test_those_who_went_on_are_placed_better_than_by_the_common_rung() -> None:
    gains = []
    for seed in range(20):
        curves = power_curves(seed)
        first = Ladder().fit(cut(curves, 11)).scores
        points = np.where(first >= np.median(first), 31, 11)
        truth = curves.values[:, -10:].mean(axis=1)
        together = best_level(curves.values[:, :11])
        gains.append(tau(Ladder().fit(cut(curves, points)).scores, truth) - tau(together, truth))
    assert np.mean(gains) > 0.02
    assert min(gains) >= 0


def test_finished_trials_stand_in_the_order_of_their_finals() -> None:
    curves = power_curves(0)
    points = np.where(np.arange(100) % 3 == 0, EPOCHS, 12)
    fit = Ladder().fit(cut(curves, points))
    finished = points == EPOCHS
    assert tau(fit.scores[finished], curves.values[finished, -1]) == 1.0
    assert (fit.variances[finished] < fit.variances[~finished].min()).all()


def test_expected_tau_is_what_is_achieved_on_a_random_walk() -> None:
    for points in (10, 36):
        expected, achieved = [], []
        for seed in range(40):
            curves = walk(seed)
            forecast = Ladder().forecast(cut(curves, points))
            expected.append(forecast.expected_tau())
            achieved.append(tau(forecast.scores, curves.values[:, -1]))
        assert abs(np.mean(expected) - np.mean(achieved)) < 0.06


@pytest.mark.parametrize("finished", [5, 10])
def test_intervals_cover_with_finished_trials(finished: int) -> None:
    covered = []
    for seed in range(60):
        curves = walk(seed)
        points = np.where(np.random.default_rng(seed).permutation(100) < finished, EPOCHS, 12)
        forecast = Ladder().forecast(cut(curves, points))
        open_ = points < EPOCHS
        error = np.abs(forecast.means - curves.values[:, -1])[open_]
        covered.append((error <= 1.645 * forecast.sds[open_]).mean())
    assert 0.85 < np.mean(covered) < 0.95


@pytest.mark.parametrize("reversing", [True, False])
def test_trials_that_went_on_show_what_early_scores_are_worth(reversing: bool) -> None:
    """Halving stops two thirds at epoch 2 and at epoch 6; where the order changes after epoch 2, the rest shows it."""
    expected, reached = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        early, late = rng.normal(0.6, 0.05, (2, 90, 1))
        time = np.arange(1, EPOCHS + 1)
        level = np.where(time <= 2, early, late if reversing else early)
        whole = CurveMatrix(level - 0.2 * time**-0.5 + rng.normal(0, 0.005, (90, EPOCHS)), time)
        points = np.full(90, 2)
        for rung, count in ((2, 30), (6, 10)):
            best = np.argsort(-np.where(points == rung, whole.values[:, rung - 1], -1))[:count]
            points[best] = 6 if rung == 2 else EPOCHS
        found = Ladder().forecast(cut(whole, points))
        expected.append(found.expected_tau())
        reached.append(tau(found.scores, whole.values[:, -1]))
    assert np.mean(reached) < 0.1 if reversing else np.mean(reached) > 0.85
    assert np.mean(expected) < 0.5 if reversing else np.mean(expected) > 0.65


def test_order_does_not_depend_on_the_names_scale_or_direction() -> None:
    curves = cut(power_curves(3), 14)
    scores = Ladder().fit(curves).scores
    assert curves.training is not None
    shuffled = np.random.default_rng(0).permutation(100)
    moved = CurveMatrix(curves.values[shuffled], curves.epochs, training=curves.training[shuffled])
    np.testing.assert_allclose(Ladder().fit(moved).scores, scores[shuffled], atol=1e-9)
    score = CurveMatrix(curves.values, curves.epochs, "score", curves.training)
    stretched = CurveMatrix(5 * curves.values + 2, curves.epochs, "score", curves.training)
    loss = CurveMatrix(-curves.values, curves.epochs, "loss", curves.training)
    expected = Ladder().fit(score).scores
    np.testing.assert_allclose(Ladder().fit(stretched).scores, expected, atol=1e-9)
    np.testing.assert_allclose(Ladder().fit(loss).scores, expected, atol=1e-9)


def test_features_help_where_they_tell_what_the_noise_hides() -> None:
    gains = []
    for seed in range(10):
        curves = power_curves(seed, noise=0.15, training_noise=10.0)
        final = curves.values[:, -20:].mean(axis=1)
        feature = final + 0.01 * np.random.default_rng(seed).standard_normal(100)
        with_features = CurveMatrix(curves.values, curves.epochs, features=np.column_stack([feature, feature**2]))
        without = CurveMatrix(curves.values, curves.epochs)
        scores = [Ladder().fit(cut(each, 8)).scores for each in (with_features, without)]
        gains.append(tau(scores[0], final) - tau(scores[1], final))
    assert np.mean(gains) > 0.05


def test_trials_that_have_not_begun_are_placed_by_their_features_or_not_at_all() -> None:
    curves = power_curves(1, noise=0.003)
    final = curves.values[:, -1]
    points = np.where(np.arange(100) < 60, 20, 0)
    features = np.column_stack([final])
    placed = Ladder().fit(cut(CurveMatrix(curves.values, curves.epochs, features=features), points)).scores
    assert tau(placed[60:], final[60:]) > 0.9
    unplaced = Ladder().fit(cut(CurveMatrix(curves.values, curves.epochs), points))
    assert np.isnan(unplaced.scores[60:]).all()
    assert (unplaced.variances[60:] == 1).all()


@pytest.mark.parametrize("trials", [1, 2, 7, 30])
@pytest.mark.parametrize("shape", ["equal", "dead", "saturated", "one point", "nothing", "plateau"])
def test_degenerate_curves_give_an_order_without_complaint(trials: int, shape: str) -> None:
    values = 0.5 + 0.001 * np.arange(trials)[:, None] * np.ones(EPOCHS)
    if shape == "equal":
        values[:] = 0.3
    elif shape == "dead":
        values[0] = 0.1
    elif shape == "saturated":
        values[:] = 1.0
    elif shape == "plateau":
        values[:, :10] = 0.1
    points = {"one point": 1, "nothing": 0}.get(shape, 10)
    with np.errstate(all="raise", under="ignore"):
        forecast = Ladder().forecast(cut(CurveMatrix(values, np.arange(1, EPOCHS + 1)), points))
    assert forecast.scores.shape == (trials,)
    assert np.isnan(forecast.scores).all() == (points == 0)
    assert ((forecast.variances > 0) & (forecast.variances <= 1.01)).all()


def test_gaps_between_points_are_passed_over() -> None:
    curves = cut(power_curves(2), 20)
    sparse = curves.values.copy()
    sparse[::2, 4:15:3] = np.nan
    scores = Ladder().fit(CurveMatrix(sparse, curves.epochs, training=curves.training)).scores
    assert tau(scores, Ladder().fit(curves).scores) > 0.85
    np.testing.assert_array_equal(
        filled_gaps(np.array([[np.nan, 2.0, np.nan, 4.0, np.nan]])), [[2.0, 2.0, 2.0, 4.0, np.nan]]
    )


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("accuracy", 0.5, 0.0),
        ("error", 0.5, 0.0),
        ("loss", 2.0, -2.0),
        ("perplexity", math.e, -1.0),
        ("score", 3.0, 3.0),
    ],
)
def test_quality_and_back(metric: Metric, value: float, expected: float) -> None:
    there = quality(np.array([value]), metric)
    assert there[0] == pytest.approx(expected)
    assert from_quality(there, metric)[0] == pytest.approx(value)


def test_signals_by_hand() -> None:
    assert best_level(np.array([[3.0, 1.0, 2.0]]))[0] == 3.0
    assert best_level(np.arange(11.0)[None])[0] == 9.5  # the mean of two
    losses = np.array([[9.0, 9.0, 9.0, 0.99, 0.09]])
    assert training_signal(losses)[0] == pytest.approx(-(math.log(1.0) + math.log(0.1)) / 2)
    np.testing.assert_allclose(normal_scores(np.array([1.0, 5.0, 3.0])), [-0.869424, 0.869424, 0.0], atol=1e-6)
    assert normal_scores(np.array([2.0, np.nan, 2.0])).tolist() == [0.0, 0.0, 0.0]
