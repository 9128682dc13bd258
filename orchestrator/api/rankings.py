"""A ranking, as Python programs and notebooks see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from taurank.orchestrator import ranker
from taurank.orchestrator.ranker import LEVEL, Certainty
from taurank.orchestrator.text import find_candidate

if TYPE_CHECKING:
    from taurank.orchestrator.report import ShownFigure

SHOWN = 20
"""Maximal number of rows that a notebook shows."""
_FINALS = {"predicted_accuracy": "predicted", "accuracy_low": "low", "accuracy_high": "high"}


class RankingError(ValueError):
    """A question that a ranking cannot answer; one line."""


@dataclass(frozen=True, repr=False)
class Ranking:
    """An order of candidates with its uncertainty: a posterior over their final scores.

    Made by `taurank.rank`, and by runs as ``run.ranking``.

    Attributes:
        posterior: the ranker's result: its table and the draws of the scores.
        names: short names of the candidates, by code.
        metric: what the predicted values are.
        finals: predicted values of a posterior's table in the unit of the metric.

    Example:
        >>> import taurank
        >>> results = [{"candidate": f"net-{n}", "epoch": e, "val_acc": 0.6 + 0.02 * n + 0.01 * e}
        ...            for n in range(4) for e in (1, 2)]
        >>> ranking = taurank.rank(results, full_epochs=2, metric="val_acc")
        >>> list(ranking.to_frame()["candidate"])
        ['net-3', 'net-2', 'net-1', 'net-0']
        >>> ranking.probability("net-3", "net-0") > 0.5
        True
    """

    posterior: ranker.Ranking
    names: Mapping[str, str]
    metric: str = "validation accuracy"
    finals: Callable[[pd.DataFrame], pd.DataFrame] = field(default=lambda table: table)

    def to_frame(self) -> pd.DataFrame:
        """One row per candidate, best first.

        Columns: ``rank`` from 1; ``tier`` from 1, candidates of one tier are not separated; ``candidate``; ``name``
        where short names differ; ``predicted`` with ``low`` and ``high``, the final value of ``metric`` in its own unit
        and direction with a 90 % interval (measured where it was trained to the end, NaN where too few were);
        ``rank_low`` and ``rank_high`` of the 90 % interval; ``score`` in standard deviations, higher is better;
        ``evidence``, its sources; ``seconds`` and ``epochs`` of its evidence; ``problem``, why trainings failed.
        """
        table = self.finals(self.posterior.with_tiers)
        table = table.rename(columns={"architecture": "candidate", **_FINALS})
        first = ["rank", "tier", "candidate", "predicted", "low", "high", "rank_low", "rank_high"]
        if any(self.names[code] != code for code in table["candidate"]):
            table.insert(3, "name", table["candidate"].map(dict(self.names)))
            first.insert(3, "name")
        return table[[*first, *(name for name in table.columns if name not in first)]]

    def probability(self, first: str, second: str) -> float:
        """Probability in [0, 1] that the candidate ``first`` is better than ``second`` after full training.

        Args:
            first: a candidate: its name, its code, or a part of one that no other has.
            second: the same.

        Raises:
            UnknownCandidateError: no candidate has that name, or several have.
        """
        return self.posterior.probability(*(find_candidate(name, self.names, {}) for name in (first, second)))

    def tiers(self, level: float = LEVEL) -> pd.Series:
        """Tier of each candidate by name, best first; 1 is best.

        Args:
            level: probability with which the first of a tier beats the first of the next, in (0.5, 1].

        Raises:
            RankingError: a level outside (0.5, 1].
        """
        if not 0.5 < level <= 1:
            raise RankingError(f"level is {level}; it has to be above 0.5 and at most 1")
        return pd.Series(self.posterior.tiers(level).to_numpy(), index=self._labels, name="tier")

    @property
    def expected_tau(self) -> float:
        """Kendall's tau-b with full training that the ranking expects of itself, in [-1, 1]; higher is better."""
        return self.posterior.expected_tau

    @property
    def expected_tau_interval(self) -> tuple[float, float]:
        """The 90 % interval of `expected_tau`."""
        return self.posterior.expected_tau_interval

    @property
    def certainty(self) -> Certainty:
        """Whether there are full trainings enough to believe the intervals: calibrated, doubtful or uncalibrated."""
        return self.posterior.certainty

    @property
    def weights(self) -> dict[str, float]:
        """Share of each source in the order, by name; they add up to 1."""
        return dict(self.posterior.weights)

    def plot(self) -> ShownFigure:
        """Rank and 90 % rank interval of every candidate, best on top, as a matplotlib figure.

        Raises:
            RankingError: matplotlib is not installed.
        """
        try:
            from taurank.orchestrator.report import interval_figure
        except ModuleNotFoundError as error:
            if error.name != "matplotlib":
                raise
            raise RankingError("a plot needs matplotlib: pip install matplotlib") from None
        return interval_figure(self.posterior, {}, self.names)

    @property
    def _labels(self) -> pd.Index:
        return pd.Index([self.names[code] for code in self.posterior.table["architecture"]], name="candidate")

    def _summary(self) -> str:
        count = len(self.posterior.table)
        low, high = self.expected_tau_interval if count > 1 else (math.nan, math.nan)
        return f"{count} candidates, expected tau {self.expected_tau:.2f} ({low:.2f} to {high:.2f}), {self.certainty}"

    def __repr__(self) -> str:
        return f"<Ranking of {self._summary()}>"

    def _repr_html_(self) -> str:
        from taurank.orchestrator.report import render

        rows = self.to_frame()
        shown = [
            row | {"name": self.names[row["candidate"]], "final": _interval(row["predicted"], row["low"], row["high"])}
            for row in rows.head(SHOWN).to_dict("records")
        ]
        return render(
            "notebook.html",
            summary=self._summary(),
            metric=self.metric,
            rows=shown,
            count=len(rows),
            more=max(len(rows) - SHOWN, 0),
            problems=any(row["problem"] for row in shown),
        )


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.4g} ({low:.4g} to {high:.4g})" if math.isfinite(value) else "-"
