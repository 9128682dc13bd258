"""The scheduler as the stages of a run use it, on trials without processes: all trials are known beforehand."""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Mapping

import pytest

from taurank.schedulers import CurveScheduler
from taurank.schedulers.policies import Curve, Decision, Decisions, Limits, Step
from tests.schedulers.fake_tune import ERROR, PAUSED, PENDING, RUNNING, TERMINATED, FakeController, FakeTrial

NAN = math.nan


class Halving:
    """Sends everybody to epoch 2, last submitted first; of those that are there the best half goes on to the end."""

    judges_running = False

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        open_ones = {n: c for n, c in curves.items() if c.state in ("new", "running", "paused")}
        young = [n for n in reversed(open_ones) if curves[n].last_epoch < 2]
        decisions = {n: Decision("continue", "young", 0.5, 0.1) for n in curves}
        if young:
            steps = tuple(Step(n, 2, "first rung") for n in young if curves[n].state != "running")
            return Decisions(decisions, steps, reason="filling the rung")
        ranked = sorted((n for n in curves if len(curves[n].values) >= 2), key=lambda n: -curves[n].values[1])
        kept = ranked[: len(ranked) // 2]
        steps = tuple(Step(n, limits.schedule_epochs, "best half") for n in kept if curves[n].state == "paused")
        rest = {n: Decision("pause", "worse half", 0.4) for n in open_ones if n not in kept}
        running = any(c.state == "running" for c in curves.values())
        phase = "running" if steps or running else "done"
        return Decisions(decisions | rest, steps, phase=phase, reason="halved")  # type: ignore[arg-type]


class Judge:
    """Sends everybody to the end and stops who falls below 0.3."""

    judges_running = True

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        low = {n for n, c in curves.items() if c.values and c.values[-1] < 0.3}
        decisions = {n: Decision("stop" if n in low else "continue", "low" if n in low else "", 0.2) for n in curves}
        steps = tuple(
            Step(n, limits.schedule_epochs, "in turn")
            for n, c in curves.items()
            if n not in low and c.state in ("new", "paused")
        )
        return Decisions(decisions, steps, phase="running" if steps else "done", reason="judged")


class Silent:
    """Names nobody and does not say that it is done."""

    judges_running = False

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        return Decisions({n: Decision("continue", "") for n in curves}, reason="at a loss")


class Dropping(Halving):
    """Stops the worse half where it stands."""

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        found = super().decide(curves, limits)
        stops = {n: Decision("stop", d.reason, 0.4) for n, d in found.trials.items() if d.action == "pause"}
        return Decisions({**found.trials, **stops}, found.next, found.phase, found.reason)


def scheduler_of(policy, names: str, *, epochs: int = 4, slots: int = 1, budget: float | None = None) -> CurveScheduler:
    return CurveScheduler(
        policy,
        "epoch",
        epochs,
        "validation_accuracy",
        "max",
        budget,
        train_loss="train_loss",
        slots=slots,
        trials=dict.fromkeys(names, ()),
    )


def controller(policy, names: str = "abcd", **settings) -> FakeController:
    return FakeController(scheduler_of(policy, names, **settings), list(names))


def train(tune: FakeController, name: str, *values: float) -> list[str]:
    """Reports these values from the next epoch on."""
    first = tune.scheduler.curves[name].last_epoch + 1
    return [tune.report(name, epoch, value) for epoch, value in enumerate(values, start=first)]


def statuses(tune: FakeController) -> dict[str, str]:
    return {trial.config["trial"]: trial.status for trial in tune.trials}


class TestHold:
    def test_nobody_starts_by_itself(self):
        tune = controller(Halving())
        assert set(statuses(tune).values()) == {PAUSED}
        assert all(trial.folders == 1 for trial in tune.trials)

    def test_starts_in_the_order_of_the_policy(self):
        assert controller(Halving(), slots=4).fill() == "dcba"

    def test_no_more_than_there_are_slots(self):
        tune = controller(Halving(), slots=2)
        assert tune.fill() == "dc"
        assert train(tune, "d", 0.1, 0.2) == ["CONTINUE", "PAUSE"]
        assert tune.fill() == "b"

    def test_slots_come_and_go_with_their_nodes(self):
        tune = controller(Halving(), slots=1)
        assert tune.fill() == "d"
        tune.scheduler.set_slots(3)
        assert tune.fill() == "cb"
        tune.scheduler.set_slots(1)
        train(tune, "d", 0.1, 0.2)
        train(tune, "c", 0.1, 0.2)
        assert tune.fill() == ""  # b is one already
        train(tune, "b", 0.1, 0.2)
        assert tune.fill() == "a"

    def test_one_trial_at_a_time_waits_for_its_worker(self):
        tune = controller(Halving(), slots=3)
        assert tune.offer() == "d"
        assert [tune.offer() for _ in range(3)] == ["d", "d", "d"]
        assert statuses(tune) == {"a": PAUSED, "b": PAUSED, "c": PAUSED, "d": PENDING}
        tune.start("d")
        assert tune.offer() == "c"

    def test_says_where_it_sent_whom_and_why(self):
        tune = controller(Halving(), slots=2)
        tune.fill()
        assert tune.scheduler.steps == {"d": Step("d", 2, "first rung"), "c": Step("c", 2, "first rung")}
        assert tune.scheduler.latest.reason == "filling the rung"

    def test_a_trial_that_has_ended_is_not_revived(self):
        scheduler = scheduler_of(Halving(), "a")
        ended = FakeTrial("id-a", "a")
        ended.status = TERMINATED
        scheduler.on_trial_add(None, ended)
        assert ended.status == TERMINATED


class TestPauseAndResume:
    def test_the_best_half_goes_on_and_the_rest_is_left(self):
        tune = controller(Halving(), slots=2)
        assert tune.fill() == "dc"
        train(tune, "d", 0.1, 0.9)
        assert tune.fill() == "b"
        train(tune, "c", 0.1, 0.2)
        train(tune, "b", 0.1, 0.3)
        assert tune.fill() == "a"  # the rung is not full: nobody is promoted
        train(tune, "a", 0.1, 0.8)
        assert tune.fill() == "da"
        assert train(tune, "d", 0.95, 0.95) == ["CONTINUE", "STOP"]
        assert train(tune, "a", 0.9) == ["CONTINUE"]
        assert tune.offer() == ""
        assert statuses(tune)["b"] == PAUSED  # a still runs
        train(tune, "a", 0.9)
        assert tune.offer() == ""
        assert set(statuses(tune).values()) == {TERMINATED}
        states = {name: curve.state for name, curve in tune.scheduler.curves.items()}
        assert states == {"a": "finished", "b": "paused", "c": "paused", "d": "finished"}
        assert tune.scheduler.decisions["b"] == Decision("pause", "worse half", 0.4)
        assert tune.scheduler.done

    def test_waits_for_the_checkpoint_of_whom_it_resumes(self):
        tune = controller(Halving(), "ab")
        tune.fill()
        train(tune, "b", 0.1, 0.9)
        tune.fill()
        train(tune, "a", 0.1, 0.2)
        tune["b"].status = RUNNING  # Tune is still saving it
        assert tune.offer() == ""
        assert tune.offer() == ""
        tune["b"].status = PAUSED
        assert tune.offer() == "b"
        assert tune.scheduler.steps["b"] == Step("b", 4, "best half")

    def test_a_trial_that_is_stopped_while_it_waits_ends_at_once(self):
        tune = controller(Dropping(), "ab")
        tune.fill()
        train(tune, "b", 0.1, 0.9)
        tune.fill()
        train(tune, "a", 0.1, 0.2)
        assert tune.offer() == "b"
        assert statuses(tune) == {"a": TERMINATED, "b": PENDING}
        assert tune.scheduler.curves["a"].state == "stopped"
        assert tune.scheduler.decisions["a"] == Decision("stop", "worse half", 0.4, saved_epochs=2)

    def test_a_policy_that_judges_running_trials(self):
        tune = controller(Judge(), "ab")
        assert tune.fill() == "a"
        assert train(tune, "a", 0.5, 0.2) == ["CONTINUE", "STOP"]
        assert tune.scheduler.decisions["a"] == Decision("stop", "low", 0.2, saved_epochs=2)
        assert tune.fill() == "b"

    @pytest.mark.parametrize(("budget", "trained"), [(4, [2, 2]), (5, [3, 2]), (6, [4, 2]), (7, [4, 2])])
    def test_the_budget_is_kept_to_the_epoch(self, budget, trained):
        tune = controller(Halving(), "ab", budget=budget)
        while name := tune.fill():
            answers = ["CONTINUE"]
            while answers[-1] == "CONTINUE":
                answers += train(tune, name, 0.5 if name == "a" else 0.4)
        assert [tune.scheduler.curves[name].last_epoch for name in "ab"] == trained
        assert set(statuses(tune).values()) == {TERMINATED}
        if budget < 6:
            assert tune.scheduler.latest.reason == f"the budget of {budget} epochs allows no more"

    def test_a_policy_that_names_nobody_does_not_stall_tune(self, caplog):
        tune = controller(Silent(), "ab")
        with caplog.at_level(logging.WARNING):
            assert tune.offer() == ""
        assert set(statuses(tune).values()) == {TERMINATED}
        assert "Silent lets none of 2 waiting trials run: at a loss" in caplog.text
        assert tune.scheduler.done


class TestResults:
    @pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
    @pytest.mark.parametrize("policy", [Halving(), Judge()])
    def test_a_value_that_is_not_finite_fails(self, policy, value):
        tune = controller(policy, "ab", slots=2)
        tune.fill()
        assert tune.report("a", 1, value) == "STOP"
        assert tune.scheduler.curves["a"].state == "failed"
        assert tune.scheduler.decisions["a"].reason == "not finite at epoch 1"
        assert train(tune, "b", 0.5) == ["CONTINUE"]

    def test_the_training_loss_is_kept_where_there_is_one(self):
        tune = controller(Halving(), "a")
        tune.fill()
        tune.report("a", 1, 0.5)
        tune.report("a", 2, 0.6, train_loss=1.5)
        curve = tune.scheduler.curves["a"]
        assert curve.values == (0.5, 0.6)
        assert math.isnan(curve.training[0])
        assert curve.training[1] == 1.5

    @pytest.mark.parametrize("result", [{"epoch": 1}, {"validation_accuracy": 0.5}, {}])
    def test_a_result_without_epoch_or_metric_is_refused(self, result):
        tune = controller(Halving())
        with pytest.raises(ValueError, match="result of trial 'a' must hold epoch and validation_accuracy"):
            tune.scheduler.on_trial_result(tune, tune["a"], result)

    def test_a_last_result_that_tune_shows_only_at_the_end_is_kept(self):
        tune = controller(Judge(), "a")
        tune.fill()
        train(tune, "a", 0.4, 0.5, 0.6)
        tune["a"].last_result = {"epoch": 4, "validation_accuracy": 0.7, "done": True}
        tune.stop_trial(tune["a"])
        assert tune.scheduler.curves["a"].epochs == (1, 2, 3, 4)
        assert tune.scheduler.decisions["a"] == Decision("stop", "end of schedule", 0.7, 0.0)

    def test_a_trial_that_ends_without_any_result_has_failed(self):
        tune = controller(Judge(), "ab")
        tune.fill()
        tune.stop_trial(tune["a"])
        assert tune.scheduler.curves["a"].state == "failed"
        assert tune.fill() == "b"


class TestLostWorkers:
    def test_the_trial_goes_on_in_its_place(self):
        tune = controller(Halving(), slots=2)
        tune.fill()
        train(tune, "d", 0.1)
        tune.fail("d")
        assert statuses(tune)["d"] == PENDING
        assert tune.offer() == "d"
        tune.start("d")
        assert tune.offer() == ""  # both slots are taken
        # From its last checkpoint: the first epoch once more.
        assert [tune.report("d", epoch, 0.1) for epoch in (1, 2)] == ["CONTINUE", "PAUSE"]
        assert tune.scheduler.curves["d"].epochs == (1, 2)
        assert tune.fill() == "b"

    def test_one_that_was_about_to_pause_pauses_again(self):
        tune = controller(Halving(), slots=2)
        tune.fill()
        train(tune, "d", 0.1, 0.2)
        tune.fail("d")  # while it was being saved
        tune.start("d")
        assert tune.report("d", 2, 0.2) == "PAUSE"

    def test_one_that_tune_gives_up_has_failed(self):
        tune = controller(Halving(), "ab")
        tune.fill()
        tune.give_up("b")
        assert tune.fill() == "a"
        assert tune.scheduler.curves["b"].state == "failed"
        assert tune.scheduler.decisions["b"].reason == "its worker was lost too often"
        assert statuses(tune)["b"] == ERROR

    def test_adding_twice_changes_nothing(self):
        tune = controller(Halving(), "a")
        before = pickle.dumps(tune.scheduler)
        tune.scheduler.on_trial_add(tune, tune["a"])
        assert pickle.dumps(tune.scheduler) == before

    def test_two_trials_must_not_share_a_key(self):
        tune = controller(Halving(), "a")
        with pytest.raises(ValueError, match=r"config\['trial'\] must be unique, got 'a' for trials id-a and other"):
            tune.scheduler.on_trial_add(tune, FakeTrial("other", "a"))

    def test_all_trials_have_to_be_known(self):
        tune = controller(Halving(), "ab")
        with pytest.raises(ValueError, match="must be one of the 2 trials given, got 'c'"):
            tune.scheduler.on_trial_add(tune, FakeTrial("id-c", "c"))


VALUES = {"a": (0.1, 0.8, 0.9, 0.9), "b": (0.1, 0.3, 0.4, 0.5), "c": (0.1, 0.2, 0.3, 0.3), "d": (0.1, 0.9, 0.9, 0.95)}


def play(tune: FakeController, epochs: int) -> list[tuple[str, int]]:
    """Trains whom the scheduler names, one at a time, for so many epochs at most; who trained which epoch."""
    done: list[tuple[str, int]] = []
    name, reported = "", 0
    while len(done) < epochs:
        if not name:
            name, reported = tune.fill(), 0
            if not name:
                break
        reported += 1  # a trial that starts over in a new run first reports what it has
        known = reported <= tune.scheduler.curves[name].last_epoch
        if not known:
            done.append((name, reported))
        if tune.report(name, reported, VALUES[name][reported - 1]) != "CONTINUE":
            name = ""
    return done


class TestRestart:
    @pytest.mark.parametrize("cut", range(1, 12))
    def test_an_interrupted_run_trains_what_the_whole_one_trains(self, cut):
        whole = controller(Halving())
        expected = play(whole, 100)
        assert len(expected) == 12

        first = controller(Halving())
        begun = play(first, cut)
        scheduler = scheduler_of(Halving(), "abcd")
        scheduler.load_curves(first.scheduler.curves.values())
        open_ones = [name for name in "abcd" if scheduler.curves[name].state in ("new", "paused")]
        second = FakeController(scheduler, open_ones)
        assert sorted(begun + play(second, 100)) == sorted(expected)
        assert second.scheduler.curves == whole.scheduler.curves
        for left in "bc":
            assert second.scheduler.decisions[left] == whole.scheduler.decisions[left]
        assert set(statuses(second).values()) == {TERMINATED}

    def test_what_has_ended_stays_ended(self):
        curves = [
            Curve("a", (1, 2), (0.1, 0.9), state="stopped"),
            Curve("b", (1, 2, 3, 4), (0.1, 0.2, 0.3, 0.4), state="running"),
            Curve("c", (1,), (NAN,), state="running"),
            Curve("d", (1,), (0.1,), state="running"),
        ]
        scheduler = scheduler_of(Judge(), "abcd")
        scheduler.load_curves(curves)
        states = [scheduler.curves[name].state for name in "abcd"]
        assert states == ["stopped", "finished", "failed", "paused"]

    def test_pickles(self):
        tune = controller(Halving(), slots=2)
        tune.fill()
        train(tune, "d", 0.1, 0.2)
        copy = pickle.loads(pickle.dumps(tune.scheduler))
        assert copy.curves == tune.scheduler.curves
        assert str(copy.decisions) == str(tune.scheduler.decisions)
        assert copy.steps == tune.scheduler.steps
        assert copy.metric == "validation_accuracy"


def test_says_what_it_did():
    tune = controller(Halving(), slots=2)
    tune.fill()
    train(tune, "d", 0.1, 0.2)
    assert tune.scheduler.debug_string() == "Halving: 2 new, 1 running, 1 paused; filling the rung"
