"""The file that a trial keeps its state in: rows that it has reported, and what the next epoch depends on.

It is read without unpickling (``weights_only=True``): a file from a stranger runs no code.
"""

from __future__ import annotations

import errno
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

PARTIAL = ".partial"
"""Ends the names of files that are being written, or were when their writer died."""
_ROW = {"trial": str, "epoch": int, "outcome": str, "reason": str, "evidence": list}


@dataclass(frozen=True)
class Saved:
    """Content of a checkpoint.

    Attributes:
        rows: its results, in their order.
        state: of its training; None for one that has ended, or whose state took too much room.
    """

    rows: list[dict[str, Any]]
    state: dict[str, Any] | None


def read_checkpoint(file: Path, fingerprint: str) -> Saved | None:
    """Reads the checkpoint of the trial with this fingerprint.

    None, which means starting over, where the file is gone, broken or another trial's.
    """
    content = _read(file)
    if content is None or content.get("fingerprint") != fingerprint:
        return None
    rows, state = content.get("rows"), content.get("state")
    if not isinstance(rows, list) or not all(map(_is_row, rows)) or not isinstance(state, dict | None):
        return None
    return Saved(rows, state)


def write_checkpoint(file: Path, fingerprint: str, saved: Saved) -> str:
    """Replaces the file as a whole or not at all; returns why it cannot be written, nothing where it is."""
    return write_tensors(file, {"fingerprint": fingerprint, "state": saved.state, "rows": saved.rows})


def write_tensors(file: Path, content: dict[str, Any]) -> str:
    """The same for any content that ``torch.save`` takes."""
    partial = file.with_suffix(f".{os.getpid()}{PARTIAL}")
    try:
        try:
            with partial.open("wb") as opened:  # torch's own writer hides the error of the disk
                torch.save(content, opened)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        return f"{file.parent}: {_cause(error)}"
    return ""


def drop_state(file: Path) -> None:
    """Takes the state out of a file; its rows, which take little room, stay if they can."""
    content = _read(file)
    if content is None or write_checkpoint(file, content.get("fingerprint", ""), Saved(content.get("rows", []), None)):
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:  # torch does not look at the check sums
                return None
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # both raise half a dozen types for a damaged file
        return None
    return content if isinstance(content, dict) else None


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in _ROW.items())


def _cause(error: OSError | RuntimeError) -> str:
    found: BaseException | None = error
    while found is not None and not isinstance(found, OSError):
        found = found.__cause__ or found.__context__  # torch raises another error while it closes its file
    if found is None:
        return " ".join(str(error).split())[:200]
    return os.strerror(errno.ENOSPC) if found.errno == errno.ENOSPC else str(found.strerror or found)
