from __future__ import annotations

import logging
import math
import pickle
import re

import numpy as np
import pytest
from ray import cloudpickle
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, HyperBandScheduler, TrialScheduler

from taurank.schedulers import CurveScheduler
from taurank.schedulers.policies import hyperband_brackets, list_policies
from taurank.schedulers.tune import list_schedulers
from taurank.schedulers.tune import make_scheduler as make_scheduler_of
from tests.schedulers.fake_tune import PAUSED, RUNNING, TERMINATED, FakeController

OF_RAY = {"ray-asha": AsyncHyperBandScheduler, "ray-hyperband": HyperBandScheduler}
KINDS = {"none": FIFOScheduler} | OF_RAY | dict.fromkeys(list_policies(), CurveScheduler)


def make_scheduler(name: str, *, candidates: int, **settings) -> TrialScheduler:
    """A scheduler of so many trials: a, b, c ..."""
    return make_scheduler_of(name, trials={chr(ord("a") + trial): () for trial in range(candidates)}, **settings)


class TestEveryScheduler:
    @pytest.fixture(params=KINDS)
    def name(self, request):
        return request.param

    def test_all_are_listed(self):
        assert list_schedulers() == ["none", *list_policies(), *OF_RAY]

    def test_kind(self, name):
        scheduler = make_scheduler(name, schedule_epochs=12, candidates=24)
        assert isinstance(scheduler, KINDS[name])
        assert isinstance(scheduler, TrialScheduler)
        assert scheduler.metric == (None if name == "none" else "validation_accuracy")

    def test_pickles_as_tune_does(self, name):
        scheduler = make_scheduler(name, schedule_epochs=12, candidates=24)
        assert type(cloudpickle.loads(cloudpickle.dumps(scheduler))) is type(scheduler)

    @pytest.mark.parametrize("argument", ["schedule_epochs", "slots"])
    def test_sizes_are_checked(self, name, argument):
        sizes = {"schedule_epochs": 12, "candidates": 24, argument: 0}
        with pytest.raises(ValueError, match=rf"^{argument} must be at least 1, got 0"):
            make_scheduler(name, **sizes)

    def test_there_has_to_be_a_trial(self, name):
        with pytest.raises(ValueError, match=r"^trials must hold at least 1, got none"):
            make_scheduler(name, schedule_epochs=12, candidates=0)

    @pytest.mark.parametrize("epochs", [1, 2, 3, 9])
    def test_comes_to_its_end(self, name, epochs):
        """Every trial that starts is heard to its end, whatever the scheduler makes of it; Tune does not spin."""
        controller = FakeController(make_scheduler(name, schedule_epochs=epochs, candidates=4, slots=2), list("abcd"))
        for _ in range(100):
            controller.fill()
            running = [trial.config["trial"] for trial in controller.trials if trial.status == RUNNING]
            for key in running:
                epoch = controller[key].last_result.get("epoch", 0) + 1
                if controller.report(key, epoch, 1 - 1 / (ord(key) * epoch), done=epoch == epochs) != "CONTINUE":
                    continue
                if epoch == epochs:
                    controller.stop_trial(controller[key])
            if not running:
                break
        assert {trial.status for trial in controller.trials} == {TERMINATED}
        assert max(trial.last_result.get("epoch", 0) for trial in controller.trials) >= 1


@pytest.mark.parametrize("name", OF_RAY)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_stops(name, value):
    controller = FakeController(make_scheduler(name, schedule_epochs=12, candidates=24), ["a", "b"])
    controller.start("a", "b")
    assert controller.report("a", 1, value) == "STOP"
    assert controller["a"].status == TERMINATED
    assert controller.report("b", 1, 0.5) == "CONTINUE"


