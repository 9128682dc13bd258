"""Statistics of options, collected during the training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from taurank.trainables.supernet.paths import Paths

WINDOW = 101
"""Paths over which the mean loss is taken out: it falls as the weights learn, whatever is drawn."""


class OptionStatistics:
    """Updates of each option, and its loss relative to the moving average.

    Attributes:
        updates: steps that trained each option, an array (options,) for each decision.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self.updates = [np.zeros(options, dtype=np.int64) for options in paths.options]
        self._sums = [np.zeros(options) for options in paths.options]

    def add(self, codes: Sequence[str], losses: NDArray[np.float64]) -> None:
        """Takes in the paths of an epoch, in the order in which they were trained, with their losses (paths,)."""
        if not len(codes) or not self._paths.options:
            return
        excess = losses - uniform_filter1d(losses, min(WINDOW, len(losses)), mode="nearest")
        choices = np.array([self._paths.choices(code) for code in codes])
        for decision, taken in enumerate(choices.T):
            self.updates[decision] += np.bincount(taken, minlength=len(self.updates[decision]))
            self._sums[decision] += np.bincount(taken, excess, minlength=len(self.updates[decision]))

    def add_mixed(self, steps: int) -> None:
        """Takes in so many steps that each trained all options that occur; what one adds to the loss is not seen."""
        for updates, allowed in zip(self.updates, self._paths.allowed, strict=True):
            updates[list(allowed)] += steps

    def updates_of(self, code: str) -> float:
        """Mean over the decisions of a path of the steps that trained its option; NaN without decisions."""
        choices = self._paths.choices(code)
        return float(np.mean([self.updates[decision][choice] for decision, choice in enumerate(choices)] or [np.nan]))

    @property
    def impact(self) -> NDArray[np.float64]:
        """Variance of the loss that each decision explains by itself, (decisions,), in nats squared."""
        explained = []
        for updates, sums in zip(self.updates, self._sums, strict=True):
            means = sums / np.maximum(updates, 1)
            weights = updates / max(updates.sum(), 1)
            explained.append(float(weights @ (means - weights @ means) ** 2))
        return np.array(explained)

    def state_dict(self) -> dict[str, Any]:
        """Counts and sums, in lists."""
        return {"updates": [row.tolist() for row in self.updates], "sums": [row.tolist() for row in self._sums]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Counts and sums as they were."""
        self.updates = [np.array(row, dtype=np.int64) for row in state["updates"]]
        self._sums = [np.array(row, dtype=np.float64) for row in state["sums"]]
