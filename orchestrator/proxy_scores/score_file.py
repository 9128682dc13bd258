"""Scores of untrained networks in a CSV file that an interrupted command resumes from."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from taurank.trainables.proxies import ScoreRow

COLUMNS = ("architecture", "proxy", "score", "sd", "coverage", "seconds", "reason", "settings")
_TYPES = dict.fromkeys(("architecture", "proxy", "reason", "settings"), str) | dict.fromkeys(
    ("score", "sd", "coverage", "seconds"), float
)


_EMPTY = {"score": "", "sd": ""}  # what is void, and what a single initialisation does not have


class ScoreFileError(ValueError):
    """A file that scores cannot be added to; one line with the way out."""


class ScoreFile:
    """A row for each architecture and proxy; a void score is empty and has a reason.

    Every row says under which settings it came about, and a file has rows of the same settings only: scores of other
    images or other seeds are not comparable.

    Args:
        path: of the file; need not be there.
        settings: of the scores, as text.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self.path, self._settings = path, settings

    def read(self) -> pd.DataFrame:
        """What is in the file, without a last line that was not finished; nothing where there is no file.

        Raises:
            ScoreFileError: it holds something else, or scores of other settings.
        """
        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            whole = text[: text.rfind("\n") + 1] if text else _line(COLUMNS)
            rows = pd.read_csv(io.StringIO(whole), dtype=_TYPES, keep_default_na=False, na_values=_EMPTY)
        except OSError as error:
            raise ScoreFileError(f"--output: {self.path} cannot be read: {error.strerror}; give another file") from None
        except ValueError:
            raise ScoreFileError(_foreign(self.path)) from None
        if tuple(rows.columns) != COLUMNS:
            raise ScoreFileError(_foreign(self.path))
        others = rows.loc[rows["settings"] != self._settings, "settings"]
        if len(others):
            raise ScoreFileError(
                f"--output: {self.path} has scores of other settings ({others.iloc[0]}; asked for: {self._settings}); "
                "give another file, or those settings"
            )
        return rows.drop_duplicates(["architecture", "proxy"])

    def open(self) -> pd.DataFrame:
        """The same, and makes the file ready: there, and without an unfinished line.

        Raises:
            ScoreFileError: as for ``read``; or it cannot be written.
        """
        rows = self.read()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                file.seek(0)
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
                if not whole:
                    file.write(_line(COLUMNS).encode())
        except OSError as error:
            raise ScoreFileError(
                f"--output: {self.path} cannot be written: {error.strerror}; give another file"
            ) from None
        return rows

    def append(self, rows: Iterable[ScoreRow]) -> None:
        """Adds rows at the end, all or none of them but for a crash."""
        text = "".join(_line((*(_cell(value) for value in row), self._settings)) for row in rows)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)


def _foreign(path: Path) -> str:
    return f"--output: {path} does not hold scores of proxies; give another file"


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    return repr(value) if math.isfinite(value) else ""


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
