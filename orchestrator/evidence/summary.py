"""Summary of an evidence log for ``taurank status``: sums by stage and states of trials, read concurrently."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taurank.orchestrator.evidence.log import TABLES, EvidenceError
from taurank.orchestrator.evidence.names import EXTENDED, FROZEN, TAKEN, VALIDATION_ACCURACY

COPIES = 5
"""Attempts to copy a log while another machine writes to it."""
WAL_HEADER_BYTES = 32
RECENT = 2000
"""Rows with a cost from which the pace is estimated."""
TITLE = """CASE WHEN substr(trial, 1, length(stage) + 1) = stage || ' ' THEN substr(trial, 1, instr(trial, '/') - 1)
    ELSE stage END"""
"""Title of a stage: trial keys of stages with a shared name begin with it; see ``Stage.title``."""
STATES = {
    "started": "begun",
    "resumed": "begun",
    "recovered": "begun",
    "lost": "begun",
    "paused": "paused",
    FROZEN: "paused",
    "stopped": "stopped",
    "completed": "done",
    "failed": "failed",
}
"""State of a trial after its last event."""


@dataclass
class StageRows:
    """The rows of a stage.

    Attributes:
        rows: number of rows.
        seconds: device seconds.
        epochs: epoch-equivalents.
        schedule_epochs: length of its trials' schedule.
        last: Unix time of the last row, 0 for none.
        states: states of its trials, by key; see ``STATES``.
        saved: scheduled epochs that stopped and paused trials did not train.
    """

    rows: int = 0
    seconds: float = 0.0
    epochs: float = 0.0
    schedule_epochs: int = 0
    last: float = 0.0
    states: dict[str, str] = field(default_factory=dict)
    saved: float = 0.0


@dataclass(frozen=True)
class LogSummary:
    """The summary of a log.

    Attributes:
        stages: by title, in the order in which they began.
        ended: names of the stages that have ended since the run was last extended.
        taken: number of trainings taken over from other runs, and their epochs there.
        began: Unix time of the last start of each stage, by name.
    """

    stages: dict[str, StageRows]
    ended: frozenset[str]
    taken: tuple[int, float]
    began: dict[str, float]

    @property
    def last_row(self) -> float:
        """Unix time of the last row, 0 for none."""
        return max((stage.last for stage in self.stages.values()), default=0.0)


@dataclass(frozen=True)
class TrialSummary:
    """One trial of a stage.

    Attributes:
        trial: its key.
        state: after its last event; see ``STATES``.
        reason: of that event.
        epoch: the last epoch with a row; 0 without one.
        schedule_epochs: length of its schedule; 0 if unknown.
        accuracy: validation accuracy at its last validated epoch, in [0, 1]; NaN without one.
        seconds: device seconds.
        last: Unix time of its last row or event.
    """

    trial: str
    state: str
    reason: str
    epoch: int
    schedule_epochs: int
    accuracy: float
    seconds: float
    last: float


@contextmanager
def opened_to_read(file: Path, *, elsewhere: bool) -> Iterator[sqlite3.Connection]:
    """A read-only connection.

    Args:
        file: the log.
        elsewhere: whether another machine writes to it. It is read from a copy then, since SQLite's readers and writers
            share memory.

    Raises:
        EvidenceError: it is not a log, or cannot be copied consistently.
    """
    try:
        if not elsewhere:
            # No process has it open; ``immutable`` also works in a read-only folder.
            alone = not file.with_name(f"{file.name}-wal").exists()
            name = f"{file.resolve().as_uri()}?{'immutable=1' if alone else 'mode=ro'}"
            with closing(sqlite3.connect(name, uri=True, timeout=10)) as connection:
                yield _checked(connection)
            return
        with (
            tempfile.TemporaryDirectory(prefix="taurank-") as folder,
            closing(sqlite3.connect(_copy(file, Path(folder)))) as connection,
        ):
            yield _checked(connection)
    except (sqlite3.Error, OSError) as error:
        raise EvidenceError(f"{file} cannot be read as an evidence log: {error}") from None


def _checked(connection: sqlite3.Connection) -> sqlite3.Connection:
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not found >= TABLES:
        raise sqlite3.DatabaseError("it is a database, but not an evidence log" if found else "it is empty")
    return connection


def _copy(file: Path, folder: Path) -> Path:
    """A consistent copy of a log that is being written to.

    Pages stay in the write-ahead log until it is restarted with another header, so the copy is consistent if the header
    is the same before and after.
    """
    ahead = file.with_name(f"{file.name}-wal")
    for _ in range(COPIES):
        before = _header(ahead)
        shutil.copyfile(file, folder / file.name)
        if before:
            shutil.copyfile(ahead, folder / ahead.name)
        if _header(ahead) == before:
            return folder / file.name
    raise EvidenceError(f"{file} changes faster than it can be copied; run it on the machine of the run")


def _header(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(WAL_HEADER_BYTES)
    except FileNotFoundError:
        return b""


def summarize(connection: sqlite3.Connection) -> LogSummary:
    """Summarises a log."""
    stages: dict[str, StageRows] = {}
    titles: dict[str, set[str]] = {}
    query = f"SELECT stage, {TITLE}, trial, event FROM events WHERE trial != '' ORDER BY id"
    for name, title, trial, event in connection.execute(query):
        if event in STATES:
            titles.setdefault(name, set()).add(title)
            stages.setdefault(title, StageRows()).states[trial] = STATES[event]
    for title, found in _sums(connection, titles):
        stage = stages.setdefault(title, StageRows())
        stage.rows, stage.seconds, stage.epochs, stage.schedule_epochs, stage.last = found
    for stage in stages.values():
        stage.saved = float(sum(_saved(connection, stage)))
    ended: set[str] = set()
    began: dict[str, float] = {}
    query = "SELECT time, stage, event FROM events WHERE trial = '' ORDER BY id"
    for time, name, event in connection.execute(query):
        if event == EXTENDED:
            ended.clear()
        elif event == "ended":
            ended.add(name)
        elif event == "started":
            began[name] = time
            ended.discard(name)
    return LogSummary(stages, frozenset(ended), _taken(connection), began)


def _sums(connection: sqlite3.Connection, titles: Mapping[str, set[str]]) -> Iterator[tuple[str, list[Any]]]:
    """Sums by title; the slower query is only used for stages with several titles."""
    sums = "COUNT(*), SUM(seconds), SUM(epochs), MAX(schedule_epochs), MAX(time)"
    for name, *found in connection.execute(f"SELECT stage, {sums} FROM evidence GROUP BY 1 ORDER BY MIN(id)"):
        if titles.get(name, {name}) == {name}:
            yield name, found
            continue
        query = f"SELECT {TITLE}, {sums} FROM evidence WHERE stage = ? GROUP BY 1 ORDER BY MIN(id)"
        for title, *parts in connection.execute(query, (name,)):
            yield title, parts


def _saved(connection: sqlite3.Connection, stage: StageRows) -> Iterator[int]:
    for trial, state in stage.states.items():
        if state in ("stopped", "paused"):
            # Rows are in the order of epochs, so the last one has the highest.
            query = "SELECT epoch FROM evidence WHERE trial = ? ORDER BY id DESC LIMIT 1"
            reached = connection.execute(query, (trial,)).fetchone()
            yield max(0, stage.schedule_epochs - (reached[0] if reached else 0))


def _taken(connection: sqlite3.Connection) -> tuple[int, float]:
    query = """
        SELECT COUNT(DISTINCT trial), SUM(epochs) FROM evidence
        WHERE trial IN (SELECT trial FROM events WHERE event = ?)
    """
    count, epochs = connection.execute(query, (TAKEN,)).fetchone()
    return count, float(epochs or 0.0)


def bookings(connection: sqlite3.Connection, title: str, since: float) -> list[tuple[float, float]]:
    """Unix times and epoch-equivalents of the last ``RECENT`` rows of a stage since then, oldest first."""
    stage = title.split(" ")[0]
    query = f"""
        SELECT time, epochs FROM evidence WHERE stage = ? AND {TITLE} = ? AND time >= ? AND epochs > 0
        ORDER BY id DESC LIMIT {RECENT}
    """
    found = connection.execute(query, (stage, title, since)).fetchall()
    return [(float(time), float(epochs)) for time, epochs in reversed(found)]


def trials_of(connection: sqlite3.Connection, title: str) -> list[TrialSummary]:
    """The trials of a stage that have begun, the last to report first."""
    of_stage, key = f"stage = ? AND {TITLE} = ?", (title.split(" ")[0], title)
    rows = f"SELECT trial, MAX(epoch), MAX(schedule_epochs), SUM(seconds), MAX(time) FROM evidence WHERE {of_stage}"
    sums = {trial: found for trial, *found in connection.execute(f"{rows} GROUP BY trial", key)}
    # SQLite takes the other columns from the row with the maximum.
    last = f"SELECT trial, value, MAX(epoch) FROM evidence WHERE {of_stage} AND metric = ? GROUP BY trial"
    accuracies = {trial: value for trial, value, _ in connection.execute(last, (*key, VALIDATION_ACCURACY))}
    found: dict[str, TrialSummary] = {}
    events = f"SELECT trial, event, reason, time FROM events WHERE trial != '' AND {of_stage} ORDER BY id"
    for trial, event, reason, time in connection.execute(events, key):
        if event in STATES:
            epoch, schedule, seconds, at = sums.get(trial, (0, 0, 0.0, 0.0))
            value = accuracies.get(trial)
            accuracy = float("nan") if value is None else float(value)
            found[trial] = TrialSummary(trial, STATES[event], reason, epoch, schedule, accuracy, seconds, max(time, at))
    return sorted(found.values(), key=lambda one: -one.last)
