from __future__ import annotations

import numpy as np
import pytest

from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.policies import Curve, Limits
from taurank.schedulers.policies.asha import AshaPolicy
from taurank.schedulers.policies.pasha import PashaPolicy, same_order, swap_noise
from taurank.schedulers.policies.simulation import simulate
from tests.schedulers.synthetic_curves import apart, rising, seen

NAN = float("nan")


def alternating(trials: int, epochs: int, rungs: tuple[int, ...]) -> CurveMatrix:
    """The order is turned round from rung to rung, and the spread falls, so that no swap counts as noise."""
    x = np.arange(1, epochs + 1)
    rung = np.searchsorted(rungs, x)
    quality = np.arange(trials)[:, None] / trials
    return CurveMatrix(0.5 + quality * (-0.01) ** rung, x, "score")


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("metric", ["score", "loss"])
def test_consistent_rankings_stay_at_two_rungs(slots, metric):
    matrix = apart(81, 81)
    values = matrix.values if metric == "score" else -matrix.values
    done = simulate(PashaPolicy(), Limits(81, slots=slots, metric=metric), CurveMatrix(values, matrix.epochs, metric))
    assert sorted({curve.last_epoch for curve in done.curves.values()}) == [3, 9]


@pytest.mark.parametrize("slots", [1, 4])
def test_alternating_rankings_grow_to_the_end(slots):
    done = simulate(PashaPolicy(), Limits(81, slots=slots, metric="score"), alternating(81, 81, (3, 9, 27, 81)))
    assert sorted({curve.last_epoch for curve in done.curves.values()}) == [3, 9, 27, 81]


def test_it_never_costs_more_than_asha():
    for seed in range(5):
        matrix = rising(60, 81, seed=seed)
        pasha, asha = (simulate(policy, Limits(81), matrix) for policy in (PashaPolicy(), AshaPolicy()))
        assert pasha.epochs <= asha.epochs


def test_a_rung_that_somebody_was_sent_to_stays():
    consistent = {"a": (0.5,) * 9, "b": (0.6,) * 9, "c": (0.4,) * 3}
    assert PashaPolicy().rungs(seen(consistent), Limits(81)) == (3, 9)
    sent = {**seen(consistent), "b": Curve("b", tuple(range(1, 10)), (0.6,) * 9, state="running", until=27)}
    assert PashaPolicy().rungs(sent, Limits(81)) == (3, 9, 27)
    assert PashaPolicy().rungs(seen({**consistent, "b": (0.6,) * 12}), Limits(81)) == (3, 9, 27)


def test_swapped_trials_open_one_rung():
    swapped = {"a": (0.5,) * 8 + (0.7,), "b": (0.6,) * 9}
    assert PashaPolicy().rungs(seen(swapped), Limits(81)) == (3, 9, 27)


def test_swaps_within_the_noise_do_not():
    # "a" and "b" swap at epoch 4, back at 5 and again at 9, where they are .3 apart; at rung 3 they were .1 apart.
    noisy = {"a": (0.5, 0.5, 0.5, 0.7, 0.5, 0.5, 0.5, 0.5, 0.9), "b": (0.6,) * 9}
    assert PashaPolicy().rungs(seen(noisy), Limits(81)) == (3, 9)


def test_one_rung_more_than_the_schedule_holds_is_never_open():
    assert PashaPolicy(first_rung=81).rungs(seen({"a": ()}), Limits(81)) == (81,)
    done = simulate(PashaPolicy(first_rung=27), Limits(81, metric="score"), alternating(9, 81, (27, 81)))
    assert sorted({curve.last_epoch for curve in done.curves.values()}) == [27, 81]


@pytest.mark.parametrize(
    ("lower", "upper", "epsilon", "same"),
    [
        ([0.5, 0.6, 0.9], [0.1, 0.2, 0.3], 0.0, True),
        ([0.5, 0.6, 0.9], [0.2, 0.1, 0.3], 0.0, False),
        ([0.5, 0.6, 0.9], [0.2, 0.1, 0.3], 0.11, True),
        ([0.5, 0.6, 0.9], [0.3, 0.1, 0.2], 0.11, False),
        ([0.5, 0.5, 0.9], [0.2, 0.1, 0.3], 0.0, True),
        ([0.5, 0.6, 0.9], [0.1, 0.1, 0.3], 0.0, False),
        ([0.5], [0.1], 0.0, True),
    ],
)
def test_same_order(lower, upper, epsilon, same):
    assert same_order(lower, upper, epsilon) == same


@pytest.mark.parametrize(
    ("values", "noise"),
    [
        ([[1, 1, 1], [2, 2, 2]], 0),
        ([[1, 3, 3], [2, 2, 2]], 0),
        ([[1, 3, 1.5], [2, 2, 2]], 0.5),
        ([[1, 2, 3, 1], [2, 2, 2, 2]], 1),  # equal in between
        ([[1, 3, 1.5, 9], [2, 2, 2, NAN]], 0.5),
        ([[1, 3, 1.5], [2, 2, 2], [NAN, NAN, NAN]], 0.5),
        ([[1, 3, 1], [2, 2, 2], [10, 30, 15], [20, 20, 20]], 4.6),  # 90 % of the way from 1 to 5
        ([[1, 2]], 0),
    ],
)
def test_noise_of_those_that_swapped_back(values, noise):
    measured = swap_noise(np.array(values, dtype=float))
    assert measured == pytest.approx(noise)
    assert swap_noise(-np.array(values[::-1], dtype=float)) == pytest.approx(noise)
