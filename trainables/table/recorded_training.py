"""One recorded training, stepped through as if it were being trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from taurank.trainables.table.format import TRAINING_SOURCE, TableError
from taurank.trainables.table.recorded import RecordedTable

METRIC = "validation_accuracy"
"""Metric of every step; epochs without it are skipped."""
SEEN = ("train_", "validation_")
"""Metrics that a training shows. Test metrics stay in the table: they are what a replay is scored against."""


@dataclass(frozen=True)
class RecordedStep:
    """Result of one step of a recorded training.

    Attributes:
        epoch: epochs trained so far.
        metrics: training and validation metrics at this epoch, those that are recorded.
        seconds: recorded cost since the step before; 0 where it is unknown.
        epochs: the same in epoch-equivalents: epochs since the step before.
        seconds_known: whether `seconds` were recorded.
    """

    epoch: int
    metrics: dict[str, float]
    seconds: float
    epochs: float
    seconds_known: bool

    def cost_of(self, metric: str) -> tuple[float, float]:
        """Seconds and epoch-equivalents to book with a metric: one row of a step carries its cost."""
        return (self.seconds, self.epochs) if metric == METRIC else (0.0, 0.0)


class RecordedTraining:
    """Steps through a training of source `training`, from recorded epoch to recorded epoch.

    A table that has every epoch of a schedule gives one step an epoch. Of one that has only some (NAS-Bench-201 has the
    last of 12 and of 200) each step pays for all epochs since the one before.

    Args:
        table: where the training is recorded.
        architecture: its code.
        schedule_epochs: length of its schedule.
        seed: of the training.
        until: end after that many epochs of the schedule, or at the last recorded epoch before; None: at its end.

    Attributes:
        epoch: epochs done.
        spent: cost of the last step in epoch-equivalents.

    Raises:
        TableError: there is no such training, it has no validation accuracy at its end, or none up to `until`.

    Example:
        >>> training = RecordedTraining(table, "a", schedule_epochs=12, seed=0)  # doctest: +SKIP
        >>> training.step().metrics  # doctest: +SKIP
        {'validation_accuracy': 0.81}
    """

    def __init__(
        self, table: RecordedTable, architecture: str, schedule_epochs: int, seed: int, until: int | None = None
    ) -> None:
        curve = table.points(architecture, schedule_epochs=schedule_epochs, seed=seed)
        what = f"{TRAINING_SOURCE} of {architecture!r} over {schedule_epochs} epochs with seed {seed}"
        measured = np.zeros(len(curve.epochs), dtype=bool)
        if METRIC in curve.metrics:
            measured = ~np.isnan(curve.values[:, curve.metrics.index(METRIC)])
        measured = measured & (curve.epochs >= 1)  # epoch 0 is the network before training
        epochs = curve.epochs[measured]
        if until is None and (not len(epochs) or epochs[-1] < schedule_epochs):
            raise TableError(f"{what} has no {METRIC} at its end; give until, or take another architecture")
        if until is not None and not (epochs <= until).any():
            raise TableError(
                f"until: {what} has no {METRIC} up to epoch {until}; `taurank table show` lists its epochs"
            )
        last = schedule_epochs if until is None else until
        self._epochs = [int(epoch) for epoch in epochs[epochs <= last]]
        # The seconds of an epoch that is passed over are those of the step that passes it.
        passed = np.searchsorted(epochs, curve.epochs)
        self._seconds = np.bincount(passed, weights=curve.values[:, -1], minlength=len(epochs)).tolist()
        shown = [(place, name) for place, name in enumerate(curve.metrics) if name.startswith(SEEN)]
        self._metrics = [
            {name: values[place] for place, name in shown if math.isfinite(values[place])}
            for values in curve.values[measured].tolist()
        ]
        self._done = 0
        self.spent = 0.0

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self._epochs[self._done - 1] if self._done else 0

    @property
    def trained(self) -> bool:
        """Whether all its epochs are done."""
        return self._done == len(self._epochs)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.trained

    def step(self) -> RecordedStep:
        """Advances to the next recorded epoch.

        Raises:
            RuntimeError: called again after the last one.
        """
        if self.trained:
            raise RuntimeError(f"all {self.epoch} epochs of the training are done")
        before, at = self.epoch, self._done
        self._done += 1
        self.spent = float(self.epoch - before)
        known = math.isfinite(self._seconds[at])
        return RecordedStep(
            epoch=self.epoch,
            metrics=self._metrics[at],
            seconds=self._seconds[at] if known else 0.0,
            epochs=self.spent,
            seconds_known=known,
        )

    def state_dict(self) -> dict[str, Any]:
        """Number of completed steps."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of `state_dict`."""
        self._done = int(state["done"])
