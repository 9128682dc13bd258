from __future__ import annotations

import math

import numpy as np
import pytest

from taurank.schedulers.curves.families import DISTINCT, FAMILIES

E = math.e
# Parameters, and the value at three epochs, by hand.
BY_HAND = {
    "vapor_pressure": ((-1.0, -2.0, 0.5), {1: math.exp(-3), 4: 2 * math.exp(-1.5), 16: 4 * math.exp(-1.125)}),
    "ilog2": ((0.9, 0.3), {E - 1: 0.6, E**2 - 1: 0.75, E**3 - 1: 0.8}),
    "weibull": ((0.9, 0.1, 0.5, 2.0), {2: 0.9 - 0.8 / E, 4: 0.9 - 0.8 / E**4, 6: 0.9 - 0.8 / E**9}),
    "pow3": ((0.9, 0.8, 0.5), {1: 0.1, 4: 0.5, 16: 0.7}),
    "pow4": ((0.9, 3.0, 1.0, 0.5), {1: 0.4, 5: 0.65, 21: 0.775}),
    "loglog_linear": ((0.5, 1.25), {1: math.log(1.25), E: math.log(1.75), E**2: math.log(2.25)}),
    "mmf": ((0.9, 0.1, 0.5, 1.0), {2: 0.5, 6: 0.7, 14: 0.8}),
    "janoschek": ((0.9, 0.1, 0.25, 2.0), {2: 0.9 - 0.8 / E, 4: 0.9 - 0.8 / E**4, 6: 0.9 - 0.8 / E**9}),
    "hill3": ((0.9, 2.0, 2.0), {1: 0.18, 2: 0.45, 4: 0.72}),
    "log_power": ((0.9, math.log(2.0), -2.0), {1: 0.18, 2: 0.45, 4: 0.72}),
    "exp4": ((0.9, 0.25, 2.0, math.log(0.8)), {2: 0.9 - 0.8 / E, 4: 0.9 - 0.8 / E**4, 6: 0.9 - 0.8 / E**9}),
    "penguin": ((0.9, 2.0, 0.0), {1: 0.4, 2: 0.65, 3: 0.775}),
    "power2": ((0.1, 0.5), {1: 0.1, 4: 0.2, 9: 0.3}),
    "exponential": ((-0.8, -1.0, 0.9), {1: 0.9 - 0.8 / E, 2: 0.9 - 0.8 / E**2, 3: 0.9 - 0.8 / E**3}),
    "exp_power": ((-1.0, 0.0, 1.9), {1: 1.9 - E, 2: 1.9 - math.sqrt(E), 4: 1.9 - math.exp(0.25)}),
}
EPOCHS = np.arange(1.0, 41)


def test_every_family_is_tried_by_hand():
    assert set(BY_HAND) == set(FAMILIES)
    assert len(FAMILIES) == 15


@pytest.mark.parametrize("name", FAMILIES)
def test_formula(name):
    parameters, points = BY_HAND[name]
    family = FAMILIES[name]
    assert len(family.parameters) == len(parameters)
    values = family(np.array(list(points)), np.array([parameters]))
    np.testing.assert_allclose(values, [list(points.values())], rtol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_formula_is_level_and_gain_times_shape(name):
    family = FAMILIES[name]
    searched = family.first_guesses(40.0)
    level = np.full(len(searched), 0.8 if family.has_level else 0.0)
    gain = np.full(len(searched), 0.4 if family.has_gain else 1.0)
    rates = [rate.value(column) for rate, column in zip(family.rates, searched.T, strict=True)]
    parameters = np.stack(family.assemble(level, gain, *rates), axis=1)
    shapes = family.shape_at(EPOCHS, searched)
    np.testing.assert_allclose(
        family(EPOCHS, parameters), level[:, None] + gain[:, None] * shapes, rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_shapes_rise(name):
    shapes = FAMILIES[name].shape_at(EPOCHS, FAMILIES[name].first_guesses(40.0))
    assert np.isfinite(shapes).all()
    assert (np.diff(shapes, axis=1) >= 0).all()
    assert (shapes[:, -1] > shapes[:, 0]).any()


def test_families_broadcast_over_trials_and_points():
    parameters = np.array([[0.9, 0.8, 0.5], [0.8, 0.4, 1.0]])
    values = FAMILIES["pow3"](np.array([1.0, 4.0]), parameters)
    np.testing.assert_allclose(values, [[0.1, 0.5], [0.4, 0.7]])


@pytest.mark.parametrize(("one", "other"), [("weibull", "exp4"), ("hill3", "log_power"), ("penguin", "exponential")])
def test_the_same_curves_under_two_names(one, other):
    assert (one in DISTINCT) != (other in DISTINCT)
    guesses = FAMILIES[one].first_guesses(40.0)
    np.testing.assert_array_equal(guesses, FAMILIES[other].first_guesses(40.0))
    np.testing.assert_array_equal(FAMILIES[one].shape_at(EPOCHS, guesses), FAMILIES[other].shape_at(EPOCHS, guesses))
