"""Scores an objective of accuracy and cost against the same objective of full training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taurank.orchestrator.experiment import ObjectiveSpec
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.scoring.score import comparison
from taurank.orchestrator.scoring.tradeoff import costs, objective_of
from taurank.orchestrator.scoring.truth import Truth
from taurank.orchestrator.tau import Agreement


@dataclass(frozen=True)
class ObjectiveScore:
    """Agreement of orders with the order by the objective of full training.

    Attributes:
        spec: the objective.
        ours: by the objective of the predicted accuracy.
        by_accuracy: by the ranking, which ignores cost.
        by_cost: by cost alone, cheapest first, which needs no training: the baseline for the objective.
    """

    spec: ObjectiveSpec
    ours: Agreement
    by_accuracy: Agreement
    by_cost: Agreement


def score_objective(
    ranking: Ranking, spec: ObjectiveSpec, truth: Truth, evidence: pd.DataFrame, candidates: Sequence[str]
) -> ObjectiveScore:
    """Scores the column ``objective`` of a ranking.

    Raises:
        ObjectiveError: the truth has no such objective.
    """
    table = ranking.table.set_index("architecture").reindex(list(candidates))
    theirs = objective_of(spec, truth.values, evidence, candidates)
    compare = comparison(truth, candidates)

    def against(values: np.ndarray) -> Agreement:
        return compare(values, theirs)

    return ObjectiveScore(
        spec=spec,
        ours=against(table["objective"].to_numpy(dtype=float)),
        by_accuracy=against(-table["rank"].to_numpy(dtype=float)),
        by_cost=against(-costs(evidence, candidates, spec.of)),
    )
