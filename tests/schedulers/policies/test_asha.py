from __future__ import annotations

import numpy as np
import pytest

from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.policies import Curve, Limits
from taurank.schedulers.policies.asha import AshaPolicy
from taurank.schedulers.policies.simulation import simulate
from taurank.schedulers.policies.standing import drawn_order
from tests.schedulers.synthetic_curves import apart, new_driver, rising, seen, train

NAN, NONE = float("nan"), float("inf")


def reference(values: np.ndarray, rungs: list[int], factor: float, budget: float, seed: int) -> list[tuple[str, int]]:
    """One worker, straight from algorithm 2 of the paper, with the budget as the end."""
    order = drawn_order([str(i) for i in range(len(values))], seed)
    arrived: list[list[str]] = [[] for _ in rungs]
    promoted: list[set[str]] = [set() for _ in rungs]
    waiting, steps = list(order), []
    while True:
        options = []
        for k in range(len(rungs) - 2, -1, -1):
            best_first = sorted(arrived[k], key=lambda t: (-values[int(t), rungs[k] - 1], order.index(t)))
            top = best_first[: int(len(best_first) // factor)]
            options += [(trial, k) for trial in top if trial not in promoted[k]]
        options += [(trial, -1) for trial in waiting]
        prices = [rungs[k + 1] - (rungs[k] if k >= 0 else 0) for _, k in options]
        chosen = next((i for i, price in enumerate(prices) if price <= budget), None)
        if chosen is None:
            return steps
        trial, k = options[chosen]
        budget -= prices[chosen]
        if k < 0:
            waiting.remove(trial)
        else:
            promoted[k].add(trial)
        arrived[k + 1].append(trial)
        steps.append((trial, rungs[k + 1]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("trials", "factor", "budget"), [(60, 3, NONE), (60, 3, 300), (41, 2, 250), (25, 4, NONE), (2, 3, 50)]
)
def test_one_worker_follows_the_paper(trials, factor, budget, seed):
    matrix = rising(trials, 27, seed=seed)
    matrix = CurveMatrix(np.round(matrix.values, 2), matrix.epochs)  # with ties
    policy, limits = AshaPolicy(factor, seed=seed), Limits(27, budget)
    steps = [(step.trial, step.until) for step in train(new_driver(policy, limits, trials), matrix)]
    expected = reference(matrix.values, list(policy.rungs(trials, limits)), factor, budget, seed)
    assert steps[: len(expected)] == expected
    assert len(steps) == len(expected) or budget < NONE  # what is left of a budget goes beyond the rule


@pytest.mark.parametrize(
    ("options", "limits", "rungs"),
    [
        ({}, Limits(81), (3, 9, 27, 81)),
        ({"first_rung": 1}, Limits(81), (1, 3, 9, 27, 81)),
        ({"reduction_factor": 4}, Limits(100), (4, 16, 64, 100)),
        ({}, Limits(90, period=3), (6, 18, 54, 90)),
        # Successive halving of 81 trials takes 297 epochs from the first on, 513 from the second, 729 from the third.
        ({}, Limits(81, 1.4 * 513 - 1), (1, 3, 9, 27, 81)),
        ({}, Limits(81, 1.4 * 513 + 1), (2, 6, 18, 54, 81)),
        ({}, Limits(81, 10), (1, 3, 9, 27, 81)),
        ({}, Limits(81, 20_000), (81,)),
        ({"first_rung": 1}, Limits(81, 20_000), (1, 3, 9, 27, 81)),
    ],
)
def test_rungs(options, limits, rungs):
    assert AshaPolicy(**options).rungs(81, limits) == rungs


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_a_budget_starts_nearly_everybody(share):
    started = []
    for seed in range(5):
        done = simulate(AshaPolicy(seed=seed), Limits(81, share * 81 * 100), rising(100, 81, seed=seed))
        started.append(sum(bool(curve.epochs) for curve in done.curves.values()))
    assert np.mean(started) >= 95


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 1.0])
def test_a_budget_is_spent(share, slots):
    limits = Limits(81, share * 81 * 60, slots)
    done = simulate(AshaPolicy(), limits, rising(60, 81))
    assert limits.budget_epochs - 60 <= done.epochs <= limits.budget_epochs


def test_what_is_left_takes_the_best_of_the_lowest_rung_on():
    """Of six trials the rule promotes two; the next budget goes to the third best, and then to the next rung."""
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    curves = seen({str(i): (value,) * (3 if value > 0.45 else 1) for i, value in enumerate(values)})
    policy = AshaPolicy(first_rung=1)
    assert [(step.trial, step.until) for step in policy.decide(curves, Limits(9, 30, 2)).next] == [("3", 3), ("2", 3)]
    assert not policy.decide(curves, Limits(9)).next


@pytest.mark.parametrize("slots", [1, 5])
def test_nobody_is_stopped(slots):
    done = simulate(AshaPolicy(), Limits(27, 400, slots), rising(60, 27))
    assert {curve.state for curve in done.curves.values()} <= {"paused", "finished", "new"}


@pytest.mark.parametrize("slots", [1, 2, 7])
def test_all_slots_are_used(slots):
    done = simulate(AshaPolicy(), Limits(27, slots=slots), rising(60, 27))
    assert done.epochs / slots <= done.seconds < 1.2 * done.epochs / slots + 27


def test_the_first_to_arrive_is_not_promoted_for_it():
    limits = Limits(27)
    two = AshaPolicy().decide(seen({"a": (0.9,), "b": (0.5,), "c": ()}), limits)
    assert [step.trial for step in two.next] == ["c"]
    assert two.trials["a"].reason == "not promoted from the rung at epoch 1"
    three = AshaPolicy().decide(seen({"a": (0.9,), "b": (0.5,), "c": (0.6,)}), limits)
    assert [(step.trial, step.until, step.reason) for step in three.next] == [
        ("a", 3, "among the 1 best of 3 at epoch 1")
    ]


def test_only_values_at_one_rung_are_compared():
    curves = seen({"a": (0.5, 0.9, 0.9), "b": (0.6,), "c": (0.4,)})
    assert [step.trial for step in AshaPolicy().decide(curves, Limits(27)).next] == ["b"]


def test_the_highest_rung_is_promoted_from_first():
    rung_3 = {"a": (0.7, 0.7, 0.7), "b": (0.6, 0.6, 0.9), "c": (0.5, 0.5, 0.5)}
    rung_1 = dict.fromkeys("efghi", (0.1,)) | {"d": (0.8,)}
    decided = AshaPolicy().decide(seen(rung_3 | rung_1 | {"new": ()}), Limits(27, slots=3))
    assert [(step.trial, step.until) for step in decided.next] == [("b", 9), ("d", 3), ("new", 1)]


def test_a_trial_on_its_way_goes_first():
    curves = seen({"a": (0.5,), "b": (0.6,), "c": (0.4,), "d": (0.3, 0.3), "e": ()})
    decided = AshaPolicy().decide(curves, Limits(27, slots=2))
    assert [(step.trial, step.until) for step in decided.next] == [("d", 3), ("b", 3)]
    assert decided.next[0].reason == "on its way to the rung at epoch 3"


def test_a_running_trial_takes_its_place_among_the_promoted():
    curves = seen({"b": (0.6,), "c": (0.4,), "d": (0.3,)})
    curves["a"] = Curve("a", (1,), (0.7,), state="running", until=3)
    decided = AshaPolicy().decide(curves, Limits(27, slots=2))
    assert (decided.next, decided.phase) == ((), "running")
    assert decided.trials["a"].reason == "runs to epoch 3"


def test_a_failed_trial_is_counted_and_never_promoted():
    curves = seen({"a": (0.5,), "b": (NAN,), "c": (NAN,)})
    assert [step.trial for step in AshaPolicy().decide(curves, Limits(27)).next] == ["a"]
    nobody = AshaPolicy().decide(seen({"a": (NAN,), "b": (NAN,), "c": (NAN,)}), Limits(27))
    assert (nobody.next, nobody.phase) == ((), "done")


def test_too_few_trials_stay_at_the_first_rung():
    driver = new_driver(AshaPolicy(), Limits(27), 2)
    train(driver, apart(2, 27))
    assert [curve.last_epoch for curve in driver.curves.values()] == [1, 1]
    assert (driver.latest.phase, driver.latest.reason) == ("done", "no further trial is to be promoted")


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match=r"^budget_epochs 2 is below the first rung at epoch 3; raise it or lower first"
    ):
        AshaPolicy(first_rung=3).decide(seen({"a": ()}), Limits(81, 2))
    with pytest.raises(ValueError, match=r"^first_rung must be an epoch at which trials .* got 4; nearest: 3, 6$"):
        AshaPolicy(first_rung=4).decide(seen({"a": ()}), Limits(81, period=3))
