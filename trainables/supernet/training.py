"""Training of a supernet, one path a step, and the scores of all its paths."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.data import ImageData, ImageSet
from trainables.recipe import Recipe
from trainables.supernet.calibration import recalibrate
from trainables.supernet.config import SupernetConfig
from trainables.supernet.networks import Supernet
from trainables.supernet.samplers import PathSampler
from trainables.training import EVALUATION_BATCH, Row, Training

CHUNK = 16
"""Paths scored before the scores are handed on and the state can be saved."""

FORWARD_SHARE = 1 / 3
"""Cost of a forward pass as a share of a forward and a backward pass."""

# Streams of random numbers beside those of ``trainables.training``.
_PATH_STREAM = 2
_CALIBRATION_STREAM = 3


@dataclass(frozen=True)
class PathScore:
    """What one path is worth with inherited weights.

    Attributes:
        path: its code.
        accuracy: on the validation images, in [0, 1]; NaN where the loss is not finite.
        loss: mean cross-entropy on the validation images, in nats.
        updates: steps that it was drawn for.
    """

    path: str
    accuracy: float
    loss: float
    updates: int


class SupernetTraining(Training):
    """A ``Training`` whose network holds all candidates, of which each step trains one path.

    Weights that a step does not use get no gradient at all, so neither momentum nor weight decay moves them. All paths
    are scored on the same validation images. What is drawn in an epoch depends on ``(seed, epoch)`` and on what the
    sampler has learned, so a restored training goes on with the same numbers.

    Args:
        build: makes the supernet; called inside a seeded context.
        recipe: how to train; ``recipe.epochs`` counts passes over the training images, whatever the paths.
        data: images.
        paths: codes of the candidates, at least one.
        sampler: chooses the path of each step.
        config: batch-norm recalibration.
        seed: of weights, order, augmentation and paths; 0 or more.
        device: where the supernet lives.

    Attributes:
        updates: steps so far, by path.
        scored: paths scored so far, from the first on.

    Raises:
        ValueError: no paths, or a negative seed.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        recipe: Recipe,
        data: ImageData,
        *,
        paths: Sequence[str],
        sampler: PathSampler,
        config: SupernetConfig,
        seed: int,
        device: str = "cpu",
    ) -> None:
        if not paths:
            raise ValueError("paths is empty; a supernet needs at least one candidate")
        super().__init__(build, recipe, data, seed=seed, device=device)
        self.paths, self.sampler, self.config = list(paths), sampler, config
        self.updates = [0] * len(self.paths)
        self.scored = 0
        self._draws = self._path_generator()

    @property
    def supernet(self) -> Supernet:
        """The network with shared weights."""
        assert isinstance(self.model, Supernet)
        return self.model

    @property
    def finished(self) -> bool:
        """Whether the supernet is trained and every path is scored."""
        return self.trained and self.scored == len(self.paths)

    @property
    def cost_per_score(self) -> float:
        """Epoch-equivalents of scoring one path, recalibration included."""
        images = len(self.data.validation) + (len(self._calibration_images) if self.config.recalibrate else 0)
        return FORWARD_SHARE * images / len(self.data.train)

    def step_epoch(self) -> Row:
        """Trains one epoch, drawing a path for each step; looks at no validation images.

        Raises:
            NonFiniteLossError: the mean training loss of the epoch is NaN or infinite.
            RuntimeError: called again after the last epoch.
        """
        self._draws = self._path_generator()
        return super().step_epoch()

    def train_batch(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One step on a path drawn for it; loss and number of correct predictions are the path's."""
        path = self.sampler.draw(self._draws)
        self.supernet.activate(self.paths[path])
        loss, correct = super().train_batch(images, labels)
        self.updates[path] += 1
        self.sampler.feedback(path, int(correct.item()), len(labels))
        return loss, correct

    def measure(self, *, last: bool) -> Row:
        """Nothing: paths are scored once, after the last epoch."""
        return {}

    def score_chunk(self, size: int = CHUNK) -> list[PathScore]:
        """Scores the next ``size`` paths that have no score yet.

        Raises:
            RuntimeError: before the last epoch, or when all paths have been scored.
        """
        if not self.trained or self.finished:
            raise RuntimeError(
                f"epoch {self.epoch} of {self.recipe.epochs}, {self.scored} of {len(self.paths)} paths scored: "
                "there is nothing to score"
            )
        self.spent = 0.0
        scores = []
        for index in range(self.scored, min(self.scored + size, len(self.paths))):
            scores.append(self.score(index))
            self.spent += self.cost_per_score
        self.scored += len(scores)
        return scores

    def score(self, index: int) -> PathScore:
        """Accuracy and loss of one path, by its position in ``paths``; does not depend on what was scored before."""
        path = self.paths[index]
        self.supernet.activate(path)
        if self.config.recalibrate:
            batches = self._batches(self._calibration_images, EVALUATION_BATCH)
            with self._autocast():
                recalibrate(self.model, (pixels for pixels, _ in batches))
        loss, accuracy = self.evaluate(self.data.validation)
        if not math.isfinite(loss):
            accuracy = math.nan
        return PathScore(path=path, accuracy=accuracy, loss=loss, updates=self.updates[index])

    def _path_generator(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch, _PATH_STREAM])

    @cached_property
    def _calibration_images(self) -> ImageSet:
        """The same training images for every path, drawn at random, since training images may be sorted."""
        count = min(self.config.calibration_images, len(self.data.train))
        generator = np.random.default_rng([self.seed, 0, _CALIBRATION_STREAM])
        return self.data.train.take(generator.permutation(len(self.data.train))[:count])

    def state_dict(self) -> dict[str, Any]:
        """State of the training, the sampler and the scoring."""
        return super().state_dict() | {
            "sampler": self.sampler.state_dict(),
            "updates": list(self.updates),
            "scored": self.scored,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to a state of ``state_dict``."""
        super().load_state_dict(state)
        self.sampler.load_state_dict(state["sampler"])
        self.updates = list(state["updates"])
        self.scored = int(state["scored"])


@torch.no_grad()
def extract(supernet: Supernet, path: str, network: nn.Module) -> nn.Module:
    """Copies the weights of ``path`` into ``network``, the architecture built alone, and returns it."""
    network.load_state_dict(supernet.inherited(path))
    return network
