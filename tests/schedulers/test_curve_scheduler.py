"""The scheduler in a Ray Tune script of one's own, on trials without processes."""

from __future__ import annotations

import json
import logging
import math
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem
from ray import tune
from ray.tune.trainable import FunctionTrainable

from taurank import schedulers
from taurank.schedulers import (
    AshaScheduler,
    CurveScheduler,
    FullScheduler,
    MedianScheduler,
    OrderSettlingScheduler,
    PenguinScheduler,
    SuccessiveHalvingScheduler,
    UniformScheduler,
)
from taurank.schedulers.policies import list_policies
from tests.schedulers.fake_tune import ERROR, PAUSED, PENDING, RUNNING, TERMINATED, FakeGrid, FakeRun, FakeSearch
from tests.schedulers.fake_tune import FakeTrial as Trial

NAN = math.nan
POINTS = [{"x": place / 8} for place in (3, 0, 5, 7, 1, 6, 2, 4)]


def accuracy(config: dict[str, Any], iteration: int) -> dict[str, Any]:
    """Curves that never cross; a larger x is better."""
    return {"value": 0.5 + 0.4 * config["x"] - 0.4 * math.exp(-iteration / 4)}


def loss(config: dict[str, Any], iteration: int) -> dict[str, Any]:
    return {"value": 3 - 5 * accuracy(config, iteration)["value"]}


def reward(config: dict[str, Any], iteration: int) -> dict[str, Any]:
    return {"value": -200 + 500 * accuracy(config, iteration)["value"]}


def by_x(run: FakeRun) -> dict[float, int]:
    """Iterations trained by each trial."""
    return {trial.config["x"]: run.trained[trial.trial_id] for trial in sorted(run.trials, key=lambda t: t.config["x"])}


def scheduler_of(policy: Any = "asha", **settings: Any) -> CurveScheduler:
    return CurveScheduler(policy, **{"metric": "value", "mode": "max", "max_t": 27, "slots": 2, **settings})


class TestEveryPolicyComesToItsEnd:
    @pytest.mark.parametrize("policy", list_policies())
    @pytest.mark.parametrize("search", [FakeGrid, FakeSearch])
    @pytest.mark.parametrize(
        ("max_concurrent", "slots", "mode", "value"),
        [(0, 3, "max", reward), (1, 1, "max", accuracy), (2, 2, "min", loss)],
    )
    def test_without_a_budget(self, policy, search, max_concurrent, slots, mode, value):
        scheduler = scheduler_of(policy, max_t=9, slots=slots, mode=mode)
        run = FakeRun(scheduler, search(POINTS[:5], max_concurrent=max_concurrent), value, cpus=slots).run()
        assert len(run.trials) == 5
        assert min(run.trained.values()) >= 1
        assert max(run.trained.values()) > 1
        if not max_concurrent and mode == "max":
            assert by_x(run)[0.875] == max(run.trained.values())
        assert {curve.state for curve in scheduler.curves.values()} <= {"stopped", "paused", "finished"}
        assert all(decision.reason for decision in scheduler.decisions.values())

    @pytest.mark.parametrize("policy", list_policies())
    @pytest.mark.parametrize(
        ("search", "max_concurrent", "total"),
        [(FakeGrid, 0, 8), (FakeGrid, 2, 8), (FakeSearch, 2, 8), (FakeSearch, 0, 2**63 - 1)],
    )
    def test_within_a_budget(self, policy, search, max_concurrent, total):
        """Whether Tune knows how many trials come or, with num_samples=-1, does not."""
        run = FakeRun(
            scheduler_of(policy, max_t=9, budget=50),
            search(POINTS, max_concurrent=max_concurrent, total=total),
            accuracy,
        ).run()
        assert 0 < sum(run.trained.values()) <= 50

    @pytest.mark.parametrize("policy", list_policies())
    def test_without_checkpoints(self, policy, monkeypatch):
        monkeypatch.setattr(Trial, "trainable", tune.Trainable)
        run = FakeRun(scheduler_of(policy, max_t=9), FakeGrid(POINTS), accuracy).run()
        assert PAUSED not in {trial.status for trial in run.trials}
        assert min(run.trained.values()) >= 1

    def test_every_policy_has_its_scheduler(self):
        named = [getattr(schedulers, name) for name in schedulers.__all__ if name.endswith("Scheduler")]
        assert {each.policy for each in named if each is not CurveScheduler} == set(list_policies())


