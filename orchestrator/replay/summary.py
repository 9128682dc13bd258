"""The draws of a replay in one: means and spreads, as a table, a CSV, a document."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.replay.bench import Bench
from taurank.orchestrator.replay.plan import ReplayPlan
from taurank.orchestrator.replay.truth import ReplayError
from taurank.orchestrator.tau import agreement, tau_b, tau_of_true_top, top_regret

NO_MEASURE = ("draw", "n", "budget")
"""Columns that identify the draw."""


def summarise(rows: Sequence[Row]) -> pd.DataFrame:
    """Mean and standard deviation over the draws that have a value, by column, and how many do.

    The deviation is that of the draws themselves (of a population); NaN in columns that no draw has.
    """
    table = pd.DataFrame(list(rows)).drop(columns=list(NO_MEASURE))
    return pd.DataFrame({"mean": table.mean(), "sd": table.std(ddof=0), "draws": table.notna().sum()})


def decimal(value: float, digits: str = ".3f") -> str:
    """A number for a line or a cell; ``-`` where it is not defined."""
    return f"{value:{digits}}" if math.isfinite(value) else "-"


def beaten_references(rows: Sequence[Row]) -> tuple[int, int]:
    """In how many draws the order was better than the reference, and how many have one."""
    compared = [row for row in rows if row["tau_reference"] == row["tau_reference"]]
    return sum(row["tau"] > row["tau_reference"] for row in compared), len(compared)


def write_rows(rows: Sequence[Mapping[str, float | str]], file: Path) -> None:
    """Writes a CSV, one line per row.

    Raises:
        ReplayError: the file cannot be written.
    """
    try:
        pd.DataFrame(list(rows)).to_csv(file, index=False)
    except OSError as error:
        raise ReplayError(f"--out: {file} cannot be written: {error.strerror or error}") from None


def campaigns_document(bench: Bench, plan: ReplayPlan, rows: Sequence[Row]) -> dict[str, Any]:
    """One JSON object: what was replayed, the draws, their means and deviations; NaN for what is missing."""
    found = summarise(rows)
    return {
        "space": bench.table.info.space,
        "data": bench.table.info.data,
        "truth": str(bench.truth),
        "evidence_seed": bench.truth.evidence_seed,
        "full_epochs": bench.full_epochs,
        "pool": len(bench.pool),
        "among": bench.among,
        "seed": plan.seed,
        "workers": plan.workers,
        "proxies": list(plan.cheap.proxies),
        "supernets": plan.cheap.supernets,
        "knowledge": [{"name": one.name, "relation": one.relation} for one in plan.knowledge],
        "trainings": [spec.model_dump(mode="json") for spec in plan.trainings],
        "draws": [dict(row) for row in rows],
        "mean": found["mean"].to_dict(),
        "sd": found["sd"].to_dict(),
    }


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
    """The stated uncertainty of the ranking, and how often it holds.

    ``coverage50`` and ``coverage90`` are the shares of candidates whose true rank lies within the interval of their
    sampled ranks; ``width90`` is the mean length of the wider one as a share of the candidates.
    """
    values = truth.loc[ranking.table["architecture"]].to_numpy(dtype=float)
    true_rank = stats.rankdata(-values)
    ranks = stats.rankdata(-ranking.samples, axis=1)  # (draws, candidates)
    expected = ranking.expected_tau_interval
    columns = {"expected_tau": ranking.expected_tau, "expected_low": expected[0], "expected_high": expected[1]}
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
