"""Pretext tasks: questions about images that need no labels, as an objective to train candidates by."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.trainables.pretext.colorization import Colorization
    from taurank.trainables.pretext.jigsaw import Jigsaw
    from taurank.trainables.pretext.rotation import Rotation
    from taurank.trainables.pretext.task import (
        BuildNetwork,
        Draws,
        PretextError,
        PretextTask,
        check_task,
        get_task,
        list_tasks,
        register_task,
    )
    from taurank.trainables.pretext.training import CHECKED, PretextTraining

__all__ = [
    "CHECKED",
    "BuildNetwork",
    "Colorization",
    "Draws",
    "Jigsaw",
    "PretextError",
    "PretextTask",
    "PretextTraining",
    "Rotation",
    "check_task",
    "get_task",
    "list_tasks",
    "register_task",
]

__getattr__ = lazy_names(__name__)