class TestTrialsThatFillMaxConcurrent:
    """Tune counts paused trials as concurrent: then no trial can run, and the next one cannot be submitted."""

    def test_a_policy_that_never_pauses_takes_one_after_the_other(self, caplog):
        scheduler = PenguinScheduler(metric="value", mode="max", max_t=27, slots=2)
        run = FakeRun(scheduler, FakeGrid(POINTS[:8], max_concurrent=2), accuracy).run()
        assert {curve.state for curve in scheduler.curves.values()} == {"stopped"}
        assert max(run.trained.values()) < 27
        assert not caplog.records

    @pytest.mark.parametrize("search", [FakeGrid, FakeSearch])
    def test_the_worst_of_those_that_wait_ends(self, search, caplog):
        scheduler = scheduler_of("asha")
        with caplog.at_level(logging.WARNING):
            run = FakeRun(scheduler, search(POINTS, max_concurrent=2), accuracy).run()
        assert by_x(run)[0.875] == max(run.trained.values()) == 9
        assert by_x(run)[0.0] == 1
        ended = scheduler.decisions["trial-1"]
        assert ended.reason == "the next trial cannot start while paused ones fill max_concurrent_trials"
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["CurveScheduler"]
        assert "the worst of them end. Leave max_concurrent_trials out" in caplog.text

    def test_one_at_a_time(self):
        run = FakeRun(scheduler_of("asha", slots=1), FakeGrid(POINTS, max_concurrent=1), accuracy, cpus=1).run()
        # Each is judged on its arrival: it goes on if it is among the best third so far, and the first two cannot be.
        assert by_x(run) == {0.0: 1, 0.125: 1, 0.25: 1, 0.375: 1, 0.5: 1, 0.625: 3, 0.75: 3, 0.875: 3}

    def test_a_rung_is_still_decided_on_all(self):
        scheduler = SuccessiveHalvingScheduler(metric="value", mode="max", max_t=27, first_rung=3, slots=2)
        run = FakeRun(scheduler, FakeGrid(POINTS, max_concurrent=2), accuracy).run()
        # The best so far waited, and the last one: they are the two survivors.
        assert by_x(run) == {place / 8: 3 for place in range(7)} | {0.5: 9, 0.875: 27}


class TestTrialsThatArriveOverTime:
    @pytest.mark.parametrize("search", [FakeGrid, FakeSearch])
    @pytest.mark.parametrize("max_concurrent", [0, 2])
    def test_the_budget_is_shared_with_those_to_come(self, search, max_concurrent):
        scheduler = UniformScheduler(metric="value", mode="max", max_t=27, budget=80, slots=2)
        run = FakeRun(scheduler, search(POINTS, max_concurrent=max_concurrent), accuracy).run()
        assert set(run.trained.values()) == {10}

    def test_a_search_is_not_drained(self):
        """The algorithm learns from the trials before: one is submitted when another one has started."""
        run = FakeRun(scheduler_of("asha"), FakeSearch(POINTS), accuracy)
        run.step()
        assert len(run.trials) == 1
        run.step()
        assert len(run.trials) == 2

    def test_a_grid_is_held_and_starts_in_the_order_of_the_policy(self):
        run = FakeRun(FullScheduler(metric="value", mode="max", max_t=9, slots=2), FakeGrid(POINTS), accuracy)
        run.step()
        assert [trial.status for trial in run.trials] == [RUNNING] + [PAUSED] * 7
        assert all(trial.folders == 1 for trial in run.trials)

    def test_a_spent_budget_ends_the_search_and_says_so(self, caplog):
        search = FakeSearch(POINTS * 9, total=2**63 - 1)
        with caplog.at_level(logging.WARNING):
            run = FakeRun(
                FullScheduler(metric="value", mode="max", max_t=9, budget=20, slots=2), search, accuracy
            ).run()
        assert len(run.trials) <= 3
        assert sorted(run.trained.values())[-2:] == [9, 9]
        assert "no further trial is started: the budget has no room" in caplog.text

    @pytest.mark.parametrize("total", [0, 2**63 - 1])
    def test_a_search_that_does_not_know_its_number_is_asked_to_its_end(self, total):
        run = FakeRun(scheduler_of("asha", max_t=9), FakeSearch(POINTS, total=total), accuracy).run()
        assert len(run.trials) == len(POINTS)

    def test_the_number_of_an_endless_search_can_be_given(self):
        search = FakeSearch(POINTS, total=2**63 - 1)
        scheduler = UniformScheduler(metric="value", mode="max", max_t=27, budget=80, num_trials=8, slots=2)
        assert set(FakeRun(scheduler, search, accuracy).run().trained.values()) == {10}


