"""The schedulers inside a real Ray Tune: trials are synthetic curves, workers are real processes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from taurank.schedulers import CurveScheduler
from taurank.schedulers.policies import Curve, Decision, Decisions, Limits, Step
from taurank.schedulers.policies.penguin import PenguinPolicy
from taurank.schedulers.tune import make_scheduler

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

EPOCHS = 9
LIMITS = {"a": 0.90, "b": 0.85, "c": 0.80, "d": 0.75, "e": 0.70, "f": 0.65}
DIVERGES = ("g", 3)  # at its third epoch


def accuracy(name: str, epoch: int) -> float:
    """Names a to c saturate; d to f rise in a straight line, which never settles; g diverges."""
    if name == DIVERGES[0]:
        return math.nan if epoch >= DIVERGES[1] else 0.1
    if name in "abc":
        return LIMITS[name] - 0.5 * 2.0**-epoch
    return LIMITS[name] * epoch / EPOCHS


def trainable(crash: Path | None = None) -> type[tune.Trainable]:
    """Made inside a function, so that workers need not import this file; a worker dies where ``crash`` lies."""
    names = (*LIMITS, DIVERGES[0])
    table = {name: [accuracy(name, epoch) for epoch in range(1, EPOCHS + 1)] for name in names}

    class Synthetic(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.name, self.epoch = config["trial"], 0

        def reset_config(self, config: dict[str, Any]) -> bool:
            self.setup(config)
            return True

        def step(self) -> dict[str, Any]:
            self.epoch += 1
            if crash is not None and crash.exists() and crash.read_text() == f"{self.name} {self.epoch}":
                crash.unlink()
                os._exit(1)
            value = table[self.name][self.epoch - 1]
            done = self.epoch == EPOCHS
            return {"epoch": self.epoch, "validation_accuracy": value, "train_loss": 1 / self.epoch, "done": done}

        def save_checkpoint(self, folder: str) -> None:
            (Path(folder) / "state.json").write_text(json.dumps(self.epoch))

        def load_checkpoint(self, folder: str) -> None:
            self.epoch = json.loads((Path(folder) / "state.json").read_text())

    return Synthetic


class KeepsPredictions(tune.Callback):
    """Adds the prediction to the result, as whoever logs the results may do."""

    def __init__(self, scheduler: CurveScheduler) -> None:
        self.scheduler = scheduler

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        decision = self.scheduler.decisions.get(trial.config["trial"])
        result["predicted_accuracy"] = math.nan if decision is None else decision.prediction


class Rung:
    """Sends everybody to epoch 3; when all are there, the best two go on and the worst is stopped."""

    judges_running = False

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        def waits(curve: Curve) -> bool:
            return curve.state in ("new", "paused")

        decisions = {name: Decision("continue", "", 0.5) for name in curves}
        young = [c for c in curves.values() if c.last_epoch < 3 and c.state in ("new", "paused", "running")]
        if young:
            return Decisions(decisions, tuple(Step(c.trial, 3, "to the rung") for c in young if waits(c)))
        there = sorted((c for c in curves.values() if len(c.epochs) >= 3), key=lambda c: -c.values[2])
        steps = tuple(Step(c.trial, limits.schedule_epochs, "best two") for c in there[:2] if waits(c))
        decisions[there[-1].trial] = Decision("stop", "worst", 0.1)
        return Decisions(decisions, steps, phase="running" if steps else "done", reason="the rung is cut")


def run(scheduler: Any, folder: Path, names: str, crash: Path | None = None) -> dict[str, dict[str, Any]]:
    """Run one trial a name and return the last result of each that ran."""
    callbacks = [KeepsPredictions(scheduler)] if isinstance(scheduler, CurveScheduler) else []
    results = tune.Tuner(
        tune.with_resources(trainable(crash), {"cpu": 1}),
        param_space={"trial": tune.grid_search(list(names))},
        tune_config=tune.TuneConfig(scheduler=scheduler, reuse_actors=True, time_budget_s=60),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(folder),
            verbose=0,
            callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=2),
        ),
    ).fit()
    assert not results.errors
    return {result.config["trial"]: result.metrics for result in results if result.config}


def test_penguin_stops_settled_trials_where_the_policy_says(tmp_path):
    policy = PenguinPolicy()
    expected: dict[str, tuple[int, Decision]] = {}
    for name in "abdeg":
        for n in range(1, EPOCHS + 1):
            epochs = tuple(range(1, n + 1))
            values = tuple(accuracy(name, epoch) for epoch in epochs)
            curve = Curve(name, epochs, values, state="running", until=EPOCHS)
            expected[name] = n, policy.decide({name: curve}, Limits(EPOCHS)).trials[name]
            if expected[name][1].action == "stop":
                break
    scheduler = make_scheduler("penguin", schedule_epochs=EPOCHS, trials=dict.fromkeys("abdeg", ()), slots=2)
    last = run(scheduler, tmp_path, "abdeg")
    assert {name: metrics["epoch"] for name, metrics in last.items()} == {n: e for n, (e, _) in expected.items()}
    assert max(last[name]["epoch"] for name in "ab") < EPOCHS
    assert last["d"]["epoch"] == last["e"]["epoch"] == EPOCHS
    assert last["g"]["epoch"] == DIVERGES[1]
    for name in "ab":
        assert last[name]["predicted_accuracy"] == pytest.approx(expected[name][1].prediction)
        assert last[name]["predicted_accuracy"] == pytest.approx(LIMITS[name], abs=0.005)
    assert math.isnan(last["g"]["predicted_accuracy"])


def test_asha_runs_to_the_end(tmp_path):
    scheduler = make_scheduler("ray-asha", schedule_epochs=EPOCHS, trials=dict.fromkeys("abcdefg", ()))
    last = run(scheduler, tmp_path, "abcdefg")
    assert last["a"]["epoch"] == EPOCHS  # the best of all, wherever it comes in
    assert last["g"]["epoch"] <= DIVERGES[1]
    assert sum(metrics["epoch"] for metrics in last.values()) < 7 * EPOCHS


def test_hyperband_runs_to_the_end(tmp_path):
    scheduler = make_scheduler("ray-hyperband", schedule_epochs=EPOCHS, trials=dict.fromkeys("abcdefg", ()))
    last = run(scheduler, tmp_path, "abcdefg")
    assert {name: last[name]["epoch"] for name in "abc"} == dict.fromkeys("abc", EPOCHS)  # the bracket without cuts
    # Four of five places of the next bracket: all pause at epoch 3, two go on; g diverges there.
    assert sorted(last[name]["epoch"] for name in "defg") == [3, 3, EPOCHS, EPOCHS]
    assert (last["d"]["epoch"], last["e"]["epoch"]) == (EPOCHS, EPOCHS)


def scheduler_of_a_rung(names: str) -> CurveScheduler:
    return CurveScheduler(
        Rung(),
        "epoch",
        EPOCHS,
        "validation_accuracy",
        "max",
        train_loss="train_loss",
        slots=2,
        trials=dict.fromkeys(names, ()),
    )


RUNG = {"a": (9, "finished"), "b": (9, "finished"), "c": (3, "paused"), "d": (3, "paused"), "e": (3, "stopped")}


def standing(scheduler: CurveScheduler) -> dict[str, tuple[int, str]]:
    return {name: (curve.last_epoch, curve.state) for name, curve in scheduler.curves.items()}


def test_a_policy_that_pauses(tmp_path):
    scheduler = scheduler_of_a_rung("edcba")
    last = run(scheduler, tmp_path, "edcba")
    assert standing(scheduler) == RUNG
    assert {name: metrics["epoch"] for name, metrics in last.items()} == {
        name: epoch for name, (epoch, _) in RUNG.items()
    }
    assert last["a"]["training_iteration"] == EPOCHS  # went on from its checkpoint
    assert scheduler.curves["a"].training == tuple(1 / epoch for epoch in range(1, EPOCHS + 1))
    assert scheduler.latest.reason == "the rung is cut"


@pytest.mark.parametrize("where", ["d 2", "a 6"])
def test_a_worker_that_dies_changes_nothing(tmp_path, where):
    crash = tmp_path / "crash"
    crash.write_text(where)
    scheduler = scheduler_of_a_rung("edcba")
    run(scheduler, tmp_path, "edcba", crash)
    assert not crash.exists()
    assert standing(scheduler) == RUNG


def test_a_run_that_goes_on_from_its_curves(tmp_path):
    """As after an interruption: new trials, which report what they had already."""
    scheduler = scheduler_of_a_rung("edcba")
    begun = {"e": 3, "d": 2, "c": 3}
    scheduler.load_curves(
        Curve(name, tuple(range(1, n + 1)), tuple(accuracy(name, epoch) for epoch in range(1, n + 1)), state="running")
        for name, n in begun.items()
    )
    last = run(scheduler, tmp_path, "edcba")
    assert set(last) == set("dba")  # the others have nothing left to do
    assert standing(scheduler) == RUNG