class TestNamesAndOptions:
    def test_unknown_name(self):
        with pytest.raises(ValueError, match=r"unknown scheduler 'hyperbnd'; allowed: none, full, .*, ray-hyperband"):
            make_scheduler("hyperbnd", schedule_epochs=12, candidates=24)
        with pytest.raises(ValueError, match="did you mean 'hyperband'"):
            make_scheduler("hyperbnd", schedule_epochs=12, candidates=24)

    def test_unknown_option(self):
        message = r"^unknown option 'tolerance' of policy 'penguin'; allowed: .*; did you mean 'tolerance_points'\?$"
        with pytest.raises(ValueError, match=message):
            make_scheduler("penguin", schedule_epochs=12, candidates=24, tolerance=1.0)
        message = (
            "unknown option 'grace_perio' of scheduler 'ray-asha'; allowed: reduction_factor, grace_period; "
            "did you mean 'grace_period'?"
        )
        with pytest.raises(ValueError, match=re.escape(message)):
            make_scheduler("ray-asha", schedule_epochs=12, candidates=24, grace_perio=1)
        with pytest.raises(ValueError, match=r"unknown option 'window' of scheduler 'none'; allowed: none$"):
            make_scheduler("none", schedule_epochs=12, candidates=24, window=3)

    @pytest.mark.parametrize(
        ("name", "option", "value"),
        [
            ("ray-asha", "reduction_factor", 1),
            ("ray-asha", "grace_period", 0),
            ("ray-asha", "grace_period", 13),
            ("ray-hyperband", "reduction_factor", math.nan),
            ("penguin", "window", 0),
            ("penguin", "tolerance_points", -1.0),
        ],
    )
    def test_bad_values_are_named(self, name, option, value):
        with pytest.raises(ValueError, match=rf"^{option} must"):
            make_scheduler(name, schedule_epochs=12, candidates=24, **{option: value})


class TestAsha:
    """What Ray's stopping variant does; the order of arrival decides."""

    def controller(self, names: str, **options: float) -> FakeController:
        return FakeController(
            make_scheduler("ray-asha", schedule_epochs=27, candidates=len(names), **options), list(names)
        )

    @pytest.mark.parametrize("value", [0.0, 0.9])
    def test_the_first_arrival_is_never_stopped(self, value):
        controller = self.controller("ab")
        controller.start("a", "b")
        assert controller.report("a", 1, value) == "CONTINUE"

    def test_later_arrivals_meet_the_best_third_of_the_earlier_ones(self):
        controller = self.controller("abcd")
        controller.start(*"abcd")
        assert controller.report("a", 1, 0.10) == "CONTINUE"
        assert controller.report("b", 1, 0.40) == "CONTINUE"
        assert controller.report("c", 1, 0.29) == "STOP"  # cutoff: 0.10 + 2/3 * 0.30
        assert controller.report("d", 1, 0.36) == "CONTINUE"  # cutoff: 0.29 + 1/3 * 0.11

    def test_time_is_the_epoch(self):
        controller = self.controller("ab", grace_period=3)
        controller.start("a", "b")
        controller.report("a", 3, 0.9, training_iteration=1)
        assert controller.report("b", 2, 0.1, training_iteration=9) == "CONTINUE"
        assert controller.report("b", 3, 0.1, training_iteration=10) == "STOP"

    def test_the_end_of_the_schedule_stops(self):
        controller = self.controller("a")
        controller.start("a")
        assert controller.report("a", 27, 0.9) == "STOP"

    @pytest.mark.parametrize(("epochs", "grace"), [(5, 1), (27, 1), (28, 2), (54, 2), (200, 8)])
    def test_nobody_is_judged_before_a_27th_of_the_schedule(self, epochs, grace):
        scheduler = make_scheduler("ray-asha", schedule_epochs=epochs, candidates=2)
        controller = FakeController(scheduler, ["a", "b"])
        controller.start("a", "b")
        controller.report("a", grace, 0.9)
        if grace > 1:
            assert controller.report("b", grace - 1, 0.0) == "CONTINUE"
        assert controller.report("b", grace, 0.0) == "STOP"

    def test_nan_does_not_enter_a_rung(self, recwarn):
        controller = self.controller("ab")
        controller.start("a", "b")
        controller.report("a", 1, math.nan)
        assert controller.report("b", 1, 0.0) == "CONTINUE"  # still the first arrival
        assert not recwarn.list

    def test_the_global_random_state_decides_nothing(self):
        answers = []
        for seed in (0, 1):
            np.random.seed(seed)  # noqa: NPY002  # Ray draws the bracket from it
            controller = self.controller("abcd")
            controller.start(*"abcd")
            answers.append([controller.report(name, 1, 0.5 - ord(name) / 1000) for name in "abcd"])
        assert answers[0] == answers[1]


