from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import kendalltau

from taurank.schedulers.curves import (
    Convergence,
    PenguinConfig,
    converge,
    converge_all,
    fit_curve,
    fit_curves,
    predict,
)

# Accuracy in percent after each half epoch of a schedule of 20 epochs; stop epoch, prediction.
GOLDEN = {
    "539263": (
        "9.68 14.91 17.29 19.5 20.97 22.67 23.36 24.2 25.14 24.96 25.81 26.23 26.78 27.29 28.3 "
        "27.21 28.0 26.77 28.08 28.55",
        4.0,
        25.712059,
    ),
    "405132": (
        "2.176113 3.299595 5.55668 6.649798 6.710526 8.846154 10.242915 8.997976 11.59919 13.54251 "
        "12.307692 15.506073 14.02834 15.708502 15.455466 16.234818 17.054656 16.730769 16.639676 14.716599",
        8.5,
        22.819695,
    ),
    "917381": (
        "1.024549 .983972 1.136133 1.065125 1.054981 1.024549 1.146277 1.156421 1.065125 1.156421 1.146277 "
        "1.125989 1.136133 1.105701 1.044837 1.156421 1.268006 1.085413 1.065125 1.207141",
        3.0,
        1.18876,
    ),
}


def golden(model: str) -> tuple[list[int], list[float]]:
    accuracy = [float(value) for value in GOLDEN[model][0].split()]
    return list(range(1, len(accuracy) + 1)), accuracy


def walk(predictions: list[float], at_bound: list[bool] | None = None, **options: float) -> Convergence:
    """Run the loop on given predictions, without fits."""
    n = len(predictions)
    previous = Convergence(False, None, math.nan, tuple(predictions), tuple(at_bound or [False] * n))
    return converge(range(1, n + 1), [50.0 + i for i in range(n)], PenguinConfig(target=40, **options), previous)


class TestGolden:
    @pytest.mark.parametrize("model", GOLDEN)
    def test_stop_epoch_and_prediction(self, model):
        x, accuracy = golden(model)
        found = converge(x, accuracy, PenguinConfig(target=40))
        _, stop_epoch, prediction = GOLDEN[model]
        assert found.converged
        assert x[found.stop_index] * 0.5 == stop_epoch
        assert found.prediction == pytest.approx(prediction, abs=0.02)
        assert found.predictions[-1] == found.prediction
        assert len(found.predictions) == len(found.cleared) == found.stop_index + 1

    def test_nothing_after_the_stop_matters(self):
        x, accuracy = golden("917381")
        cut = converge(x[:6], accuracy[:6], PenguinConfig(target=40))
        assert repr(cut) == repr(converge(x, accuracy, PenguinConfig(target=40)))

    def test_without_convergence_the_last_measurement_is_the_result(self):
        x, accuracy = golden("539263")
        found = converge(x[:7], accuracy[:7], PenguinConfig(target=40))
        assert (found.converged, found.stop_index, found.prediction) == (False, None, 23.36)
        assert len(found.predictions) == 7

    def test_growing_a_curve_equals_walking_it_at_once(self):
        x, accuracy = golden("405132")
        config = PenguinConfig(target=40)
        grown = None
        for n in range(1, 18):
            grown = converge(x[:n], accuracy[:n], config, grown)
        assert repr(grown) == repr(converge(x, accuracy, config))


