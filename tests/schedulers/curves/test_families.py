from __future__ import annotations

import math

import numpy as np
import pytest

from taurank.schedulers.curves.families import FAMILIES

E = math.e
# Rates, and the shape at three epochs, by hand.
BY_HAND = {
    "pow3": ((0.5,), {1: -1.0, 4: -0.5, 16: -0.25}),
    "exponential": ((1.0,), {1: -1 / E, 2: -1 / E**2, 3: -1 / E**3}),
    "weibull": ((0.5, 2.0), {2: -1 / E, 4: -1 / E**4, 6: -1 / E**9}),
    "mmf": ((0.5, 1.0), {2: -0.5, 6: -0.25, 14: -0.125}),
    "ilog2": ((), {E - 1: -1.0, E**2 - 1: -0.5, E**3 - 1: -1 / 3}),
    "hill3": ((2.0, 2.0), {1: 0.2, 2: 0.5, 4: 0.8}),
    "pow4": ((3.0, 0.5), {1: -0.5, 6: -1 / 3, 13: -0.25}),
    "vapor_pressure": ((2.0, 0.5), {1: math.exp(-2), 4: 2 * math.exp(-0.5), 16: 4 * math.exp(-0.125)}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_shape_by_hand(name):
    rates, points = BY_HAND[name]
    found = FAMILIES[name].shape(np.array(list(points), dtype=float), *rates)
    np.testing.assert_allclose(found, list(points.values()), rtol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_shapes_rise(name):
    shapes = FAMILIES[name].shapes(np.arange(1.0, 41))
    assert len(shapes) == math.prod(rate.guesses for rate in FAMILIES[name].rates)
    assert np.isfinite(shapes).all()
    assert (np.diff(shapes, axis=1) >= 0).all()
    assert (shapes[:, -1] > shapes[:, 0]).any()
