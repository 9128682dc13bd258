"""Simulated workers: who trains when, for how long, and what a policy makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.replay.clock import InTurn, Result, SimulatedStage
from taurank.schedulers.policies import Curve, Decision, Decisions, Limits, Policy, Step
from taurank.schedulers.policies.driver import Driver
from taurank.schedulers.policies.penguin import PenguinPolicy
from taurank.trainables.table import RecordedTable, TableInfo
from taurank.trainables.table.format import COLUMNS
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded_training import RecordedTraining

UNKNOWN = float("nan")


def recorded(curves: Mapping[str, Sequence[float]], seconds: Mapping[str, float]) -> dict[str, RecordedTraining]:
    """Trainings with these accuracies by epoch, each of whose epochs takes so many seconds."""
    rows = [
        [code, "training", epoch, len(curve), 0, "validation_accuracy", value, seconds[code]]
        for code, curve in curves.items()
        for epoch, value in enumerate(curve, start=1)
    ]
    info = TableInfo("made-up", "nothing", describe_all(["validation_accuracy"]))
    table = RecordedTable(info, pd.DataFrame(rows, columns=list(COLUMNS)))
    return {code: RecordedTraining(table, code, len(curve), 0) for code, curve in curves.items()}


@dataclass(frozen=True)
class Simulated:
    events: tuple[Step | Result, ...]
    seconds: float
    timed: bool

    @property
    def results(self) -> list[Result]:
        return [event for event in self.events if isinstance(event, Result)]


def simulate(
    trainings: Mapping[str, RecordedTraining],
    *,
    policy: Policy | None = None,
    workers: int = 2,
    epochs: int = 2,
    budget_epochs: float = math.inf,
    **settings: float,
) -> Simulated:
    driver = Driver(policy or InTurn(), Limits(epochs, budget_epochs, workers), dict.fromkeys(trainings, ()))
    stage = SimulatedStage(trainings, driver, **settings)
    events = tuple(stage.run())
    return Simulated(events, stage.seconds, stage.timed)


def order(simulated: Simulated) -> list[tuple[str, int]]:
    return [(result.trial, result.step.epoch) for result in simulated.results]


THREE = {"a": [0.1, 0.2], "b": [0.3, 0.4], "c": [0.5, 0.6]}


def test_three_trials_on_two_workers() -> None:
    """Trial a takes 10 s, b 4 s; c follows b and takes 8 s, from 4 to 12."""
    simulated = simulate(recorded(THREE, {"a": 5.0, "b": 2.0, "c": 4.0}))
    assert simulated.seconds == 12.0
    assert simulated.timed
    assert order(simulated) == [("b", 1), ("b", 2), ("a", 1), ("c", 1), ("a", 2), ("c", 2)]
    assert [result.action for result in simulated.results] == ["continue", "stop"] + ["continue"] * 2 + ["stop"] * 2


@pytest.mark.parametrize(("workers", "seconds"), [(1, 22.0), (3, 10.0), (8, 10.0)])
def test_wall_time_by_workers(workers: int, seconds: float) -> None:
    assert simulate(recorded(THREE, {"a": 5.0, "b": 2.0, "c": 4.0}), workers=workers).seconds == seconds


def test_without_times_the_clock_takes_those_of_an_epoch() -> None:
    simulated = simulate(recorded(THREE, {"a": UNKNOWN, "b": UNKNOWN, "c": UNKNOWN}), epoch_seconds=3.0)
    assert not simulated.timed
    assert simulated.seconds == 12.0
    assert all(result.step.seconds == 0.0 for result in simulated.results)


@pytest.mark.parametrize(("budget", "epochs"), [(0.5, 0), (3.0, 3), (3.9, 3), (6.0, 6), (100.0, 6)])
def test_no_step_is_begun_beyond_the_budget(budget: float, epochs: int) -> None:
    simulated = simulate(recorded(THREE, {"a": 5.0, "b": 2.0, "c": 4.0}), budget_epochs=budget)
    assert sum(result.step.epochs for result in simulated.results) == epochs
    whole = {result.trial for result in simulated.results if result.action == "stop"}
    assert len(whole) == {0: 0, 3: 1, 6: 3}[epochs]


def test_a_result_says_why_its_trial_was_stopped() -> None:
    curves = {"flat": [0.1] * 12, "rising": list(np.linspace(0.1, 0.9, 12))}
    trainings = recorded(curves, {"flat": 1.0, "rising": 1.0})
    simulated = simulate(trainings, policy=PenguinPolicy(), workers=1, epochs=12)
    (flat,) = [result for result in simulated.results if result.trial == "flat" and result.action == "stop"]
    assert flat.curve.state == "stopped"
    assert flat.decision.prediction == pytest.approx(0.1, abs=0.01)
    assert flat.decision.saved_epochs == 12 - flat.step.epoch > 0


class BreadthFirst:
    """Sends whoever has trained least one epoch on."""

    judges_running = False

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        waiting = [curve for curve in curves.values() if curve.state in ("new", "paused")]
        least = min((curve.last_epoch for curve in waiting), default=0)
        steps = tuple(Step(c.trial, least + 1, "breadth first") for c in waiting if c.last_epoch == least)
        return Decisions({trial: Decision("continue", "breadth first", 0.5) for trial in curves}, steps)


def test_a_paused_trial_frees_its_worker_and_goes_on_later() -> None:
    curves = {"a": [0.1, 0.2, 0.3], "b": [0.1, 0.2, 0.3]}
    simulated = simulate(recorded(curves, {"a": 1.0, "b": 1.0}), policy=BreadthFirst(), workers=1, epochs=3)
    assert order(simulated) == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 3)]
    assert [result.action for result in simulated.results] == ["pause"] * 4 + ["stop"] * 2
    assert simulated.seconds == 6.0


def test_a_trial_that_was_trained_before_goes_on_after_its_last_epoch() -> None:
    trainings = recorded({"a": [0.1, 0.2, 0.3]}, {"a": 2.0})
    driver = Driver(InTurn(), Limits(3), {"a": ()})
    driver.load([Curve("a", (1, 2), (0.1, 0.2))])
    stage = SimulatedStage(trainings, driver)
    step, result = stage.run()
    assert step == Step("a", 3, "its turn")
    assert (result.step.epoch, result.curve.values) == (3, (0.1, 0.2, 0.3))
    assert stage.seconds == 2.0