class TestMetricAndMode:
    def test_from_the_tune_config(self):
        scheduler = AshaScheduler(max_t=27, slots=2)
        assert scheduler.set_search_properties("value", "min")
        assert scheduler.metric == "value"
        run = FakeRun(scheduler, FakeGrid(POINTS), accuracy).run()
        assert by_x(run)[0.0] == max(run.trained.values())

    def test_tune_hears_of_a_contradiction(self):
        assert not AshaScheduler(metric="value").set_search_properties("value", None)
        assert not AshaScheduler(mode="min").set_search_properties(None, "min")
        assert AshaScheduler(metric="value").set_search_properties(None, "min")
        assert AshaScheduler(metric="value", mode="max").set_search_properties(None, None)

    def test_a_function_that_returns_a_number(self):
        scheduler = AshaScheduler(mode="max")
        assert scheduler.set_search_properties(None, None)
        assert scheduler.metric == "_metric"

    @pytest.mark.parametrize("given", [{}, {"metric": "value"}])
    def test_both_are_needed(self, given):
        scheduler = AshaScheduler(**given)
        scheduler.set_search_properties(None, None)
        with pytest.raises(ValueError, match=r"^metric and mode must be given, to AshaScheduler or to tune.TuneConfig"):
            scheduler.on_trial_add(None, Trial("a"))

    def test_nested_names(self):
        run = FakeRun(
            scheduler_of("asha", metric="eval/top1"),
            FakeGrid(POINTS),
            lambda config, iteration: {"eval/top1": accuracy(config, iteration)["value"]},
        ).run()
        assert by_x(run)[0.875] == max(run.trained.values()) > 1

    @pytest.mark.parametrize("policy", list_policies())
    def test_a_loss_is_decided_on_as_its_negative(self, policy):
        """Also below 0, and where the reasons of the policy are the order alone."""
        low = FakeRun(scheduler_of(policy, max_t=9, mode="min", budget=27), FakeGrid(POINTS[:4]), loss).run()
        high = FakeRun(
            scheduler_of(policy, max_t=9, scale="score", budget=27),
            FakeGrid(POINTS[:4]),
            lambda config, iteration: {"value": -loss(config, iteration)["value"]},
        ).run()
        assert low.trained == high.trained

    def test_bad_settings_are_named(self):
        for wrong, message in (
            ({"mode": "up"}, "mode must be min or max, got 'up'"),
            ({"scale": "dB"}, "scale must be one of accuracy, percent, error, loss, perplexity, score, got 'dB'"),
            ({"scale": "loss"}, "mode must be min for the scale loss, got 'max'"),
            ({"max_t": 0}, "max_t must be a finite number above 0"),
            ({"resolution": 30}, "resolution must lie above 0 and up to max_t 27, got 30"),
            ({"budget": 0}, "budget_epochs must be above 0"),
            ({"num_trials": 0}, "num_trials must be at least 1"),
            ({"without_checkpoints": "pause"}, "without_checkpoints must be stop or refuse"),
            (
                {"brackets": 2},
                "unknown option 'brackets' of policy 'asha'; allowed: reduction_factor, first_rung, seed",
            ),
        ):
            with pytest.raises(ValueError, match=f"^{message}"):
                scheduler_of("asha", **wrong)

    def test_names_that_ray_has_for_options(self):
        driver = AshaScheduler(grace_period=3, reduction_factor=4)._driver
        assert (driver.policy.first_rung, driver.policy.reduction_factor) == (3, 4)
        driver = MedianScheduler(grace_period=2, min_samples_required=5)._driver
        assert (driver.policy.first_epoch, driver.policy.minimum_others) == (2, 5)


