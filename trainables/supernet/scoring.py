"""Scores of candidates by a trained supernet, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taurank.trainables.supernet.training import PathScore, SupernetTraining


class PathScoring:
    """Scores candidates one after another; can be saved and resumed between two of them.

    Args:
        training: a trained supernet.
        codes: what to score.

    Attributes:
        spent: cost of the last score, in epoch-equivalents.
    """

    trained = True

    def __init__(self, training: SupernetTraining, codes: Sequence[str]) -> None:
        self._training, self._codes = training, tuple(codes)
        self._scored = 0
        self.spent = 0.0

    @property
    def epoch(self) -> int:
        """Epochs of the supernet's training."""
        return self._training.recipe.epochs

    @property
    def finished(self) -> bool:
        """Whether every candidate has its score."""
        return self._scored == len(self._codes)

    @property
    def cost_per_score(self) -> float:
        """Epoch-equivalents of one score."""
        return self._training.cost_per_score

    def score_next(self) -> PathScore:
        """Scores the next candidate."""
        self.spent = 0.0
        score = self._training.score(self._codes[self._scored])
        self._scored += 1
        self.spent = self.cost_per_score
        return score

    def state_dict(self) -> dict[str, Any]:
        """Number of scored candidates."""
        return {"scored": self._scored}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self._scored = int(state["scored"])
