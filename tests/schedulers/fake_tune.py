"""Trials and a controller that call a scheduler as Ray Tune does, without Ray's processes."""

from __future__ import annotations

from typing import Any

from ray.tune import Trainable

PENDING, RUNNING, PAUSED, TERMINATED, ERROR = "PENDING", "RUNNING", "PAUSED", "TERMINATED", "ERROR"


class Saved(Trainable):
    """A trainable that can be paused."""

    def save_checkpoint(self, checkpoint_dir: str) -> None: ...


class FakeTrial:
    is_saving = False
    trainable: type[Trainable] = Saved

    def __init__(self, trial_id: str, key: str | None = None) -> None:
        self.trial_id = trial_id
        self.config = {} if key is None else {"trial": key}
        self.status = PENDING
        self.last_result: dict[str, Any] = {}
        self.folders = 0

    def init_local_path(self) -> None:
        self.folders += 1

    def set_status(self, status: str) -> None:
        self.status = status

    def get_trainable_cls(self) -> type[Trainable]:
        return self.trainable

    def is_finished(self) -> bool:
        return self.status in (TERMINATED, ERROR)

    def __repr__(self) -> str:
        return f"FakeTrial({self.trial_id}, {self.status})"


class FakeController:
    """Holds the trials of one scheduler; `report` does with its answer what Tune does."""

    def __init__(self, scheduler: Any, names: list[str]) -> None:
        self.scheduler = scheduler
        self.trials = [FakeTrial(f"id-{name}", name) for name in names]
        for trial in self.trials:
            scheduler.on_trial_add(self, trial)

    def __getitem__(self, name: str) -> FakeTrial:
        return next(trial for trial in self.trials if trial.config["trial"] == name)

    def get_trials(self) -> list[FakeTrial]:
        return self.trials

    def start(self, *names: str) -> None:
        for name in names:
            self[name].status = RUNNING

    def offer(self) -> str:
        """One step of Tune: whom the scheduler names is queued; its name, empty for nobody."""
        trial = self.scheduler.choose_trial_to_run(self)
        if trial is None:
            return ""
        trial.status = PENDING
        return str(trial.config["trial"])

    def fill(self) -> str:
        """Starts whom the scheduler names, one after another, until it names nobody; their names."""
        started = ""
        while name := self.offer():
            self.start(name)
            started += name
        return started

    def report(self, name: str, epoch: int, value: float, **more: Any) -> str:
        trial = self[name]
        assert trial.status == RUNNING, trial
        trial.last_result = {"epoch": epoch, "validation_accuracy": value, **more}
        answer = self.scheduler.on_trial_result(self, trial, dict(trial.last_result))
        if answer == "PAUSE":
            trial.status = PAUSED
        elif answer == "STOP":
            self.stop_trial(trial)
        return answer

    def stop_trial(self, trial: FakeTrial) -> None:
        if trial.status == RUNNING:
            self.scheduler.on_trial_complete(self, trial, dict(trial.last_result))
        elif trial.status in (PENDING, PAUSED):
            self.scheduler.on_trial_remove(self, trial)
        trial.status = TERMINATED

    def give_up(self, name: str) -> None:
        """A worker dies once too often."""
        self.scheduler.on_trial_error(self, self[name])
        self[name].status = ERROR

    def fail(self, name: str) -> None:
        """A worker dies and Tune queues its trial again."""
        trial = self[name]
        trial.status = ERROR
        self.scheduler.on_trial_error(self, trial)
        trial.status = PENDING
        self.trials.remove(trial)
        self.trials.append(trial)
        self.scheduler.on_trial_add(self, trial)
