"""The append-only evidence log: every measurement of a run, with its meaning and its cost.

Resuming, ranking and scoring read the log only; only the driver writes it.
"""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pandas as pd

from taurank.orchestrator.evidence.names import ENDED, EXTENDED, FINAL_EVENTS, STARTED

FORMAT = "1"

_SCHEMA = f"""
BEGIN;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE evidence (
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
    epoch_share REAL NOT NULL DEFAULT 1,
    UNIQUE (trial, architecture, epoch, metric)
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    stage TEXT NOT NULL,
    trial TEXT NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX evidence_by_trial ON evidence (trial);
CREATE INDEX events_by_trial ON events (trial);
INSERT INTO meta VALUES ('format', '{FORMAT}');
COMMIT
"""


TABLES = frozenset({"meta", "evidence", "events"})


class EvidenceError(ValueError):
    """An evidence log that is missing, unusable, or of another format."""


@dataclass(frozen=True)
class Evidence:
    """One number about one candidate, its fidelity and its cost.

    Attributes:
        stage: the stage that measured it (``size``, ``training-3``, ``supernet:uniform``, ``baseline`` ...).
        trial: key of the trial; together with architecture, epoch and metric it identifies the row.
        architecture: the candidate's code; empty for costs shared by all candidates (a supernet's epochs).
        source: what produced the number (``size``, ``training``, ``supernet:uniform`` ...).
        epoch: epochs trained so far in this trial, 0 without training.
        schedule_epochs: length of the learning-rate schedule that the epoch belongs to, 0 for none.
        seed: of the training.
        metric: name of the number; accuracies are in [0, 1], losses in nats.
        value: the number; NaN if missing (an event of the trial has the reason).
        seconds: device seconds: time times the share of a GPU, or times the cores. One row of each epoch has them, so
            that sums are right.
        epochs: the same in epoch-equivalents: passes over the training images, a forward pass counting a third.
        epoch_share: fidelity of the images of a training, in (0, 1]: share of the images times share of their pixels.
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
    epoch_share: float = 1.0


class Follower(Protocol):
    """Receives the rows and events that are added to a log."""

    def rows(self, rows: Sequence[Evidence]) -> None:
        """Receives new rows."""

    def event(self, stage: str, trial: str, event: str, reason: str) -> None:
        """Receives an event of a trial, or with an empty trial of a stage."""


_TYPES: dict[Any, type] = {"str": str, "int": int, "float": float}
_COLUMNS = {"time": float} | {field.name: _TYPES[field.type] for field in fields(Evidence)}


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    """Turns database errors (full disk, missing folder, damaged file) into a one-line error."""
    try:
        yield
    except EvidenceError:
        raise
    except (sqlite3.Error, pd.errors.DatabaseError, ValueError, TypeError, OverflowError) as error:  # types: damage
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise EvidenceError(
                f"cannot write to {path}: the disk is full; free some space, then: taurank resume {path.parent}"
            ) from None
        reason = " ".join(str(error.__cause__ or error).split())
        if path.parent.exists() and not os.access(
            path.parent, os.W_OK
        ):  # SQLite only says that it is unable to open the file
            reason = f"{path.parent} is read-only ({reason})"
        raise EvidenceError(f"{path} cannot be used as an evidence log: {reason}") from None


def _stored(row: Evidence) -> tuple[str | int | float | None, ...]:
    """The row for SQLite, which would store NumPy numbers as blobs."""
    if not (math.isfinite(row.seconds) and math.isfinite(row.epochs)):
        raise EvidenceError(f"{row.trial}: the cost is {row.seconds} seconds, {row.epochs} epochs; it has to be finite")
    values = [kind(getattr(row, name)) for name, kind in list(_COLUMNS.items())[1:]]
    return tuple(None if isinstance(value, float) and not math.isfinite(value) else value for value in values)


def _open(path: Path) -> sqlite3.Connection:
    with _failures_named(path):
        in_memory = str(path) == ":memory:"
        if not in_memory and not path.exists():
            _create(path)
        elif not in_memory and path.stat().st_size == 0:
            raise EvidenceError(f"{path} is empty, so it is not an evidence log: restore a copy, or start another run")
        connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            if in_memory:
                connection.executescript(_SCHEMA)
            _prepare(connection, path)
        except (sqlite3.Error, EvidenceError):
            connection.close()
            raise
    return connection


def _create(path: Path) -> None:
    """Makes a log without rows. It appears at once and whole, for readers and when the process is killed meanwhile."""
    try:
        folder = TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise sqlite3.OperationalError(f"{path.parent}: {error.strerror}") from None
    with folder:
        partial = Path(folder.name) / path.name
        with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            connection.executescript(_SCHEMA)
        try:
            os.link(partial, path)
        except FileExistsError:
            pass  # made by another process meanwhile
        except OSError:
            os.rename(partial, path)  # a file system without links


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Checks the tables; a file of another kind or format is not changed."""
    if not _tables(connection) >= TABLES:
        raise EvidenceError(f"{path} is a database, but not an evidence log")
    found = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    if found is None or found[0] != FORMAT:
        format_found = found[0] if found else "unknown"
        raise EvidenceError(f"{path} is an evidence log of format {format_found}; this version reads {FORMAT}")
    if "epoch_share" not in {column[1] for column in connection.execute("PRAGMA table_info(evidence)")}:
        # A log of an older version, without trainings on less data.
        connection.execute("ALTER TABLE evidence ADD COLUMN epoch_share REAL NOT NULL DEFAULT 1")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


