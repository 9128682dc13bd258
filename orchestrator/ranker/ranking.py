"""The result of a run: an order, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.tau import tau_b

LEVEL = 0.9


@dataclass(frozen=True)
class Ranking:
    """A posterior over the final scores of the candidates.

    Attributes:
        table: one row per candidate, best first: ``rank, architecture, score, predicted_accuracy, accuracy_low,
            accuracy_high, rank_low, rank_high, evidence, seconds, epochs``. Scores are in standard deviations of the
            final scores, higher is better. Intervals are 90 %; accuracies are in [0, 1] and NaN while no candidate has
            been trained to the end.
        samples: draws of the scores, (draws, candidates), columns in the order of ``table``.
        weights: say of each view in the score, by name, adding up to 1; views that take no part are absent.
    """

    table: pd.DataFrame
    samples: NDArray[np.float64]
    weights: dict[str, float]

    @cached_property
    def expected_tau(self) -> float:
        """Tau-b that the ranking expects of itself: mean over draws of tau(order, draw); NaN for one candidate."""
        order = -np.arange(len(self.table), dtype=float)
        return float(np.mean([tau_b(order, draw) for draw in self.samples]))

    def probability(self, first: str, second: str) -> float:
        """Probability that ``first`` is better than ``second``.

        Raises:
            KeyError: an architecture that is not ranked.
        """
        column = {code: index for index, code in enumerate(self.table["architecture"])}
        difference = self.samples[:, column[first]] - self.samples[:, column[second]]
        return float(np.mean(difference > 0) + 0.5 * np.mean(difference == 0))

    def write(self, folder: Path) -> None:
        """Writes ``ranking.csv`` and ``ranking.parquet``."""
        self.table.to_csv(folder / "ranking.csv", index=False)
        self.table.to_parquet(folder / "ranking.parquet", index=False)
