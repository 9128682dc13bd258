"""Adapters to Ray Tune: names of trials, reuse of workers, and workers killed for lack of memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial
from ray.tune.search.basic_variant import BasicVariantGenerator

from taurank.trainables.trials import TrialSpec


class TrialNames:
    """The displayed name of a trial, its label.

    Tune pickles it with every trial for a state that is never restored, so its pickle is empty.
    """

    def __init__(self, specs: Mapping[str, TrialSpec]) -> None:
        self._specs = specs

    def __call__(self, trial: Trial) -> str:
        """The label of a trial."""
        return self._specs[trial.config["trial"]].label

    def __deepcopy__(self, memo: dict[int, Any]) -> TrialNames:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {}


def trial_folder(trial: Trial) -> str:
    """Name of the folder of a trial."""
    return str(trial.trial_id)


class WorkerKeepingGenerator(BasicVariantGenerator):  # type: ignore[misc]
    """Submits all trials at once, and keeps free workers until all trials have ended.

    Once all trials are submitted, Tune ends the worker of a finished trial unless another one is pending. Paused trials
    are not pending, so that a resumed one would wait seconds for a new worker.

    Args:
        over: returns whether the run ends before its trials do.
    """

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__()
        self._over = over
        self._open: set[str] = set()

    def next_trial(self) -> Trial | None:
        """Return the next trial, None when all are submitted."""
        trial = super().next_trial()
        if trial is not None:
            self._open.add(trial.trial_id)
        return trial

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Mark the trial as ended."""
        super().on_trial_complete(trial_id, result, error)
        self._open.discard(trial_id)

    def is_finished(self) -> bool:
        """Whether no more workers are needed."""
        return bool(super().is_finished()) and (self._over() or not self._open)


class OomTolerantActorManager(RayActorManager):  # type: ignore[misc]
    """Tune's actor manager, which treats a worker killed for lack of memory as a lost actor.

    Ray's memory monitor kills workers of a node that runs out of memory. Tune (2.60) does not expect the resulting
    error from an actor and would end the whole experiment.
    """

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


def tolerate_memory_kills() -> None:
    """Makes Tune use `OomTolerantActorManager`."""
    tune_controller.RayActorManager = OomTolerantActorManager
