"""Trials and a controller that call a scheduler as Ray Tune does, without Ray's processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune import Trainable
from ray.tune.search import SearchGenerator

PENDING, RUNNING, PAUSED, TERMINATED, ERROR = "PENDING", "RUNNING", "PAUSED", "TERMINATED", "ERROR"


class Saved(Trainable):
    """A trainable that can be paused."""

    def save_checkpoint(self, checkpoint_dir: str) -> None: ...


class FakeTrial:
    is_saving = False
    trainable: type[Trainable] = Saved

    def __init__(self, trial_id: str, key: str | None = None) -> None:
        self.trial_id = trial_id
        self.config: dict[str, Any] = {} if key is None else {"trial": key}
        self.status = PENDING
        self.last_result: dict[str, Any] = {}
        self.folders = 0
        self.saved = False

    def has_checkpoint(self) -> bool:
        return self.saved

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


class FakeGrid:
    """Submits trials in turn; as Tune's generator of variants does, it counts those that wait as concurrent."""

    def __init__(self, configs: list[dict[str, Any]], *, max_concurrent: int = 0, total: int | None = None) -> None:
        self.left, self.max_concurrent, self.live, self.over = list(configs), max_concurrent, set[str](), False
        self.number, self.total = 0, len(configs) if total is None else total

    @property
    def total_samples(self) -> int:
        return self.total

    def next_trial(self) -> FakeTrial | None:
        if self.is_finished() or 0 < self.max_concurrent <= len(self.live):
            return None
        if not self.left:
            self.over = True
            return None
        trial = FakeTrial(f"trial-{self.number}")
        trial.config = self.left.pop(0)
        self.number += 1
        self.live.add(trial.trial_id)
        return trial

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.live.discard(trial_id)

    def set_finished(self) -> None:
        self.over = True

    def is_finished(self) -> bool:
        return self.over


class FakeSearch(FakeGrid, SearchGenerator):
    """A search algorithm: it is asked for one trial after the other."""


class FakeRun:
    """Tune's loop with so many processors: trials that are pending start in turn, those that run report in turn.

    Args:
        scheduler: of the trials.
        search: submits the trials.
        value: result of a trial from its config and its number of iterations.
        cpus: trials that run at once.
        iterations: after which a trial ends by itself.
    """

    def __init__(
        self,
        scheduler: Any,
        search: FakeGrid,
        value: Callable[[dict[str, Any], int], dict[str, Any]],
        *,
        cpus: int = 2,
        iterations: int = 100,
    ) -> None:
        self.scheduler, self.search_alg, self.value = scheduler, search, value
        self.cpus, self.iterations = cpus, iterations
        self.trials: list[FakeTrial] = []
        self.queue: list[FakeTrial] = []
        self.trained: dict[str, int] = {}
        self.results = 0

    def get_trials(self) -> list[FakeTrial]:
        return self.trials

    def count(self, status: str) -> int:
        return sum(trial.status == status for trial in self.trials)

    def add(self, trial: FakeTrial) -> None:
        self.trials.append(trial)
        self.trained.setdefault(trial.trial_id, 0)
        self.scheduler.on_trial_add(self, trial)
        if trial.status == PENDING:
            self.queue.append(trial)

    def run(self, results: int = 100_000) -> FakeRun:
        """Steps until all trials have ended, or so many results; fails where Tune would step for ever."""
        idle = 0
        while not (self.search_alg.is_finished() and all(trial.is_finished() for trial in self.trials)):
            idle = 0 if self.step() else idle + 1
            assert idle < 5, f"stalls: {self.trials}; {self.scheduler.debug_string()}"
            if self.results >= results:
                break
        return self

    def step(self) -> bool:
        """Whether anything has happened."""
        before = [(trial.trial_id, trial.status) for trial in self.trials]
        most_pending = 1 if isinstance(self.search_alg, SearchGenerator) else 200
        while self.count(PENDING) < most_pending and (new := self.search_alg.next_trial()) is not None:
            self.add(new)
        chosen = self.scheduler.choose_trial_to_run(self)
        if chosen is not None and chosen not in self.queue:
            assert chosen.status in (PENDING, PAUSED), chosen
            chosen.status = PENDING
            self.queue.append(chosen)
        while self.queue and self.count(RUNNING) < self.cpus:
            trial = self.queue.pop(0)
            if trial.status == PENDING:
                trial.status = RUNNING
        running = [trial for trial in self.trials if trial.status == RUNNING]
        if running:
            self.report(running[self.results % len(running)])
        return bool(running) or before != [(trial.trial_id, trial.status) for trial in self.trials]

    def report(self, trial: FakeTrial) -> str:
        self.results += 1
        iteration = self.trained[trial.trial_id] = self.trained[trial.trial_id] + 1
        result = {"training_iteration": iteration, **self.value(trial.config, iteration)}
        trial.last_result = result
        if iteration >= self.iterations:
            self.stop_trial(trial)
            return "STOP"
        answer = str(self.scheduler.on_trial_result(self, trial, dict(result)))
        if answer == "PAUSE":
            trial.status = PAUSED
        elif answer == "STOP":
            self.stop_trial(trial)
        return answer

    def stop_trial(self, trial: FakeTrial) -> None:
        if trial.status == RUNNING:
            self.scheduler.on_trial_complete(self, trial, dict(trial.last_result))
        else:
            self.scheduler.on_trial_remove(self, trial)
        self.search_alg.on_trial_complete(trial.trial_id)
        trial.status = TERMINATED
