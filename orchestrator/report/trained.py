"""The trainings of a run as the report shows them: each with its curve, its state and the reason for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.evidence import BASELINE, STATES, TRAINING, VALIDATION_ACCURACY

State = Literal["full", "done", "stopped", "paused", "failed", "begun"]
STATE_WORDS: dict[State, str] = {
    "full": "trained in full",
    "done": "short training complete",
    "stopped": "stopped early",
    "paused": "paused",
    "failed": "failed",
    "begun": "unfinished",
}
POINTS = 60_000
"""Maximal number of points of all curves on a page; beyond it each curve keeps its ends and points between them."""
FEWEST_POINTS = 8


@dataclass(frozen=True)
class Trained:
    """One training.

    Attributes:
        trial: its key.
        code: the candidate; empty if the training has no rows.
        stage: its stage.
        state: ``full`` for the end of full training, ``done`` for the end of a shorter one.
        epochs: at which it was validated, (points,).
        values: of the metric there, (points,); NaN where it was not finite.
        schedule_epochs: length of its schedule; 0 if unknown.
        reason: of the last event.
    """

    trial: str
    code: str
    stage: str
    state: State
    epochs: NDArray[np.int64]
    values: NDArray[np.float64]
    schedule_epochs: int
    reason: str = ""

    @property
    def last_epoch(self) -> int:
        """The last epoch with a value; 0 without one."""
        return int(self.epochs[-1]) if len(self.epochs) else 0

    @property
    def is_evidence(self) -> bool:
        """Whether the ranking may use it."""
        return self.stage != BASELINE

    @property
    def progress(self) -> str:
        """``3 of 40 epochs``."""
        return f"{self.last_epoch} of {self.schedule_epochs} epochs" if self.schedule_epochs else ""

    @property
    def words(self) -> str:
        """Its state in words, with the epochs and the reason."""
        at = f" at {self.progress}" if self.state not in ("full", "done") and self.progress else ""
        return f"{STATE_WORDS[self.state]}{at}" + (f": {self.reason}" if self.reason else "")


def read_trainings(rows: pd.DataFrame, events: pd.DataFrame, *, full_epochs: int) -> list[Trained]:
    """The trainings of a log, in the order in which they began.

    Args:
        rows: of the log, baseline included.
        events: of the log; without any, a training is over where its rows end.
        full_epochs: length of full training.
    """
    curves = rows[(rows["metric"] == VALIDATION_ACCURACY) & (rows["source"] == TRAINING)]
    own = events[(events["trial"] != "") & events["event"].isin(STATES)]
    last = {
        trial: (STATES[event], str(reason))
        for trial, event, reason in own[["trial", "event", "reason"]].itertuples(index=False)
    }
    found = []
    for trial, curve in curves.groupby("trial", sort=False):
        ordered = curve.sort_values("epoch")
        first, epochs = ordered.iloc[0], ordered["epoch"].to_numpy(dtype=np.int64)
        schedule = int(first["schedule_epochs"])
        known = last.pop(str(trial), None)
        state, reason = known or _ended(float(ordered["value"].iloc[-1]), int(epochs[-1]), schedule)
        is_full = schedule >= full_epochs and float(first["epoch_share"]) == 1
        found.append(
            Trained(
                trial=str(trial),
                code=str(first["architecture"]),
                stage=str(first["stage"]),
                state="full" if state == "done" and is_full and epochs[-1] >= schedule else _state(state),
                epochs=epochs,
                values=ordered["value"].to_numpy(dtype=float),
                schedule_epochs=schedule,
                reason=reason if state != "done" else "",
            )
        )
    none = np.zeros(0)
    found += [
        Trained(trial, "", trial.partition("/")[0], "failed", none.astype(np.int64), none, 0, reason)
        for trial, (state, reason) in last.items()
        if state == "failed"
    ]
    return found


def _ended(value: float, epoch: int, schedule: int) -> tuple[str, str]:
    """State and reason of a training whose events are not recorded."""
    if not np.isfinite(value):
        return "failed", "its last value is not finite"
    return ("done", "") if epoch >= schedule else ("stopped", "its results end there")


def _state(state: str) -> State:
    named: dict[str, State] = {"done": "done", "stopped": "stopped", "paused": "paused", "failed": "failed"}
    return named.get(state, "begun")


def foremost(trainings: Sequence[Trained]) -> Mapping[str, Trained]:
    """The training of each candidate that tells its state: the one closest to full training, by code."""
    found: dict[str, Trained] = {}
    for one in trainings:
        before = found.get(one.code)
        if one.is_evidence and one.code and (before is None or _length(one) >= _length(before)):
            found[one.code] = one
    return found


def _length(one: Trained) -> tuple[int, int]:
    return one.schedule_epochs, one.last_epoch


def thinned(trainings: Sequence[Trained]) -> list[NDArray[np.intp]]:
    """Which points of each curve are shown: all, unless the curves have more than ``POINTS`` of them."""
    total = sum(len(one.epochs) for one in trainings)
    most = None if total <= POINTS else max(FEWEST_POINTS, POINTS // len(trainings))
    return [
        np.arange(len(one.epochs))
        if most is None or len(one.epochs) <= most
        else np.unique(np.linspace(0, len(one.epochs) - 1, most).round().astype(np.intp))
        for one in trainings
    ]
