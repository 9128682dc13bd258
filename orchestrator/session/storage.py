"""Where a run cannot write what it has to keep: the cause and the way out in one line, never a traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taurank.orchestrator.evidence import EvidenceLog

ROOM_BYTES = 2**20
"""A run that finds less than this on its disk ends: it could not write its ranking."""

_WAYS_OUT = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space"),
    errno.EFBIG: ("the limit on file sizes is reached", "raise it (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "mount it for writing"),
    errno.EACCES: ("permission is denied", "allow writing there"),
    errno.EPERM: ("permission is denied", "allow writing there"),
    errno.ENOENT: ("the folder is gone", "bring it back"),
}


class StorageError(RuntimeError):
    """A folder that a run cannot write to; one line with the cause and the way out."""


def check_room(folder: Path) -> None:
    """Makes sure that the folder of a run can be written to, by writing a megabyte.

    Raises:
        StorageError: it cannot.
    """
    probe = folder / f".room-{os.getpid()}"
    try:
        try:
            with probe.open("wb") as file:
                file.write(os.urandom(ROOM_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(_line(folder, error)) from None


def check_after_loss(folder: Path, reason: str) -> None:
    """Makes sure that a trial was not lost to a disk on which Tune could not write: that is no failure of the trial.

    Raises:
        StorageError: it was, and still can't be written to.
    """
    if any(os.strerror(code) in reason for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)):
        check_room(folder)


@contextmanager
def storage_failures(folder: Path, log: EvidenceLog) -> Iterator[None]:
    """Whatever fails below because the folder of a run cannot be written to becomes one line that says so.

    Ray wraps and hides what its callbacks and workers meet, so it is looked for here: in the log, and on the disk.

    Raises:
        StorageError: that was the reason.
        EvidenceError: the same, where the log has met it.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        if log.failure is not None:
            raise log.failure from None
        if isinstance(error, OSError) and error.errno in _WAYS_OUT and _is_within(error.filename, folder):
            raise StorageError(_line(folder, error)) from None
        check_room(folder)
        raise


def _is_within(name: object, folder: Path) -> bool:
    # Without a name it was met while writing to a file that was open, and a run keeps its own open only.
    return not isinstance(name, str | os.PathLike) or Path(name).absolute().is_relative_to(folder.absolute())


def _line(folder: Path, error: OSError) -> str:
    cause, way_out = _WAYS_OUT.get(error.errno or 0, (error.strerror or str(error), "make it writable"))
    return f"cannot write to {folder}: {cause}; {way_out}, then: taurank resume {folder}"
