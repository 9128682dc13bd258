from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from taurank.schedulers.policies import Curve, Decision, Decisions, Limits, Step, make_policy
from taurank.schedulers.policies.driver import Driver

LIMITS = Limits(4)


@dataclass
class Scripted:
    """Answers with the steps of its script, one answer after another, then says that it is done."""

    script: list[list[Step]]
    judges_running: bool = False
    stops: tuple[str, ...] = ()
    asked: int = 0

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        steps = self.script[self.asked] if self.asked < len(self.script) else []
        self.asked += 1
        decisions = {n: Decision("stop" if n in self.stops else "continue", f"asked {self.asked}", 0.7) for n in curves}
        return Decisions(decisions, tuple(steps), phase="running" if steps else "done", reason=f"asked {self.asked}")


def driver(policy: Scripted, names: str = "ab", limits: Limits = LIMITS) -> Driver:
    return Driver(policy, limits, dict.fromkeys(names, ()))


def states(found: Driver) -> str:
    return " ".join(curve.state for curve in found.curves.values())


def test_whom_the_policy_names_starts_in_its_order_and_pauses_where_it_was_sent():
    found = driver(Scripted([[Step("b", 2, "first"), Step("a", 1, "second")]]))
    assert found.choose() == Step("b", 2, "first")
    assert states(found) == "new running"
    assert found.choose() == Step("a", 1, "second")
    assert found.running == 2
    assert found.report("b", 1, 0.1) == "continue"
    assert found.report("b", 2, 0.2) == "pause"
    assert found.decisions["b"] == Decision("pause", "came to epoch 2", saved_epochs=2)
    assert states(found) == "running paused"


def test_asks_again_only_when_nobody_is_left_who_was_named():
    policy = Scripted([[Step("a", 1, ""), Step("b", 1, "")]])
    found = driver(policy)
    found.choose()
    found.report("a", 1, 0.1)
    found.choose()
    assert policy.asked == 1
    assert found.choose() is None  # b still runs
    assert policy.asked == 2
    assert not found.done
    found.report("b", 1, 0.1)
    assert not found.done  # it may be said more about b
    assert found.choose() is None
    assert found.done
    assert found.latest.reason == "asked 3"


def test_a_policy_that_judges_is_asked_after_every_epoch():
    policy = Scripted([[Step("a", 4, "")]], judges_running=True, stops=("b",))
    found = driver(policy)
    found.choose()
    assert states(found) == "running stopped"
    policy.stops = ("a", "b")
    assert found.report("a", 1, 0.1) == "stop"
    assert states(found) == "stopped stopped"
    assert found.decisions["a"] == Decision("stop", "asked 2", 0.7, saved_epochs=3)
    assert found.decisions["b"] == Decision("stop", "asked 1", 0.7, saved_epochs=4)


def test_the_end_of_the_schedule_and_of_a_diverging_training():
    found = driver(Scripted([[Step("a", 4, ""), Step("b", 4, "")]]))
    found.choose()
    found.choose()
    assert found.report("a", 4, 0.8) == "stop"
    assert found.decisions["a"] == Decision("stop", "end of schedule", 0.8, 0.0)
    assert found.report("b", 1, math.nan) == "stop"
    assert found.decisions["b"].reason == "not finite at epoch 1"
    assert states(found) == "finished failed"
    found.end("a", failed=True, reason="late news")
    assert states(found) == "finished failed"


def test_an_epoch_seen_before_changes_nothing():
    found = driver(Scripted([[Step("a", 2, "")]]))
    found.choose()
    found.report("a", 1, 0.1)
    before = found.curves["a"]
    assert found.report("a", 1, 0.9) == "continue"
    assert found.curves["a"] == before
    found.report("a", 2, 0.2)
    assert found.report("a", 1, 0.9) == "pause"
    found.end("a", failed=False, reason="ended by itself")
    assert found.report("a", 2, 0.9) == "stop"
    assert found.decisions["a"].prediction == 0.2


@pytest.mark.parametrize(
    ("budget", "points", "until"),
    [(5, None, (4, 1)), (3.9, None, (3,)), (5, (2, 4), (4,)), (3, (2, 4), (2,)), (1, (2, 4), ())],
)
def test_steps_are_cut_to_what_the_budget_allows(budget, points, until):
    limits = Limits(4, budget_epochs=budget, points=points)
    found = driver(Scripted([[Step("a", 4, ""), Step("b", 4, "")]]), limits=limits)
    sent = []
    while step := found.choose():
        sent.append(step.until)
    assert tuple(sent) == until


def test_a_spent_budget_is_said_and_is_no_stall(caplog):
    found = driver(Scripted([[Step("a", 4, "")]] * 3), limits=Limits(4, budget_epochs=2, points=(2, 4)))
    found.choose()
    found.report("a", 2, 0.1)
    with caplog.at_level(logging.WARNING):
        assert found.choose() is None
    assert found.done
    assert found.latest.phase == "done"
    assert found.latest.reason == "the budget of 2 epochs allows no more"
    assert not caplog.text


