"""Results of trainings, checked: which candidates, which epochs, which values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import Mode
from taurank.orchestrator.own_results.folders import table_of_folder
from taurank.orchestrator.own_results.records import Columns, ResultsError, Table, find_column, first_row, listed
from taurank.orchestrator.own_results.tables import as_frame, read_frame, table_of
from taurank.trainables.table import direction_of

Source = str | os.PathLike[str] | pd.DataFrame | Mapping[str, Any] | Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Results:
    """Trainings of candidates by epoch.

    Attributes:
        rows: columns ``candidate``, ``training``, ``repeat`` (from 0, the longest first), ``epoch`` (trained so far,
            from 1), ``schedule_epochs``, ``seconds`` (of the epochs since the last row), ``epochs`` (their number) and
            ``value`` (the metric; NaN at the end of a training that failed).
        features: numbers per candidate, index = candidate; those without results are candidates, too.
        metric: name of the metric.
        mode: which end of it is better.
        full_epochs: length of full training.
        notes: lines on how they were read.
    """

    rows: pd.DataFrame
    features: pd.DataFrame
    metric: str
    mode: Mode
    full_epochs: int
    notes: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return tuple(self.features.index)

    @property
    def spent(self) -> float:
        """Epochs of all trainings."""
        return float(self.rows["epochs"].sum())

    @property
    def last(self) -> pd.DataFrame:
        """The last row of each training, index = training."""
        return self.rows.groupby("training", sort=False).tail(1).set_index("training")


def read_results(
    source: Source,
    *,
    full_epochs: int,
    metric: str,
    mode: str | None = None,
    features: Source | None = None,
    columns: Mapping[str, str] | None = None,
) -> Results:
    """Reads and checks results.

    Args:
        source: a table with a row per candidate and epoch (CSV, parquet, or what a data frame is made of), or a folder
            of Ray Tune, Lightning's CSVLogger, MLflow or TensorBoard.
        full_epochs: length of full training, whose order is asked for.
        metric: name of the metric.
        mode: ``min`` or ``max``; None: what the name of the metric says.
        features: numbers per candidate: a table with a column for the candidate.
        columns: names of columns by ``candidate``, ``epoch``, ``seed``, ``schedule_epochs`` and ``seconds``.

    Raises:
        ResultsError: they cannot be ranked; one line with the way out.
    """
    if isinstance(full_epochs, bool) or not isinstance(full_epochs, Integral) or full_epochs < 1:
        raise ResultsError(f"--full-epochs: {full_epochs} is not a number of epochs; give 1 or more")
    full_epochs, roles = int(full_epochs), Columns.of(columns or {})
    table = _table(source, metric, roles)
    better = _mode(metric, mode)
    rows, notes = _checked(table, metric, full_epochs)
    described = _features(features, roles, sorted(set(rows["candidate"])))
    found = Results(rows, described, metric, better, full_epochs, (*table.notes, *notes))
    if len(found.candidates) < 2:
        raise ResultsError(f"{table.where} has results of 1 candidate, {found.candidates[0]!r}; a ranking needs 2")
    untrained = len(found.candidates) - rows["candidate"].nunique()
    more = (f"{untrained} candidates have features and no results",) if untrained else ()
    return Results(rows, described, metric, better, full_epochs, (*found.notes, *more))


def _table(source: Source, metric: str, columns: Columns) -> Table:
    if not isinstance(source, str | os.PathLike):
        return table_of(as_frame(source), metric, columns, where="the table")
    path = Path(source)
    if path.is_dir():
        return table_of_folder(path, metric, columns)
    if not path.exists():
        raise ResultsError(f"{path} does not exist; give a table (.csv, .parquet) or a folder of results")
    return table_of(read_frame(path), metric, columns, where=str(path))


def _mode(metric: str, asked: str | None) -> Mode:
    if asked is not None:
        if asked not in ("min", "max"):
            raise ResultsError(f"--mode: {asked!r} is neither min nor max")
        return "min" if asked == "min" else "max"
    named = direction_of(metric)
    if named == "none":
        raise ResultsError(f"--mode is missing: the name {metric!r} does not say which end is better; give min or max")
    return "min" if named == "lower" else "max"


def _checked(table: Table, metric: str, full_epochs: int) -> tuple[pd.DataFrame, list[str]]:
    """The rows with whole epochs from 1, repetitions numbered, failures marked by NaN, and costs."""
    where, rows, notes = table.where, table.rows.copy(), []
    if not np.isfinite(rows["value"]).any():
        raise ResultsError(f"{where} has no number for {metric!r}")
    rows, note = _counted_from_one(where, rows, full_epochs)
    notes += note
    rows = rows.sort_values(["training", "epoch"], kind="stable")
    rows = rows[_is_measured(rows)]
    last = ~rows.duplicated("training", keep="last")
    failed = last & ~np.isfinite(rows["value"])
    rows = rows[np.isfinite(rows["value"]) | failed]
    rows["value"] = rows["value"].where(~failed.reindex(rows.index), np.nan)
    rows = _with_schedules(where, rows, full_epochs)
    before = rows.groupby("training")["epoch"].shift().fillna(0)
    rows["epochs"], rows["seconds"] = rows["epoch"] - before, rows["seconds"].fillna(0.0)
    rows = _numbered(rows).reset_index(drop=True)
    if failed.any():
        notes.append(f"{where}: {int(failed.sum())} trainings ended in a {metric} that is not finite; they failed")
    longest = int(rows["epoch"].max())
    if longest < full_epochs:
        notes.append(
            f"{where}: no training reaches epoch {full_epochs}, the longest has {longest}: the order rests on shorter "
            "ones"
        )
    return rows, notes


def _counted_from_one(where: str, rows: pd.DataFrame, full_epochs: int) -> tuple[pd.DataFrame, list[str]]:
    """Epochs as numbers of epochs trained.

    Raises:
        ResultsError: epochs that are not whole, negative, or beyond full training.
    """
    epochs = rows["epoch"]
    wrong = ~np.isfinite(epochs) | (epochs % 1 != 0) | (epochs < 0)
    if wrong.any():
        row = first_row(wrong)
        raise ResultsError(
            f"{where}: {rows.loc[row, 'candidate']!r} has epoch {epochs[row]:g}; epochs are whole numbers from 1 in "
            "all trainings"
        )
    beyond = epochs > full_epochs
    if beyond.any():
        lengths = epochs.groupby(rows["training"]).max()
        most = first_row(epochs == epochs.max())
        some = (
            ""
            if (lengths > full_epochs).all()
            else f" in {int((lengths > full_epochs).sum())} of {len(lengths)} trainings"
        )
        raise ResultsError(
            f"{where}: {rows.loc[most, 'candidate']!r} has epoch {epochs[most]:,.0f}, beyond --full-epochs "
            f"{full_epochs}{some}; are these steps? give epochs in all trainings, or the length of the longest"
        )
    rows = rows.assign(epoch=epochs.astype(np.int64))
    if epochs.min() > 0:
        return rows, []
    if epochs.max() < full_epochs:
        return rows.assign(epoch=rows["epoch"] + 1), [
            f"{where}: epochs are counted from 0; epoch 0 is taken for the first"
        ]
    return rows[rows["epoch"] > 0], [f"{where}: rows of epoch 0 are of untrained candidates and left out"]


def _is_measured(rows: pd.DataFrame) -> pd.Series:
    """Whether the metric was measured in a row.

    A cell without a number is a failure where it is the last of its training and another training was measured in that
    epoch; elsewhere nothing was measured.
    """
    known = rows["value"].notna()
    anywhere = known.groupby(rows["epoch"]).transform("any")
    from_here = known[::-1].groupby(rows["training"][::-1]).cumsum()[::-1]
    return known | (anywhere & (from_here == 0))


def _with_schedules(where: str, rows: pd.DataFrame, full_epochs: int) -> pd.DataFrame:
    """Rows with the length of their schedule: that of full training where nothing is said.

    Raises:
        ResultsError: a schedule that is not whole, longer than full training, or shorter than its training.
    """
    schedule = rows["schedule_epochs"].fillna(full_epochs)
    wrong = (schedule % 1 != 0) | (schedule < rows["epoch"]) | (schedule > full_epochs)
    if wrong.any():
        row = first_row(wrong)
        raise ResultsError(
            f"{where}: {rows.loc[row, 'candidate']!r} has epoch {rows['epoch'][row]:d} of a schedule of "
            f"{schedule[row]:g} epochs; it has to lie between the epoch and --full-epochs {full_epochs}"
        )
    return rows.assign(schedule_epochs=schedule.astype(np.int64))


def _numbered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the number of the repetition among trainings of one candidate and schedule, the longest first."""
    ends = rows.groupby("training", sort=False).tail(1)
    ends = ends.sort_values(["epoch", "training"], ascending=[False, True], kind="stable")
    repeat = ends.groupby(["candidate", "schedule_epochs"]).cumcount()
    return rows.assign(repeat=rows["training"].map(dict(zip(ends["training"], repeat, strict=True))))


