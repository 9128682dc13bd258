"""When a budget in time ends a stage, with candidates whose epochs take from 1 to 50 seconds."""

from __future__ import annotations

import heapq
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from taurank.orchestrator.experiment.budget import read_budget
from taurank.orchestrator.stages.launch import StageStopper

EPOCHS = 4


def end_of(budget: str, left: float, workers: int, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float, float]:
    """When a stage of 30 candidates ends: seconds on the clock, of devices, and those of the epoch that ended it."""
    seconds = np.random.default_rng(3).permutation(np.geomspace(1.0, 50.0, 30))
    recorder = SimpleNamespace(spent_seconds=7.0, spent_epochs=0.0, began=100.0)
    purse: Any = SimpleNamespace(budget=read_budget(budget), left=lambda: left)
    idle: Any = SimpleNamespace(requested=False, problem="")
    stopper = StageStopper(recorder, idle, idle, None, purse)  # type: ignore[arg-type]
    waiting = list(seconds)
    running = [(waiting.pop(0), worker) for worker in range(workers)]
    took = {worker: each for each, worker in running}
    done = dict.fromkeys(range(workers), 0)
    heapq.heapify(running)
    while running:
        now, worker = heapq.heappop(running)
        recorder.spent_seconds += took[worker]
        monkeypatch.setattr(time, "monotonic", lambda now=now: 100.0 + now)
        if stopper.stop_all():
            return now, recorder.spent_seconds - 7.0, took[worker]
        done[worker] += 1
        if done[worker] == EPOCHS:
            if not waiting:
                continue
            took[worker], done[worker] = waiting.pop(0), 0
        heapq.heappush(running, (now + took[worker], worker))
    raise AssertionError("it was never ended")


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("left", [20.0, 150.0, 400.0])
def test_device_time_is_overspent_by_less_than_an_epoch(
    left: float, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, spent, last = end_of("1 core-hours", left, workers, monkeypatch)
    assert left <= spent < left + last


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("left", [20.0, 150.0, 300.0])
def test_the_clock_is_overrun_by_less_than_an_epoch(left: float, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now, _, last = end_of("1h", left, workers, monkeypatch)
    assert left <= now < left + last
