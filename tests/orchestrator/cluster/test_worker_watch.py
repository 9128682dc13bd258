"""When a trial has lost too many workers, and when a silent one hangs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray
from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial

from taurank.orchestrator.cluster.tune import use_trial_actors
from taurank.orchestrator.cluster.worker_watch import FIRST_PATIENCE, LEAST_PATIENCE, LOSSES, WorkerWatch, describe_loss

CRASH = """Failure # 1 (occurred at 2026-11-23_03-32-51)
The actor died unexpectedly before finishing this task.
\tclass_name: ArchitectureTrial
\tpid: 29471
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker \
unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was killed \
by the OOM killer due to high memory usage, to prevent node deaths by resource contention.
"""
MEMORY = """Failure # 2 (occurred at 2026-11-23_03-29-11)
1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: bc18) was \
21.15GB used / 23.54GB limit (0.898607)
OOM kill reason: Memory usage exceeded threshold
"""
NODE = """Failure # 1 (occurred at 2026-11-23_03-29-11)
The actor died unexpectedly before finishing this task.
The actor died because its node has died. Node Id: 0bc1 was terminated: unexpectedly
"""
CUT = """Failure # 1 (occurred at 2026-11-23_04-22-51)
The actor 1ec7 is unavailable: The actor is temporarily unavailable: RpcError: RPC error: Socket closed rpc_code: 14. \
The task may or may not have been executed on the actor.
"""
RAISED = """Failure # 3 (occurred at 2026-11-23_03-32-53)
ray::ArchitectureTrial.train() (pid=29520)
  File "trials.py", line 9, in step
OSError: [Errno 5] Input/output error
"""


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def trial_of(key: str, status: str = Trial.RUNNING) -> Any:
    actor = None if status == Trial.PAUSED else f"worker of {key}"
    return SimpleNamespace(
        config={"trial": key},
        status=status,
        temporary_state=SimpleNamespace(ray_actor=actor),
        num_failures=0,
        max_failures=-1,
    )


def pass_time(watch: WorkerWatch, clock: Clock, seconds: float, *trials: Any) -> None:
    """Looks every five seconds, as a driver does that has nothing else to do."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now += 5
        watch.look(list(trials))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CRASH, "its worker was killed or crashed (as the system does where memory runs out)"),
        (
            CRASH + MEMORY,
            "out of memory: its worker was ended, the node was low on memory (21.15GB used / 23.54GB limit)",
        ),
        (MEMORY + NODE, "its node was lost"),
        (CUT, "its worker cannot be reached"),
        (NODE + RAISED, "OSError: [Errno 5] Input/output error"),
        ("", "its worker was lost"),
    ],
)
def test_a_loss_is_described_by_the_last_one(error: str, reason: str) -> None:
    assert describe_loss(error) == reason


def lose(watch: WorkerWatch, trial: Any, error: str = CRASH) -> bool:
    """One more loss, with the questions that Tune and the recorder ask; returns whether Tune tries again."""
    trial.num_failures += 1
    tries_again: bool = trial.max_failures < 0 or trial.num_failures <= trial.max_failures
    _, over = watch.lost("a", error)
    if tries_again:
        watch.allow(trial)
    assert over is not tries_again
    return tries_again


def test_the_fourth_worker_lost_without_a_result_is_one_too_many(clock: Clock) -> None:
    watch, trial = WorkerWatch(clock=clock), trial_of("a")
    assert [lose(watch, trial) for _ in range(LOSSES + 1)] == [True, True, True, False]


def test_a_result_wipes_the_slate_clean_but_one_that_is_known_already_does_not(clock: Clock) -> None:
    watch, trial = WorkerWatch(clock=clock), trial_of("a")
    for _ in range(LOSSES):
        assert lose(watch, trial)
    watch.heard("a", new=True, seconds=1.0)
    watch.allow(trial)
    for _ in range(LOSSES):
        assert lose(watch, trial)
        watch.heard("a", new=False, seconds=1.0)
        watch.allow(trial)
    assert not lose(watch, trial)
    assert watch.results == 1