class EvidenceLog:
    """The log file of one run (SQLite in WAL mode: a killed writer loses at most the row in flight).

    The connection is opened on first use. Connection and followers are not pickled.

    Attributes:
        failure: why the last row or event could not be written; None if it was.
        followers: receive rows and events once they are written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.failure: EvidenceError | None = None
        self.followers: list[Follower] = []
        self._connection: sqlite3.Connection | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "failure": None, "followers": [], "_connection": None}

    @property
    def connection(self) -> sqlite3.Connection:
        """The open database.

        Raises:
            EvidenceError: the file is not an evidence log of this format.
        """
        if self._connection is None:
            self._connection = _open(self.path)
        return self._connection

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with _failures_named(self.path):
                yield self.connection
        except EvidenceError as error:
            self.failure = error
            raise
        self.failure = None

    def _read(self, query: str, parameters: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        with _failures_named(self.path):
            return self.connection.execute(query, parameters).fetchall()

    @contextmanager
    def followed_by(self, follower: Follower) -> Iterator[None]:
        """Adds a follower within the context."""
        self.followers.append(follower)
        try:
            yield
        finally:
            self.followers.remove(follower)

    def append(self, rows: Iterable[Evidence]) -> int:
        """Adds rows in one transaction and returns how many were new; existing rows are not changed."""
        now, rows = time.time(), list(rows)
        values = [(now, *_stored(row)) for row in rows]
        marks = ", ".join("?" * len(_COLUMNS))
        query = f"""
            INSERT INTO evidence ({", ".join(_COLUMNS)}) VALUES ({marks})
            ON CONFLICT (trial, architecture, epoch, metric) DO NOTHING
        """
        with self._writing() as connection:
            before = connection.total_changes
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(query, values)
            new = connection.total_changes - before
        if new:
            for follower in self.followers:
                follower.rows(rows)
        return new

    def append_event(self, stage: str, trial: str, event: str, reason: str = "", *, at: float | None = None) -> None:
        """Adds an event of a trial (or, with an empty trial, of a stage), now or at another Unix time."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO events (time, stage, trial, event, reason) VALUES (?, ?, ?, ?, ?)",
                (time.time() if at is None else at, stage, trial, event, reason),
            )
        for follower in self.followers:
            follower.event(stage, trial, event, reason)

    def note(self, key: str, value: str) -> None:
        """Stores a fact of the run under ``key``, unless there already is one."""
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))

    def noted(self, key: str) -> str | None:
        """The fact stored under ``key``; None without one."""
        found = self._read("SELECT value FROM meta WHERE key = ?", (key,))
        return str(found[0][0]) if found else None

    def evidence(self) -> pd.DataFrame:
        """All rows in the order of insertion, one column per field of ``Evidence``, and ``time`` (Unix seconds)."""
        query = f"SELECT {', '.join(_COLUMNS)} FROM evidence ORDER BY id"
        # Without rows or with missing values only, pandas cannot infer the types.
        with _failures_named(self.path):
            return pd.read_sql_query(query, self.connection).astype(_COLUMNS)

    def events(self) -> pd.DataFrame:
        """All events in the order of insertion: ``time, stage, trial, event, reason``."""
        query = "SELECT time, stage, trial, event, reason FROM events ORDER BY id"
        with _failures_named(self.path):
            return pd.read_sql_query(query, self.connection)

    def outcomes(self) -> dict[str, tuple[str, str]]:
        """Last final event and its reason, by trial; trials that have not ended are absent."""
        marks = ", ".join("?" * len(FINAL_EVENTS))
        query = f"SELECT trial, event, reason FROM events WHERE trial != '' AND event IN ({marks}) ORDER BY id"
        # Later ones replace earlier ones.
        return {trial: (event, reason) for trial, event, reason in self._read(query, FINAL_EVENTS)}

    def has_ended(self, stage: str) -> bool:
        """Whether a stage has ended, and the run was not extended since."""
        query = """
            SELECT 1 FROM events WHERE stage = ? AND trial = '' AND event = ?
            AND id > (SELECT COALESCE(MAX(id), 0) FROM events WHERE event = ?) LIMIT 1
        """
        return bool(self._read(query, (stage, ENDED, EXTENDED)))

    def last_epochs(self) -> dict[str, int]:
        """Highest epoch on record, by trial."""
        return dict(self._read("SELECT trial, MAX(epoch) FROM evidence GROUP BY trial"))

    def all_architectures(self) -> set[str]:
        """Codes of all rows."""
        return {code for (code,) in self._read("SELECT DISTINCT architecture FROM evidence WHERE architecture != ''")}

    def architectures(self, stage: str) -> set[str]:
        """Codes in the rows of a stage."""
        query = "SELECT DISTINCT architecture FROM evidence WHERE stage = ?"
        return {code for (code,) in self._read(query, (stage,))}

    def trials_of(self, stage: str) -> set[str]:
        """Trial keys in the rows of a stage."""
        query = "SELECT DISTINCT trial FROM evidence WHERE stage = ?"
        return {trial for (trial,) in self._read(query, (stage,))}

    def spent_in(self, stage: str, trials: Collection[str] | None = None) -> tuple[float, float]:
        """Device seconds and epoch-equivalents of a stage, or of these trials of it."""
        query = "SELECT trial, SUM(seconds), SUM(epochs) FROM evidence WHERE stage = ? GROUP BY trial"
        rows = self._read(query, (stage,))
        own = [row[1:] for row in rows if trials is None or row[0] in trials]
        return float(sum(row[0] for row in own)), float(sum(row[1] for row in own))

    def seconds_of_results(self, stage: str, trials: Collection[str]) -> list[float]:
        """Device seconds of each result of these trials with a cost."""
        query = "SELECT trial, SUM(seconds) FROM evidence WHERE stage = ? GROUP BY trial, epoch"
        rows = self._read(query, (stage,))
        return [float(seconds) for trial, seconds in rows if trial in trials and seconds > 0]

    def wall_seconds(self, *, working: bool = False) -> dict[str, float]:
        """Wall-clock seconds by stage: from each start to its end, or to its last row if it was interrupted.

        ``working``: from the start of its first trial, without that of the workers before.
        """
        seconds: dict[str, float] = {}
        query = """
            SELECT stage, time, event FROM events WHERE trial = ''
            UNION ALL SELECT stage, time, 'row' FROM evidence UNION ALL SELECT stage, time, 'row' FROM events
            WHERE trial != '' ORDER BY time
        """
        started: dict[str, float] = {}
        last: dict[str, float] = {}
        idle: set[str] = set()
        with _failures_named(self.path):
            for stage, at, event in self._read(query):
                if event == "row" and stage in idle:
                    idle.discard(stage)
                    started[stage] = at
                if event == STARTED:
                    idle |= {stage} if working else set()
                    if stage in started:
                        seconds[stage] = seconds.get(stage, 0.0) + last[stage] - started[stage]
                    started[stage] = at
                last[stage] = at
                if event == ENDED and stage in started:
                    began = started.pop(stage)
                    seconds[stage] = seconds.get(stage, 0.0) + (at - began if stage not in idle else 0.0)
            for stage in started.keys() - idle:
                seconds[stage] = seconds.get(stage, 0.0) + last[stage] - started[stage]
        return seconds
