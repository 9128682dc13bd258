"""Pretext tasks: questions about images that need no labels, as an objective to train candidates by."""

from trainables.pretext.colorization import Colorization
from trainables.pretext.jigsaw import Jigsaw
from trainables.pretext.rotation import Rotation
from trainables.pretext.task import BuildNetwork, Draws, PretextError, PretextTask, get_task, list_tasks, register_task
from trainables.pretext.training import PretextTraining

__all__ = [
    "BuildNetwork",
    "Colorization",
    "Draws",
    "Jigsaw",
    "PretextError",
    "PretextTask",
    "PretextTraining",
    "Rotation",
    "get_task",
    "list_tasks",
    "register_task",
]
