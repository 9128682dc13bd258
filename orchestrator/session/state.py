"""What a run does at this moment, as its driver reports it: to other processes, and to the metrics of Ray.

What was done stands in the evidence log. This is the rest: what is planned, what runs, and what it waits for.
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
"""The file is written no more often, but for a new stage or a new reason to wait."""


@dataclass(frozen=True)
class Counts:
    """How many trials of a stage are in which state."""

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
    """A stage that has run, runs or will run.

    Attributes:
        title: its name for people.
        trials: how many it has; of trainings that are chosen later, at most.
        epochs: epoch-equivalents that it takes at most.
    """

    title: str
    trials: int
    epochs: float


@dataclass(frozen=True)
class Waiting:
    """Trials wait for Ray, and none runs.

    Attributes:
        since: Unix seconds.
        starting: whether Ray has given them room, so that their workers are on the way.
        asked: of each resource, by a trial.
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
    """What the driver of a run reports.

    Attributes:
        doing: in words, while no stage runs.
        stage: title of the stage that runs; empty for none.
        stages: all of them, in their order, the baseline last.
        counts: of the stage that runs.
        spent: epoch-equivalents used so far, by title, of the stages that this process has come to.
        saved: epochs that trials which were stopped or left waiting did not train, by title.
        budget_epochs: epoch-equivalents that the evidence may cost.
        waiting: what the trials of the stage wait for.
        patience: seconds after which a worker that reports nothing is ended.
    """

    doing: str = ""
    stage: str = ""
    stages: tuple[StagePlan, ...] = ()
    counts: Counts = Counts()
    spent: Mapping[str, float] = field(default_factory=dict)
    saved: Mapping[str, float] = field(default_factory=dict)
    budget_epochs: float = 0.0
    waiting: Waiting | None = None
    patience: float | None = None


class StatusFile:
    """Keeps the last state in a file of the run's folder; it is there as a whole or not at all.

    A disk that is full, or a folder that is gone, is the log's to complain about.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / STATUS_FILE
        self._began = time.time()
        self._written = 0.0
        self._urgent: tuple[str, str, bool] | None = None

    def tell(self, state: RunState) -> None:
        """Writes it, unless it says nothing urgent and the last one is young."""
        urgent, now = (state.doing, state.stage, state.waiting is None), time.monotonic()
        if urgent == self._urgent and now - self._written < WRITE_SECONDS:
            return
        self._urgent, self._written = urgent, now
        content = asdict(state) | {"began": self._began, "written": time.time()}
        with suppress(OSError), replaced(self._file) as file:
            file.write_text(json.dumps(content, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class SavedState:
    """The last state that a driver has written.

    Attributes:
        state: it.
        began: when the driver did, Unix seconds.
        written: when that was, Unix seconds.
    """

    state: RunState
    began: float
    written: float


def read_state(folder: Path) -> SavedState | None:
    """What the driver of a run has written last; None where it has not, or not as this version does."""
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
