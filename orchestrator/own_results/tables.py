"""Results in a table: CSV, parquet, or a frame with a row per epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from taurank.orchestrator.own_results.records import Columns, ResultsError, Table, find_column, first_row, listed
from taurank.orchestrator.text import CsvError, read_text_cells

MISSING = ("", "-", "na", "n/a", "null", "none")
"""How a table writes a value that was not measured, in lower case."""
ROLES = ("epoch", "seed", "schedule_epochs", "seconds")


def read_frame(file: Path) -> pd.DataFrame:
    """A CSV (all columns as text) or parquet file.

    Raises:
        ResultsError: it cannot be read.
    """
    try:
        return pd.read_parquet(file) if file.suffix == ".parquet" else read_text_cells(file)
    except CsvError as error:
        raise ResultsError(str(error)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ResultsError(f"{file} cannot be read: {reason}") from None


def as_frame(given: pd.DataFrame | Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A frame from what ``pandas.DataFrame`` takes.

    Raises:
        ResultsError: it takes something else.
    """
    try:
        frame = pd.DataFrame(cast("Any", given))
    except (TypeError, ValueError) as error:
        raise ResultsError(f"the results are no table: {' '.join(str(error).split())}") from None
    # An index with a name is a column.
    return frame.reset_index() if any(frame.index.names) else frame.reset_index(drop=True)


def table_of(frame: pd.DataFrame, metric: str, columns: Columns, *, where: str) -> Table:
    """The reports of a frame with the columns of candidates, epochs and the metric.

    A frame may have the names of its metrics in a column ``metric`` and their values in ``value`` instead.

    Raises:
        ResultsError: a column is missing, a cell is not a number, or a report stands twice.
    """
    frame = frame.rename(columns=str)
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    if frame.columns.duplicated().any():
        raise ResultsError(f"{where} has two columns {frame.columns[frame.columns.duplicated()][0]!r}; rename one")
    if not len(frame):
        raise ResultsError(f"{where} has no rows")
    names = list(frame.columns)
    if metric not in names and {"metric", "value"} <= set(names):
        known = frame["metric"].astype(str).str.strip()
        if metric not in set(known):
            raise ResultsError(no_metric(metric, sorted(set(known)), where))
        frame = frame[known == metric].drop(columns="metric").rename(columns={"value": metric})
        names = list(frame.columns)
    found = {role: find_column(names, role, getattr(columns, role), where=where) for role in ("candidate", *ROLES)}
    column = metric if metric in names else next((name for name in names if name == f"metrics.{metric}"), None)
    if column is None:
        others = [name for name in names if name not in found.values() and _has_numbers(frame[name])]
        raise ResultsError(no_metric(metric, others, where))
    for role in ("candidate", "epoch"):
        if found[role] is None:
            raise ResultsError(
                f"{where} has no column for the {role}: it has {listed(names)}; name one with --columns {role}=NAME"
            )
    rows = pd.DataFrame({"candidate": _texts(frame[found["candidate"]])}, index=frame.index)
    for role in ROLES:
        name = found[role]
        rows[role] = np.nan if name is None else _numbers(frame[name], where)
    rows["value"] = _numbers(frame[column], where)
    nameless = rows["candidate"] == ""
    if nameless.any():
        raise ResultsError(f"{where}, row {first_row(nameless)}: no candidate is named")
    without = rows["epoch"].isna() & rows["value"].notna()
    if without.any():
        raise ResultsError(f"{where}, row {first_row(without)}: {metric} has a value, but there is no epoch")
    rows = rows[rows["epoch"].notna()]
    schedule = rows["schedule_epochs"].fillna(-1).map("{:g}".format)
    rows["training"] = rows["candidate"] + "\0" + rows["seed"].fillna(-1).map("{:g}".format) + "\0" + schedule
    # Loggers write a row for the losses of training, and another one for validation.
    empty = rows["value"].isna() & rows.groupby(["training", "epoch"])["value"].transform("count").gt(0)
    rows = rows[~empty]
    twice = rows.duplicated(["training", "epoch"])
    if twice.any():
        row = first_row(twice)
        last = rows.loc[row]
        same = rows[(rows["training"] == last["training"]) & (rows["epoch"] == last["epoch"])]
        seeded = found["seed"] is not None
        way_out = "remove one" if seeded else "remove one, or name the column of their seeds with --columns seed=NAME"
        place = f"{where}, row {row}: {last['candidate']!r} has epoch {last['epoch']:g}"
        raise ResultsError(f"{place} in row {same.index[0]}, too; {way_out}")
    return Table(where, rows)


def no_metric(metric: str, others: Sequence[str], where: str) -> str:
    """The message for a metric that is not there."""
    return f"{where} has no metric {metric!r}; it has {listed(list(others))}"


def _has_numbers(column: pd.Series) -> bool:
    return bool(pd.to_numeric(column, errors="coerce").notna().any())


def _texts(column: pd.Series) -> pd.Series:
    """Names as text; whole numbers without a decimal point."""
    if pd.api.types.is_float_dtype(column) and column.dropna().mod(1).eq(0).all():
        column = column.astype("Int64")
    return column.astype("string").fillna("").str.strip().astype(object)


def _numbers(column: pd.Series, where: str) -> pd.Series:
    """Numbers; NaN where none was measured, infinity where it was measured and is not finite.

    Raises:
        ResultsError: a cell is something else.
    """
    if pd.api.types.is_bool_dtype(column):
        raise ResultsError(f"{where}: {column.name} has truth values and no numbers")
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    text = column.astype("string").fillna("").str.strip()
    values = pd.to_numeric(text, errors="coerce").astype(float)
    diverged = text.str.lower().isin(["nan", "+nan", "-nan"])
    broken = values.isna() & ~text.str.lower().isin(MISSING) & ~diverged
    if broken.any():
        row = first_row(broken)
        raise ResultsError(f"{where}, row {row}: {column.name} {text[row]!r} is not a number")
    return values.where(~diverged, np.inf)
