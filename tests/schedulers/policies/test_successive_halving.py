from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from taurank.schedulers.policies import Curve, Limits, make_policy
from taurank.schedulers.policies.simulation import simulate
from taurank.schedulers.policies.successive_halving import SuccessiveHalvingPolicy
from tests.schedulers.synthetic_curves import apart, new_driver, rising, seen, train


def by_hand(matrix, rungs, factor):
    """Trials that train to each rung, for curves without ties."""
    alive = list(range(len(matrix.values)))
    reached = [set(alive)]
    for k, rung in enumerate(rungs[:-1], 1):
        column = list(matrix.epochs).index(rung)
        alive = sorted(alive, key=lambda trial: -matrix.values[trial, column])
        alive = alive[: max(1, int(len(matrix.values) / factor**k))]
        reached.append(set(alive))
    return reached


@pytest.mark.parametrize("slots", [1, 4])
def test_81_trials_of_81_epochs_take_297(slots):
    done = simulate(make_policy("successive-halving", first_rung=1), Limits(81, 297, slots), rising(81, 81))
    assert done.epochs == 297
    assert sorted({curve.last_epoch for curve in done.curves.values()}) == [1, 3, 9, 27, 81]


@pytest.mark.parametrize(("trials", "factor", "first"), [(50, 3, 2), (40, 2, 5), (23, 4, 1), (9, 2.5, 4), (2, 3, 1)])
def test_the_survivors_are_the_best_of_their_rung(trials, factor, first):
    matrix = rising(trials, 40, seed=trials)
    policy = SuccessiveHalvingPolicy(reduction_factor=factor, first_rung=first)
    limits = Limits(40, slots=3)
    done = simulate(policy, limits, matrix)
    rungs = policy.rungs(trials, limits)
    for rung, expected in zip(rungs, by_hand(matrix, rungs, factor), strict=True):
        assert {int(t) for t, curve in done.curves.items() if curve.last_epoch >= rung} == expected


@pytest.mark.parametrize(
    ("budget", "rungs"),
    [
        (297, (1, 3, 9, 27, 81)),
        (81 * 2 + 27 * 4 + 9 * 12 + 3 * 36 + 27, (2, 6, 18, 54, 81)),
        (81 * 2 + 27 * 4 + 9 * 12 + 3 * 36 + 27 - 1, (1, 3, 9, 27, 81)),
        (81 * 81 - 1, (80, 81)),
        (81 * 81, (81,)),
        (float("inf"), (81,)),
    ],
)
def test_the_first_rung_is_the_largest_that_fits(budget, rungs):
    assert SuccessiveHalvingPolicy().rungs(81, Limits(81, budget)) == rungs


def test_losers_wait_until_the_rung_is_full_and_are_then_stopped():
    policy, limits = SuccessiveHalvingPolicy(first_rung=1), Limits(9)
    early = policy.decide(seen({"a": (0.5,), "b": (0.6,), "c": ()}), limits)
    assert [(step.trial, step.until) for step in early.next] == [("c", 1)]
    assert (early.trials["a"].action, early.trials["a"].reason) == (
        "pause",
        "waits at the rung of epoch 1 for 1 others",
    )
    full = policy.decide(seen({"a": (0.5,), "b": (0.6,), "c": (0.4,)}), limits)
    assert [(step.trial, step.until) for step in full.next] == [("b", 3)]
    assert full.next[0].reason == "among the 1 best of 3 at epoch 1"
    assert (full.trials["a"].action, full.trials["a"].saved_epochs) == ("stop", 8)
    assert full.trials["a"].reason == "place 2 of 3 at epoch 1, of which 1 continue"


def test_a_running_trial_keeps_its_rung_open():
    curves = seen({"a": (0.5,), "b": (0.6,)}) | {"c": Curve("c", state="running", until=1)}
    decided = SuccessiveHalvingPolicy(first_rung=1).decide(curves, Limits(9, slots=2))
    assert decided.next == ()
    assert decided.phase == "running"
    assert {decision.action for decision in decided.trials.values()} == {"pause", "continue"}


def test_a_failed_trial_is_the_worst_of_its_rung():
    curves = seen({"a": (0.1,), "b": (0.2,), "c": (float("nan"),)})
    decided = SuccessiveHalvingPolicy(reduction_factor=1.5, first_rung=1).decide(curves, Limits(9))
    assert {step.trial for step in decided.next} == {"a", "b"}
    assert decided.trials["c"].reason == "not finite at epoch 1"


def test_a_survivor_that_fails_later_is_not_replaced():
    matrix = apart(9, 9)
    values = matrix.values.copy()
    values[8, 5] = np.nan
    done = simulate(
        make_policy("successive-halving", first_rung=1), Limits(9, metric="score"), replace(matrix, values=values)
    )
    assert [curve.last_epoch for curve in done.curves.values()] == [1, 1, 1, 1, 1, 1, 3, 3, 6]


def test_a_trial_that_is_further_already_counts_by_its_value_at_the_rung():
    curves = seen({"a": (0.5, 0.9, 0.9, 0.9), "b": (0.6,), "c": (0.4,)})
    decided = SuccessiveHalvingPolicy(first_rung=1).decide(curves, Limits(9))
    assert [(step.trial, step.until) for step in decided.next] == [("b", 3)]
    assert decided.trials["a"].action == "stop"


def test_epochs_spent_beyond_the_plan_are_not_spent_twice():
    driver = new_driver(make_policy("successive-halving"), Limits(81, 297), 81)
    driver.load([Curve("3", tuple(range(1, 51)), (0.9,) * 50, state="paused")])
    train(driver, rising(81, 81))
    assert sum(curve.last_epoch for curve in driver.curves.values()) <= 297
    assert driver.done


@pytest.mark.parametrize(
    ("options", "limits", "message"),
    [
        (
            {},
            Limits(81, 296),
            "budget_epochs 296 is below 297, the price of successive halving for 81 trials from epoch 1 on; raise it "
            "or take fewer trials",
        ),
        (
            {"first_rung": 2},
            Limits(81, 500),
            "budget_epochs 500 is below 513, the price of successive halving for 81 trials from epoch 2 on; raise it "
            "or take fewer trials or a lower first_rung",
        ),
        (
            {"first_rung": 2},
            Limits(81, period=3),
            "first_rung must be an epoch at which trials may be compared, got 2; nearest: 3, 6",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, limits, message):
    with pytest.raises(ValueError) as caught:
        SuccessiveHalvingPolicy(**options).decide(seen({str(i): () for i in range(81)}), limits)
    assert str(caught.value) == message
