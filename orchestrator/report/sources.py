"""What each source says of the candidates: its weight in the order, and its agreement with those trained longest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.evidence import CONTENDERS, SIZE
from taurank.orchestrator.ranker import PRETEXT_TASKS, SUPERNETS, Kind, Ranking, View, make_views
from taurank.orchestrator.tau import Agreement, agreement

FEWEST_COMPARED = 3
"""Fewest candidates with which an order is compared."""
FULL_TRAININGS = "full trainings"
"""Their weight in a ranking, whatever their stages are called."""
_GROUPS: Mapping[Kind, str] = {"size": SIZE, "supernet": SUPERNETS, "pretext": PRETEXT_TASKS}


@dataclass(frozen=True)
class SourceUse:
    """One source of a ranking.

    Attributes:
        name: of the source.
        weight: its share in the order, in [0, 1]; the sources of a kind share one: sizes, full trainings, several
            supernets, several pretext tasks.
        covered: candidates with a value.
        found: agreement with the trainings of ``against``; None where too few have both.
        against: the longest trainings, which the others are compared with; empty for these themselves.
    """

    name: str
    weight: float
    covered: int
    found: Agreement | None
    against: str


def source_uses(
    ranking: Ranking, evidence: pd.DataFrame, candidates: Sequence[str], *, full_epochs: int
) -> list[SourceUse]:
    """The sources of a ranking, in the order in which they came; baseline rows must have been taken out."""
    views = [view for view in make_views(evidence, candidates, full_epochs=full_epochs) if view.kind != "loss"]
    longest = _longest(views)
    uses = []
    for view in views:
        found = None
        if longest is not None and view is not longest:
            reference = _measured(longest)
            if np.sum(np.isfinite(view.order) & np.isfinite(reference)) >= FEWEST_COMPARED:
                found = agreement(view.order, reference)
        uses.append(
            SourceUse(
                name=view.name,
                weight=_weight(view, ranking.weights),
                covered=int(np.isfinite(view.order).sum()),
                found=found if found is not None and math.isfinite(found.tau) else None,
                against="" if longest is None or view is longest else longest.name,
            )
        )
    return uses


def _weight(view: View, weights: Mapping[str, float]) -> float:
    group = FULL_TRAININGS if view.is_final else _GROUPS.get(view.kind, "")
    return weights[group] if group in weights else weights.get(view.name.removesuffix(CONTENDERS), 0.0)


def _longest(views: Sequence[View]) -> View | None:
    """The longest trainings with enough results; of equally long ones those with the most."""
    known = [
        (view.fidelity, count, number)
        for number, view in enumerate(views)
        if view.is_accuracy and (count := int(np.isfinite(_measured(view)).sum())) >= FEWEST_COMPARED
    ]
    return views[max(known)[2]] if known else None


def _measured(view: View) -> NDArray[np.float64]:
    """Accuracies that trainings have come to; predictions are left out."""
    return np.where(np.isfinite(view.sds), np.nan, view.values)
