"""The lock of a run folder: at most one process works on a run, and the lock file names it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = ".lock"
TRIES, TRY_SECONDS = 3, 0.05


class RunHeldError(RuntimeError):
    """Another process works on the run; one line that names it."""


@dataclass(frozen=True)
class Holder:
    """The process that works on a run.

    Attributes:
        host: the machine on which it runs; empty if unknown.
        pid: its process id there; 0 if unknown.
    """

    host: str = ""
    pid: int = 0

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, as far as is known."""
        return self.host in ("", socket.gethostname())

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "another process"


@contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Prevents a second process from working on the run; the lock is released with the process.

    Raises:
        RunHeldError: another process works on the run.
        OSError: the folder cannot be written to.
    """
    # Not truncated on opening: the content belongs to the holder until this process has the lock.
    with (folder / LOCK_FILE).open("a+", encoding="utf-8") as lock:
        if not _lock(lock.fileno()):
            holder = _written(lock.fileno())
            raise RunHeldError(f"another taurank is working on {folder} ({holder}); wait for it or stop it")
        lock.truncate(0)
        json.dump({"host": socket.gethostname(), "pid": os.getpid()}, lock)
        lock.flush()
        yield


def holder_of(folder: Path) -> Holder | None:
    """The process that works on a run; None if there is none."""
    try:
        with (folder / LOCK_FILE).open("rb") as lock:
            if not _is_locked(lock.fileno()):
                return None
            return _written(lock.fileno())
    except OSError:
        return None


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _lock(file: int) -> bool:
    """Takes the lock; tries again, because another process may hold it briefly to read its holder."""
    for attempt in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if attempt + 1 < TRIES:
                time.sleep(TRY_SECONDS)
        else:
            return True
    return False


def _written(file: int) -> Holder:
    try:
        said = json.loads(os.pread(file, 1000, 0))
        return Holder(str(said["host"]), int(said["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Holder()
