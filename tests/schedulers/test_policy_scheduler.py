from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Mapping

import pytest
from fake_tune import PAUSED, PENDING, RUNNING, TERMINATED, FakeController, FakeTrial

from schedulers.policies import Curve, Decision, PenguinPolicy
from schedulers.tune import PolicyScheduler, trial_key

NAN = math.nan


class Halving:
    """Pauses everybody at epoch 2; once all of them are there, the best goes on and the others stop."""

    def __init__(self, trials: int) -> None:
        self.trials = trials

    def decide(self, curves: Mapping[str, Curve]) -> dict[str, Decision]:
        at_rung = {name: c.values[1] for name, c in curves.items() if len(c.values) >= 2}
        if len(at_rung) < self.trials:
            return {n: Decision("pause" if n in at_rung else "continue", "rung", NAN) for n in curves}
        best = max(at_rung, key=lambda name: at_rung[name])
        return {n: Decision("continue" if n == best else "stop", "halved", NAN) for n in curves}


class Always:
    """Gives every trial the same answer."""

    def __init__(self, action: str, prediction: float = NAN) -> None:
        self.answer = Decision(action, "always", prediction)  # type: ignore[arg-type]

    def decide(self, curves: Mapping[str, Curve]) -> dict[str, Decision]:
        return dict.fromkeys(curves, self.answer)


class Forgetful:
    def decide(self, curves: Mapping[str, Curve]) -> dict[str, Decision]:
        return {}


@pytest.mark.parametrize(("action", "answer"), [("continue", "CONTINUE"), ("pause", "PAUSE"), ("stop", "STOP")])
def test_answers_in_the_words_of_tune(action, answer):
    controller = FakeController(PolicyScheduler(Always(action)), ["a"])
    controller.start("a")
    assert controller.report("a", 1, 0.5) == answer


def test_penguin_stops_a_settled_trial_and_keeps_its_prediction():
    scheduler = PolicyScheduler(PenguinPolicy(40))
    controller = FakeController(scheduler, ["a", "b"])
    controller.start("a", "b")
    assert [controller.report("a", epoch, 0.1) for epoch in (1, 2, 3)] == ["CONTINUE"] * 3
    assert controller.report("a", 4, 0.1) == "STOP"
    assert controller["a"].status == TERMINATED
    assert scheduler.decisions["a"].prediction == pytest.approx(0.1, abs=1e-4)
    assert controller.report("b", 1, 0.2) == "CONTINUE"
    assert scheduler.decisions["a"].action == "stop"
    assert set(scheduler.curves) == {"a", "b"}


def test_the_prediction_is_there_when_the_scheduler_has_answered():
    scheduler = PolicyScheduler(Always("continue", prediction=0.7))
    controller = FakeController(scheduler, ["a"])
    controller.start("a")
    controller.report("a", 1, 0.5)
    assert scheduler.decisions[trial_key(controller["a"])].prediction == 0.7


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize("policy", [PenguinPolicy(40), Always("continue"), Always("pause")])
def test_a_value_that_is_not_finite_stops_whatever_the_policy_says(policy, value):
    scheduler = PolicyScheduler(policy)
    controller = FakeController(scheduler, ["a"])
    controller.start("a")
    assert controller.report("a", 1, value) == "STOP"
    assert scheduler.decisions["a"].reason == "non-finite"
    assert math.isnan(scheduler.decisions["a"].prediction)


def test_an_epoch_seen_twice_changes_nothing():
    scheduler = PolicyScheduler(PenguinPolicy(40))
    controller = FakeController(scheduler, ["a"])
    controller.start("a")
    for epoch in (1, 2, 3):
        controller.report("a", epoch, 0.1)
    before = scheduler.curves["a"], scheduler.decisions["a"]
    for epoch in (2, 3):
        assert controller.report("a", epoch, 0.9, training_iteration=epoch + 3) == "CONTINUE"
        assert (scheduler.curves["a"], scheduler.decisions["a"]) == before
    assert controller.report("a", 4, 0.1) == "STOP"


