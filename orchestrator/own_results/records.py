"""What every reader of results returns: trainings with the numbers of their epochs, as they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

SEEDS = ("seed", "random_seed", "random_state", "manual_seed")
"""Names of the seed of a training, in lower case."""
NAMES = ("candidate", "architecture", "arch", "model", "model_name", "net", "network", "name")
"""Names of what identifies a candidate, in lower case."""


class ResultsError(ValueError):
    """Results that cannot be ranked; one line with the way out."""


@dataclass(frozen=True)
class Record:
    """One training of a folder of results.

    Attributes:
        place: its folder, relative to that of all results.
        config: its hyper-parameters, flat, as far as the folder has them.
        rows: a row per report; columns are metrics and times, in the order in which they were written.
        name: that the user gave it; empty for none.
    """

    place: str
    config: Mapping[str, Any]
    rows: pd.DataFrame
    name: str = ""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are no metrics; None for those found by a sensible name.

    Attributes:
        candidate: what identifies a candidate; in a folder, a hyper-parameter.
        epoch: epochs trained so far.
        seed: of the training.
        schedule_epochs: length of the learning-rate schedule.
        seconds: of the epoch, on one device.
    """

    candidate: str | None = None
    epoch: str | None = None
    seed: str | None = None
    schedule_epochs: str | None = None
    seconds: str | None = None

    @staticmethod
    def of(given: Mapping[str, str]) -> Columns:
        """The columns that a mapping names.

        Raises:
            ResultsError: a key that is none of them.
        """
        known = list(Columns.__dataclass_fields__)
        unknown = [key for key in given if key not in known]
        if unknown:
            raise ResultsError(f"--columns: {unknown[0]!r} is none of {', '.join(known)}")
        return Columns(**given)


USUAL: dict[str, Sequence[str]] = {
    "candidate": (*NAMES, "config", "trial", "trial_id", "trial_name", "run_name", "run", "run_id", "id",
                  "tags.mlflow.runname"),
    "epoch": ("epoch", "epochs", "training_iteration", "iteration", "metrics.epoch", "params.epochs"),
    "seed": (*SEEDS, "params.seed"),
    "schedule_epochs": ("schedule_epochs", "schedule", "max_epochs", "total_epochs"),
    "seconds": ("seconds", "epoch_seconds", "time_this_iter_s"),
}  # fmt: skip
"""Names of columns that are taken for what they say, in lower case, by falling preference."""


def find_column(columns: Sequence[str], role: str, asked: str | None, *, where: str) -> str | None:
    """The column of a role; None where there is none.

    Raises:
        ResultsError: the column that was asked for is not there.
    """
    if asked is not None:
        if asked not in columns:
            raise ResultsError(f"{where} has no column {asked!r} for {role}; it has {listed(columns)}")
        return asked
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in USUAL[role] if name in lower), None)


def first_row(wrong: pd.Series) -> int:
    """Index of the first row of which something holds."""
    return int(np.asarray(wrong.index)[np.flatnonzero(wrong.to_numpy(dtype=bool))[0]])


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names in a message, no more than ``most`` of them; control characters are escaped."""
    shown = ", ".join(repr(name)[1:-1] for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown or "none"


@dataclass(frozen=True)
class Table:
    """All reports of all trainings in one frame.

    Attributes:
        where: the source, for messages.
        rows: columns ``candidate``, ``training`` (which of them), ``epoch``, ``seed``, ``schedule_epochs``, ``seconds``
            (NaN where unknown) and ``value``, the metric; index = the row in the source, counted from 1.
        notes: lines on how the source was read.
    """

    where: str
    rows: pd.DataFrame
    notes: list[str] = field(default_factory=list)
