"""Whole learning curves of a table side by side, as curve models and policies take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.replay.truth import ENOUGH, UNDIRECTED, ReplayError
from taurank.orchestrator.text import hint
from taurank.schedulers.curves import CurveMatrix, Floats, Metric
from taurank.spaces import Architecture, SearchSpace
from taurank.trainables.table import TRAINING_SOURCE, RecordedTable

LEAST_ACCURACY = 1e-3
"""Training accuracies below it count as this, whose loss is 6.9 nats."""


@dataclass(frozen=True, eq=False)
class RecordedCurves:
    """Trainings of one schedule that came to their end, by the order of the table.

    Attributes:
        matrix: the metric at every epoch at which some training has it, and the training loss there.
        architectures: code of each, (trials,).
        seeds: seed of each, (trials,); an architecture that was trained again is another trial.
        left_out: trainings that came to their end, but lack epochs that most have.
    """

    matrix: CurveMatrix
    architectures: NDArray[np.str_]
    seeds: NDArray[np.int64]
    left_out: int = 0

    def take(self, rows: NDArray[np.int64]) -> RecordedCurves:
        """These trials only, in this order."""
        return replace(
            self, matrix=rows_of(self.matrix, rows), architectures=self.architectures[rows], seeds=self.seeds[rows]
        )


def whole_trainings(known: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Epochs that trainings can be compared at, and the trainings that have all of them.

    These are the epochs that at least half of the trainings have. Where less than half of the trainings have all of
    them, it is the epochs that every training has, and no training is left out.

    Args:
        known: whether a training has a value, (trainings, epochs).

    Returns:
        Which epochs, (epochs,), and which trainings, (trainings,).
    """
    usual: NDArray[np.bool_] = known.sum(axis=0) >= max(ENOUGH * len(known), 1)
    whole: NDArray[np.bool_] = np.all(known[:, usual], axis=1)
    if whole.sum() >= ENOUGH * len(known):
        return usual, whole
    every: NDArray[np.bool_] = np.all(known, axis=0)
    return every, np.ones(len(known), dtype=np.bool_)


def read_curves(table: RecordedTable, *, metric: str, schedule_epochs: int) -> RecordedCurves:
    """All trainings of a schedule that have the metric at its end and at the epochs that most have.

    The training loss is `train_loss`, else the loss of `train_accuracy`, ``-log(accuracy)``: 0 where all is right, and
    that of a guess at chance.

    Raises:
        ReplayError: the table has no such metric, or does not define which direction is better.
    """
    kind = metric_kind(table, metric)
    rows = table.rows[(table.rows["source"] == TRAINING_SOURCE) & (table.rows["schedule_epochs"] == schedule_epochs)]
    trial = rows.groupby(["architecture", "seed"], observed=True, sort=False).ngroup().to_numpy()
    first = np.unique(trial, return_index=True)[1]
    present = set(rows["metric"].unique())
    epoch = rows["epoch"].to_numpy()

    def by_epoch(name: str) -> Floats:
        chosen = (rows["metric"] == name).to_numpy() & (epoch >= 1)  # epoch 0 is the network before training
        values = np.full((len(first), schedule_epochs), np.nan)
        values[trial[chosen], epoch[chosen] - 1] = rows["value"].to_numpy()[chosen]
        return values

    values = by_epoch(metric)
    training = None
    if "train_loss" in present:
        training = by_epoch("train_loss")
    elif "train_accuracy" in present:
        training = -np.log(np.clip(by_epoch("train_accuracy"), LEAST_ACCURACY, 1.0))
    ended = np.flatnonzero(np.isfinite(values[:, -1])) if schedule_epochs else np.zeros(0, dtype=np.int64)
    if not len(ended):
        raise ReplayError(f"--metric: no training over {schedule_epochs} epochs has {metric} at its end")
    matrix = CurveMatrix(values, np.arange(1, schedule_epochs + 1), kind, training)
    usual, whole = whole_trainings(np.isfinite(values[ended]))
    found = RecordedCurves(
        at_epochs(matrix, np.flatnonzero(usual) + 1),
        rows["architecture"].to_numpy().astype(str)[first],
        rows["seed"].to_numpy()[first].astype(np.int64),
        left_out=int((~whole).sum()),
    )
    return found.take(ended[whole])


