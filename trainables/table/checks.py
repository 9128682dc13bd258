"""Validation of the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from taurank.trainables.table.format import COLUMNS, IDENTITY, TEXT, WHOLE, Metric, TableError
from taurank.trainables.table.metrics import is_accuracy

MOST_WHOLE = np.iinfo(np.int32).max


def checked_rows(frame: pd.DataFrame, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    """The rows in the types of the format, text as categories, after checking all that the format promises.

    Raises:
        TableError: a column is missing, too many, or of another type; a number is not finite; a number occurs twice; a
            cost is negative; an accuracy is not in [0, 1]; a metric is not described.
    """
    for column in COLUMNS:
        if column not in frame.columns:
            raise TableError(f"column {column!r} is missing; the columns are {', '.join(COLUMNS)}")
    if len(frame.columns) > len(COLUMNS):
        extra = next(str(column) for column in frame.columns if column not in COLUMNS)
        raise TableError(f"column {extra!r} is not one of the format; the columns are {', '.join(COLUMNS)}")
    if frame.empty:
        raise TableError("there are no rows; a table has at least one number")
    typed = {column: _typed(frame[column]) for column in COLUMNS}
    rows = pd.DataFrame(typed).reset_index(drop=True)
    _check_numbers(rows)
    _check_metrics(rows, metrics)
    twice = rows.duplicated(list(IDENTITY))
    if twice.any():
        row = _first_row(rows, twice)
        what = ", ".join(f"{column} {row[column]}" for column in IDENTITY)
        raise TableError(
            f"{int(twice.sum()):,} numbers occur twice, the first is {what}; leave one, or number the seeds"
        )
    return rows


def _typed(column: pd.Series) -> pd.Series:
    name = str(column.name)
    if name in TEXT:
        if column.isna().any():
            raise TableError(f"{name}: {int(column.isna().sum()):,} rows have none; every row needs one")
        texts = column.astype("category").cat.remove_unused_categories()
        if not all(isinstance(text, str) for text in texts.cat.categories):
            raise TableError(f"{name}: the type is {column.dtype}, but it has to be text")
        return texts
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise TableError(f"{name}: the type is {column.dtype}, but it has to be a number")
    if name not in WHOLE:
        return column.astype(np.float64)
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    odd = ~(np.abs(numbers) <= MOST_WHOLE) | (np.trunc(numbers) != numbers)
    if odd.any():
        raise TableError(f"{name}: {column.iloc[int(np.argmax(odd))]} is not a whole number of 32 bits")
    return column.astype(np.int32)


def _check_numbers(rows: pd.DataFrame) -> None:
    if not np.isfinite(rows["value"]).all():
        missing = int((~np.isfinite(rows["value"])).sum())
        raise TableError(f"value: {missing:,} rows are NaN or infinite; leave out the rows of missing numbers")
    for column, least in (("epoch", 0), ("schedule_epochs", 0), ("seed", -1)):
        if rows[column].min() < least:
            raise TableError(f"{column}: {rows[column].min()} is less than {least}")
    seconds = rows["seconds"]
    if seconds.min() < 0 or np.isinf(seconds).any():
        wrong = _first(seconds[(seconds < 0) | np.isinf(seconds)])
        raise TableError(f"seconds: {wrong} is no cost; it is at least 0, or NaN where it is unknown")
    late = (rows["epoch"] > rows["schedule_epochs"]) & (rows["schedule_epochs"] > 0)
    if late.any():
        row = _first_row(rows, late)
        raise TableError(
            f"epoch: {row['epoch']} of {row['architecture']} is beyond its schedule of {row['schedule_epochs']} epochs"
        )


def _check_metrics(rows: pd.DataFrame, metrics: Mapping[str, Metric]) -> None:
    for metric in rows["metric"].cat.categories:
        if metric not in metrics:
            raise TableError(f"metric {metric!r} is not described; add it to the metrics of the table")
    accuracies = [name for name in rows["metric"].cat.categories if is_accuracy(name)]
    outside = rows["metric"].isin(accuracies) & ((rows["value"] < 0) | (rows["value"] > 1))
    if outside.any():
        row = _first_row(rows, outside)
        raise TableError(
            f"{row['metric']}: {row['value']:g} of {row['architecture']} is no share in [0, 1]; "
            "divide percentages by 100 (--percent for a CSV)"
        )


def _first_row(rows: pd.DataFrame, wanted: pd.Series) -> pd.Series:
    return rows.iloc[int(np.argmax(wanted.to_numpy()))]


def _first(column: pd.Series) -> object:
    return column.iloc[0] if len(column) else "a number"
