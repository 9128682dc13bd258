"""Reports that a run cannot write to its folder, with the cause and the way out in one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taurank.orchestrator.evidence import EvidenceLog

ROOM_BYTES = 2**20
"""A run with less free space than this ends, because it could not write its ranking."""

_WAYS_OUT = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space"),
    errno.EFBIG: ("the limit on file sizes is reached", "raise it (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "mount it for writing"),
    errno.EACCES: ("permission is denied", "allow writing there"),
    errno.EPERM: ("permission is denied", "allow writing there"),
    errno.ENOENT: ("the folder is gone", "restore it"),
}


class StorageError(RuntimeError):
    """A run cannot write to its folder; one line with the cause and the way out."""


def check_room(folder: Path) -> None:
    """Checks that a run folder is writable, by writing a megabyte.

    Raises:
        StorageError: it is not.
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
    """Checks that a trial was not lost because Tune could not write to the disk, which is not a failure of the trial.

    Raises:
        StorageError: the folder is not writable.
    """
    if any(os.strerror(code) in reason for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)):
        check_room(folder)


@contextmanager
def storage_failures(folder: Path, log: EvidenceLog) -> Iterator[None]:
    """Turns any failure caused by an unwritable run folder into one line that says so.

    Ray wraps and hides the errors of its callbacks and workers, so the cause is looked for in the log and on the disk.

    Raises:
        StorageError: the folder is not writable.
        EvidenceError: the same, reported by the log.
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
    # Without a file name the error occurred while writing to an open file, and a run keeps only its own files open.
    return not isinstance(name, str | os.PathLike) or Path(name).absolute().is_relative_to(folder.absolute())


def _line(folder: Path, error: OSError) -> str:
    cause, way_out = _WAYS_OUT.get(error.errno or 0, (error.strerror or str(error), "make it writable"))
    return f"cannot write to {folder}: {cause}; {way_out}, then: taurank resume {folder}"
