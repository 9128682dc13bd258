"""Interface of importers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taurank.trainables.table.importers.recording import Recording
from taurank.trainables.table.recorded import RecordedTable


@dataclass(frozen=True)
class Importer:
    """One kind of files.

    Attributes:
        name: as `--format` takes it.
        reads: what it recognises, in a line.
        origin: where the numbers come from.
        licence: of the numbers.
        recognises: whether one file is of this kind, by its columns or arrays. Never for files that are not safe to
            open: those are read only when the user names the importer.
        lacks: the columns or arrays that one file would need besides, to be of this kind; empty where it has all.
        read: makes a table of the files; the text is the data set that was asked for, "" for none.
    """

    name: str
    reads: str
    origin: str
    licence: str
    recognises: Callable[[Recording], bool]
    read: Callable[[Sequence[Recording], str], RecordedTable]
    lacks: Callable[[Recording], Sequence[str]] = lambda recording: ()
