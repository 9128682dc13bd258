"""One order against the truth: agreement, calibration, and what single views would have given."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from orchestrator.ranker import Ranking
from orchestrator.tau import agreement, tau_b, tau_of_true_top, top_regret

Row = dict[str, float]
"""The results of one draw, by column."""


def agreement_columns(scores: NDArray[np.float64], truth: NDArray[np.float64], ceiling: float) -> Row:
    """How well scores agree with the truth, (candidates,) each; ``ceiling`` is the tau of a full training."""
    found = agreement(scores, truth)
    return {
        "tau": found.tau,
        "tau_low": found.low,
        "tau_high": found.high,
        "retained": found.tau / ceiling if ceiling > 0 else math.nan,
        "ceiling": ceiling,
        "tau_top20": tau_of_true_top(scores, truth).value,
        "top1_regret": top_regret(scores, truth).value,
        "spearman": found.spearman,
    }


def calibration_columns(ranking: Ranking, truth: pd.Series) -> Row:
    """How sure the ranking says it is, and how often it is right.

    ``coverage50`` and ``coverage90`` are the shares of candidates whose true rank lies within the interval of their
    sampled ranks; ``width90`` is the mean length of the wider one as a share of the candidates.
    """
    values = truth.loc[ranking.table["architecture"]].to_numpy(dtype=float)
    true_rank = stats.rankdata(-values)
    ranks = stats.rankdata(-ranking.samples, axis=1)  # (draws, candidates)
    columns = {"expected_tau": ranking.expected_tau}
    width = math.nan
    for level in (0.5, 0.9):
        low = np.quantile(ranks, 0.5 - level / 2, axis=0, method="lower")
        high = np.quantile(ranks, 0.5 + level / 2, axis=0, method="higher")
        columns[f"coverage{level:.0%}".rstrip("%")] = float(((low <= true_rank) & (true_rank <= high)).mean())
        width = float((high - low).mean()) / len(values)
    return columns | {"width90": width}


def tau_of_all(values: pd.Series, truth: pd.Series) -> float:
    """Tau-b of a view that every candidate has; NaN where one has it not."""
    known = values.reindex(truth.index)
    return tau_b(known, truth) if known.notna().all() else math.nan


def last_accuracies(evidence: pd.DataFrame, stage: str) -> pd.Series:
    """The last validation accuracy of each candidate in a stage; none where trainings ended at different epochs."""
    rows = evidence[(evidence["stage"] == stage) & (evidence["metric"] == "validation_accuracy")]
    last = rows.sort_values("epoch", kind="stable").groupby("architecture").tail(1).set_index("architecture")
    if last["epoch"].nunique() > 1:
        return pd.Series(dtype=float)
    return last["value"]
