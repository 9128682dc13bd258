"""Simulated workers: who trains when, for how long, and what a scheduler makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from orchestrator.replay.clock import Simulated, SimulatedStage
from schedulers.policies import Curve, Decision
from schedulers.tune import PolicyScheduler, make_scheduler
from trainables.table import RecordedTable, TableInfo
from trainables.table.format import COLUMNS
from trainables.table.metrics import describe_all
from trainables.table.recorded_training import RecordedTraining

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


def simulate(trainings: Mapping[str, RecordedTraining], **settings: object) -> Simulated:
    scheduler = make_scheduler("none", schedule_epochs=2, candidates=len(trainings))
    return SimulatedStage(trainings, scheduler, **({"workers": 2} | settings)).run()  # type: ignore[arg-type]


def order(simulated: Simulated) -> list[tuple[str, int]]:
    return [(result.trial, result.step.epoch) for result in simulated.results]


THREE = {"a": [0.1, 0.2], "b": [0.3, 0.4], "c": [0.5, 0.6]}


def test_three_trials_on_two_workers() -> None:
    """Trial a takes 10 s, b 4 s; c follows b and takes 8 s, from 4 to 12."""
    simulated = simulate(recorded(THREE, {"a": 5.0, "b": 2.0, "c": 4.0}))
    assert simulated.seconds == 12.0
    assert simulated.timed
    assert order(simulated) == [("b", 1), ("b", 2), ("a", 1), ("c", 1), ("a", 2), ("c", 2)]
    assert simulated.left == ()
    assert [result.outcome for result in simulated.results] == ["", "completed", "", "", "completed", "completed"]


@pytest.mark.parametrize(("workers", "seconds"), [(1, 22.0), (3, 10.0), (8, 10.0)])
def test_wall_time_by_workers(workers: int, seconds: float) -> None:
    assert simulate(recorded(THREE, {"a": 5.0, "b": 2.0, "c": 4.0}), workers=workers).seconds == seconds


def test_without_times_the_clock_takes_those_of_an_epoch() -> None:
    simulated = simulate(recorded(THREE, {"a": UNKNOWN, "b": UNKNOWN, "c": UNKNOWN}), epoch_seconds=3.0)
    assert not simulated.timed
    assert simulated.seconds == 12.0
    assert all(result.step.seconds == 0.0 for result in simulated.results)


@pytest.mark.parametrize(("budget", "epochs"), [(0.0, 0), (3.0, 3), (3.9, 3), (6.0, 6), (100.0, 6)])
def test_no_step_is_begun_beyond_the_budget(budget: float, epochs: int) -> None:
    simulated = simulate(recorded(THREE, {"a": 5.0, "b": 2.0, "c": 4.0}), budget_epochs=budget)
    assert sum(result.step.epochs for result in simulated.results) == epochs
    ended = {result.trial for result in simulated.results if result.outcome}
    assert set(simulated.left) == set(THREE) - ended
    assert simulated.out_of_budget == (epochs < 6)


def test_a_result_says_why_its_trial_was_stopped() -> None:
    curves = {"flat": [0.1] * 12, "rising": list(np.linspace(0.1, 0.9, 12))}
    scheduler = make_scheduler("penguin", schedule_epochs=12, candidates=2)
    stage = SimulatedStage(recorded(curves, {"flat": 1.0, "rising": 1.0}), scheduler, workers=1)
    stopped = {result.trial: result for result in stage.run().results if result.outcome == "stopped"}
    assert "flat" in stopped
    assert stopped["flat"].prediction == pytest.approx(0.1, abs=0.01)
    assert stopped["flat"].reason.endswith(f"after epoch {stopped['flat'].step.epoch}")


class BreadthFirst:
    """Pauses whoever is ahead of the other, who may not have begun."""

    def decide(self, curves: Mapping[str, Curve]) -> dict[str, Decision]:
        done = {trial: len(curve.epochs) for trial, curve in curves.items()}
        least = min(done.values()) if len(done) == 2 else 0
        return {
            trial: Decision("pause" if epochs > least else "continue", "breadth first", 0.5)
            for trial, epochs in done.items()
        }


def test_a_paused_trial_frees_its_worker_and_goes_on_later() -> None:
    curves = {"a": [0.1, 0.2, 0.3], "b": [0.1, 0.2, 0.3]}
    stage = SimulatedStage(recorded(curves, {"a": 1.0, "b": 1.0}), PolicyScheduler(BreadthFirst()), workers=1)
    simulated = stage.run()
    assert order(simulated) == [("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3)]
    assert simulated.seconds == 6.0
    assert simulated.left == ()