def _features(given: Source | None, columns: Columns, trained: list[str]) -> pd.DataFrame:
    """Numbers per candidate, index = candidate, sorted; no columns without any.

    Raises:
        ResultsError: a column is not numeric, a candidate stands twice, or one with results is missing.
    """
    if given is None:
        return pd.DataFrame(index=pd.Index(trained, name="candidate"))
    described = read_features(given, columns.candidate)
    lacking = [code for code in trained if code not in described.index]
    if lacking:
        where = str(given) if isinstance(given, str | os.PathLike) else "the features"
        raise ResultsError(f"{where} lacks {len(lacking)} of {len(trained)} candidates: {listed(lacking, 5)}")
    return described.sort_index()


def read_features(given: Source, column: str | None = None) -> pd.DataFrame:
    """Numbers per candidate, index = candidate.

    Args:
        given: a table with a column for the candidate.
        column: its name; None to find it.

    Raises:
        ResultsError: a column is not numeric, or a candidate stands twice.
    """
    where = "the features"
    if isinstance(given, str | os.PathLike):
        where, frame = str(given), read_frame(Path(given))
    else:
        frame = as_frame(given)
    frame = frame.rename(columns=str)
    name = find_column(list(frame.columns), "candidate", None, where=where)
    if column in frame.columns:
        name = column
    if name is None:
        raise ResultsError(f"{where} has no column for the candidate: it has {listed(list(frame.columns))}")
    frame[name] = frame[name].astype(str).str.strip()
    if frame[name].duplicated().any():
        raise ResultsError(f"{where} has {frame.loc[first_row(frame[name].duplicated()), name]!r} twice; leave one row")
    numbers = {}
    for own in frame.columns.drop(name):
        numbers[own] = pd.to_numeric(frame[own], errors="coerce").astype(float).to_numpy()
        broken = np.flatnonzero(~np.isfinite(numbers[own]))
        if len(broken):
            raise ResultsError(
                f"{where}, row {broken[0] + 1}: {own} {str(frame[own].iloc[broken[0]])!r} is not a number; "
                "every candidate needs one, or leave the column out"
            )
    return pd.DataFrame(numbers, index=pd.Index(frame[name], name="candidate"))
