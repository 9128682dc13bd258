"""A supernet trained for one restricted space after another, each time from its current weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from taurank.spaces import Architecture, RestrictedSpace, SearchSpace
from taurank.trainables.data import ImageData
from taurank.trainables.supernet.config import SupernetConfig
from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.registry import make_supernet
from taurank.trainables.supernet.training import SupernetTraining
from taurank.trainables.training.recipe import Recipe

PATHS = 1_000
"""Maximal number of trained paths of a stage; from a larger stage this many are drawn."""


class StagedSupernet:
    """Trains and scores the stages of a search, one after another.

    Called with the space of a stage it trains the stage's paths and returns their scores: accuracies on the validation
    images with inherited weights, batch norm as in `config`. Operations that no stage has trained keep their initial
    weights.

    Example:
        >>> supernet = StagedSupernet(space, recipe, data, epochs=(8, 4))  # doctest: +SKIP
        >>> two_stage(space, supernet, default=cheapest, generator=generator)  # doctest: +SKIP

    Args:
        space: of all stages.
        recipe: of the training; its length is ignored.
        data: images.
        epochs: of each stage.
        config: sampler and batch norm; the weights cannot be split.
        seed: of all random draws.
        device: of the supernet.

    Attributes:
        trainings: of the stages so far.

    Raises:
        ValueError: no epochs, or weights that would be split.
    """

    def __init__(
        self,
        space: SearchSpace,
        recipe: Recipe,
        data: ImageData,
        *,
        epochs: Sequence[int],
        config: SupernetConfig | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self._space, self._recipe, self._data = space, recipe, data
        self._config, self._seed, self._device = config or SupernetConfig(), seed, device
        self._epochs = tuple(epochs)
        self.trainings: list[SupernetTraining] = []
        if not self._epochs or any(count < 1 for count in self._epochs):
            raise ValueError(f"epochs: {list(self._epochs)} are not at least one epoch for each stage")
        if self._config.split_after is not None:
            raise ValueError(
                f"split_after is {self._config.split_after}, but stages hand their weights on; leave it out"
            )

    def __call__(self, stage: RestrictedSpace) -> tuple[Callable[[Sequence[Architecture]], list[float]], int]:
        """Trains the next stage; its scores, higher is better, and the number of its steps of one path.

        Raises:
            ValueError: all stages of `epochs` are done; see also `SupernetTraining`.
        """
        number = len(self.trainings)
        if number == len(self._epochs):
            raise ValueError(f"epochs: given for {number} stages, but another one is to be trained")
        training = SupernetTraining(
            self._grown,
            self._recipe.of_length(self._epochs[number]),
            self._data,
            paths=Paths(self._space, self._codes(stage)),
            config=self._config,
            seed=self._seed + number,
            device=self._device,
        )
        while not training.finished:
            training.step_epoch()
        self.trainings.append(training)

        def score(architectures: Sequence[Architecture]) -> list[float]:
            return [training.score(architecture.code).accuracy for architecture in architectures]

        return score, count_steps(training.recipe, images=len(self._data.train))

    def _grown(self) -> Supernet:
        """The supernet after the last stage."""
        data = self._data
        supernet = make_supernet(self._space, input_shape=data.input_shape, classes=len(data.classes))
        if self.trainings:
            weights: dict[str, Tensor] = self.trainings[-1].supernet.state_dict()
            supernet.load_state_dict(weights)
        return supernet

    def _codes(self, stage: RestrictedSpace) -> tuple[str, ...]:
        if stage.size is not None and stage.size <= PATHS:
            chosen = [one for one in stage.enumerate() if stage.canonical(one) == one and stage.is_live(one)]
        else:
            chosen = stage.sample(PATHS, np.random.default_rng([self._seed, len(self.trainings)]))
        return tuple(architecture.code for architecture in chosen)


def count_steps(recipe: Recipe, *, images: int) -> int:
    """Steps of one path on one batch in a whole training on so many images: as many whatever the sampler."""
    return recipe.epochs * math.ceil(images / recipe.batch_size)
