"""Time left on a simulated clock: candidates that take unequally long, in several orders, on one to ten workers."""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np
import pytest

from taurank.orchestrator.session.time_left import Work, trainings_left

EPOCHS = 5


def simulated(seconds: np.ndarray, workers: int, stop_at: float) -> tuple[list[list[float]], list[float | None], float]:
    """Times at which the epochs of each trial ended before a moment, when each of them began, and the end of all."""
    free = [(0.0, worker) for worker in range(workers)]
    ended: list[list[float]] = []
    began: list[float | None] = []
    last = 0.0
    for each in seconds:
        at, worker = heapq.heappop(free)
        times = at + each * np.arange(1, EPOCHS + 1)
        heapq.heappush(free, (float(times[-1]), worker))
        last = max(last, float(times[-1]))
        ended.append([float(time) for time in times if time <= stop_at])
        began.append(at if at <= stop_at else None)
    return ended, began, last


def question(seconds: np.ndarray, weights: np.ndarray, workers: int, now: float) -> list[Work]:
    work = []
    for weight, times, at in zip(weights, *simulated(seconds, workers, now)[:2], strict=True):
        since = None if at is None or len(times) == EPOCHS else now - max([at, *times])
        took = 0.0 if at is None or not times else times[-1] - at
        work.append(Work(float(weight), len(times), took, EPOCHS - len(times), since))
    return work


def moment(seconds: np.ndarray, workers: int, share: float) -> float:
    """When a share of the epochs of a stage have ended."""
    ended = sorted(time for times in simulated(seconds, workers, np.inf)[0] for time in times)
    return ended[int(np.ceil(share * len(ended))) - 1]


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
@pytest.mark.parametrize("candidates", [12, 60])
def test_within_a_factor_of_two_after_a_tenth(workers: int, order: str, candidates: int) -> None:
    generator = np.random.default_rng(candidates)
    seconds = np.geomspace(1.0, 50.0, candidates)
    seconds = {"rising": seconds, "falling": seconds[::-1], "shuffled": generator.permutation(seconds)}[order]
    measured = seconds * generator.uniform(0.7, 1.3, candidates)  # a few batches on a machine with other work
    for share in (0.1, 0.2, 0.5, 0.8):
        now = moment(seconds, workers, share)
        found = trainings_left(question(seconds, measured, workers, now), workers, in_seconds=True)
        assert found is not None
        true = simulated(seconds, workers, np.inf)[2] - now
        assert true / 2 <= found.seconds <= true * 2


@pytest.mark.parametrize("workers", [1, 4, 10])
@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_sizes_stand_for_seconds_that_were_not_measured(workers: int, order: str) -> None:
    """An epoch is a constant and so much for each operation; only the operations are known."""
    generator = np.random.default_rng(5)
    flops = np.geomspace(1e6, 1e8, 40)
    flops = {"rising": flops, "falling": flops[::-1], "shuffled": generator.permutation(flops)}[order]
    seconds = 2.0 + flops * 2e-7
    now = moment(seconds, workers, 0.1)
    found = trainings_left(question(seconds, flops, workers, now), workers, in_seconds=False)
    assert found is not None
    true = simulated(seconds, workers, np.inf)[2] - now
    assert true / 2 <= found.seconds <= true * 2


def test_measured_seconds_do_without_an_epoch() -> None:
    waiting = [Work(3.0, left=2), Work(1.0, left=2)]
    found = trainings_left(waiting, 2, in_seconds=True)
    assert found is not None
    assert (found.seconds, found.epoch_seconds) == pytest.approx((6.0, 1.0))
    assert trainings_left(waiting, 2, in_seconds=False) is None
    assert trainings_left([], 2, in_seconds=True) is None


def test_an_epoch_under_way_counts() -> None:
    one = Work(1.0, done=1, seconds=10.0, left=2)
    for since, left in ((0.0, 20.0), (6.0, 14.0), (30.0, 0.0)):
        found = trainings_left([replace(one, since=since)], 1, in_seconds=False)
        assert found is not None
        assert found.seconds == pytest.approx(left)
