"""What a pair's order gains by knowing more."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from taurank.schedulers.policies.gain import tau_gains


def by_quadrature(distance: float, share: float) -> float:
    def certain(x: float) -> float:
        seen = (distance + np.sqrt(share) * x) / np.sqrt(1 - share)
        return float(abs(2 * norm.cdf(seen) - 1) * norm.pdf(x))

    kink = -distance / np.sqrt(share)
    parts = sorted({-9.0, float(np.clip(kink, -9, 9)), 9.0})
    whole = sum(quad(certain, low, high)[0] for low, high in pairwise(parts))
    return whole - abs(2 * norm.cdf(distance) - 1)


def pair_gain(distance: float, share: float) -> float:
    """Of a pair at this distance, where one training removes this share of the variance of the difference."""
    scores, variances = np.array([0.0, distance]), np.array([1.0, 0.0])
    return float(tau_gains(scores, variances, np.array([0]), np.array([1 - share]))[0, 0])


def test_known_values() -> None:
    for share in np.linspace(0, 0.999, 20):
        assert pair_gain(0.0, share) == pytest.approx(2 / np.pi * np.arcsin(np.sqrt(share)), abs=1e-3)
    for distance in np.linspace(0, 5, 20):
        assert pair_gain(distance, 0.0) == 0


@pytest.mark.parametrize("distance", [0.03, 0.4, 1.3, 2.9])
@pytest.mark.parametrize("share", [0.05, 0.33, 0.77, 0.98])
def test_close_to_quadrature(distance: float, share: float) -> None:
    assert pair_gain(distance, share) == pytest.approx(by_quadrature(distance, share), abs=0.01)


def test_rises_with_what_will_be_known_and_is_never_negative() -> None:
    left = np.linspace(1, 0, 40)
    for distance in np.linspace(0, 7, 40):
        gains = tau_gains(np.array([0.0, distance]), np.array([1.0, 0.0]), np.array([0]), left)[:, 0]
        assert (gains >= 0).all()
        assert (np.diff(gains) >= -1e-12).all()


def test_a_trial_gains_the_mean_of_its_pairs() -> None:
    generator = np.random.default_rng(0)
    scores, variances = generator.normal(size=30), generator.choice([0.2, 0.5, 0.9], 30)
    rows = np.array([3, 4, 17])
    left = 0.1
    expected = [
        sum(
            by_quadrature(
                abs(scores[row] - scores[other]) / np.sqrt(variances[row] + variances[other]),
                (variances[row] - left) / (variances[row] + variances[other]),
            )
            for other in range(30)
            if other != row
        )
        / (30 * 29 / 2)
        for row in rows
    ]
    gains = tau_gains(scores, variances, rows, np.array([left, 10.0]))
    assert gains[0] == pytest.approx(expected, rel=0.01)
    assert gains[1] == pytest.approx(np.zeros(3), abs=1e-12)  # nothing is learned where the variance does not fall


def test_a_trial_far_from_all_others_and_one_that_is_known_gain_nothing() -> None:
    scores = np.array([0.0, 0.1, 50.0, 0.2])
    variances = np.array([1.0, 1.0, 1.0, 0.01])
    gains = tau_gains(scores, variances, np.array([0, 2, 3]), np.array([0.01]))[0]
    assert gains[0] > 0.1
    assert gains[1:] == pytest.approx([0.0, 0.0], abs=1e-5)
    assert tau_gains(np.zeros(1), np.ones(1), np.array([0]), np.zeros(1)).tolist() == [[0.0]]