@pytest.mark.parametrize(
    ("took", "patience"), [([], FIRST_PATIENCE), ([1.0, 2.0], LEAST_PATIENCE), ([60.0, 90.0, 1e6], 1800.0)]
)
def test_patience_follows_from_what_results_took(took: list[float], patience: float, clock: Clock) -> None:
    assert WorkerWatch(took=took, clock=clock).patience == patience
    assert WorkerWatch(took=took, clock=clock, patience=7.0).patience == 7.0
    learning = WorkerWatch(clock=clock)
    for seconds in took:
        learning.heard("a", new=True, seconds=seconds)
        learning.heard("b", new=False, seconds=1e9)
    assert learning.patience == patience


def test_only_a_running_trial_that_is_silent_for_too_long_is_ended(clock: Clock) -> None:
    ended: list[str] = []
    watch = WorkerWatch(patience=100.0, clock=clock, end=ended.append)
    silent, busy, paused = trial_of("silent"), trial_of("busy"), trial_of("paused", Trial.PAUSED)
    for key in ("silent", "busy", "paused"):
        watch.started(key)
    pass_time(watch, clock, 95, silent, busy, paused)
    watch.heard("busy", new=False, seconds=0.0)
    assert ended == []
    pass_time(watch, clock, 10, silent, busy, paused)
    assert ended == ["worker of silent"]
    assert silent.max_failures == -1  # the first time it goes on elsewhere


def test_the_second_hang_without_a_result_in_between_is_one_too_many(clock: Clock) -> None:
    watch, trial = WorkerWatch(patience=100.0, clock=clock, end=lambda actor: None), trial_of("a")
    for again, over in [(True, False), (False, True)]:
        watch.started("a")
        pass_time(watch, clock, 105, trial)
        trial.num_failures += 1
        assert (trial.max_failures < 0 or trial.num_failures <= trial.max_failures) is again
        assert watch.lost("a", CRASH) == ("hung: no result for 105 s", over)
        watch.allow(trial)


def test_a_driver_that_was_away_blames_nobody(clock: Clock) -> None:
    ended: list[str] = []
    watch, trial = WorkerWatch(patience=100.0, clock=clock, end=ended.append), trial_of("a")
    watch.started("a")
    pass_time(watch, clock, 50, trial)
    clock.now += 3600  # stopped, or busy with a decision
    pass_time(watch, clock, 45, trial)
    assert ended == []
    pass_time(watch, clock, 15, trial)
    assert ended == ["worker of a"]


def test_a_lost_worker_has_the_images_looked_at(tmp_path: Path, clock: Clock) -> None:
    images = tmp_path / "images.npy"
    np.save(images, np.zeros((10, 4, 4, 1), dtype=np.uint8))
    watch = WorkerWatch(images=images, clock=clock)
    watch.lost("a", CRASH)
    assert watch.problem == ""
    images.write_bytes(images.read_bytes()[:-20])
    watch.lost("a", CRASH)
    assert watch.problem.startswith(f"{images}: ")


def test_a_worker_that_ray_ends_for_its_memory_is_a_lost_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Exception] = []
    monkeypatch.setattr(RayActorManager, "_actor_task_failed", lambda self, task, exception: seen.append(exception))
    monkeypatch.setattr(tune_controller, "RayActorManager", RayActorManager)
    use_trial_actors()
    manager = object.__new__(tune_controller.RayActorManager)
    other = ray.exceptions.RayTaskError("step", "traceback", ValueError("x"))
    for exception in (OutOfMemoryError("low on memory"), other):
        manager._actor_task_failed(None, exception)
    assert [type(exception) for exception in seen] == [RayActorError, type(other)]
    assert str(seen[0]) == "low on memory"


def test_tune_still_makes_its_manager_of_actors_by_that_name() -> None:
    source = Path(tune_controller.__file__).read_text(encoding="utf-8")
    assert "self._actor_manager = RayActorManager(" in source
