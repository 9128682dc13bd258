"""A run of taurank as a table of recorded trainings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import PREDICTED, PREDICTED_SD, TRAINING, VALIDATION_ACCURACY, RankedMetric
from taurank.orchestrator.ranker import in_accuracies
from taurank.orchestrator.runs.run import Run
from taurank.trainables.table import COLUMNS, IDENTITY, Metric, RecordedTable, TableError, TableInfo, describe_all

OPINIONS = (PREDICTED, PREDICTED_SD)
"""Predictions of a policy for trainings that it ended early, which are not measurements."""


def import_run(folder: Path) -> RecordedTable:
    """Makes a table from the evidence of a run, including its baseline.

    Stages are dropped; of a number measured by two stages the first is kept. Missing numbers (failed trainings) and
    predictions of policies are left out. The cost of a supernet's own epochs is spread evenly over the architectures
    that it scored, so that sums are right; a replay of only some of these scores underestimates their cost.

    Raises:
        TableError: the run has no evidence.
        RunError: the folder is not that of a run.
    """
    run = Run.open(folder)
    metric, rows = run.experiment.ranked_metric, run.log.evidence()
    if metric.is_own:
        rows = _with_accuracies(rows, metric, full_epochs=run.experiment.recipe.epochs)
    shared = rows["architecture"] == ""
    kept = rows[~shared & (~rows["metric"].isin(OPINIONS))]
    if kept["value"].notna().sum() == 0:
        raise TableError(f"{folder} has no evidence yet; continue with `taurank resume {folder}`")
    kept, twice = _once(_rebooked(kept))
    spread = rows[shared].groupby("source")["seconds"].sum()
    for source, seconds in spread.items():
        first = (kept["source"] == source) & ~kept.duplicated(["source", "architecture"])
        kept.loc[first, "seconds"] += seconds / max(int(first.sum()), 1)
    notes = ["seconds are device seconds as the run booked them; the trainings of its baseline are among the rows"]
    notes += [f"{source}: {seconds:.1f} seconds of training the supernet are spread evenly over its scores"
              for source, seconds in spread.items()]  # fmt: skip
    if twice:
        notes.append(f"{twice:,} numbers measured by two stages are kept once")
    if metric.is_own:
        notes.append(f"validation_accuracy is {metric.name} on the ranker's scale: a monotone map, higher is better")
    experiment, described = run.experiment, describe_all(kept["metric"].unique())
    if metric.is_own:
        described[metric.name] = Metric("lower" if metric.lower_is_better else "higher")
    info = TableInfo(
        space=experiment.space.name,
        data=experiment.data.name,
        metrics=described,
        space_options=experiment.space.options,
        origin=f"run {experiment.name} of taurank",
        notes=tuple(notes),
    )
    return RecordedTable(info, kept[list(COLUMNS)])


def _with_accuracies(rows: pd.DataFrame, metric: RankedMetric, *, full_epochs: int) -> pd.DataFrame:
    """The rows with those of the user's metric once more as accuracies, which replays work with and which cost."""
    accuracies = in_accuracies(rows, metric, full_epochs=full_epochs)[0]
    accuracies = accuracies[accuracies["metric"] == VALIDATION_ACCURACY]
    free = rows[rows["metric"] != VALIDATION_ACCURACY]
    free = free.assign(seconds=free["seconds"].where(free["source"] != TRAINING, 0.0))
    return pd.concat([accuracies, free], ignore_index=True)


def _rebooked(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a value; the cost of missing ones moves to the first value of the same trial."""
    booking = ["trial", "architecture", "epoch"]
    costs = rows.groupby(booking)["seconds"].sum()
    present = rows[rows["value"].notna()].copy()
    first = ~present.duplicated(booking)
    keys = pd.MultiIndex.from_frame(present[booking])
    present["seconds"] = np.where(first, costs.reindex(keys).to_numpy(), 0.0)
    return present


def _once(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows without those that repeat an earlier one in all but the stage, and how many there were."""
    twice = rows.duplicated(list(IDENTITY))
    return rows[~twice].copy(), int(twice.sum())
