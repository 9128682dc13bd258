"""Adapters to Ray Tune: names of trials, reuse of workers, and workers killed for lack of memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from ray.actor import ActorHandle
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


class _NamedCalls:
    """An actor, each call of which has the name of what it works on."""

    def __init__(self, actor: ActorHandle, name: str) -> None:
        self._actor, self._name = actor, name

    def __getattr__(self, method: str) -> Any:
        return getattr(self._actor, method).options(name=f"{self._name} {method}")


class TrialActorManager(RayActorManager):  # type: ignore[misc]
    """Tune's manager of actors, with two changes.

    A worker that was killed for its memory is a lost actor: Ray's memory monitor kills a worker where a node runs out
    of memory, and the error that says so is none of those that Tune (2.60) expects of an actor. It would end the whole
    experiment.

    Each call of a worker has the name of its trial. Workers are reused, and Ray reads the name of an actor once, when
    it starts. So the calls are what says on the dashboard, and in ``ray list tasks``, which architecture a worker
    trains now.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trials: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def add_actor(self, cls: Any, kwargs: dict[str, Any], *args: Any, **options: Any) -> Any:
        """Notes the trial that the actor begins with."""
        actor = super().add_actor(cls, kwargs, *args, **options)
        self._trials[actor] = str(kwargs.get("config", {}).get("trial", ""))
        return actor

    def _schedule_tracked_actor_task(self, tracked_actor_task: Any, method_name: str, **call: Any) -> Any:
        tracked = tracked_actor_task._tracked_actor
        if method_name == "reset":
            self._trials[tracked] = str(call["args"][0].get("trial", ""))
        actor, resources = self._live_actors_to_ray_actors_resources[tracked]
        self._live_actors_to_ray_actors_resources[tracked] = _NamedCalls(actor, self._trials[tracked]), resources
        try:
            return super()._schedule_tracked_actor_task(tracked_actor_task, method_name, **call)
        finally:
            self._live_actors_to_ray_actors_resources[tracked] = actor, resources

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


def use_trial_actors() -> None:
    """Makes Tune use `TrialActorManager`."""
    tune_controller.RayActorManager = TrialActorManager
