"""Whether candidates can be trained by a pretext task on these images, asked before anything is spent."""

from __future__ import annotations

from torch import nn

from taurank.orchestrator.experiment import Experiment, TrainingSpec
from taurank.spaces import Architecture
from taurank.trainables.data import ImageData, resize_images, smaller_side
from taurank.trainables.pretext import CHECKED


def check_task(experiment: Experiment, spec: TrainingSpec, code: str, data: ImageData) -> None:
    """Shows the task some images, and tries its head on one candidate, which stands for all of its space.

    Other people's models differ: which of them are not fit for the task shows when they are trained.

    Args:
        experiment: what is run.
        spec: of the trainings; nothing is done where they have labels.
        code: of the candidate.
        data: all images, at their full size.

    Raises:
        DataError: too few pixels are left of the images.
        PretextError: the images or the network are not fit for the task.
        SpaceError: the network cannot be made for the inputs of the task.
    """
    task = spec.pretext_task
    if task is None:
        return
    images = data.train.images[:CHECKED]
    if spec.resolution < 1:
        images = resize_images(images, smaller_side(data, spec.resolution))[:]
    task.check(images)
    space = experiment.space.make()
    if space.foreign:
        return

    def build(input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return space.build(Architecture(space.name, code), input_shape=input_shape, classes=classes)

    _, height, width, channels = images.shape
    task.make_network(build, (channels, height, width))