def started(scheduler: CurveScheduler, count: int = 2) -> FakeRun:
    """A run of which two trials have started."""
    run = FakeRun(scheduler, FakeGrid(POINTS[:count]), accuracy)
    for trial in (run.search_alg.next_trial() for _ in range(count)):
        run.add(trial)
    while (chosen := scheduler.choose_trial_to_run(run)) is not None:
        chosen.status = RUNNING
    return run


class TestScale:
    def test_percent(self):
        scheduler = scheduler_of("full", max_t=2, scale="percent")
        run = started(scheduler)
        for value in (50.0, 62.5):
            run.value = lambda config, iteration, value=value: {"value": value}
            run.report(run.trials[0])
        assert scheduler.curves["trial-0"].values == (0.5, 0.625)
        assert scheduler.forecast("trial-0").mean == 62.5
        assert scheduler.rows()[0]["last"] == 62.5

    def test_accuracies_become_scores_at_the_first_value_that_is_none(self):
        scheduler = scheduler_of("asha")
        run = started(scheduler)
        assert scheduler._driver.limits.metric == "accuracy"
        run.report(run.trials[0])
        assert scheduler._driver.limits.metric == "accuracy"
        run.value = reward
        run.report(run.trials[1])
        assert scheduler._driver.limits.metric == "score"

    @pytest.mark.parametrize(
        ("scale", "mode", "value"), [("accuracy", "max", 1.5), ("error", "min", -0.1), ("percent", "max", 101)]
    )
    def test_values_that_the_scale_does_not_have(self, scale, mode, value):
        run = started(scheduler_of("asha", mode=mode, scale=scale))
        run.value = lambda config, iteration: {"value": value}
        with pytest.raises(ValueError, match=rf"^value must lie in \[0, 10?0?\] for the scale {scale}, got {value:g}$"):
            run.report(run.trials[0])


class TestResults:
    @pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
    @pytest.mark.parametrize("mode", ["min", "max"])
    @pytest.mark.parametrize("policy", ["asha", "penguin", "order-settling"])
    def test_a_value_that_is_not_finite_stops(self, policy, mode, value):
        run = started(scheduler_of(policy, mode=mode))
        run.value = lambda config, iteration: {"value": value}
        assert run.report(run.trials[0]) == "STOP"
        assert run.scheduler.curves["trial-0"].state == "failed"
        assert run.scheduler.decisions["trial-0"].reason == "not finite at epoch 1"

    def test_a_missing_name_is_named(self):
        run = started(scheduler_of("asha"))
        with pytest.raises(
            ValueError,
            match=r"^result of trial 'trial-0' must hold training_iteration and value, lacks value; it has acc, t",
        ):
            run.scheduler.on_trial_result(run, run.trials[0], {"training_iteration": 1, "acc": 0.5})
        with pytest.raises(ValueError, match=r"lacks training_iteration, value; it has nothing$"):
            run.scheduler.on_trial_result(run, run.trials[0], {})

    def test_a_metric_may_come_less_often_than_results(self):
        run = started(scheduler_of("full"))
        run.report(run.trials[0])
        assert run.scheduler.on_trial_result(run, run.trials[0], {"training_iteration": 2}) == "CONTINUE"
        assert run.scheduler.curves["trial-0"].epochs == (1,)

    @pytest.mark.parametrize("value", [None, "high", [1]])
    def test_what_is_no_number_is_named(self, value):
        run = started(scheduler_of("asha"))
        with pytest.raises(ValueError, match=r"^value must be a number, got "):
            run.scheduler.on_trial_result(run, run.trials[0], {"training_iteration": 1, "value": value})

    def test_iterations_that_are_repeated_change_nothing(self):
        scheduler = scheduler_of("full")
        run = started(scheduler)
        run.report(run.trials[0])
        run.report(run.trials[0])
        before = scheduler.curves["trial-0"]
        run.trained["trial-0"] = 0  # it starts again
        run.value = lambda config, iteration: {"value": 0.0}
        assert [run.report(run.trials[0]) for _ in range(2)] == ["CONTINUE"] * 2
        assert scheduler.curves["trial-0"] == before

    def test_the_training_loss_is_a_second_signal(self):
        run = started(scheduler_of("full", train_loss="nll"))
        run.value = lambda config, iteration: {"value": 0.5, "nll": 1.25}
        run.report(run.trials[0])
        assert run.scheduler.curves["trial-0"].training == (1.25,)