class TestHyperband:
    @pytest.mark.parametrize(("epochs", "factor"), [(81, 3), (27, 3), (20, 3), (12, 4), (50, 2)])
    def test_bracket_table_is_that_of_ray(self, epochs, factor):
        brackets = hyperband_brackets(epochs, factor)
        names = [str(i) for i in range(sum(trials for trials, _ in brackets))]
        scheduler = make_scheduler(
            "ray-hyperband", schedule_epochs=epochs, candidates=len(names), reduction_factor=factor
        )
        FakeController(scheduler, names)
        shown = re.findall(r"Max Size \(n\)=(\d+), Milestone \(r\)=(\d+)", scheduler.debug_string())
        assert tuple((int(trials), int(first)) for trials, first in shown) == brackets

    def test_says_when_the_last_bracket_is_not_full(self, caplog):
        with caplog.at_level(logging.WARNING):
            make_scheduler("ray-hyperband", schedule_epochs=27, candidates=49)
        assert not caplog.text
        with caplog.at_level(logging.WARNING):
            make_scheduler("ray-hyperband", schedule_epochs=27, candidates=24)
        assert "the last bracket of 24 candidates holds 2 of 27 trials from epoch 1" in caplog.text

    def bracket(self) -> FakeController:
        """Four trials in the bracket that keeps two of five at epoch 3; the first three fill another one."""
        names = ["x", "y", "z", *"abcd"]
        controller = FakeController(make_scheduler("ray-hyperband", schedule_epochs=9, candidates=7), names)
        for name in "xyz":
            controller.stop_trial(controller[name])
        controller.start(*"abcd")
        return controller

    def test_halves_when_all_have_arrived(self):
        controller = self.bracket()
        answers = [controller.report(name, 3, value) for name, value in zip("abcd", (0.4, 0.1, 0.3, 0.2), strict=True)]
        assert answers == ["PAUSE", "PAUSE", "PAUSE", "STOP"]
        assert [controller[name].status for name in "abcd"] == [PAUSED, TERMINATED, PAUSED, TERMINATED]
        assert controller.scheduler.choose_trial_to_run(controller) is controller["a"]

    def test_survivors_go_on_to_the_end_of_the_schedule(self):
        controller = self.bracket()
        for name, value in zip("abcd", (0.4, 0.1, 0.3, 0.2), strict=True):
            controller.report(name, 3, value)
        controller.start("a")
        assert controller.report("a", 8, 0.5) == "CONTINUE"
        assert controller.report("a", 9, 0.5) == "STOP"

    def test_a_trial_that_diverges_last_does_not_hold_up_the_others(self):
        controller = self.bracket()
        for name, value in zip("abc", (0.4, 0.1, 0.3), strict=True):
            assert controller.report(name, 3, value) == "PAUSE"
        assert controller.report("d", 2, math.nan) == "STOP"
        chosen = controller.scheduler.choose_trial_to_run(controller)
        assert chosen in (controller["a"], controller["c"])

    def test_never_stalls_with_paused_trials_alone(self):
        controller = self.bracket()
        for name in "abc":
            controller.report(name, 3, 0.5)
        controller["d"].status = TERMINATED  # lost without a word to the scheduler
        assert controller.scheduler.choose_trial_to_run(controller) is controller["a"]
        controller["a"].status = RUNNING
        assert controller.scheduler.choose_trial_to_run(controller) is None


def test_limits_and_options_reach_the_policy():
    scheduler = make_scheduler("penguin", schedule_epochs=40, candidates=4, slots=2, window=2, tolerance_points=5.0)
    controller = FakeController(scheduler, list("abcd"))
    first, second = controller.fill()
    answers = [controller.report(first, epoch, 0.1) for epoch in (1, 2, 3)]
    assert answers == ["CONTINUE", "CONTINUE", "STOP"]
    assert str(pickle.loads(pickle.dumps(scheduler)).decisions) == str(scheduler.decisions)
    assert controller[second].status == RUNNING


def test_the_budget_reaches_the_policy():
    controller = FakeController(make_scheduler("full", schedule_epochs=4, candidates=4, budget_epochs=9), list("abcd"))
    for name in "ab":
        assert controller.fill() == name
        assert [controller.report(name, epoch, 0.5) for epoch in (1, 2, 3, 4)] == ["CONTINUE"] * 3 + ["STOP"]
    assert controller.fill() == ""
    assert {trial.status for trial in controller.trials} == {TERMINATED}


def test_points_reach_the_driver():
    scheduler = make_scheduler("full", schedule_epochs=4, candidates=1, points=(2, 4))
    controller = FakeController(scheduler, ["a"])
    assert controller.fill() == "a"
    assert [controller.report("a", epoch, 0.5) for epoch in (2, 4)] == ["CONTINUE", "STOP"]
