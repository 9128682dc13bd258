from __future__ import annotations

import pytest

from taurank.schedulers.policies import Curve, Limits, make_policy
from taurank.schedulers.policies.simulation import simulate
from tests.schedulers.synthetic_curves import new_driver, rising, seen, train


@pytest.mark.parametrize(("budget", "cut"), [(10, 1), (19, 1), (20, 2), (99, 9), (200, 20), (float("inf"), 20)])
def test_the_largest_cut_that_the_budget_allows(budget, cut):
    done = simulate(make_policy("uniform"), Limits(20, budget_epochs=budget), rising(10, 20))
    assert {curve.last_epoch for curve in done.curves.values()} == {cut}
    assert sorted(step.trial for step in done.steps) == [str(i) for i in range(10)]


def test_cuts_are_at_equal_phase():
    done = simulate(make_policy("uniform"), Limits(20, budget_epochs=115, period=4), rising(10, 20))
    assert {curve.last_epoch for curve in done.curves.values()} == {8}


def test_a_fixed_cut():
    done = simulate(make_policy("uniform", epochs=3), Limits(20, budget_epochs=100), rising(10, 20))
    assert done.epochs == 30
    assert {curve.state for curve in done.curves.values()} == {"paused"}


def test_those_who_are_further_wait_and_those_on_their_way_go_on():
    limits = Limits(20, budget_epochs=40)
    curves = seen({"a": (0.1,) * 7, "b": (0.1,) * 2, "c": (), "d": ()})
    decided = make_policy("uniform", epochs=4).decide(curves, limits)
    assert {step.trial: step.until for step in decided.next} == {"b": 4, "c": 4, "d": 4}
    assert (decided.trials["a"].action, decided.trials["a"].saved_epochs) == ("pause", 13)


def test_epochs_spent_beyond_the_cut_are_not_spent_twice():
    driver = new_driver(make_policy("uniform"), Limits(20, budget_epochs=40), 10)
    driver.load([Curve("3", tuple(range(1, 16)), (0.5,) * 15, state="paused")])
    train(driver, rising(10, 20))
    assert sum(curve.last_epoch for curve in driver.curves.values()) == 15 + 6 * 4
    assert driver.latest.reason == "the budget does not take 3 trials to epoch 4"


@pytest.mark.parametrize(
    ("options", "limits", "message"),
    [
        ({}, Limits(20, budget_epochs=9), "budget_epochs 9 is below 10, the price of 1 for each of 10 trials; raise"),
        ({}, Limits(20, budget_epochs=39, period=4), "budget_epochs 39 is below 40, the price of 4 for each of 10"),
        ({"epochs": 5}, Limits(20, budget_epochs=49), "epochs 5 for 10 trials cost 50, above budget_epochs 49; lower"),
        ({"epochs": 5}, Limits(20, period=4), "epochs must be an epoch at which trials may be compared, got 5; nea"),
        ({"epochs": 21}, Limits(20), r"epochs must be an epoch at which .* got 21; nearest: 19, 20$"),
    ],
)
def test_what_does_not_fit_is_refused(options, limits, message):
    curves = seen({str(i): () for i in range(10)})
    with pytest.raises(ValueError, match=message):
        make_policy("uniform", **options).decide(curves, limits)
