"""The result of a run: an order, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.ranker.accuracy import FEWEST_ANCHORS
from taurank.orchestrator.ranker.knowledge_sources import KnowledgeUse
from taurank.orchestrator.tau import tau_b, top_membership
from taurank.orchestrator.text import replaced

Certainty = Literal["uncalibrated", "doubtful", "calibrated"]
LEVEL = 0.9
RANKING_FILE = "ranking.csv"
LOOK_AHEAD = 64
"""Candidates compared at once with the first of a tier; doubled until the tier ends."""


@dataclass(frozen=True)
class Ranking:
    """A posterior over the final scores of the candidates.

    Attributes:
        table: one row per candidate, best first: ``rank, architecture, score, predicted_accuracy, accuracy_low,
            accuracy_high, rank_low, rank_high, evidence, seconds, epochs, problem``. Scores are in standard deviations
            of the final scores, higher is better; NaN for a candidate that is last because its trainings failed.
            Intervals are 90 %; accuracies are in [0, 1]. A candidate that was trained to the end has its own; that of
            others is predicted, and NaN where ``full_trainings`` are too few or its longest training failed.
            ``problem`` says ``failed: reason``, or ``STAGE failed: reason`` where other trainings came to a result.
        samples: draws of the scores, (draws, candidates), columns in the order of ``table``.
        weights: share of each source in the score, by name, adding up to 1; sources that take no part are absent.
        certainty: whether the intervals rest on enough full trainings to be believed: ``doubtful`` on few,
            ``uncalibrated`` on none or one.
        failed: candidates all of whose trainings failed. Nothing is expected of their order.
        full_trainings: candidates trained to the end, or predicted from a part of that training, that the predicted
            accuracies of the others rest on.
        knowledge: what was made of each source of earlier knowledge.
    """

    table: pd.DataFrame
    samples: NDArray[np.float64]
    weights: dict[str, float]
    certainty: Certainty = "calibrated"
    failed: frozenset[str] = frozenset()
    full_trainings: int = 0
    knowledge: tuple[KnowledgeUse, ...] = ()

    @property
    def expected_tau(self) -> float:
        """Tau-b that the ranking expects of itself: mean over draws of tau(order, draw); NaN for one candidate.

        Over the candidates that did not fail: a score leaves out those without a full training.
        """
        return float(np.mean(self._taus))

    @property
    def expected_tau_interval(self) -> tuple[float, float]:
        """The 5 % and 95 % quantiles of tau(order, draw), widened to the mean; NaN for one candidate.

        Few candidates have few values of tau, so that the mean may lie beyond a quantile.
        """
        low, high = np.quantile(self._taus, [0.05, 0.95])
        return min(float(low), self.expected_tau), max(float(high), self.expected_tau)

    @cached_property
    def _taus(self) -> NDArray[np.float64]:
        samples = self.samples[:, ~self.table["architecture"].isin(self.failed).to_numpy()]
        order = -np.arange(samples.shape[1], dtype=float)
        return np.array([tau_b(order, draw) for draw in samples])

    @property
    def predicts_others(self) -> bool:
        """Whether there are full trainings enough to predict the accuracies of candidates without one."""
        return self.full_trainings >= FEWEST_ANCHORS

    def probability(self, first: str, second: str) -> float:
        """Probability that ``first`` is better than ``second``.

        Raises:
            KeyError: an architecture that is not ranked.
        """
        column = {code: index for index, code in enumerate(self.table["architecture"])}
        return float(self._beats(column[first], slice(column[second], column[second] + 1))[0])

    def win_probabilities(self, count: int) -> NDArray[np.float64]:
        """Probability that each of the first ``count`` of the order is better than each other, (count, count).

        Row beats column; a tie is half, and so is the diagonal.
        """
        draws = np.ascontiguousarray(self.samples[:, :count].T)  # (count, draws)
        found = np.full((count, count), 0.5)
        for place in range(count - 1):
            own, others = draws[place], draws[place + 1 :]
            wins = np.count_nonzero(own > others, axis=1) + np.count_nonzero(own >= others, axis=1)
            found[place, place + 1 :] = wins / (2 * draws.shape[1])
            found[place + 1 :, place] = 1 - found[place, place + 1 :]
        return found

    def likely_best(self, level: float = LEVEL) -> list[int]:
        """Places of the fewest candidates one of which is the best with a probability of at least ``level``."""
        best = self.top_probability(1).to_numpy()
        order = np.argsort(-best, kind="stable")
        enough = int(np.searchsorted(np.cumsum(best[order]), level - 1e-9)) + 1
        return sorted(int(place) for place in order[:enough])

    def top_probability(self, k: int) -> pd.Series:
        """Share of the draws in which each candidate is among the best ``k``, in the order of ``table``.

        They add up to k; ties at the edge count by their share.

        Raises:
            ValueError: k below 1 or above the number of candidates.
        """
        if not 1 <= k <= len(self.table):
            raise ValueError(f"k is {k}; it has to be between 1 and the {len(self.table)} candidates")
        among = np.zeros(len(self.table))
        for draw in self.samples:
            among += top_membership(draw, k)
        return pd.Series(among / len(self.samples), index=self.table.index, name=f"top_{k}_probability")

    def tiers(self, level: float = LEVEL) -> pd.Series:
        """Tier of each candidate, in the order of ``table``, 1 is best; those of a tier are not separated.

        Down the order, a new tier starts at the first candidate that the first of the current tier beats with a
        probability of at least ``level``. Two of one tier may still differ by more than that, and two neighbours in
        different tiers by less: only the first of a tier is compared with the others of it.

        Raises:
            ValueError: level outside (0.5, 1].
        """
        if not 0.5 < level <= 1:
            raise ValueError(f"level is {level}; it has to be above 0.5, which is a coin's, and at most 1")
        tiers = np.zeros(len(self.table), dtype=np.int64)
        first, tier = 0, 1
        while first < len(tiers):
            after = self._first_beaten(first, level)
            tiers[first:after] = tier
            first, tier = after, tier + 1
        return pd.Series(tiers, index=self.table.index, name="tier")

    @cached_property
    def with_tiers(self) -> pd.DataFrame:
        """The table with a column ``tier`` after the rank, at the level of the intervals."""
        table = self.table.copy()
        table.insert(1, "tier", self.tiers())
        return table

    def loses(self, folder: Path) -> str:
        """How it is poorer than the ranking that was written to a folder, in a line; empty where it is not.

        Poorer is one of fewer candidates, of fewer stages that say something of one, or of fewer epochs.
        """
        try:
            earlier = pd.read_csv(folder / RANKING_FILE)
            was, now = _extent(earlier), _extent(self.table)
        except (OSError, ValueError, KeyError):  # none, or nothing that we wrote
            return ""
        if all(new >= old - 1e-6 for new, old in zip(now, was, strict=True)):
            return ""
        return f"{folder / RANKING_FILE} had {_extent_text(was)}; it is replaced by a ranking of {_extent_text(now)}"

    def write(self, folder: Path) -> None:
        """Writes ``ranking.csv`` and ``ranking.parquet``."""
        with replaced(folder / RANKING_FILE) as file:
            self.with_tiers.to_csv(file, index=False)
        with replaced(folder / "ranking.parquet") as file:
            self.with_tiers.to_parquet(file, index=False)

    def _beats(self, first: int, others: slice) -> NDArray[np.float64]:
        """Probability that the candidate at place ``first`` is better than each of the others; a tie is half."""
        difference = self.samples[:, [first]] - self.samples[:, others]  # (draws, others)
        found: NDArray[np.float64] = (difference > 0).mean(axis=0) + 0.5 * (difference == 0).mean(axis=0)
        return found

    def _first_beaten(self, first: int, level: float) -> int:
        start, step, count = first + 1, LOOK_AHEAD, len(self.table)
        while start < count:
            # A share of draws of 0.9 may come as 0.8999999999999999.
            beaten = np.flatnonzero(self._beats(first, slice(start, start + step)) >= level - 1e-9)
            if len(beaten):
                return start + int(beaten[0])
            start, step = start + step, 2 * step
        return count


def _extent(table: pd.DataFrame) -> tuple[int, int, float]:
    """Candidates, stages that say something of one, epochs."""
    stages = table["evidence"].fillna("").map(lambda text: len([name for name in text.split(", ") if name]))
    return len(table), int(stages.sum()), float(table["epochs"].sum())


def _extent_text(extent: tuple[int, int, float]) -> str:
    candidates, stages, epochs = extent
    return f"{candidates} candidates from {stages} sources and {epochs:.1f} epochs of evidence"
