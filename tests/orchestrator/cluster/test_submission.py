"""Workers are kept while trials are held, and let go when the run ends."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from taurank.orchestrator.cluster.tune import WorkerKeepingGenerator
from taurank.schedulers.tune import make_scheduler

NAMES = "abcd"


def over() -> bool:
    return True


def not_over() -> bool:
    return False


class FakeSubmission(WorkerKeepingGenerator):
    """Two trials, named a and b, without an experiment behind them."""

    def __init__(self, over: Any) -> None:
        super().__init__(over)
        self._trial_generator = iter([Named("a"), Named("b")])


class Named:
    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


def test_workers_are_needed_until_every_trial_has_ended() -> None:
    submission = FakeSubmission(not_over)
    assert [submission.next_trial().trial_id for _ in range(2)] == ["a", "b"]
    assert submission.next_trial() is None
    assert not submission.is_finished()
    submission.on_trial_complete("a")
    submission.on_trial_complete("b", error=True)
    assert submission.is_finished()


def test_an_interrupted_run_waits_for_nobody() -> None:
    submission = FakeSubmission(over)
    assert not submission.is_finished()
    submission.next_trial()
    submission.set_finished()
    assert submission.is_finished()


class Counting(tune.Callback):
    """Which processes have worked."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        with self.file.open("a") as file:
            file.write(f"{result['pid']}\n")


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_one_worker_does_for_one_slot(tmp_path: Path) -> None:
    class Short(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.epoch = 0

        def reset_config(self, config: dict[str, Any]) -> bool:
            self.epoch = 0
            return True

        def step(self) -> dict[str, Any]:
            time.sleep(0.2)  # longer than Tune takes to look who is next
            self.epoch += 1
            return {"epoch": self.epoch, "validation_accuracy": 0.5, "pid": os.getpid(), "done": self.epoch == 2}

    tune.Tuner(
        tune.with_resources(Short, {"cpu": 2}),
        param_space={"trial": tune.grid_search(list(NAMES))},
        tune_config=tune.TuneConfig(
            scheduler=make_scheduler("full", schedule_epochs=2, trials=dict.fromkeys(NAMES, ()), slots=1),
            search_alg=WorkerKeepingGenerator(not_over),
            reuse_actors=True,
            time_budget_s=60,
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=str(tmp_path),
            verbose=0,
            callbacks=[Counting(tmp_path / "workers")],
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    ).fit()
    workers = (tmp_path / "workers").read_text().split()
    assert len(workers) == 8
    assert len(set(workers)) == 1  # Tune by itself takes four
