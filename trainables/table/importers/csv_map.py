"""Any CSV with one number per row, by a map from the columns of the format to those of the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from taurank.trainables.table.format import (
    COLUMNS,
    IDENTITY,
    TEXT,
    TRAINING_SOURCE,
    WHOLE,
    Direction,
    Metric,
    TableError,
    TableInfo,
)
from taurank.trainables.table.importers.recording import Recording, open_recording
from taurank.trainables.table.metrics import describe_all, is_accuracy, is_fixed
from taurank.trainables.table.recorded import RecordedTable


def import_csv(
    paths: Sequence[Path],
    columns: Mapping[str, str],
    constants: Mapping[str, str],
    *,
    percent: bool = False,
    space: str = "",
    data: str = "",
    direction: Direction | None = None,
) -> RecordedTable:
    """Makes a table of CSV files with one number per row.

    What is neither mapped nor constant: `source` is training, `seed` -1 (unknown), `epoch` the end of the schedule,
    `seconds` unknown; a source that is not a training has no schedule. Rows without a value are left out. Seconds are
    those since the previous epoch; where several rows of one epoch repeat them, they are booked once.

    Args:
        paths: of the files, all with the same columns.
        columns: name in the file by name in the format.
        constants: value for all rows by name in the format.
        percent: whether accuracies are percentages, to be divided by 100.
        space: name of the search space.
        data: name of the data set.
        direction: which end is better of the metrics whose meaning is not fixed by their names; None: what their names
            say.

    Raises:
        TableError: an unknown name on either side, a needed one missing, or a number that is none.
    """
    _check_names(columns, constants)
    frame = pd.concat([_mapped(open_recording(path), columns) for path in paths], ignore_index=True)
    for name, value in constants.items():
        frame[name] = value
    for name, default in _defaults(frame).items():
        if name not in frame.columns:
            frame[name] = default
    for name in ("value", "seconds", *WHOLE):
        frame[name] = _numbers(frame[name], name)
    for name in ("architecture", "source", "metric"):
        empty = np.flatnonzero((frame[name].isna() | (frame[name] == "")) & frame["value"].notna())
        if len(empty):
            raise TableError(f"row {int(empty[0]) + 1}: {name} is empty; every row needs one")
        frame[name] = frame[name].astype(str).str.strip()
    rows = frame.loc[np.isfinite(frame["value"]), list(COLUMNS)]
    if percent:
        rows["value"] = np.where(rows["metric"].map(is_accuracy), np.round(rows["value"] / 100, 10), rows["value"])
    booked_before = rows.duplicated([name for name in IDENTITY if name != "metric"])
    rows["seconds"] = rows["seconds"].mask(booked_before, 0.0)
    metrics = directed(rows["metric"].unique(), direction)
    info = TableInfo(space, data, metrics, origin=", ".join(path.name for path in paths))
    return RecordedTable(info, rows)


def _check_names(columns: Mapping[str, str], constants: Mapping[str, str]) -> None:
    for option, names in (("--map", columns), ("--set", constants)):
        for name in names:
            if name not in COLUMNS:
                raise TableError(f"{option}: {name!r} is no column of a table; there are {', '.join(COLUMNS)}")
    both = [name for name in columns if name in constants]
    if both:
        raise TableError(f"{both[0]!r} is given by both --map and --set; leave one")
    for name in ("architecture", "value"):
        if name not in columns:
            raise TableError(f"--map: which column is the {name}? Add {name}=COLUMN")
    given = columns.keys() | constants.keys()
    if "metric" not in given:
        raise TableError("which metric is it? Add --set metric=validation_accuracy, or metric=COLUMN to --map")
    trained = constants.get("source", TRAINING_SOURCE).split(":")[0] == TRAINING_SOURCE or "source" in columns
    if trained and "schedule_epochs" not in given:
        raise TableError("how long were the trainings? Add --set schedule_epochs=N, or schedule_epochs=COLUMN to --map")


def _mapped(recording: Recording, columns: Mapping[str, str]) -> pd.DataFrame:
    if not recording.names or recording.is_arrays:
        raise TableError(f"{recording.path} is not a CSV file; --map is for CSV files alone")
    for name, column in columns.items():
        if column not in recording.names:
            known = ", ".join(" ".join(name.split()) for name in sorted(recording.names))
            raise TableError(f"--map {name}={column}: {recording.path} has no such column; there are {known}")
    frame = recording.frame([columns[name] for name in TEXT if name in columns])
    return pd.DataFrame({name: frame[column] for name, column in columns.items()})


def directed(names: Iterable[str], direction: Direction | None) -> dict[str, Metric]:
    """What the metrics are, with the direction that was chosen for those whose meaning is not fixed.

    Raises:
        TableError: all are fixed, and one otherwise.
    """
    metrics = describe_all(names)
    if direction is None:
        return metrics
    chosen = {name: Metric(direction) for name in metrics if not is_fixed(name)}
    against = [name for name, metric in metrics.items() if metric.direction != direction]
    if not chosen and against:
        raise TableError(
            f"--{direction}-is-better: that is not so of {against[0]}, whose name has a fixed meaning; name the metric"
            " otherwise"
        )
    return metrics | chosen


def _defaults(frame: pd.DataFrame) -> dict[str, str | float | pd.Series]:
    schedule = frame["schedule_epochs"] if "schedule_epochs" in frame.columns else 0
    return {
        "source": TRAINING_SOURCE,
        "seed": -1,
        "seconds": np.nan,
        "schedule_epochs": schedule,
        "epoch": schedule,
    }


def _numbers(column: pd.Series, name: str) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if len(wrong):
        raise TableError(f"row {int(wrong[0]) + 1}: {name} {column.iloc[wrong[0]]!r} is not a number")
    return numbers
