from __future__ import annotations

import pytest

from taurank.schedulers.policies import Curve, Limits, make_policy
from taurank.schedulers.policies.simulation import simulate
from tests.schedulers.synthetic_curves import new_driver, rising, seen, train


def test_everybody_to_the_end_in_order_of_submission():
    done = simulate(make_policy("full"), Limits(6), rising(4, 6), trials=["d", "b", "c", "a"])
    assert [(step.trial, step.until) for step in done.steps] == [("d", 6), ("b", 6), ("c", 6), ("a", 6)]
    assert done.epochs == 24


def test_a_budget_goes_to_whole_trainings():
    done = simulate(make_policy("full"), Limits(6, budget_epochs=17), rising(4, 6))
    assert [curve.last_epoch for curve in done.curves.values()] == [6, 6, 0, 0]


def test_what_is_left_of_a_training_costs_less():
    limits = Limits(6, budget_epochs=18)
    driver = new_driver(make_policy("full"), limits, 4)
    driver.load([Curve("2", (1, 2), (0.1, 0.2), state="paused")])
    steps = train(driver, rising(4, 6))
    assert [step.trial for step in steps] == ["0", "1", "2"]
    assert steps[2].reason == "continues from epoch 2, to the end of the schedule"
    assert driver.decisions["3"].reason == "the budget has no room for the rest of its training"


def test_a_budget_below_one_training_is_refused():
    with pytest.raises(ValueError, match=r"budget_epochs 5.5 is below one training of 6 epochs; raise it, or take"):
        make_policy("full").decide(seen({"a": ()}), Limits(6, budget_epochs=5.5))


def test_decisions_on_trials_that_have_ended():
    curves = {
        "done": Curve("done", (3, 6), (0.5, 0.6), state="finished"),
        "early": Curve("early", (3, 4), (0.5, 0.6), state="finished"),
        "nan": Curve("nan", (3, 4), (0.5, float("nan")), state="failed"),
        "crashed": Curve("crashed", (3,), (0.5,), state="failed"),
        "stopped": Curve("stopped", (3,), (0.5,), state="stopped"),
    }
    decided = make_policy("full").decide(curves, Limits(6)).trials
    assert {decision.action for decision in decided.values()} == {"stop"}
    assert {trial: (d.reason, d.saved_epochs) for trial, d in decided.items()} == {
        "done": ("end of schedule", 0),
        "early": ("ended by itself at epoch 4", 2),
        "nan": ("not finite at epoch 4", 2),
        "crashed": ("failed after epoch 3", 3),
        "stopped": ("ended at epoch 3", 3),
    }
    assert (decided["done"].prediction, decided["early"].prediction) == (0.6, 0.6)
