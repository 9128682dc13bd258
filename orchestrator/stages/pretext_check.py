"""Checks that candidates can be trained by a pretext task on these images."""

from __future__ import annotations

from torch import nn

from taurank.orchestrator.experiment import Experiment, TrainingSpec
from taurank.spaces import Architecture
from taurank.trainables.data import ImageData, resize_images, smaller_side
from taurank.trainables.pretext import CHECKED


def check_task(experiment: Experiment, spec: TrainingSpec, code: str, data: ImageData) -> None:
    """Checks the task on some images, and its head on one candidate that represents its space.

    Models of external libraries differ too much for that; unsuitable ones fail in training.

    Raises:
        DataError: the images have too few pixels at the resolution of the stage.
        PretextError: the images or the network do not suit the task.
        SpaceError: the network cannot be built for the inputs of the task.
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
