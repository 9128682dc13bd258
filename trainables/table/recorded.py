"""A table of recorded trainings in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.trainables.table.checks import checked_rows
from taurank.trainables.table.format import TRAINING_SOURCE, TableError, TableInfo

_Training = tuple[str, int, int]  # architecture, schedule_epochs, seed


class _Index(NamedTuple):
    """The rows of a source sorted by training, then epoch; `slices` says where a training's rows are."""

    slices: dict[_Training, slice]
    epochs: NDArray[np.int32]
    metrics: NDArray[np.int64]
    values: NDArray[np.float64]
    seconds: NDArray[np.float64]
    names: tuple[str, ...]


class RecordedPoints(NamedTuple):
    """One training by epoch.

    Attributes:
        epochs: rising, (epochs,).
        metrics: names of those that it has.
        values: metrics and, last, seconds since the previous epoch, (epochs, metrics + 1); NaN where unknown.
    """

    epochs: NDArray[np.int32]
    metrics: list[str]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecordedTable:
    """Recorded trainings, sizes, proxies and latencies of the architectures of one space on one data set.

    Attributes:
        info: what the table is about.
        rows: one number each, in the columns and types of the format (see `taurank.trainables.table.format`).

    Raises:
        TableError: the rows break a promise of the format.

    Example:
        >>> from taurank.trainables.table import Metric, TableInfo
        >>> info = TableInfo("mine", "digits", {"test_accuracy": Metric("higher", "share")})
        >>> row = ["a", "training", 3, 3, 0, "test_accuracy", 0.9, 12.0]
        >>> RecordedTable(info, pd.DataFrame([row], columns=COLUMNS)).full_epochs
        3
    """

    info: TableInfo
    rows: pd.DataFrame

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", checked_rows(self.rows, self.info.metrics))

    @cached_property
    def architectures(self) -> list[str]:
        """Every architecture once, in the order of first appearance."""
        return [str(code) for code in self.rows["architecture"].unique()]

    @cached_property
    def sources(self) -> list[str]:
        """Every source once, in the order of first appearance."""
        return [str(source) for source in self.rows["source"].unique()]

    @property
    def full_epochs(self) -> int:
        """Length of the longest schedule that a training of source `training` has completed; 0 without one."""
        return max(self.schedules(), default=0) if TRAINING_SOURCE in self.sources else 0

    def schedules(self, source: str = TRAINING_SOURCE) -> list[int]:
        """Lengths of the schedules that at least one training of the source has completed, ascending."""
        rows = self._of(source)
        complete = (rows["epoch"] == rows["schedule_epochs"]) & (rows["schedule_epochs"] > 0)
        return sorted(int(length) for length in rows.loc[complete, "schedule_epochs"].unique())

    def seeds(self, schedule_epochs: int, source: str = TRAINING_SOURCE) -> list[int]:
        """Seeds of which at least one training has completed the schedule, ascending."""
        rows = self._of(source)
        complete = (rows["schedule_epochs"] == schedule_epochs) & (rows["epoch"] == schedule_epochs)
        return sorted(int(seed) for seed in rows.loc[complete, "seed"].unique())

    def final(self, metric: str, *, schedule_epochs: int, seed: int, source: str = TRAINING_SOURCE) -> pd.Series:
        """The metric at the end of the schedule, by architecture; NaN where there is none."""
        return self.at(metric, epoch=schedule_epochs, schedule_epochs=schedule_epochs, seed=seed, source=source)

    def at(
        self, metric: str, *, epoch: int, schedule_epochs: int, seed: int, source: str = TRAINING_SOURCE
    ) -> pd.Series:
        """The metric at one epoch of a schedule, by architecture in the order of `architectures`; NaN = none.

        Raises:
            TableError: no such source or metric in the table.
        """
        self._check_metric(metric)
        rows = self._of(source)
        wanted = (rows["epoch"] == epoch) & (rows["schedule_epochs"] == schedule_epochs) & (rows["seed"] == seed)
        found = rows[wanted & (rows["metric"] == metric)]
        values = pd.Series(found["value"].to_numpy(), index=found["architecture"].astype(str), name=metric)
        return values.reindex(pd.Index(self.architectures, name="architecture"))

    def curve(
        self, architecture: str, *, schedule_epochs: int, seed: int, source: str = TRAINING_SOURCE
    ) -> pd.DataFrame:
        """One training by epoch: a column per metric that it has (NaN = none at that epoch), and `seconds`.

        `seconds` is the cost since the previous epoch in the index, NaN where it is unknown. The first call sorts the
        rows of the source; after that a call costs the rows of the training.

        Raises:
            TableError: the table has no such source or training.
        """
        found = self.points(architecture, schedule_epochs=schedule_epochs, seed=seed, source=source)
        index = pd.Index(found.epochs, name="epoch")
        return pd.DataFrame(found.values, index=index, columns=[*found.metrics, "seconds"])

    def points(
        self, architecture: str, *, schedule_epochs: int, seed: int, source: str = TRAINING_SOURCE
    ) -> RecordedPoints:
        """The numbers of `curve` as arrays, in a quarter of its time: for callers that read thousands of trainings.

        Raises:
            TableError: see `curve`.
        """
        index = self._index(source)
        found = index.slices.get((architecture, schedule_epochs, seed))
        if found is None:
            raise TableError(
                f"no {source} of {architecture!r} over {schedule_epochs} epochs with seed {seed}; "
                "`taurank table show` lists what there is"
            )
        epochs, metrics = index.epochs[found], index.metrics[found]
        starts = np.flatnonzero(np.r_[True, epochs[1:] != epochs[:-1]])
        of_epoch = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(epochs)]))
        present, column = np.unique(metrics, return_inverse=True)
        values = np.full((len(starts), len(present) + 1), np.nan)  # (epochs, metrics and seconds)
        values[of_epoch, column] = index.values[found]
        values[:, -1] = np.add.reduceat(index.seconds[found], starts)
        return RecordedPoints(epochs[starts], [index.names[place] for place in present], values)

    def wide(self, source: str) -> pd.DataFrame:
        """The numbers of a source without epochs, one row per architecture, one column per metric; NaN = none.

        Raises:
            TableError: no such source, or it has several numbers of one architecture and metric.
        """
        rows = self._of(source)
        if rows.duplicated(["architecture", "metric"]).any():
            raise TableError(f"{source} has several epochs or seeds of an architecture; ask by `at` or `curve`")
        metrics = rows["metric"].unique()
        place = pd.Index(self.architectures, name="architecture")
        values = np.full((len(place), len(metrics)), np.nan)  # (architectures, metrics)
        row = place.get_indexer(pd.Index(rows["architecture"].astype(str)))
        column = pd.Index(list(metrics)).get_indexer(pd.Index(rows["metric"].astype(str)))
        values[row, column] = rows["value"]
        return pd.DataFrame(values, index=place, columns=[str(metric) for metric in metrics])

    @cached_property
    def seconds_per_epoch(self) -> float:
        """Seconds of one epoch of source `training`: the known seconds over the epochs that they cover; or NaN."""
        if TRAINING_SOURCE not in self.sources:
            return np.nan
        index = self._index(TRAINING_SOURCE)
        first = np.zeros(len(index.epochs), dtype=bool)  # rows that begin a training
        first[[found.start for found in index.slices.values()]] = True
        starts = np.flatnonzero(first | (np.diff(index.epochs, prepend=-1) != 0))  # rows that begin an epoch
        booked, at = np.add.reduceat(index.seconds, starts), index.epochs[starts]
        paid_for = np.where(first[starts], at, np.diff(at, prepend=0))
        known = np.isfinite(booked)
        return float(booked[known].sum() / paid_for[known].sum()) if known.any() else np.nan

    @cached_property
    def _indexes(self) -> dict[str, _Index]:
        return {}

    def _index(self, source: str) -> _Index:
        """The rows of a source, sorted on first use."""
        if source not in self._indexes:
            self._indexes[source] = _sorted(self._of(source))
        return self._indexes[source]

    @cached_property
    def _parts(self) -> dict[str, pd.DataFrame]:
        return {str(source): rows for source, rows in self.rows.groupby("source", observed=True, sort=False)}

    def _of(self, source: str) -> pd.DataFrame:
        if source not in self._parts:
            raise TableError(f"source: {source!r} is not in the table; there are {', '.join(self.sources)}")
        return self._parts[source]

    def _check_metric(self, metric: str) -> None:
        known = list(self.rows["metric"].cat.categories)
        if metric not in known:
            raise TableError(f"metric: {metric!r} is not in the table; there are {', '.join(known)}")


def _sorted(rows: pd.DataFrame) -> _Index:
    number = rows.groupby(["architecture", "schedule_epochs", "seed"], observed=True, sort=False).ngroup().to_numpy()
    metric = rows["metric"].cat.codes.to_numpy()
    order = np.lexsort((metric, rows["epoch"].to_numpy(), number))
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    ends = [*starts[1:].tolist(), len(order)]
    first = rows.iloc[order[starts]]
    trainings = zip(
        first["architecture"].astype(str), first["schedule_epochs"].tolist(), first["seed"].tolist(), strict=True
    )
    return _Index(
        slices={key: slice(start, end) for key, start, end in zip(trainings, starts.tolist(), ends, strict=True)},
        epochs=rows["epoch"].to_numpy()[order],
        metrics=metric[order].astype(np.int64),
        values=rows["value"].to_numpy()[order],
        seconds=rows["seconds"].to_numpy()[order],
        names=tuple(map(str, rows["metric"].cat.categories)),
    )