def test_a_policy_that_leaves_a_trial_out_is_named():
    class Forgetful(Scripted):
        def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
            return Decisions({})

    with pytest.raises(ValueError, match="Forgetful must decide on every trial, left out 'a'"):
        driver(Forgetful([])).choose()


def test_unknown_trials_are_named():
    found = driver(Scripted([]))
    for call in (lambda: found.report("c", 1, 0.5), lambda: found.load([Curve("c")])):
        with pytest.raises(ValueError, match="trial 'c' is none of the 2 that the driver was made with"):
            call()


def test_loaded_curves_keep_the_features_and_wait():
    found = Driver(Scripted([]), LIMITS, {"a": (1.0, 2.0), "b": ()})
    found.load([Curve("a", (1,), (0.1,), state="running", until=3), Curve("b", state="running")])
    assert found.curves["a"] == Curve("a", (1,), (0.1,), features=(1.0, 2.0), state="paused")
    assert found.curves["b"].state == "new"


def test_losses_that_come_late_are_put_beside_their_epochs():
    found = driver(Scripted([[Step("a", 3, "")]]))
    found.choose()
    found.report("a", 1, 0.1)
    assert found.curves["a"].training == ()
    found.report("a", 2, 0.2, 1.5)
    found.report("a", 3, 0.3)
    assert str(found.curves["a"].training) == "(nan, 1.5, nan)"


class TestTrialsToCome:
    def driver(self, policy: str, **limits: float) -> Driver:
        return Driver(make_policy(policy), Limits(9, **limits), {})  # type: ignore[arg-type]

    def test_the_budget_is_planned_for_them_too(self):
        driver = self.driver("uniform", budget_epochs=24)
        driver.expect(4)
        driver.add("a")
        step = driver.choose()
        assert step is not None
        assert (step.trial, step.until) == ("a", 6)

    def test_it_is_not_done_before_they_have_come(self):
        driver = self.driver("full")
        driver.expect(2)
        driver.add("a")
        while (step := driver.choose()) is not None:
            assert driver.report(step.trial, 9, 0.5) == "stop"
        assert driver.wants_new
        assert not driver.done
        assert set(driver.curves) == {"a"}
        driver.expect(0)
        assert driver.choose() is None
        assert driver.done

    def test_one_that_was_started_by_others_is_sent_on_as_the_policy_would(self):
        driver = self.driver("asha")
        for trial in "abc":
            driver.add(trial)
        admitted = driver.admit("c")
        assert admitted is not None
        assert (admitted.until, driver.curves["c"].state) == (1, "running")

    def test_one_without_room_in_the_budget_is_not_admitted(self):
        driver = self.driver("full", budget_epochs=10)
        for trial in "ab":
            driver.add(trial)
        assert driver.admit("a") is not None
        assert driver.admit("b") is None
        assert driver.curves["b"].state == "new"

    def test_the_worst_of_those_that_wait_was_worst_abreast(self):
        driver = self.driver("asha")
        curves = [Curve("a", (1, 3), (0.5, 0.1)), Curve("b", (1,), (0.3,)), Curve("c", (1,), (0.3,))]
        for curve in curves:
            driver.add(curve.trial)
        driver.load(curves)
        assert driver.worst(["a", "b", "c"]) == "c"
        driver.add("d")
        assert driver.worst(["a", "d"]) == "d"
        driver.stop("b", "no room")
        assert (driver.curves["b"].state, driver.decisions["b"].reason) == ("stopped", "no room")


def test_a_step_costs_no_pass_over_all_curves(monkeypatch: pytest.MonkeyPatch):
    looked_at = 0

    def target_epoch(curve: Curve) -> int:
        nonlocal looked_at
        looked_at += 1
        return max(curve.last_epoch, curve.until if curve.state == "running" else 0)

    monkeypatch.setattr(Curve, "target_epoch", property(target_epoch))
    names = [str(number) for number in range(200)]
    found = Driver(Scripted([[Step(name, 2, "") for name in names]]), Limits(4), dict.fromkeys(names, ()))
    for name in names:
        assert found.choose() == Step(name, 2, "")
        found.report(name, 1, 0.1)
        found.report(name, 2, 0.2)
    assert looked_at < 10 * len(names)


def test_epochs_of_loaded_running_and_stopped_trials_count_against_the_budget():
    limits = Limits(9, budget_epochs=10)
    found = driver(Scripted([[Step("a", 5, ""), Step("b", 9, "")]]), "abc", limits)
    found.load([Curve("c", epochs=(1, 2), values=(0.1, 0.2), state="stopped")])
    assert found.choose() == Step("a", 5, "")
    assert found.choose() == Step("b", 3, "")  # 2 are used, 5 are promised
    found.stop("a", "lost")  # before it came to an epoch: what it was promised is free again
    found.report("b", 3, 0.3)
    found.add("d")
    assert found.admit("d") is None
    assert found._affordable(found.curves["d"], 9) == 5
