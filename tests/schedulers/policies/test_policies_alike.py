"""What holds for every policy."""

from __future__ import annotations

import itertools
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.policies import Limits, Policy, list_policies, make_policy
from taurank.schedulers.policies.driver import Driver
from taurank.schedulers.policies.simulation import simulate
from tests.schedulers.synthetic_curves import LastValueModel, Watched, new_driver, rising, train

OPTIONS = {"beating": {"extrapolator": LastValueModel()}}
POLICIES = list_policies()
PAUSING = ["uniform", "successive-halving", "hyperband", "asha", "pasha"]
EITHER_DIRECTION = [name for name in POLICIES if name != "penguin"]
TRIALS, EPOCHS = 14, 18


def make(name: str) -> Policy:
    return make_policy(name, **OPTIONS.get(name, {}))


@pytest.fixture(scope="module")
def recorded() -> CurveMatrix:
    return rising(TRIALS, EPOCHS)


@pytest.fixture(autouse=True)
def quick_fits(monkeypatch):
    """Fits have tests of their own; this one is the last value, so that policies can be asked thousands of times."""
    monkeypatch.setattr("taurank.schedulers.curves.penguin.fit_curve", lambda x, y, *_: (float(y[-1]), 2.0, 0.0))


def with_nan(matrix: CurveMatrix) -> CurveMatrix:
    values = matrix.values.copy()
    values[3, 0] = values[5, 2] = values[8, 11] = np.nan
    return replace(matrix, values=values)


@pytest.mark.parametrize("name", POLICIES)
class TestEveryPolicy:
    @pytest.mark.parametrize("slots", [1, 3])
    def test_decisions_are_pure_and_by_name(self, name, slots, recorded):
        watched = Watched(make(name))
        simulate(watched, Limits(EPOCHS, slots=slots, budget_epochs=TRIALS * EPOCHS), with_nan(recorded))
        limits = Limits(EPOCHS, slots=slots, budget_epochs=TRIALS * EPOCHS)
        for curves, first in watched.asked:
            shuffled = dict(reversed(curves.items()))
            again = make(name).decide(shuffled, limits)
            assert list(again.trials) == list(shuffled)
            assert {trial: repr(again.trials[trial]) for trial in curves} == {
                trial: repr(decision) for trial, decision in first.trials.items()
            }
            assert again.phase == first.phase
            if name != "full":  # its order is that of submission
                assert again.next == first.next

    def test_the_budget_is_never_exceeded(self, name, recorded):
        for share, slots in itertools.product((0.22, 0.35, 0.7, 1.0), (1, 3)):
            budget = share * TRIALS * EPOCHS
            done = simulate(make(name), Limits(EPOCHS, budget, slots), recorded)
            assert 0 < done.epochs <= budget, (share, slots)

    def test_every_decision_says_why_and_counts_what_is_saved(self, name, recorded):
        watched = Watched(make(name))
        simulate(watched, Limits(EPOCHS, 0.5 * TRIALS * EPOCHS, 2), with_nan(recorded))
        for curves, decided in watched.asked:
            assert decided.reason
            assert set(decided.trials) == set(curves)
            assert all(step.reason and step.until > curves[step.trial].last_epoch for step in decided.next)
            for trial, decision in decided.trials.items():
                assert decision.reason
                left = EPOCHS - curves[trial].last_epoch
                assert decision.saved_epochs == (0 if decision.action == "continue" else left)
                if curves[trial].last_epoch == EPOCHS and math.isfinite(curves[trial].values[-1]):
                    assert decision.prediction == curves[trial].values[-1]

    def test_who_is_named_next_may_continue(self, name, recorded):
        watched = Watched(make(name))
        simulate(watched, Limits(EPOCHS, 0.5 * TRIALS * EPOCHS, 2), recorded)
        for curves, decided in watched.asked:
            for step in decided.next:
                assert decided.trials[step.trial].action == "continue"
                assert curves[step.trial].state in ("new", "paused")

    def test_it_says_when_it_is_done(self, name, recorded):
        watched = Watched(make(name))
        simulate(watched, Limits(EPOCHS, 0.5 * TRIALS * EPOCHS), recorded)
        assert [decided.phase for _, decided in watched.asked[:-1]] == ["running"] * (len(watched.asked) - 1)
        assert watched.asked[-1][1].phase == "done"

    def test_a_failed_trial_is_not_gone_on_with(self, name, recorded):
        done = simulate(make(name), Limits(EPOCHS, slots=2), with_nan(recorded))
        failed = {trial: curve for trial, curve in done.curves.items() if curve.state == "failed"}
        assert failed
        for curve in failed.values():
            assert math.isnan(curve.values[-1])
            assert all(math.isfinite(value) for value in curve.values[:-1])

    def test_one_trial(self, name):
        done = simulate(make(name), Limits(EPOCHS), rising(1, EPOCHS))
        assert done.steps[0].trial == "0"
        assert 1 <= done.epochs <= EPOCHS

    def test_no_trials(self, name):
        decided = make(name).decide({}, Limits(EPOCHS))
        assert (decided.trials, decided.next, decided.phase) == ({}, (), "done")

    def test_all_fail(self, name):
        matrix = rising(5, EPOCHS)
        values = np.full(matrix.values.shape, np.nan)
        values[:, 1] = 0.5  # simulate passes over points that nobody has
        driver = new_driver(make(name), Limits(EPOCHS), 5)
        train(driver, replace(matrix, values=values))
        assert {curve.state for curve in driver.curves.values()} == {"failed"}
        assert driver.done

    def test_points_of_a_cyclic_schedule(self, name):
        points = tuple(range(2, 25, 2))
        limits = Limits(24, slots=2, budget_epochs=0.5 * 10 * 24, period=4, points=points)
        done = simulate(make(name), limits, CurveMatrix(rising(10, 24).values[:, 1::2], np.array(points)))
        assert 0 < done.epochs <= 120
        assert all(step.until % 4 == 0 for step in done.steps)

    def test_pickles(self, name, recorded):
        limits = Limits(EPOCHS, 0.5 * TRIALS * EPOCHS)
        copy = pickle.loads(pickle.dumps(make(name)))
        assert simulate(copy, limits, recorded).steps == simulate(make(name), limits, recorded).steps

    def test_a_negative_seed_is_refused(self, name):
        if name == "full":
            with pytest.raises(ValueError, match="unknown option 'seed' of policy 'full'; allowed: none"):
                make_policy(name, seed=-1)
        else:
            with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
                make_policy(name, seed=-1)


