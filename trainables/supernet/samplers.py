"""Path samplers: which of the candidate paths each training step of a supernet takes."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from trainables.supernet.config import SupernetConfig


class PathSampler(Protocol):
    """Draws a path for each step and may learn from how the path did on that step's images."""

    def draw(self, generator: np.random.Generator) -> int:
        """Index of the path to train next."""

    def feedback(self, path: int, correct: int, images: int) -> None:
        """Tells how many of the step's images the path had right *before* the step."""

    def state_dict(self) -> dict[str, Any]:
        """What has been learned so far, in lists and numbers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to a state of ``state_dict``."""


class UniformSampler:
    """Every path with equal probability (single path one-shot, Guo et al. 2020, section 3.2)."""

    def __init__(self, paths: int) -> None:
        self.paths = paths

    def draw(self, generator: np.random.Generator) -> int:
        """Any path."""
        return int(generator.integers(self.paths))

    def feedback(self, path: int, correct: int, images: int) -> None:
        """Nothing is learned."""

    def state_dict(self) -> dict[str, Any]:
        """Empty: there is no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


class EpsilonGreedySampler:
    """Random for ``random_rounds`` rounds; then random with probability ``epsilon``, else the leader.

    The leader has the highest share of correct predictions on the training batches it was drawn for, counted before
    each step; a path that was never drawn counts 0, and of equal ones the lowest index leads. The leader is biased to
    early, lucky paths, and accuracies depend on how often a path was drawn: read the scores beside the updates.

    Source: github.com/basic-go-ahead/supernet-mnist.

    Args:
        paths: number of paths.
        epsilon: share of random rounds after the first ones, in [0, 1].
        random_rounds: number of first rounds that are all random.
    """

    def __init__(self, paths: int, *, epsilon: float = 0.2, random_rounds: int = 100) -> None:
        self.paths, self.epsilon, self.random_rounds = paths, epsilon, random_rounds
        self.rounds = 0
        self.correct = np.zeros(paths, dtype=np.int64)
        self.images = np.zeros(paths, dtype=np.int64)

    @property
    def leader(self) -> int:
        """Index of the path with the highest accuracy so far."""
        return int(np.argmax(self.correct / np.maximum(self.images, 1)))

    def draw(self, generator: np.random.Generator) -> int:
        """A random path, or the leader."""
        explore = self.rounds < self.random_rounds or generator.random() < self.epsilon
        self.rounds += 1
        return int(generator.integers(self.paths)) if explore else self.leader

    def feedback(self, path: int, correct: int, images: int) -> None:
        """Counts the predictions towards the path's accuracy."""
        self.correct[path] += correct
        self.images[path] += images

    def state_dict(self) -> dict[str, Any]:
        """Rounds and counts."""
        return {"rounds": self.rounds, "correct": self.correct.tolist(), "images": self.images.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Rounds and counts as they were."""
        self.rounds = int(state["rounds"])
        self.correct = np.array(state["correct"], dtype=np.int64)
        self.images = np.array(state["images"], dtype=np.int64)


def make_sampler(config: SupernetConfig, *, paths: int) -> PathSampler:
    """The sampler that ``config`` names, over ``paths`` paths."""
    if config.sampler == "uniform":
        return UniformSampler(paths)
    return EpsilonGreedySampler(paths, epsilon=config.epsilon, random_rounds=config.random_rounds)
