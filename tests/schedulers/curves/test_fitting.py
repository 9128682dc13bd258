from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import least_squares

from taurank.schedulers.curves.families import FAMILIES
from taurank.schedulers.curves.fitting import fit_family

EPOCHS = np.arange(1.0, 41)
NAN = np.nan


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def cut(values: np.ndarray, points: int) -> np.ndarray:
    return np.where(np.arange(values.shape[1]) < points, values, NAN)


def noisy_powers(trials: int, sd: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Parameters of pow3 and curves with noise."""
    rng = np.random.default_rng(seed)
    parameters = rng.uniform((0.6, 0.2, 0.4), (0.9, 0.4, 1.2), (trials, 3))
    values = FAMILIES["pow3"](EPOCHS, parameters)
    return parameters, values + rng.normal(0, sd, values.shape)


def test_exact_powers_are_found():
    parameters, values = noisy_powers(50, sd=0.0)
    found = fit_family(FAMILIES["pow3"], EPOCHS, cut(values, 12))
    np.testing.assert_allclose(found.parameters, parameters, atol=1e-6)
    np.testing.assert_allclose(found.at_end, values[:, -1], atol=1e-7)
    assert found.fitted.all()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("exponential", (-0.5, -0.15, 0.8)),
        ("penguin", (0.8, 1.2, -3.0)),
        ("weibull", (0.8, 0.2, 0.1, 0.8)),
        ("mmf", (0.8, 0.2, 0.3, 1.1)),
        ("hill3", (0.8, 3.0, 0.9)),
        ("ilog2", (0.9, 0.4)),
        ("vapor_pressure", (-0.8, -1.5, 0.1)),
        ("power2", (0.2, 0.3)),
    ],
)
def test_exact_curves_are_found(name, parameters):
    family = FAMILIES[name]
    values = family(EPOCHS, np.array([parameters]))
    found = fit_family(family, EPOCHS, cut(values, 25), steps=60)
    np.testing.assert_allclose(found.parameters[0], parameters, rtol=0.01)
    assert found.at_end[0] == pytest.approx(values[0, -1], abs=1e-3)


@pytest.mark.parametrize("name", ["pow3", "exponential"])
def test_no_worse_than_a_general_solver(name):
    _, values = noisy_powers(20, sd=0.01)
    family = FAMILIES[name]
    found = fit_family(family, EPOCHS, cut(values, 20), limit=10.0)
    for row, parameters, error in zip(values[:, :20], found.parameters, found.residuals, strict=True):

        def residuals(free, row=row):
            return row - family(EPOCHS[:20], free[None])[0]

        general = least_squares(residuals, parameters * 1.02, method="lm")
        assert error <= 2 * general.cost * 1.01


def test_the_formula_gives_what_was_fitted():
    _, values = noisy_powers(20, sd=0.01)
    half = cut(values, 20)
    for family in FAMILIES.values():
        found = fit_family(family, EPOCHS, half)
        curves = family(EPOCHS, found.parameters)
        np.testing.assert_allclose(curves[:, -1], found.at_end, atol=1e-9)
        np.testing.assert_allclose(np.nansum((half - curves) ** 2, axis=1), found.residuals, atol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_curves_neither_fall_nor_exceed_the_limit(name):
    rng = np.random.default_rng(0)
    line = 0.1 + 0.025 * EPOCHS[None] + rng.normal(0, 0.01, (5, 40))
    falling = 0.9 - 0.01 * EPOCHS[None] + rng.normal(0, 0.01, (5, 40))
    found = fit_family(FAMILIES[name], EPOCHS, cut(np.concatenate([line, falling]), 20))
    assert (found.at_end <= 1 + 1e-9).all()
    values = FAMILIES[name](EPOCHS, found.parameters)
    assert (np.diff(values, axis=1) >= -1e-9).all()


def test_missing_points_are_left_out():
    _, values = noisy_powers(4, sd=0.01)
    holes = cut(values, 30)
    holes[:, [3, 7, 20]] = NAN, np.inf, -np.inf
    kept = np.isfinite(holes[0])
    weights = np.broadcast_to(kept, holes.shape).astype(float)
    family = FAMILIES["pow3"]
    found = fit_family(family, EPOCHS, holes)
    np.testing.assert_allclose(found.parameters, fit_family(family, EPOCHS, values, weights=weights).parameters)


def test_a_weight_is_a_repetition():
    _, values = noisy_powers(4, sd=0.01)
    short = cut(values, 4)
    weights = np.ones_like(short)
    weights[:, 3] = 3.0
    once = fit_family(FAMILIES["ilog2"], EPOCHS, short, weights=weights)
    design = np.stack([np.ones(6), -1 / np.log(np.array([1, 2, 3, 4, 4, 4]) + 1)], axis=1)
    repeated = np.linalg.lstsq(design, values[:, [0, 1, 2, 3, 3, 3]].T, rcond=None)[0].T
    np.testing.assert_allclose(once.parameters, repeated, rtol=1e-9)


def test_trials_do_not_influence_each_other():
    _, values = noisy_powers(6, sd=0.01)
    ragged = np.where(np.arange(40) < np.array([5, 10, 15, 20, 30, 40])[:, None], values, NAN)
    for name in ("pow3", "mmf", "exp_power"):
        together = fit_family(FAMILIES[name], EPOCHS, ragged).at_end
        alone = [fit_family(FAMILIES[name], EPOCHS, row[None]).at_end[0] for row in ragged]
        np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_odd_curves(name):
    family = FAMILIES[name]
    odd = np.full((8, 40), NAN)
    odd[1, 0] = 0.5
    odd[2, :2] = 0.3, 0.4
    odd[3] = 0.1  # at chance
    odd[4] = 1.0
    odd[5] = 0.0
    odd[6, :10] = np.linspace(0.9, 0.1, 10)
    odd[7, :5] = 0.1, 1.0, 0.0, 1.0, 0.5
    found = fit_family(family, EPOCHS, odd)
    assert found.fitted.tolist() == (np.isfinite(odd).sum(axis=1) >= len(family.parameters)).tolist()
    assert np.isnan(found.at_end[~found.fitted]).all()
    assert np.isnan(found.parameters[~found.fitted]).all()
    assert np.isfinite(found.at_end[found.fitted]).all()
    if family.has_gain and family.has_level:
        np.testing.assert_allclose(found.at_end[3:6], [0.1, 1.0, 0.0], atol=1e-6)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="y must be"):
        fit_family(FAMILIES["pow3"], EPOCHS, np.ones((2, 3)))
    with pytest.raises(ValueError, match="weights of its shape"):
        fit_family(FAMILIES["pow3"], EPOCHS, np.ones((2, 40)), weights=np.ones((1, 40)))
