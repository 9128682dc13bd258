"""The log of a run for people: a line for each decision, its reason and what it saved, for ``tail -f``.

It says what stands in the evidence log, in words and in one file; no run depends on it.
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

from taurank.orchestrator.evidence import COMPLETED, ENDED, FINAL_EVENTS, STARTED, VALIDATION_ACCURACY, Evidence
from taurank.orchestrator.session.interruption import RunInterruptedError

RUN_LOG, RAY_LOG = "run.log", "ray.log"
"""Decisions; and what Ray has to say."""
_STAGE_EVENTS = (STARTED, ENDED)
"""Of stages; the display says more when they begin and end."""


class RunLog:
    """Writes the lines; a disk that is full is the evidence log's to complain about.

    A follower of the evidence log, so that nothing that stands there is missing here. The columns are time, stage,
    candidate (with the seed of its training), decision and reason, two spaces between them.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / RUN_LOG
        self._ended: Counter[str] = Counter()
        self._accuracy: dict[str, tuple[str, int, float]] = {}

    def line(self, stage: str, candidate: str, decision: str, reason: str = "") -> None:
        """One line with the time of now."""
        at = datetime.fromtimestamp(time.time()).strftime("%Y-%m-%d %H:%M:%S")
        text = f"{at}  {stage or 'run':<20}  {candidate or '-':<20}  {decision:<9}  {' '.join(reason.split())}"
        with suppress(OSError), self._file.open("a", encoding="utf-8") as file:
            file.write(text.rstrip() + "\n")

    @contextmanager
    def session(self) -> Iterator[None]:
        """Notes when a process begins to work on the run, and how that ends."""
        self.line("", "", "begins", f"process {os.getpid()} on {socket.gethostname()}")
        try:
            yield
        except RunInterruptedError:
            self.line("", "", "interrupted", "everything finished is kept; taurank resume goes on")
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            self.line("", "", "ends", f"{type(error).__name__}: {lines[0]}")
            raise
        self.line("", "", "ends", "complete")

    def rows(self, rows: Sequence[Evidence]) -> None:
        """Keeps in mind how far trainings came."""
        for row in rows:
            if row.metric == VALIDATION_ACCURACY:
                same = self._accuracy.get(row.trial, (row.architecture,))[0] == row.architecture
                self._accuracy[row.trial] = (row.architecture if same else "", row.epoch, row.value)

    def event(self, stage: str, trial: str, event: str, reason: str) -> None:
        """Writes what happened to a trial, or was decided for a stage."""
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
        """A stage is over, or is left: what became of its trials in this part of the run."""
        became = ", ".join(f"{count} {event}" for event, count in sorted(self._ended.items()))
        self._ended.clear()
        self.line(title, "", "ends", f"{became or 'nothing ended'}; {text}")

    def _reached(self, trial: str) -> str:
        """How far a training came; a trial that has scored many has no accuracy of its own."""
        architecture, epoch, accuracy = self._accuracy.pop(trial, ("", 0, 0.0))
        return f"validation accuracy {accuracy:.1%} after epoch {epoch}" if architecture else ""