def test_epochs_that_come_late_are_put_in_their_place():
    scheduler = PolicyScheduler(Always("continue"))
    controller = FakeController(scheduler, ["a"])
    controller.start("a")
    for epoch, value in ((1, 0.1), (4, 0.4), (2, 0.2), (3, 0.3)):
        controller.report("a", epoch, value)
    assert scheduler.curves["a"] == Curve("a", (1, 2, 3, 4), (0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize("result", [{"epoch": 1}, {"validation_accuracy": 0.5}, {}])
def test_a_result_without_epoch_or_metric_is_refused(result):
    scheduler = PolicyScheduler(Always("continue"))
    controller = FakeController(scheduler, ["a"])
    with pytest.raises(ValueError, match="result of trial 'a' must hold epoch and validation_accuracy"):
        scheduler.on_trial_result(controller, controller["a"], result)


def test_a_last_result_that_tune_shows_only_at_the_end_is_kept():
    scheduler = PolicyScheduler(PenguinPolicy(3))
    controller = FakeController(scheduler, ["a"])
    controller.start("a")
    controller.report("a", 1, 0.4)
    controller["a"].last_result = {"epoch": 3, "validation_accuracy": 0.6, "done": True}
    controller.stop_trial(controller["a"])
    assert scheduler.curves["a"].epochs == (1, 3)
    assert scheduler.decisions["a"] == Decision("stop", "end of schedule", 0.6)


def test_a_trial_may_end_without_any_result():
    scheduler = PolicyScheduler(PenguinPolicy(3))
    controller = FakeController(scheduler, ["a"])
    controller.start("a")
    controller.stop_trial(controller["a"])
    assert "a" not in scheduler.decisions


class TestPauseAndResume:
    def test_halving(self):
        scheduler = PolicyScheduler(Halving(3))
        controller = FakeController(scheduler, ["a", "b", "c"])
        controller.start("a", "b")
        for name, value in (("a", 0.5), ("b", 0.7)):
            assert controller.report(name, 1, value) == "CONTINUE"
            assert controller.report(name, 2, value) == "PAUSE"
        assert scheduler.choose_trial_to_run(controller) is controller["c"]  # pending before paused
        controller.start("c")
        assert scheduler.choose_trial_to_run(controller) is None
        controller.report("c", 1, 0.6)
        assert controller.report("c", 2, 0.6) == "STOP"
        assert scheduler.choose_trial_to_run(controller) is controller["b"]
        assert scheduler.choose_trial_to_run(controller) is controller["b"]  # idempotent
        assert [controller[name].status for name in "abc"] == [TERMINATED, PAUSED, TERMINATED]
        controller.start("b")
        assert controller.report("b", 3, 0.8) == "CONTINUE"

    def test_one_trial_at_a_time_waits_for_a_slot(self):
        scheduler = PolicyScheduler(Always("continue"))
        controller = FakeController(scheduler, ["a", "b"])
        controller["a"].status = controller["b"].status = PAUSED
        chosen = scheduler.choose_trial_to_run(controller)
        chosen.status = PENDING  # what Tune does at once, whether or not a slot is free
        assert scheduler.choose_trial_to_run(controller) is chosen
        assert controller["b"].status == PAUSED

    def test_the_decision_on_a_trial_that_has_ended_no_longer_changes(self):
        scheduler = PolicyScheduler(Halving(2))
        controller = FakeController(scheduler, ["a", "b"])
        controller.start("a", "b")
        controller.report("a", 1, 0.5)
        controller.stop_trial(controller["a"])
        before = scheduler.decisions["a"]
        controller.report("b", 1, 0.5)
        controller.report("b", 2, 0.5)
        assert scheduler.decisions["a"] is before

    def test_resumes_in_order_rather_than_stall(self, caplog):
        scheduler = PolicyScheduler(Always("pause"))
        controller = FakeController(scheduler, ["a", "b"])
        controller.start("a", "b")
        controller.report("b", 1, 0.5)
        assert scheduler.choose_trial_to_run(controller) is None  # a still runs
        controller.report("a", 1, 0.5)
        with caplog.at_level(logging.WARNING):
            assert scheduler.choose_trial_to_run(controller) is controller["a"]
        assert "Always pauses all 2 remaining trials; resuming a" in caplog.text

    def test_nothing_left(self):
        scheduler = PolicyScheduler(Always("pause"))
        controller = FakeController(scheduler, ["a"])
        controller["a"].status = TERMINATED
        assert scheduler.choose_trial_to_run(controller) is None


class TestAdding:
    def test_a_trial_that_failed_is_added_again_with_its_curve(self):
        scheduler = PolicyScheduler(PenguinPolicy(40))
        controller = FakeController(scheduler, ["a", "b"])
        controller.start("a")
        controller.report("a", 1, 0.1)
        controller.report("a", 2, 0.1)
        controller.fail("a")
        assert scheduler.choose_trial_to_run(controller) is controller["b"]
        controller.start("a", "b")
        assert [controller.report("a", epoch, 0.1) for epoch in (2, 3, 4)] == ["CONTINUE", "CONTINUE", "STOP"]

    def test_adding_twice_changes_nothing(self):
        scheduler = PolicyScheduler(PenguinPolicy(40))
        controller = FakeController(scheduler, ["a"])
        before = pickle.dumps(scheduler)
        scheduler.on_trial_add(controller, controller["a"])
        assert pickle.dumps(scheduler) == before

    def test_two_trials_must_not_share_a_key(self):
        controller = FakeController(PolicyScheduler(PenguinPolicy(40)), ["a"])
        with pytest.raises(ValueError, match=r"config\['trial'\] must be unique, got 'a' for trials id-a and other"):
            controller.scheduler.on_trial_add(controller, FakeTrial("other", "a"))

    def test_the_key_falls_back_to_the_id_of_tune(self):
        assert trial_key(FakeTrial("1f_00001")) == "1f_00001"
        assert trial_key(FakeTrial("1f_00001", "conv3-seed0")) == "conv3-seed0"


class TestRestart:
    def test_loaded_curves_go_on_where_they_were(self):
        first = PolicyScheduler(PenguinPolicy(40))
        controller = FakeController(first, ["a"])
        controller.start("a")
        for epoch in (1, 2, 3):
            controller.report("a", epoch, 0.1)
        second = PolicyScheduler(PenguinPolicy(40))
        second.load_curves(first.curves.values())
        assert second.decisions == first.decisions
        controller = FakeController(second, ["a"])
        controller.start("a")
        assert controller.report("a", 4, 0.1) == "STOP"

    def test_pickles(self):
        scheduler = PolicyScheduler(PenguinPolicy(40), curves=[Curve("a", (1, 2), (0.1, 0.2))])
        copy = pickle.loads(pickle.dumps(scheduler))
        assert copy.curves == scheduler.curves
        assert copy.metric == "validation_accuracy"


def test_a_policy_must_decide_on_every_curve():
    controller = FakeController(PolicyScheduler(Forgetful()), ["a"])
    controller.start("a")
    with pytest.raises(ValueError, match="Forgetful must decide on every curve, left out 'a'"):
        controller.report("a", 1, 0.5)


def test_says_what_it_did():
    scheduler = PolicyScheduler(PenguinPolicy(40))
    controller = FakeController(scheduler, ["a", "b"])
    controller.start("a", "b")
    controller.report("a", 1, NAN)
    controller.report("b", 1, 0.5)
    assert scheduler.debug_string() == "PenguinPolicy: 1 continue, 0 pause, 1 stop"
    assert controller["b"].status == RUNNING
