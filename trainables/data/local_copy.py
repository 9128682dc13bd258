"""A copy of a file on a local disk, made once for all processes of a node."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from taurank.trainables.data.errors import DataError

SPARE_BYTES = 10**9
"""Free space that a copy has to leave."""


def copy_once(path: Path, folder: Path, version: bytes) -> Path:
    """Returns the copy of a file in a folder, and makes it if it is not there yet.

    The processes of a node take turns; the copy is made under another name and then renamed.

    Args:
        path: of the file.
        folder: on a local disk; it is made.
        version: tells the file from others of its name; part of the name of the copy.

    Raises:
        DataError: the file cannot be read, the folder cannot be written to, or there is too little space; one line.
    """
    copy = folder / f"{path.stem}-{hashlib.sha256(version).hexdigest()[:16]}{path.suffix}"
    try:
        size = path.stat().st_size
        if _is_whole(copy, size):
            return copy
        folder.mkdir(parents=True, exist_ok=True)
        with copy.with_name(f".{copy.name}.lock").open("a") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
            if _is_whole(copy, size):
                return copy
            partial = copy.with_name(f"{copy.name}.partial")
            partial.unlink(missing_ok=True)
            free = shutil.disk_usage(folder).free
            if free < size + SPARE_BYTES:
                raise DataError(
                    f"{folder}: has {free / 1e9:,.1f} GB free; a copy of {path} takes {size / 1e9:,.1f} GB, and"
                    f" {SPARE_BYTES / 1e9:,.1f} GB have to be left; make room, or omit data.local_copy"
                )
            shutil.copyfile(path, partial)
            os.replace(partial, copy)
    except OSError as error:
        raise DataError(
            f"{path} cannot be copied to {folder} ({error.strerror or error}); give another folder as data.local_copy,"
            " or omit it"
        ) from None
    return copy


def _is_whole(copy: Path, size: int) -> bool:
    return copy.is_file() and copy.stat().st_size == size