def metric_kind(table: RecordedTable, metric: str) -> Metric:
    """What the values of a metric are, by its name, direction and unit.

    Raises:
        ReplayError: trainings have no such metric, it is a test metric, or the table does not say which direction is
            better.
    """
    known = training_metrics(table)
    if metric not in known:
        there = ", ".join(known) or "none with a direction"
        if metric.startswith("test_"):
            raise ReplayError(f"--metric: {metric} is no evidence, it may be the truth; there is {there}")
        if metric in table.info.metrics and table.info.metrics[metric].direction == "none":
            raise ReplayError(f"--metric: {UNDIRECTED.format(metric=metric)}")
        raise ReplayError(f"--metric: trainings of the table have no {metric}; there is {there}{hint(metric, known)}")
    described = table.info.metrics[metric]
    if "perplexity" in metric:
        return "perplexity"
    if described.unit == "share":
        return "accuracy" if described.direction == "higher" else "error"
    return "score" if described.direction == "higher" else "loss"


def training_metrics(table: RecordedTable) -> list[str]:
    """Metrics of trainings of which one end is better, but for those of test images."""
    of_trainings = table.rows.loc[table.rows["source"] == TRAINING_SOURCE, "metric"].unique()
    directed = [str(name) for name in of_trainings if table.info.metrics[str(name)].direction != "none"]
    return [name for name in directed if not name.startswith("test_")]


def architecture_features(
    table: RecordedTable, space: SearchSpace | None, architectures: Sequence[str]
) -> Floats | None:
    """Logarithms of the sizes that all have, and the encoding (see ``encode``), (architectures, features)."""
    columns = encode(table, space, architectures).to_numpy(dtype=np.float64)
    if "size" in table.sources:
        sizes = table.wide("size").loc[list(architectures)].to_numpy(dtype=np.float64)
        columns = np.hstack([np.log(sizes[:, (sizes > 0).all(axis=0)]), columns])
    return columns if columns.shape[1] else None


def varied(features: Floats | None) -> Floats | None:
    """Without the columns that are the same in all trials; None where that leaves none."""
    if features is None:
        return None
    kept = features[:, np.ptp(features, axis=0) > 0]
    return kept if kept.shape[1] else None


def at_epochs(matrix: CurveMatrix, epochs: NDArray[np.int64]) -> CurveMatrix:
    """The curves at these of their epochs only."""
    columns = np.searchsorted(matrix.epochs, epochs)
    return replace(
        matrix,
        values=matrix.values[:, columns],
        epochs=matrix.epochs[columns],
        training=None if matrix.training is None else matrix.training[:, columns],
    )


def rows_of(matrix: CurveMatrix, rows: NDArray[np.int64]) -> CurveMatrix:
    """The curves of these trials only, in this order."""
    return replace(
        matrix,
        values=matrix.values[rows],
        training=None if matrix.training is None else matrix.training[rows],
        features=None if matrix.features is None else matrix.features[rows],
    )


ENCODING = "encoding"
"""Source of the entries of an architecture's own encoding."""


def encode(table: RecordedTable, space: SearchSpace | None, codes: Sequence[str]) -> pd.DataFrame:
    """Features of the architectures, (architectures, features), all finite; no columns where nothing is known.

    Of a registered space they are its own. Otherwise those of the table: numbers as they are, labels one-hot; an entry
    that an architecture does not have is 0, and a column of its own marks that. Columns are sorted by name.
    """
    index = pd.Index(codes, name="architecture")
    if space is not None:
        rows = [space.features(Architecture(space.name, code)) for code in codes]
        return pd.DataFrame(rows, index=index, columns=list(space.feature_names), dtype=float)
    if ENCODING not in table.sources:
        return pd.DataFrame(index=index)
    columns: list[pd.Series | pd.DataFrame] = []
    for name, values in table.wide(ENCODING).reindex(index).items():
        if table.info.metrics[str(name)].category:
            columns.append(pd.get_dummies(values, prefix=str(name), prefix_sep="=", dtype=float))
            continue
        columns.append(values.fillna(0.0).rename(str(name)))
        if values.isna().any():
            columns.append(values.isna().astype(float).rename(f"{name} missing"))
    return pd.concat(columns, axis=1).sort_index(axis=1)
