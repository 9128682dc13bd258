"""The current state of a run, written by its driver for other processes and for Ray's metrics.

Finished work is in the evidence log. This is the rest: planned stages, running trials, and what they wait for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from taurank.orchestrator.text import replaced

STATUS_FILE = "status.json"
WRITE_SECONDS = 2.0
"""Minimal interval between writes, except for a new stage or a new reason to wait."""


@dataclass(frozen=True)
class Counts:
    """Number of trials of a stage in each state."""

    running: int = 0
    paused: int = 0
    stopped: int = 0
    done: int = 0
    failed: int = 0
    waiting: int = 0

    def __str__(self) -> str:
        parts = [f"{self.running} running", f"{self.paused} paused", f"{self.stopped} stopped", f"{self.done} done"]
        return ", ".join(parts + ([f"{self.failed} failed"] if self.failed else []))


@dataclass(frozen=True)
class StagePlan:
    """A completed, current or future stage.

    Attributes:
        title: its displayed name.
        trials: number of trials; an upper bound if they are selected later.
        epochs: upper bound of its cost in epoch-equivalents.
    """

    title: str
    trials: int
    epochs: float


@dataclass(frozen=True)
class Waiting:
    """Trials wait for Ray, and none is running.

    Attributes:
        since: Unix seconds.
        starting: whether Ray has allocated their resources, so that their workers are starting.
        asked: of each resource, per trial.
        free: of each resource, in the cluster.
        total: of each resource, in the cluster.
    """

    since: float
    starting: bool
    asked: Mapping[str, float]
    free: Mapping[str, float]
    total: Mapping[str, float]


@dataclass(frozen=True)
class RunState:
    """The state of a run as its driver reports it.

    Attributes:
        doing: the current activity between stages.
        stage: title of the current stage; empty for none.
        stages: all stages in their order, the baseline last.
        counts: trials of the current stage.
        spent: epoch-equivalents used so far, by title, of the stages that this process has reached.
        saved: scheduled epochs that stopped or paused trials did not train, by title.
        budget_epochs: budget of the evidence in epoch-equivalents.
        budget_time: how much of a budget in time is spent, in words; empty for one in epochs.
        waiting: resources that the trials of the stage wait for.
        patience: seconds after which a worker that reports nothing is ended.
        left: seconds that the run takes on; None if there is no basis for an estimate.
    """

    doing: str = ""
    stage: str = ""
    stages: tuple[StagePlan, ...] = ()
    counts: Counts = Counts()
    spent: Mapping[str, float] = field(default_factory=dict)
    saved: Mapping[str, float] = field(default_factory=dict)
    budget_epochs: float = 0.0
    budget_time: str = ""
    waiting: Waiting | None = None
    patience: float | None = None
    left: float | None = None


class StatusFile:
    """Writes the last state to a file of the run folder, atomically.

    A full disk or a missing folder is reported by the log.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / STATUS_FILE
        self._began = time.time()
        self._written = 0.0
        self._last: tuple[str, str, bool] | None = None

    def tell(self, state: RunState) -> None:
        """Writes the state, unless nothing urgent changed and the last write is recent."""
        urgent, now = (state.doing, state.stage, state.waiting is None), time.monotonic()
        if urgent == self._last and now - self._written < WRITE_SECONDS:
            return
        self._last, self._written = urgent, now
        content = asdict(state) | {"began": self._began, "written": time.time()}
        with suppress(OSError), replaced(self._file) as file:
            file.write_text(json.dumps(content, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class SavedState:
    """The last state that a driver has written.

    Attributes:
        state: the state.
        began: start of the driver, Unix seconds.
        written: time of the write, Unix seconds.
    """

    state: RunState
    began: float
    written: float


def read_state(folder: Path) -> SavedState | None:
    """The last state that the driver of a run has written; None without one, or if another version wrote it."""
    try:
        content: dict[str, Any] = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
        began, written = float(content.pop("began")), float(content.pop("written"))
        waiting = content.pop("waiting")
        stages = tuple(StagePlan(**stage) for stage in content.pop("stages"))
        counts = Counts(**content.pop("counts"))
        state = RunState(
            **content, stages=stages, counts=counts, waiting=None if waiting is None else Waiting(**waiting)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return SavedState(state, began, written)