class TestTime:
    def reported(self, times: list[float], **settings: Any) -> CurveScheduler:
        run = started(scheduler_of("full", time_attr="time_total_s", **settings))
        for place, seconds in enumerate(times):
            run.value = lambda config, iteration, t=seconds, v=place: {"time_total_s": t, "value": v / 10}
            run.report(run.trials[0])
        return run.scheduler

    def test_seconds_are_counted_in_a_200th_of_the_schedule(self):
        scheduler = self.reported([0.1, 2.9, 3.0, 3.1, 7.0, 11.0], max_t=600)
        assert scheduler.curves["trial-0"].epochs == (1, 2, 3)
        assert scheduler.curves["trial-0"].values == (0.0, 0.4, 0.5)
        assert scheduler.rows()[0]["trained"] == 9.0

    def test_the_resolution_can_be_given(self):
        assert self.reported([0.5, 1.0, 1.5, 2.0], max_t=4, resolution=0.5).curves["trial-0"].epochs == (1, 2, 3, 4)

    def test_the_end_is_max_t(self):
        scheduler = self.reported([400.0, 599.0, 601.3], max_t=600)
        assert scheduler.curves["trial-0"].state == "finished"
        assert scheduler.forecast("trial-0").mean == 0.2

    def test_the_budget_is_in_the_unit_of_the_time(self):
        run = FakeRun(
            scheduler_of("uniform", time_attr="time_total_s", max_t=600, budget=8 * 30),
            FakeGrid(POINTS),
            lambda config, iteration: {"time_total_s": 3.0 * iteration, **accuracy(config, iteration)},
        ).run()
        assert set(run.trained.values()) == {10}

    def test_steps_by_the_thousand(self):
        run = FakeRun(
            scheduler_of("asha", time_attr="steps", max_t=27_000),
            FakeGrid(POINTS),
            lambda config, iteration: {"steps": 1000 * iteration, **accuracy(config, iteration)},
        ).run()
        assert sorted(run.trained.values())[-1] > sorted(run.trained.values())[0]

    def test_a_trial_that_is_stopped_beyond_its_target_has_not_ended_by_itself(self, monkeypatch):
        monkeypatch.setattr(Trial, "trainable", tune.Trainable)
        scheduler = scheduler_of("asha", time_attr="steps", max_t=27_000)
        FakeRun(
            scheduler,
            FakeGrid(POINTS[:4]),
            lambda config, iteration: {"steps": 1000 * iteration, **accuracy(config, iteration)},
        ).run()
        assert [curve.state for curve in scheduler.curves.values()].count("finished") == 0

    def test_a_time_that_is_not_finite_is_refused(self):
        with pytest.raises(ValueError, match=r"^time must be a finite number, got nan"):
            self.reported([NAN])


class Function(FunctionTrainable):
    """What Tune makes of a function."""


