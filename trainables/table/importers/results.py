"""Any CSV of final results: a column of architectures, and a number or several for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from taurank.trainables.table.format import Direction, TableError, TableInfo
from taurank.trainables.table.importers.csv_map import directed
from taurank.trainables.table.importers.recording import MISSING, Recording, open_recording
from taurank.trainables.table.importers.values import shares
from taurank.trainables.table.metrics import is_accuracy
from taurank.trainables.table.recorded import RecordedTable

ARCHITECTURE = ("architecture", "arch", "code", "model", "name", "network")
"""What the column of the architectures may be called, in any case; the first of them that is there is it."""
SEED = "seed"
FINAL_RESULTS = "training:recorded"
"""Source of such numbers in a table."""


def is_results(path: Path) -> bool:
    """Whether a file is a CSV with a column that is called like one of architectures, and none of epochs.

    Raises:
        TableError: there is no such file, or it cannot be read.
    """
    recording = open_recording(path)
    is_csv = path.suffix != ".parquet" and not recording.is_arrays
    return is_csv and _architecture(recording) is not None and not _has_epochs(recording)


def import_results(
    path: Path, *, space: str = "", data: str = "", metric: str = "", direction: Direction | None = None
) -> RecordedTable:
    """Makes a table of a CSV of final results, one row per architecture, or one per architecture and ``seed``.

    Every column of numbers is a metric, except that of the seeds; columns of texts are left out. Accuracies above 1 are
    percentages. The length of the trainings is unknown.

    Args:
        path: of the file.
        space: name of the search space.
        data: name of the data set; by default what the file's name says.
        metric: a column, to read it alone.
        direction: which end is better of the metrics whose meaning is not fixed by their names; None: what their names
            say.

    Raises:
        TableError: no such file or column, a value that is not a number, an architecture or a seed of one twice, or no
            number at all; one line.
    """
    recording = open_recording(path)
    column = _architecture(recording) if not recording.is_arrays else None
    if column is None:
        raise TableError(f"{path} has no column of architectures: call it {ARCHITECTURE[0]}")
    if _has_epochs(recording):
        raise TableError(f"{path} has a column of epochs; make a table of it: taurank table import --map epoch=...")
    frame = recording.frame([column]).rename(columns=str.strip)
    column = column.strip()
    frame = frame[frame[column].fillna("") != ""]
    if frame.empty:
        raise TableError(f"{path} has no rows beside its header")
    known = [str(name) for name in frame.columns if name not in (column, SEED)]
    if metric and metric not in known:
        raise TableError(f"{path} has no column {metric!r}; it has {', '.join(known) or 'no other than ' + column}")
    asked = [metric] if metric else known
    columns = {
        name: numbers for name in asked if (numbers := _numbers(path, frame[name], sole=len(asked) == 1)) is not None
    }
    if not columns:
        raise TableError(f"{path} has no column of numbers beside {column!r}")
    seeds = _seeds(path, frame)
    _check_once(path, frame[column], seeds)
    rows = pd.concat([_rows(frame[column], seeds, name, values) for name, values in columns.items()])
    metrics = directed(columns, direction)
    info = TableInfo(
        space,
        data or recording.data,
        metrics,
        origin=path.name,
        notes=(f"{FINAL_RESULTS}: final results, epochs and cost unknown (both epochs are 0)",),
    )
    return RecordedTable(info, rows[np.isfinite(rows["value"])])


def _architecture(recording: Recording) -> str | None:
    by_name = {name.strip().lower(): name for name in sorted(recording.names, reverse=True)}
    return next((by_name[name] for name in ARCHITECTURE if name in by_name), None)


def _has_epochs(recording: Recording) -> bool:
    return any(name.strip().lower() == "epoch" for name in recording.names)


def _numbers(path: Path, column: pd.Series, *, sole: bool) -> pd.Series | None:
    """The column as numbers; None for a column of texts, unless it is the only one that there is to read."""
    texts = column.astype(str).str.strip()
    values = pd.to_numeric(texts.mask(texts.isin(MISSING)), errors="coerce")
    broken = np.flatnonzero(values.isna() & column.notna() & ~texts.isin(MISSING))
    if len(broken) and not sole and len(broken) == int(column.notna().sum()):
        return None
    if len(broken):
        row = int(broken[0])
        raise TableError(
            f"{path}, row {int(column.index[row]) + 1}: {column.name} {column.iloc[row]!r} is not a number"
        )
    return values.astype(float)


def _seeds(path: Path, frame: pd.DataFrame) -> pd.Series:
    if SEED not in frame:
        return pd.Series(-1, index=frame.index)
    seeds = pd.to_numeric(frame[SEED], errors="coerce")
    wrong = np.flatnonzero(seeds.isna() | (seeds < 0) | (seeds % 1 != 0))
    if len(wrong):
        row = int(wrong[0])
        raise TableError(
            f"{path}, row {int(frame.index[row]) + 1}: seed {frame[SEED].iloc[row]!r} is not a whole number"
        )
    return seeds.astype(int)


def _check_once(path: Path, architectures: pd.Series, seeds: pd.Series) -> None:
    keys = pd.DataFrame({"architecture": architectures, SEED: seeds})
    twice = np.flatnonzero(keys.duplicated())
    if len(twice):
        again = keys.iloc[int(twice[0])]
        first = int(np.flatnonzero((keys == again).all(axis=1))[0])
        rows = [int(architectures.index[place]) + 1 for place in (int(twice[0]), first)]
        more = f" ({len(twice)} such rows)" if len(twice) > 1 else ""
        raise TableError(
            f"{path}, row {rows[0]}: {again['architecture']!r} is in row {rows[1]}, too{more}; leave one of the "
            f"rows, or tell them apart by a column {SEED!r}"
        )


def _rows(architectures: pd.Series, seeds: pd.Series, metric: str, values: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "architecture": architectures.to_numpy(),
            "source": FINAL_RESULTS,
            "epoch": 0,
            "schedule_epochs": 0,
            "seed": seeds.to_numpy(),
            "metric": metric,
            "value": shares(values) if is_accuracy(metric) else values.to_numpy(),
            "seconds": np.nan,
        }
    )