class TestLoop:
    def test_a_full_window_within_tolerance_of_its_median_settles(self):
        found = walk([math.nan, 60.0, 60.5, 61.0, 90.0])
        assert (found.stop_index, found.prediction) == (3, 61.0)

    @pytest.mark.parametrize(
        ("predictions", "at_bound", "stop"),
        [
            ([60.0, 60.5, 61.01], None, None),  # half a point is the limit
            ([10.0, 60.0, 60.0, 60.0], None, 3),  # the oldest prediction leaves the window
            ([60.0, 60.0, math.nan, math.nan, 60.0], None, 4),  # a failed fit keeps the window
            ([60.0, 60.0, math.nan, 60.0, 60.0, 60.0], [False, False, True, False, False, False], 5),  # a bound empties
            ([100.3, 100.2, 99.9, 99.8, 99.7], None, 4),  # none of the window may lie outside of 0 to 100
            ([-0.1, 0.1, 0.2, 0.3], None, 3),
        ],
    )
    def test_where_the_window_settles(self, predictions, at_bound, stop):
        assert walk(predictions, at_bound).stop_index == stop

    @pytest.mark.parametrize(("level", "settled"), [(100.0, True), (100.2, False), (0.2, True), (0.0, False)])
    def test_predictions_must_lie_in_0_to_100(self, level, settled):
        assert walk([level, level, level]).converged is settled

    def test_window_and_tolerance_are_settings(self):
        assert walk([60.0, 62.0], window=2, tolerance=1.0).stop_index == 1
        assert walk([60.0] * 5, window=5).stop_index == 4

    @pytest.mark.parametrize("early", [True, False])
    def test_first_fit(self, early):
        found = converge([1, 2], [10.0, 10.0], PenguinConfig(target=40, fit_one_point_early=early))
        assert math.isnan(found.predictions[0])
        assert math.isfinite(found.predictions[1]) is early

    def test_no_stop_before_the_window_can_be_full(self):
        found = converge(range(1, 9), [10.0] * 8, PenguinConfig(target=40))
        assert found.stop_index == 3  # first fit at two points, then a window of three

    def test_the_bound_rule_can_be_switched_off(self):
        x = range(1, 9)
        line = [5.0 * i for i in x]  # never saturates
        strict = converge(x, line, PenguinConfig(target=10))
        loose = converge(x, line, PenguinConfig(target=10, clear_window_at_bound=False))
        assert strict.cleared[-1]
        assert math.isnan(strict.predictions[-1])
        assert not any(loose.cleared)
        assert 40 < loose.predictions[-1] < 50  # below the line, being concave


class TestFit:
    def test_recovers_an_exact_curve(self):
        x = np.arange(1, 11)
        found = fit_curve(x, 70 - 1.5 ** (9 - x))
        assert found == pytest.approx((70, 1.5, 9), abs=1e-3)

    def test_a_local_search_improves_none_of_many_curves(self):
        """Noisy curves of different lengths in one pass, against SciPy's search that begins where the pass ended."""
        rng = np.random.default_rng(0)
        x = np.tile(np.arange(1.0, 31), (40, 1))
        rises = rng.uniform(20, 40, (40, 1)) * np.exp(-rng.uniform(0.02, 0.6, (40, 1)) * x)
        y = rng.uniform(60, 90, (40, 1)) - rises + rng.normal(0, 1, x.shape)
        y[np.arange(30) >= rng.integers(4, 31, (40, 1))] = math.nan
        for row, found in zip(y, fit_curves(x, y), strict=True):
            seen = np.isfinite(row)
            error = np.square(predict(found, x[0, seen]) - row[seen]).sum()
            searched, _ = curve_fit(
                lambda x, a, b, c: a - b ** (c - x),
                x[0, seen],
                row[seen],
                p0=found,
                bounds=([0.5, 1, 0], [200, np.inf, np.inf]),
            )
            assert np.square(predict(searched, x[0, seen]) - row[seen]).sum() >= error - 1e-5

    def test_each_curve_is_fitted_as_if_it_were_alone(self):
        curves = [golden(model) for model in GOLDEN]
        config = PenguinConfig(target=40)
        together = converge_all([*curves, (curves[0][0][:5], curves[0][1][:5])], config)
        assert list(map(repr, together[:3])) == [repr(converge(*curve, config)) for curve in curves]
        assert together[3].stop_index is None

    def test_three_points_that_the_curve_misses_give_no_prediction(self):
        found = converge([1, 2, 3], [20.0, 18.0, 30.0], PenguinConfig(target=40))
        assert math.isnan(found.predictions[2])
        assert found.cleared[1:] == (True, True)

    def test_predict(self):
        assert predict((70, 2, 3), 3) == 69
        np.testing.assert_array_equal(predict((70, 2, 3), [2, 3, 4]), [68, 69, 69.5])
        assert predict((70, 1e300, 100), 1) == -math.inf

    def test_points_that_are_not_finite_are_left_out(self):
        x = np.arange(1, 11)
        y = 70 - 1.5 ** (9 - x)
        holes = y.copy()
        holes[[3, 6]] = math.nan, math.inf
        finite = np.isfinite(holes)
        assert fit_curve(x, holes) == fit_curve(x[finite], y[finite])

    @pytest.mark.parametrize("y", [[], [1.0], [math.nan, math.nan, 1.0]])
    def test_too_few_points(self, y):
        assert fit_curve(range(len(y)), y) is None

    def test_lengths_must_agree(self):
        with pytest.raises(ValueError, match="two rows of equal length"):
            fit_curve([1, 2], [1.0])
        with pytest.raises(ValueError, match="two rows of equal length"):
            converge([1, 2], [1.0], PenguinConfig(target=2))