@pytest.mark.parametrize("name", EITHER_DIRECTION)
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_a_loss_is_a_score_upside_down(name, share, recorded):
    limits = Limits(EPOCHS, share * TRIALS * EPOCHS, 2, metric="score")
    up = simulate(make(name), limits, replace(with_nan(recorded), metric="score"))
    values = -with_nan(recorded).values
    down = simulate(make(name), replace(limits, metric="loss"), replace(recorded, values=values, metric="loss"))
    assert up.steps == down.steps
    assert {trial: curve.epochs for trial, curve in up.curves.items()} == {
        trial: curve.epochs for trial, curve in down.curves.items()
    }


@pytest.mark.parametrize("name", PAUSING)
@pytest.mark.parametrize("reports", [0, 1, 7, 20, 45, 80])
def test_an_interrupted_run_takes_the_remaining_steps(name, reports, recorded):
    limits = Limits(EPOCHS, 0.5 * TRIALS * EPOCHS)
    whole = train(new_driver(make(name), limits, TRIALS), recorded)
    first = new_driver(make(name), limits, TRIALS)
    begun = train(first, recorded, reports=reports)
    # The last step was begun and may be unfinished: it comes again then.
    unfinished = [c for c in first.curves.values() if c.state == "running"]
    second = new_driver(make(name), limits, TRIALS)
    second.load(first.curves.values())
    rest = train(second, recorded)
    steps = [(step.trial, step.until) for step in begun[: len(begun) - len(unfinished)] + rest]
    assert steps == [(step.trial, step.until) for step in whole]


@pytest.mark.parametrize("name", POLICIES)
def test_equal_trials_are_taken_in_an_order_that_their_names_fix(name):
    matrix = CurveMatrix(np.full((9, 9), 0.5), np.arange(1, 10))
    names = [f"arch{i}" for i in range(9)]

    def order(trials: list[str]) -> list[tuple[str, int]]:
        driver = Driver(make(name), Limits(9), dict.fromkeys(trials, ()))
        return [(step.trial, step.until) for step in train(driver, matrix, trials)]

    if name == "full":
        assert [trial for trial, _ in order(names)] == names
    else:
        assert order(names) == order(names[::-1])
        assert [trial for trial, _ in order(names)][:9] != names
