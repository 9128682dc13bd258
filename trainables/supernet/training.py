"""Training of a supernet, one path a step, and the scores of all its paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.data import ImageData
from trainables.recipe import Recipe
from trainables.supernet.calibration import recalibrate
from trainables.supernet.networks import Supernet
from trainables.supernet.samplers import PathSampler, SupernetConfig
from trainables.training import EVALUATION_BATCH, Row, Training

CHUNK = 16


@dataclass(frozen=True)
class PathScore:
    """Accuracy in [0, 1] and loss in nats of one path with inherited weights, and the steps that it was drawn for."""

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
        paths: codes of the candidates.
        sampler: chooses the path of each step.
        config: batch-norm recalibration.
        seed: of weights, order, augmentation and paths.
        device: where the supernet lives.
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
        super().__init__(build, recipe, data, seed=seed, device=device)
        self.paths, self.sampler, self.config = list(paths), sampler, config
        self.updates = [0] * len(self.paths)
        self.scored = 0
        self._drawn = np.random.default_rng([seed, 0, 1])

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
    def images_per_score(self) -> int:
        """Images passed forward to score one path."""
        calibration = min(self.config.calibration_images, len(self.data.train))
        return len(self.data.validation) + (calibration if self.config.recalibrate else 0)

    def step_epoch(self) -> Row:
        """Trains one epoch, drawing a path for each step."""
        self._drawn = np.random.default_rng([self.seed, self.epoch, 1])
        return super().step_epoch()

    def train_batch(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """One step on the drawn path."""
        path = self.sampler.draw(self._drawn)
        self.supernet.activate(self.paths[path])
        loss, correct = super().train_batch(images, labels)
        self.updates[path] += 1
        self.sampler.feedback(path, int(correct.item()), len(labels))
        return loss, correct

    def measure(self) -> Row:
        """Nothing: paths are scored once, after the last epoch."""
        return {}

    def score_chunk(self, size: int = CHUNK) -> list[PathScore]:
        """Scores the next ``size`` paths that have no score yet.

        Raises:
            RuntimeError: before the last epoch, or when all paths have been scored.
        """
        if not self.trained or self.finished:
            raise RuntimeError(
                f"epoch {self.epoch} of {self.recipe.epochs}, {self.scored} paths scored: nothing to score"
            )
        chunk = range(self.scored, min(self.scored + size, len(self.paths)))
        scores = [self.score(self.paths[index], self.updates[index]) for index in chunk]
        self.scored += len(scores)
        return scores

    def score(self, path: str, updates: int = 0) -> PathScore:
        """Accuracy of one path on the validation images, with inherited weights."""
        self.supernet.activate(path)
        if self.config.recalibrate:
            count = min(self.config.calibration_images, len(self.data.train))
            # The same images for every path, and spread over the (possibly sorted) training images.
            chosen = np.random.default_rng([self.seed, 2]).permutation(len(self.data.train))[:count]
            images = self.data.train.take(chosen)
            batch_size = min(EVALUATION_BATCH, count)
            recalibrate(self.model, (pixels for pixels, _ in self._batches(images, batch_size)))
        loss, accuracy = self.evaluate(self.data.validation)
        return PathScore(path=path, accuracy=accuracy, loss=loss, updates=updates)

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
