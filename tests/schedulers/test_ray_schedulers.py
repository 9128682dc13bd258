"""The schedulers inside a real Ray Tune: trials are synthetic curves, workers are real processes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune

from schedulers.policies import Curve, Decision, PenguinPolicy
from schedulers.tune import PolicyScheduler, make_scheduler, trial_key

pytestmark = pytest.mark.slow

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


def trainable() -> type[tune.Trainable]:
    """Made inside a function, so that workers need not import this file."""
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
            value = table[self.name][self.epoch - 1]
            return {"epoch": self.epoch, "validation_accuracy": value, "done": self.epoch == EPOCHS}

        def save_checkpoint(self, folder: str) -> None:
            (Path(folder) / "state.json").write_text(json.dumps(self.epoch))

        def load_checkpoint(self, folder: str) -> None:
            self.epoch = json.loads((Path(folder) / "state.json").read_text())

    return Synthetic


class KeepsPredictions(tune.Callback):
    """Adds the prediction to the result, as whoever logs the results may do."""

    def __init__(self, scheduler: PolicyScheduler) -> None:
        self.scheduler = scheduler

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        decision = self.scheduler.decisions.get(trial_key(trial))
        result["predicted_accuracy"] = math.nan if decision is None else decision.prediction


class Rung:
    """Pauses every trial at epoch 3; when the given number are there, the best two go on."""

    def __init__(self, trials: int) -> None:
        self.trials = trials

    def decide(self, curves: Mapping[str, Curve]) -> dict[str, Decision]:
        there = sorted((c for c in curves.values() if len(c.epochs) >= 3), key=lambda c: -c.values[2])
        kept = {c.trial for c in there[:2]} if len(there) == self.trials else set()
        decisions = {}
        for name, curve in curves.items():
            if curve not in there or name in kept:
                decisions[name] = Decision("continue", "", math.nan)
            else:
                decisions[name] = Decision("stop" if kept else "pause", "", math.nan)
        return decisions


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def run(scheduler: Any, folder: Path, names: str) -> dict[str, dict[str, Any]]:
    """Run one trial a name and return the last result of each."""
    callbacks = [KeepsPredictions(scheduler)] if isinstance(scheduler, PolicyScheduler) else []
    results = tune.Tuner(
        tune.with_resources(trainable(), {"cpu": 1}),
        param_space={"trial": tune.grid_search(list(names))},
        tune_config=tune.TuneConfig(scheduler=scheduler, reuse_actors=True, time_budget_s=60),
        run_config=tune.RunConfig(name="run", storage_path=str(folder), verbose=0, callbacks=callbacks),
    ).fit()
    assert not results.errors
    return {result.config["trial"]: result.metrics for result in results}


def test_penguin_stops_settled_trials_where_the_policy_says(tmp_path):
    policy = PenguinPolicy(EPOCHS)
    expected: dict[str, tuple[int, Decision]] = {}
    for name in "abdeg":
        for n in range(1, EPOCHS + 1):
            curve = Curve(name, tuple(range(1, n + 1)), tuple(accuracy(name, epoch) for epoch in range(1, n + 1)))
            expected[name] = n, policy.decide({name: curve})[name]
            if expected[name][1].action == "stop":
                break
    scheduler = make_scheduler("penguin", schedule_epochs=EPOCHS, candidates=5)
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
    scheduler = make_scheduler("asha", schedule_epochs=EPOCHS, candidates=7)
    last = run(scheduler, tmp_path, "abcdefg")
    assert last["a"]["epoch"] == EPOCHS  # the best of all, wherever it comes in
    assert last["g"]["epoch"] <= DIVERGES[1]
    assert sum(metrics["epoch"] for metrics in last.values()) < 7 * EPOCHS


def test_hyperband_runs_to_the_end(tmp_path):
    scheduler = make_scheduler("hyperband", schedule_epochs=EPOCHS, candidates=7)
    last = run(scheduler, tmp_path, "abcdefg")
    assert {name: last[name]["epoch"] for name in "abc"} == dict.fromkeys("abc", EPOCHS)  # the bracket without cuts
    # Four of five places of the next bracket: all pause at epoch 3, two go on; g diverges there.
    assert sorted(last[name]["epoch"] for name in "defg") == [3, 3, EPOCHS, EPOCHS]
    assert (last["d"]["epoch"], last["e"]["epoch"]) == (EPOCHS, EPOCHS)


def test_a_policy_that_pauses(tmp_path):
    last = run(PolicyScheduler(Rung(trials=5)), tmp_path, "edcba")
    assert {name: metrics["epoch"] for name, metrics in last.items()} == {"a": 9, "b": 9, "c": 3, "d": 3, "e": 3}
    assert last["a"]["training_iteration"] == EPOCHS  # went on from its checkpoint
