"""Lets Ray Tune live through what Ray's memory monitor does.

The monitor kills a worker where a node runs out of memory. The error that says so is none of those that Tune expects of
an actor, and Tune (2.60) ends the whole experiment with it; here it becomes the loss of one worker, like any other.
"""

from __future__ import annotations

from typing import Any

from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller


class LosesWorkersToMemory(RayActorManager):  # type: ignore[misc]
    """Tune's manager of actors, for which a worker that was killed for its memory is a lost actor."""

    def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        super()._actor_task_failed(tracked_actor_task, exception)


def install() -> None:
    """Has Tune use it from here on."""
    tune_controller.RayActorManager = LosesWorkersToMemory