class TestCheckpoints:
    @pytest.fixture(params=[tune.Trainable, Function])
    def unsaved(self, request, monkeypatch):
        monkeypatch.setattr(Trial, "trainable", request.param)

    def test_the_first_result_says_it_once(self, unsaved, caplog):
        run = started(scheduler_of("asha", max_t=9))
        with caplog.at_level(logging.WARNING):
            for trial in run.trials:
                run.report(trial)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "trial trial-0 keeps no checkpoint with its first result, and AshaPolicy pauses trials" in caplog.text

    def test_it_stops_instead_of_pausing(self, unsaved):
        run = started(scheduler_of("asha", max_t=9))
        assert run.report(run.trials[0]) == "STOP"
        assert run.scheduler.decisions["trial-0"].reason == "no checkpoint to pause with; came to epoch 1"

    def test_a_trial_that_the_policy_would_send_on_at_once_goes_on(self, unsaved):
        run = started(scheduler_of("asha", max_t=9, slots=4), 4)
        answers = {trial.config["x"]: run.report(trial) for trial in sorted(run.trials, key=lambda t: t.config["x"])}
        assert answers == {0.0: "STOP", 0.375: "STOP", 0.625: "CONTINUE", 0.875: "CONTINUE"}

    def test_it_can_be_refused(self, unsaved):
        run = started(scheduler_of("asha", without_checkpoints="refuse"))
        with pytest.raises(ValueError, match=r"^trial trial-0 keeps no checkpoint .*; report a checkpoint with every"):
            run.report(run.trials[0])

    @pytest.mark.parametrize("policy", ["penguin", "median", "full", "beating"])
    def test_a_policy_that_never_pauses_needs_none(self, unsaved, policy, caplog):
        FakeRun(scheduler_of(policy, without_checkpoints="refuse"), FakeGrid(POINTS), accuracy).run()
        assert not caplog.records

    def test_a_function_that_reports_one_is_paused(self, monkeypatch, caplog):
        monkeypatch.setattr(Trial, "trainable", Function)
        run = started(scheduler_of("asha", max_t=9))
        run.value = lambda config, iteration: {"value": 0.5, "should_checkpoint": True}
        assert run.report(run.trials[0]) == "PAUSE"
        assert not caplog.records

    def test_a_function_that_has_reported_one_before_is_paused(self, monkeypatch):
        monkeypatch.setattr(Trial, "trainable", Function)
        run = started(scheduler_of("asha", max_t=9))
        run.trials[0].saved = True
        assert run.report(run.trials[0]) == "PAUSE"


class TestLostWorkers:
    @pytest.mark.parametrize("search", [FakeGrid, FakeSearch])
    def test_a_trial_that_tune_gives_up_has_failed(self, search):
        run = FakeRun(scheduler_of("full"), search(POINTS), accuracy)
        run.step()
        lost = next(trial for trial in run.trials if trial.status == RUNNING)
        run.scheduler.on_trial_error(run, lost)
        lost.status = ERROR
        run.run()
        assert run.scheduler.decisions[lost.trial_id].reason == "its worker was lost too often"
        assert {trial.status for trial in run.trials} == {TERMINATED, ERROR}


class TestRestore:
    """As after ``Tuner.restore``: a new scheduler, and trials with their results on file."""

    def restored(
        self, folder: Path, iterations: int, status: str = PENDING, *, file: bool = True, **last: Any
    ) -> Trial:
        trial = Trial(f"trial-{iterations}-{status}")
        trial.config, trial.status = {"x": iterations / 10}, status
        results = [{"training_iteration": n, "eval": {"value": n / 100}} for n in range(1, iterations + 1)]
        trial.last_result = results[-1] | last if results else {"config": {}}
        path = folder / trial.trial_id
        path.mkdir()
        if file:
            lines = "".join(json.dumps(result) + "\n" for result in results)
            (path / "result.json").write_text(lines + '{"training_iteration": ')
        trial.storage = SimpleNamespace(trial_fs_path=str(path), storage_filesystem=LocalFileSystem())
        return trial

    def test_curves_are_found_again(self, tmp_path):
        scheduler = scheduler_of("asha", metric="eval/value")
        trials = [
            self.restored(tmp_path, 3),
            self.restored(tmp_path, 1, TERMINATED),
            self.restored(tmp_path, 27, TERMINATED),
            self.restored(tmp_path, 2, ERROR),
            self.restored(tmp_path, 0),
            self.restored(tmp_path, 0, TERMINATED),
        ]
        run = FakeRun(scheduler, FakeSearch([]), accuracy)
        for trial in trials:
            scheduler.on_trial_add(run, trial)
        found = [(curve.last_epoch, curve.state) for curve in scheduler.curves.values()]
        assert found == [(3, "paused"), (1, "stopped"), (27, "finished"), (2, "failed"), (0, "new"), (0, "stopped")]
        assert scheduler.curves["trial-3-PENDING"].values == (0.01, 0.02, 0.03)
        # The one with a curve waits for its turn even in a search; a trial that never started does not.
        assert [trial.status for trial in trials] == [PAUSED, TERMINATED, TERMINATED, ERROR, PENDING, TERMINATED]

    def test_results_beyond_the_file_count(self, tmp_path):
        scheduler = scheduler_of("asha", metric="eval/value")
        trial = self.restored(tmp_path, 3, training_iteration=5, eval={"value": 0.5})
        scheduler.on_trial_add(None, trial)
        assert scheduler.curves[trial.trial_id].epochs == (1, 2, 3, 5)

    def test_without_a_file_the_last_result_is_known(self, tmp_path, caplog):
        scheduler = scheduler_of("asha", metric="eval/value")
        trial = self.restored(tmp_path, 3, file=False)
        scheduler.on_trial_add(None, trial)
        assert scheduler.curves[trial.trial_id].epochs == (3,)
        assert "result.json of trial trial-3-PENDING cannot be read: only its last result is known" in caplog.text

    def test_the_scheduler_that_tune_keeps_is_a_new_one(self):
        scheduler = scheduler_of("penguin", window=2)
        copy = pickle.loads(pickle.dumps(scheduler))
        assert (copy.metric, copy.curves) == ("value", {})
        assert copy._driver.policy.window == 2


