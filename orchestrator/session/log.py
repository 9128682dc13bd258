"""The human-readable log of a run: one line per decision with its reason and the epochs saved, for ``tail -f``.

It repeats the content of the evidence log as text; no run depends on it.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from taurank.orchestrator.evidence import ACCURACY, COMPLETED, ENDED, FINAL_EVENTS, STARTED, Evidence, RankedMetric
from taurank.orchestrator.session.interruption import RunInterruptedError

RUN_LOG, RAY_LOG = "run.log", "ray.log"
"""Decisions of the run, and messages of Ray."""
_STAGE_EVENTS = (STARTED, ENDED)
"""Events of stages; their start and end are logged by the display with more detail."""


class RunLog:
    """Writes the lines; a full disk is reported by the evidence log.

    It follows the evidence log, so that every event there has a line here. The columns are time, stage, candidate (with
    the seed of its training), decision and reason, separated by two spaces.

    Args:
        folder: of the run.
        metric: of the trainings; lines on complete ones have their last value.
    """

    def __init__(self, folder: Path, metric: RankedMetric = ACCURACY) -> None:
        self._metric = metric
        self._file = folder / RUN_LOG
        self._ended: Counter[str] = Counter()
        self._last: dict[str, tuple[str, int, float]] = {}

    def line(self, stage: str, candidate: str, decision: str, reason: str = "") -> None:
        """Writes one line with the current time."""
        at = datetime.fromtimestamp(time.time()).strftime("%Y-%m-%d %H:%M:%S")
        text = f"{at}  {stage or 'run':<20}  {candidate or '-':<20}  {decision:<9}  {' '.join(reason.split())}"
        with suppress(OSError), self._file.open("a", encoding="utf-8") as file:
            file.write(text.rstrip() + "\n")

    @contextmanager
    def session(self) -> Iterator[None]:
        """Logs when a process starts to work on the run, and how it ends."""
        self.line("", "", "begins", f"process {os.getpid()} on {socket.gethostname()}")
        try:
            yield
        except RunInterruptedError:
            self.line("", "", "interrupted", "all finished results are kept; taurank resume continues")
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            self.line("", "", "ends", f"{type(error).__name__}: {lines[0]}")
            raise
        self.line("", "", "ends", "complete")

    def rows(self, rows: Sequence[Evidence]) -> None:
        """Remembers the last epoch of each training."""
        for row in rows:
            if row.metric == self._metric.name:
                same = self._last.get(row.trial, (row.architecture,))[0] == row.architecture
                self._last[row.trial] = (row.architecture if same else "", row.epoch, row.value)

    def event(self, stage: str, trial: str, event: str, reason: str) -> None:
        """Writes an event of a trial, or a decision for a stage."""
        if not trial and event in _STAGE_EVENTS:
            return
        if event in FINAL_EVENTS:
            self._ended[event] += 1
        if event == COMPLETED:
            reason = reason or self._reached(trial)
        title, _, candidate = trial.partition("/")
        if not title.startswith(stage):
            title, candidate = stage, trial
        self.line(title, candidate.replace("/", " "), event, reason)

    def end_stage(self, title: str, text: str) -> None:
        """A stage ended or was interrupted: the final states of its trials in this part of the run."""
        became = ", ".join(f"{count} {event}" for event, count in sorted(self._ended.items()))
        self._ended.clear()
        self.line(title, "", "ends", f"{became or 'no trial ended'}; {text}")

    def _reached(self, trial: str) -> str:
        """The last value of a training; a trial that scored many candidates has none."""
        architecture, epoch, value = self._last.pop(trial, ("", 0, 0.0))
        return f"{self._metric.title} {self._metric.text(value)} after epoch {epoch}" if architecture else ""