class TestOddCurves:
    @pytest.mark.parametrize("length", [0, 5])
    def test_empty_or_all_nan(self, length):
        found = converge(range(length), [math.nan] * length, PenguinConfig(target=10))
        assert not found.converged
        assert math.isnan(found.prediction)

    def test_one_point(self):
        assert converge([1], [33.0], PenguinConfig(target=10)).prediction == 33.0

    @pytest.mark.parametrize("level", [0.0, 10.0, 99.0])
    def test_a_constant_curve_settles_on_its_level(self, level):
        found = converge(range(1, 11), [level] * 10, PenguinConfig(target=10))
        assert found.stop_index == 3
        assert found.prediction == pytest.approx(level, abs=1e-3)

    def test_a_perfect_score_may_never_settle(self):
        # Its predictions exceed 100 by a rounding error, which the published rule refuses. The result is right anyway.
        assert converge(range(1, 11), [100.0] * 10, PenguinConfig(target=10)).prediction == pytest.approx(100, abs=1e-3)

    def test_a_hole_has_no_prediction_and_the_last_finite_point_counts(self):
        found = converge(range(1, 5), [10.0, 20.0, 26.0, math.nan], PenguinConfig(target=30))
        assert math.isnan(found.predictions[3])
        assert found.prediction == 26.0


class TestSettings:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("target", 0),
            ("target", math.inf),
            ("window", 0),
            ("tolerance", 0.0),
            ("tolerance", math.nan),
            ("minimum_points", 2),
        ],
    )
    def test_bad_values_are_named(self, field, value):
        with pytest.raises(ValueError, match=rf"^{field} must"):
            PenguinConfig(**{"target": 10.0, field: value})


def test_exact_curves_give_their_limit():
    rng = np.random.default_rng(0)
    x = np.arange(1.0, 9.0)
    points = []
    for _ in range(15):
        a, b = rng.uniform(30, 95), rng.uniform(1.2, 2.0)
        rise = rng.uniform(0.3, 0.8) * a
        found = converge(x, a - rise * b ** (1 - x), PenguinConfig(target=200))
        assert found.prediction == pytest.approx(a, abs=0.1)
        points.append(found.stop_index + 1)
    # Window + 3. A fit of three or four points may run out of evaluations or stick at its bound; that costs a point.
    assert np.mean(np.array(points) <= 6) >= 0.9
    assert max(points) <= 7


class TestNoisyCurves:
    """Networks whose finals spread over ten points, measured with a noise of half a point."""

    epochs, networks = 25, 40

    @pytest.fixture(scope="class")
    def outcome(self):
        rng = np.random.default_rng(0)
        x = np.arange(1.0, self.epochs + 1)
        final, base, rise = (rng.uniform(low, high, self.networks) for low, high in ((80, 90), (1.6, 2.4), (20, 40)))
        limit = final + rise * base ** (1.0 - self.epochs)
        accuracy = limit[:, None] - rise[:, None] * base[:, None] ** (1 - x)  # (networks, epochs)
        accuracy += rng.normal(0, 0.5, accuracy.shape)
        config = PenguinConfig(target=self.epochs)
        return final, [converge(x, row, config) for row in accuracy]

    def test_epochs_saved(self, outcome):
        _, found = outcome
        used = [self.epochs if c.stop_index is None else c.stop_index + 1 for c in found]
        assert 0.50 <= 1 - np.mean(used) / self.epochs <= 0.85

    def test_predictions_rank_the_finals(self, outcome):
        final, found = outcome
        assert kendalltau([c.prediction for c in found], final).statistic > 0.8
