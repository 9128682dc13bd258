"""Failed trainings of a log, in the form in which the ranker reads them: a missing value at their end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from taurank.orchestrator.evidence import VALIDATION_ACCURACY, EvidenceLog

OF_TRAININGS = ("training", "pretext", "search")
"""Stages whose trials train one candidate each begin with one of these."""


def failure_reasons(log: EvidenceLog) -> dict[str, str]:
    """Why trials failed, by trial."""
    return {trial: reason for trial, (event, reason) in log.outcomes().items() if event == "failed"}


def with_failures(
    rows: pd.DataFrame,
    log: EvidenceLog,
    reasons: Mapping[str, str],
    names: Mapping[str, str],
    metric: str = VALIDATION_ACCURACY,
) -> pd.DataFrame:
    """The rows of a log in which every training that failed ends with a missing value of the metric.

    One that failed by itself has that row in the log. One that lost its worker too often ends with what it measured
    last, or has no row at all.

    Args:
        rows: of the log.
        log: its events name the stage of a trial.
        reasons: of the trials that failed.
        names: short names of the candidates, by code; they stand in the keys of trials.
        metric: by which candidates are ranked.
    """
    if not reasons:
        return rows
    of_trainings = rows["stage"].str.startswith(OF_TRAININGS) & (rows["metric"] == metric)
    last = rows[of_trainings].sort_values("epoch", kind="stable").drop_duplicates("trial", keep="last")
    ends = {row["trial"]: {str(name): value for name, value in row.items()} for row in last.to_dict("records")}
    sources = dict(zip(last["stage"], last["source"], strict=True))
    events = log.events()
    stages = dict(zip(events["trial"], events["stage"], strict=True))
    codes = {name: code for code, name in names.items()}
    added: list[dict[str, Any]] = []
    for trial in reasons:
        end = ends.get(trial)
        code = codes.get(trial.partition("/")[2].rpartition("/")[0])
        if end is not None and math.isfinite(end["value"]):
            added.append(end | {"epoch": end["epoch"] + 1})
        elif end is None and code is not None and stages[trial].startswith(OF_TRAININGS):
            source = sources.get(stages[trial], "training")
            added.append({"stage": stages[trial], "trial": trial, "architecture": code, "source": source})
    if not added:
        return rows
    nothing = {"time": 0.0, "epoch": 0, "schedule_epochs": 0, "seed": 0, "metric": metric}
    free = {"value": math.nan, "seconds": 0.0, "epochs": 0.0}
    new = pd.DataFrame([nothing | {"epoch_share": 1.0} | row | free for row in added])
    return pd.concat([rows, new[rows.columns].astype(rows.dtypes)], ignore_index=True)
