"""The append-only evidence log: every number of a run, what it stands for, and what it cost.

The log is the truth of a run. Resuming, ranking and scoring read it and nothing else; only the driver writes it.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

FORMAT = "1"
BASELINE = "baseline"
"""Stage of the full trainings that a ranking is scored against; never evidence."""
FINAL_EVENTS = ("completed", "stopped", "failed")
"""Events after which a trial is not continued by its stage."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evidence (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    stage TEXT NOT NULL,
    trial TEXT NOT NULL,
    architecture TEXT NOT NULL,
    source TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    schedule_epochs INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    metric TEXT NOT NULL,
    value REAL,
    seconds REAL NOT NULL,
    epochs REAL NOT NULL,
    UNIQUE (trial, architecture, epoch, metric)
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    stage TEXT NOT NULL,
    trial TEXT NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS evidence_by_trial ON evidence (trial);
CREATE INDEX IF NOT EXISTS events_by_trial ON events (trial);
"""


class EvidenceError(ValueError):
    """A log that is missing, of another format, or not a log at all."""


@dataclass(frozen=True)
class Evidence:
    """One number about one candidate, its fidelity and its cost.

    Attributes:
        stage: the stage of the run that bought it (``size``, ``training-3``, ``supernet:uniform``, ``baseline`` ...).
        trial: key of the trial; together with architecture, epoch and metric it identifies the row.
        architecture: the candidate's code; empty for what is shared by all candidates (a supernet's epochs).
        source: what produced the number (``size``, ``training``, ``supernet:uniform`` ...).
        epoch: epochs trained so far in this trial, 0 for what is not trained.
        schedule_epochs: length of the learning-rate schedule that the epoch belongs to, 0 for none.
        seed: of the training.
        metric: name of the number; accuracies are in [0, 1], losses in nats.
        value: the number; NaN where there is none (the reason is an event of the trial).
        seconds: device time booked with this row. The rows of one epoch share one booking, so sums are right.
        epochs: the same in epoch-equivalents: passes over the training images, a forward pass counting a third.
    """

    stage: str
    trial: str
    architecture: str
    source: str
    epoch: int
    schedule_epochs: int
    seed: int
    metric: str
    value: float
    seconds: float = 0.0
    epochs: float = 0.0


_COLUMNS = [field.name for field in fields(Evidence)]


class EvidenceLog:
    """The log file of one run (SQLite in WAL mode: a killed writer loses at most the row in flight).

    The connection is opened on first use and left behind when the log is pickled.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_connection": None}

    @property
    def connection(self) -> sqlite3.Connection:
        """The open database.

        Raises:
            EvidenceError: the file is not an evidence log of this format.
        """
        if self._connection is None:
            try:
                connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.executescript(_SCHEMA)
                connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (FORMAT,))
                found = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()[0]
            except sqlite3.Error as error:
                raise EvidenceError(f"{self.path} cannot be used as an evidence log: {error}") from None
            if found != FORMAT:
                raise EvidenceError(f"{self.path} is an evidence log of format {found}; this version reads {FORMAT}")
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def append(self, rows: Iterable[Evidence]) -> int:
        """Adds rows in one transaction and returns how many were new; rows already there are left as they are."""
        now = time.time()
        values = []
        for row in rows:
            value = row.value if math.isfinite(row.value) else None
            values.append((now, *(value if name == "value" else getattr(row, name) for name in _COLUMNS)))
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        connection = self.connection
        before = connection.total_changes
        with connection:
            connection.execute("BEGIN")
            connection.executemany(
                f"INSERT OR IGNORE INTO evidence (time, {', '.join(_COLUMNS)}) VALUES ({marks})", values
            )
        return connection.total_changes - before

    def append_event(self, stage: str, trial: str, event: str, reason: str = "") -> None:
        """Notes what happened to a trial (or, with an empty trial, to a stage)."""
        self.connection.execute(
            "INSERT INTO events (time, stage, trial, event, reason) VALUES (?, ?, ?, ?, ?)",
            (time.time(), stage, trial, event, reason),
        )

    def note(self, key: str, value: str) -> None:
        """Keeps a fact of the run under ``key``; the first one stays."""
        self.connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))

    def noted(self, key: str) -> str | None:
        """What was noted under ``key``, None for nothing."""
        found = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def evidence(self) -> pd.DataFrame:
        """All rows in the order they came in, one column per field of ``Evidence``, and ``time`` (Unix seconds)."""
        return pd.read_sql_query(f"SELECT time, {', '.join(_COLUMNS)} FROM evidence ORDER BY id", self.connection)

    def events(self) -> pd.DataFrame:
        """All events in the order they came in: ``time, stage, trial, event, reason``."""
        return pd.read_sql_query("SELECT time, stage, trial, event, reason FROM events ORDER BY id", self.connection)

    def outcomes(self) -> dict[str, tuple[str, str]]:
        """Last final event and its reason, by trial; trials that have not ended are absent."""
        marks = ", ".join("?" * len(FINAL_EVENTS))
        query = f"SELECT trial, event, reason FROM events WHERE trial != '' AND event IN ({marks}) ORDER BY id"
        return {trial: (event, reason) for trial, event, reason in self.connection.execute(query, FINAL_EVENTS)}

    def last_epochs(self) -> dict[str, int]:
        """Highest epoch on record, by trial."""
        return dict(self.connection.execute("SELECT trial, MAX(epoch) FROM evidence GROUP BY trial"))

    def spent_in(self, stage: str) -> tuple[float, float]:
        """Seconds and epoch-equivalents booked so far by one stage."""
        query = "SELECT COALESCE(SUM(seconds), 0), COALESCE(SUM(epochs), 0) FROM evidence WHERE stage = ?"
        seconds, epochs = self.connection.execute(query, (stage,)).fetchone()
        return float(seconds), float(epochs)

    def wall_seconds(self) -> dict[str, float]:
        """Wall-clock seconds by stage: from each of its starts to its end, or to the last row when it was cut off."""
        seconds: dict[str, float] = {}
        query = """
            SELECT stage, time, event FROM events WHERE trial = ''
            UNION ALL SELECT stage, time, 'row' FROM evidence UNION ALL SELECT stage, time, 'row' FROM events
            WHERE trial != '' ORDER BY time
        """
        started: dict[str, float] = {}
        last: dict[str, float] = {}
        for stage, at, event in self.connection.execute(query):
            if event == "started":
                if stage in started:
                    seconds[stage] = seconds.get(stage, 0.0) + last[stage] - started[stage]
                started[stage] = at
            last[stage] = at
            if event == "ended" and stage in started:
                seconds[stage] = seconds.get(stage, 0.0) + at - started.pop(stage)
        for stage, at in started.items():
            seconds[stage] = seconds.get(stage, 0.0) + last[stage] - at
        return seconds
