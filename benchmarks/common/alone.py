"""A network that is trained alone, to the end."""

from __future__ import annotations

from taurank.spaces import Architecture, SearchSpace
from taurank.trainables.data import ImageData
from taurank.trainables.training import Recipe, Training


def train_alone(space: SearchSpace, architecture: Architecture, recipe: Recipe, data: ImageData) -> dict[str, float]:
    """The row of the last epoch of a training with seed 1."""
    training = Training(
        lambda: space.build(architecture, input_shape=data.input_shape, classes=len(data.classes)), recipe, data, seed=1
    )
    row: dict[str, float] = {}
    while not training.finished:
        row = training.step_epoch()
    return row
