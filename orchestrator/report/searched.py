"""Summary lines of a search below its ranking."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from taurank.orchestrator.ranker import Ranking


def search_lines(
    ranking: Ranking,
    names: Mapping[str, str],
    *,
    spent_epochs: float,
    full_epochs: int,
    supernet_epochs: float = 0.0,
) -> list[str]:
    """The best trained architecture, the best untrained one, and the cost.

    Args:
        ranking: with a column ``looked_at``.
        names: short names, by code.
        spent_epochs: of the trainings.
        full_epochs: length of full training.
        supernet_epochs: of the supernet of the search; 0 without one.
    """
    table = ranking.table
    trained, others = table[table["looked_at"]], table[~table["looked_at"]]
    lines = [
        f"the search trained {len(trained)} for {spent_epochs:,.0f} epochs, as much as "
        f"{spent_epochs / full_epochs:,.1f} full trainings; best of them: {_placed(trained, names)}"
    ]
    if supernet_epochs:
        lines.insert(
            0,
            f"its supernet took {supernet_epochs:,.0f} epochs, as much as "
            f"{supernet_epochs / full_epochs:,.1f} full trainings",
        )
    if len(others):
        lines.append(f"not trained, best predicted: {_placed(others, names)}")
    return lines


def _placed(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    first = table.iloc[0]
    accuracy = float(first["predicted_accuracy"])
    predicted = "" if math.isnan(accuracy) else f", predicted accuracy {accuracy:.3f}"
    return (
        f"{names[str(first['architecture'])]} (rank {first['rank']}, between {first['rank_low']} and "
        f"{first['rank_high']}{predicted})"
    )
