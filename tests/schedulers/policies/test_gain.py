"""What a pair's order gains by knowing more."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from taurank.schedulers.policies.gain import pair_gain, tau_gains


def by_quadrature(distance: float, share: float) -> float:
    def certain(x: float) -> float:
        seen = (distance + np.sqrt(share) * x) / np.sqrt(1 - share)
        return float(abs(2 * norm.cdf(seen) - 1) * norm.pdf(x))

    kink = -distance / np.sqrt(share)
    parts = sorted({-9.0, float(np.clip(kink, -9, 9)), 9.0})
    whole = sum(quad(certain, low, high)[0] for low, high in pairwise(parts))
    return whole - abs(2 * norm.cdf(distance) - 1)


def test_known_values() -> None:
    shares = np.linspace(0, 0.999, 61)
    np.testing.assert_allclose(pair_gain(np.zeros(61), shares), 2 / np.pi * np.arcsin(np.sqrt(shares)), atol=1e-3)
    distances = np.linspace(0, 5, 50)
    np.testing.assert_array_equal(pair_gain(distances, np.zeros(50)), np.zeros(50))


@pytest.mark.parametrize("distance", [0.03, 0.4, 1.3, 2.9])
@pytest.mark.parametrize("share", [0.05, 0.33, 0.77, 0.98])
def test_close_to_quadrature(distance: float, share: float) -> None:
    assert pair_gain(np.array(distance), np.array(share)) == pytest.approx(by_quadrature(distance, share), abs=0.01)


def test_rises_with_what_will_be_known_and_is_never_negative() -> None:
    distance, share = np.meshgrid(np.linspace(0, 7, 40), np.linspace(0, 1, 40), indexing="ij")
    gain = pair_gain(distance, share)
    assert (gain >= 0).all()
    assert (np.diff(gain, axis=1) >= -1e-12).all()


def test_a_trial_far_from_all_others_and_one_that_is_known_buy_nothing() -> None:
    scores = np.array([0.0, 0.1, 50.0, 0.2])
    variances = np.array([1.0, 1.0, 1.0, 0.01])
    gains = tau_gains(scores, variances, np.array([0, 2, 3]), np.array([0.01, 0.01, 0.01]))
    assert gains[0] > 0.1
    assert gains[1:] == pytest.approx([0.0, 0.0], abs=1e-5)
    assert tau_gains(np.zeros(1), np.ones(1), np.array([0]), np.zeros(1)).tolist() == [0.0]
