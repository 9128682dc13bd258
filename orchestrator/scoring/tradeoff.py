"""Accuracy against cost: the Pareto front of a ranking with its uncertainty, and objectives of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.evidence import LATENCY, LATENCY_MS, SIZE
from taurank.orchestrator.experiment import ObjectiveSpec
from taurank.orchestrator.hardware import Measure, ObjectiveError, front, front_probability, objective
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.text import replaced

FRONT_FILE = "front.csv"
COLUMNS: dict[Measure, str] = {"latency": LATENCY_MS, "flops": "flops", "parameters": "parameters"}
"""Metric of the log, and column of the file."""


class TradeoffError(ValueError):
    """A cost that the run has not measured; one line with the way out."""


@dataclass(frozen=True)
class Front:
    """Accuracy against cost.

    Attributes:
        against: the cost.
        table: one row per candidate whose cost is known and that did not fail, cheapest first: ``architecture``, the
            cost, ``rank, score, predicted_accuracy, accuracy_low, accuracy_high``, ``on_front`` (by the means), and
            ``front_probability``: that no other is as cheap or cheaper and more accurate.
    """

    against: Measure
    table: pd.DataFrame

    @property
    def column(self) -> str:
        """Name of the cost in the table."""
        return COLUMNS[self.against]

    @property
    def members(self) -> pd.DataFrame:
        """The front of the means, cheapest first."""
        return self.table[self.table["on_front"]]

    def write(self, folder: Path) -> None:
        """Writes ``front.csv``."""
        with replaced(folder / FRONT_FILE) as file:
            self.table.to_csv(file, index=False)


def costs(evidence: pd.DataFrame, codes: Sequence[str], against: Measure) -> NDArray[np.float64]:
    """Parameters, FLOPs or milliseconds of candidates, (candidates,); NaN if missing in the log."""
    source, metric = (LATENCY if against == "latency" else SIZE), COLUMNS[against]
    rows = evidence[(evidence["source"] == source) & (evidence["metric"] == metric)]
    found = rows.groupby("architecture")["value"].last().reindex(list(codes))
    return found.to_numpy(dtype=float)


def known_cost(evidence: pd.DataFrame) -> Measure | None:
    """Latency if it was measured, else FLOPs, else parameters; None without any."""
    if (evidence["source"] == LATENCY).any():
        return "latency"
    sizes = set(evidence.loc[evidence["source"] == SIZE, "metric"])
    return "flops" if "flops" in sizes else "parameters" if "parameters" in sizes else None


def make_front(ranking: Ranking, evidence: pd.DataFrame, against: Measure) -> Front:
    """The front of a ranking; candidates all of whose trainings failed are not on it.

    Raises:
        TradeoffError: the log has no such cost.
    """
    ranked = ~ranking.table["architecture"].isin(ranking.failed).to_numpy()
    table = ranking.table[ranked].reset_index(drop=True)
    cost = costs(evidence, [str(code) for code in table["architecture"]], against)
    if len(table) and not np.isfinite(cost).any():
        way = "write latency: {} in the experiment, or use flops" if against == "latency" else "resume the run first"
        raise TradeoffError(f"--against: the run has no {against} of its candidates; {way}")
    columns = ["architecture", "rank", "score", "predicted_accuracy", "accuracy_low", "accuracy_high"]
    found = table[columns].copy()
    found.insert(1, COLUMNS[against], cost)
    # The ranks and not the scores, because candidates of equal score have different ranks.
    found["on_front"] = front(-table["rank"].to_numpy(dtype=float), cost)
    found["front_probability"] = front_probability(ranking.samples[:, ranked], cost)
    found = found[np.isfinite(cost)].sort_values([COLUMNS[against], "rank"], kind="stable")
    return Front(against, found.reset_index(drop=True))


def check_objective(spec: ObjectiveSpec | None, milliseconds: Sequence[float]) -> None:
    """Refuses latencies for which an objective is not defined, before anything is spent.

    Raises:
        ObjectiveError: it is not defined for one of them.
    """
    if spec is not None and spec.of == "latency":
        objective(spec.kind, np.full(len(milliseconds), 0.5), milliseconds, spec.amount)


def with_objective(ranking: Ranking, spec: ObjectiveSpec, evidence: pd.DataFrame) -> Ranking:
    """The ranking with columns ``objective`` (higher is better) and ``objective_rank``; its order stays.

    NaN for all if no candidate was trained to the end, because there is no predicted accuracy then.

    Raises:
        ObjectiveError: it is not defined for a latency.
    """
    table = ranking.table
    cost = costs(evidence, [str(code) for code in table["architecture"]], spec.of)
    values = objective(spec.kind, table["predicted_accuracy"].to_numpy(dtype=float), cost, spec.amount)
    ranks = pd.Series(values).rank(ascending=False, method="first").astype("Int64").to_numpy()
    return replace(ranking, table=table.assign(objective=values, objective_rank=pd.array(ranks, dtype="Int64")))


def objective_of(
    spec: ObjectiveSpec, accuracy: NDArray[np.float64], evidence: pd.DataFrame, codes: Sequence[str]
) -> NDArray[np.float64]:
    """The objective of measured accuracies, (candidates,); NaN where it is not defined.

    Raises:
        ObjectiveError: it is not defined for a latency, or the values are not accuracies in [0, 1].
    """
    known = accuracy[np.isfinite(accuracy)]
    if not ((known >= 0) & (known <= 1)).all():
        raise ObjectiveError("objective: the truth is not an accuracy in [0, 1], so it has no objective")
    return objective(spec.kind, accuracy, costs(evidence, codes, spec.of), spec.amount)