class TestForecasts:
    def test_the_end_of_a_trial(self):
        scheduler = scheduler_of("order-settling", budget=80)
        run = FakeRun(scheduler, FakeGrid(POINTS), accuracy).run()
        places = {trial.config["x"]: scheduler.forecast(trial).place for trial in run.trials}
        assert [x for x, _ in sorted(places.items(), key=lambda one: one[1])] == sorted(places, reverse=True)
        forecast = scheduler.forecast(run.trials[0])
        assert abs(forecast.mean - accuracy(run.trials[0].config, 27)["value"]) < 3 * forecast.sd
        assert forecast.trials == 8

    def test_a_sudden_drop_of_the_learning_rate_that_is_named_widens_it(self):
        spreads = []
        for drops in ((), (26,)):
            scheduler = scheduler_of("uniform", budget=80, drops=drops)
            run = FakeRun(scheduler, FakeGrid(POINTS), accuracy).run()
            spreads.append(scheduler.forecast(run.trials[0]).sd)
        assert spreads[1] > spreads[0]

    def test_a_finished_trial_is_measured(self):
        scheduler = FullScheduler(metric="value", mode="max", max_t=5, slots=2)
        run = FakeRun(scheduler, FakeGrid(POINTS), accuracy).run()
        forecast = scheduler.forecast(run.trials[3])
        assert (forecast.mean, forecast.sd, forecast.place) == (accuracy({"x": 7 / 8}, 5)["value"], 0.0, 1)

    def test_nothing_is_known_of_a_trial_without_results(self):
        run = started(scheduler_of("asha"))
        forecast = run.scheduler.forecast(run.trials[0])
        assert math.isnan(forecast.mean)
        assert (forecast.place, forecast.trials) == (0, 0)
        with pytest.raises(ValueError, match=r"^trial 'other' is none of the 2 that the scheduler knows"):
            run.scheduler.forecast("other")

    def test_rows_for_the_frame_of_results(self):
        scheduler = scheduler_of("asha")
        FakeRun(scheduler, FakeGrid(POINTS), accuracy).run()
        rows = scheduler.rows()
        assert [row["trial_id"] for row in rows] == [f"trial-{place}" for place in range(8)]
        assert sorted(row["place"] for row in rows) == [*range(1, 9)]
        assert all(row["reason"] for row in rows)

    def test_a_forecast_follows_the_results(self):
        run = started(scheduler_of("full"))
        run.report(run.trials[0])
        before = run.scheduler.forecast("trial-0")
        run.report(run.trials[1])
        assert run.scheduler.forecast("trial-0").trials == before.trials + 1


def test_without_a_budget_order_settling_trains_all_and_says_so(caplog):
    scheduler = OrderSettlingScheduler(metric="value", mode="max", max_t=9, slots=2)
    assert set(FakeRun(scheduler, FakeGrid(POINTS), accuracy).run().trained.values()) == {9}
    assert "OrderSettlingScheduler: order-settling trains every trial to max_t without a budget" in caplog.text
    caplog.clear()
    OrderSettlingScheduler(target_tau=0.8)
    OrderSettlingScheduler(budget=40)
    assert not caplog.records
