"""Complete learning curves of five recorded sets, as input of curve models; imported from $TAURANK_DATA."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.recorded import A4NN, DEEP_RESNETS, METAQNN, NAAP440, SPIKENAS, read_recorded
from taurank.orchestrator.replay.curves import architecture_features, at_epochs, read_curves, rows_of, varied
from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.trainables.table import RecordedTable
from taurank.trainables.table.recorded_training import METRIC

CURVE_SETS = (SPIKENAS, NAAP440, METAQNN, DEEP_RESNETS, A4NN)

_BEAMS = ("xray-1e14", "xray-1e15", "xray-1e16")
_SPIKENAS_EPOCHS = 100  # few ran 200
_NAAP440_PERIOD = 3
_LARGEST_SHARE = 0.85
"""Largest share of a set in a draw: a larger one would make all draws alike."""


@dataclass(frozen=True, eq=False)
class RecordedCurves:
    """Trials of one set, each run to the end of its schedule.

    Attributes:
        matrix: all curves, accuracy in [0, 1]; of a cyclic schedule only the points of equal phase. The training loss
            is in nats; of a4nn, which records accuracy alone, it is ``-log(training accuracy)``: 0 when all is right
            and the loss of a guess at chance. Features: size and encoding, categories one-hot, without constant ones.
        truth: the reference order, (trials,): test accuracy for spikenas, the last value elsewhere.
        chance: accuracy of a guess.
        groups: trials that may be compared with each other have the same number, (trials,). Only a4nn has several:
            three data sets.
    """

    matrix: CurveMatrix
    truth: Floats
    chance: float
    groups: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> RecordedCurves:
        """These trials only, in this order."""
        return RecordedCurves(rows_of(self.matrix, rows), self.truth[rows], self.chance, self.groups[rows])

    def draw(self, candidates: int, rng: np.random.Generator) -> RecordedCurves:
        """Trials of one group at random, at most 85 % of them."""
        group = rng.choice(np.unique(self.groups))
        pool = np.flatnonzero(self.groups == group)
        return self.take(rng.choice(pool, min(candidates, int(_LARGEST_SHARE * len(pool))), replace=False))

    def cut(self, share: float) -> CurveMatrix:
        """The curves as they stand after this share of the schedule, at least one point; halves round to even."""
        return cut_at(self.matrix, max(1, round(share * len(self.matrix.epochs))))


def cut_at(matrix: CurveMatrix, points: int) -> CurveMatrix:
    """The curves as they stand after so many points: the rest is not measured yet."""
    later = np.arange(len(matrix.epochs)) >= points
    training = None if matrix.training is None else np.where(later, np.nan, matrix.training)
    return replace(matrix, values=np.where(later, np.nan, matrix.values), training=training)


@cache
def load_curves(name: str, folder: Path | None = None) -> RecordedCurves:
    """One of `CURVE_SETS`, from ``folder`` or $TAURANK_DATA."""
    if name == A4NN:
        loaded = _joined([_read(read_recorded(name, folder, beam), chance=0.5) for beam in _BEAMS])
    else:
        loaded = _read(
            read_recorded(name, folder),
            truth="test_accuracy" if name == SPIKENAS else METRIC,
            schedule=_SPIKENAS_EPOCHS if name == SPIKENAS else 0,
            period=_NAAP440_PERIOD if name == NAAP440 else 1,
        )
    return replace(loaded, matrix=replace(loaded.matrix, features=varied(loaded.matrix.features)))


def _read(
    table: RecordedTable, *, truth: str = METRIC, schedule: int = 0, period: int = 1, chance: float = 0.1
) -> RecordedCurves:
    schedule = schedule or table.full_epochs
    # A genome trained again is another trial.
    found = read_curves(table, metric=METRIC, schedule_epochs=schedule)
    codes = found.architectures.tolist()
    finals = found.matrix.values[:, -1]
    if truth != METRIC:
        finals = table.final(truth, schedule_epochs=schedule, seed=0).loc[codes].to_numpy()
    matrix = at_epochs(found.matrix, np.arange(period, schedule + 1, period))
    matrix = replace(matrix, features=architecture_features(table, None, codes))
    loaded = RecordedCurves(matrix, finals, chance, np.zeros(len(finals), dtype=np.int64))
    return loaded.take(np.flatnonzero(np.isfinite(finals)))


def _joined(parts: list[RecordedCurves]) -> RecordedCurves:
    """Concatenates groups with the same epochs and features."""
    matrices = [part.matrix for part in parts]
    matrix = CurveMatrix(
        values=np.concatenate([each.values for each in matrices]),
        epochs=matrices[0].epochs,
        training=np.concatenate([each.training for each in matrices if each.training is not None]),
        features=np.concatenate([each.features for each in matrices if each.features is not None]),
    )
    groups = np.repeat(np.arange(len(parts)), [len(part.truth) for part in parts])
    return RecordedCurves(matrix, np.concatenate([part.truth for part in parts]), parts[0].chance, groups)
