from __future__ import annotations

import math

import numpy as np
import pytest

from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.policies import Limits, make_policy
from taurank.schedulers.policies.driver import Driver
from taurank.schedulers.policies.simulation import Report, Reported, Sent, run_simulated, simulate

VALUES = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
WHOLE = CurveMatrix(VALUES, np.array([1, 2, 3]))


def test_two_workers_share_three_trainings():
    """Trial 0 takes 3 s, 1 takes 6 s; 2 follows 0 and takes 3 s, from 3 to 6."""
    seconds = np.array([[1.0] * 3, [2.0] * 3, [1.0] * 3])
    found = simulate(make_policy("full"), Limits(3, slots=2), WHOLE, seconds=seconds)
    assert [step.trial for step in found.steps] == ["0", "1", "2"]
    assert found.seconds == 6.0
    assert found.epochs == 9
    np.testing.assert_array_equal(found.matrix.values, VALUES)


@pytest.mark.parametrize(("slots", "seconds"), [(1, 9.0), (2, 6.0), (3, 3.0), (8, 3.0)])
def test_workers_take_time_and_not_results(slots, seconds):
    found = simulate(make_policy("full"), Limits(3, slots=slots), WHOLE)
    assert found.seconds == seconds
    np.testing.assert_array_equal(found.matrix.values, VALUES)


def test_a_missing_value_fails_its_trial_alone():
    holed = VALUES.copy()
    holed[1, 1] = np.nan
    found = simulate(make_policy("full"), Limits(3), CurveMatrix(holed, np.array([1, 2, 3])), trials=["a", "b", "c"])
    assert {name: (curve.state, curve.last_epoch) for name, curve in found.curves.items()} == {
        "a": ("finished", 3),
        "b": ("failed", 2),
        "c": ("finished", 3),
    }


def test_points_that_nobody_has_are_passed_over():
    sparse = VALUES.copy()
    sparse[:, 1] = np.nan
    found = simulate(make_policy("full"), Limits(3, points=(1, 3)), CurveMatrix(sparse, np.array([1, 2, 3])))
    assert {curve.epochs for curve in found.curves.values()} == {(1, 3)}
    assert found.seconds == 9.0


def test_what_happens_is_told_in_order():
    driver = Driver(make_policy("full"), Limits(2), {"a": (), "b": ()})
    trainings = {name: iter([Report(1, 0.5, seconds=2.0), Report(2, 0.6, seconds=3.0)]) for name in "ab"}
    told = [
        ("sent", event.step.trial, event.seconds)
        if isinstance(event, Sent)
        else (event.action, f"{event.trial}{event.report.epoch}", event.seconds)
        for event in run_simulated(driver, trainings)
    ]
    assert told == [
        ("sent", "a", 0.0),
        ("continue", "a1", 2.0),
        ("stop", "a2", 5.0),
        ("sent", "b", 5.0),
        ("continue", "b1", 7.0),
        ("stop", "b2", 10.0),
    ]


def test_a_recording_that_ends_early_fails():
    driver = Driver(make_policy("full"), Limits(2), {"a": (), "b": ()})
    events = list(run_simulated(driver, {"a": iter([Report(1, 0.5)]), "b": iter([Report(1, 0.5), Report(2, 0.6)])}))
    assert driver.curves["a"].state == "failed"
    assert driver.decisions["a"].reason == "the recording ends"
    assert driver.curves["b"].state == "finished"
    assert isinstance(events[-1], Reported)


def test_limits_have_to_be_those_of_the_curves():
    with pytest.raises(ValueError, match="limits are for accuracy over 4 epochs, the curves hold accuracy over 3"):
        simulate(make_policy("full"), Limits(4), WHOLE)


def test_nobody_to_send():
    found = simulate(make_policy("full"), Limits(3), CurveMatrix(np.zeros((0, 3)), np.array([1, 2, 3])))
    assert (found.steps, found.epochs, found.seconds) == ((), 0, 0.0)
    assert math.isinf(found.limits.budget_epochs)
