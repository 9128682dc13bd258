"""Mostly the candidate that has done best so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.options import check_count, check_share
from taurank.trainables.supernet.samplers.sampler import Group, Judge, Outcome, PathSampler


class EpsilonGreedySampler(PathSampler):
    """Random for ``random_rounds`` rounds; then random with probability ``epsilon``, else the leader.

    The leader has the highest share of correct predictions on the training batches it was drawn for, counted before
    each step; a path that was never drawn counts 0, and of equal ones the first in the list leads. The leader is biased
    to early, lucky paths, and accuracies depend on how often a path was drawn: read the scores beside the updates.

    Source: github.com/basic-go-ahead/supernet-mnist.

    Args:
        paths: the candidates.
        epsilon: share of random rounds after the first ones, in [0, 1].
        random_rounds: number of first rounds that are all random.
    """

    def __init__(self, paths: Paths, *, epsilon: float = 0.2, random_rounds: int = 100) -> None:
        super().__init__(paths)
        check_share("epsilon", epsilon)
        check_count("random_rounds", random_rounds, lowest=0)
        self.epsilon, self.random_rounds = epsilon, random_rounds
        self.rounds = 0
        self.correct = np.zeros(len(paths), dtype=np.int64)
        self.images = np.zeros(len(paths), dtype=np.int64)

    @property
    def leader(self) -> int:
        """Position of the candidate with the highest accuracy so far."""
        return int(np.argmax(self.correct / np.maximum(self.images, 1)))

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """A random candidate, or the leader."""
        explore = self.rounds < self.random_rounds or generator.random() < self.epsilon
        self.rounds += 1
        place = int(generator.integers(len(self.paths))) if explore else self.leader
        return Group((self.paths.codes[place],))

    def learn(self, outcomes: Sequence[Outcome], judge: Judge) -> None:
        """Counts the predictions towards the candidate's accuracy."""
        (outcome,) = outcomes
        place = self.paths.codes.index(outcome.path)
        self.correct[place] += int(outcome.correct)
        self.images[place] += outcome.images

    def state_dict(self) -> dict[str, Any]:
        """Rounds and counts."""
        return {"rounds": self.rounds, "correct": self.correct.tolist(), "images": self.images.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Rounds and counts as they were."""
        self.rounds = int(state["rounds"])
        self.correct = np.array(state["correct"], dtype=np.int64)
        self.images = np.array(state["images"], dtype=np.int64)
