"""A file of recorded numbers before anything is read from it but the names of its columns or arrays."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from taurank.trainables.table.format import TableError

_DATA_IN_NAMES = {
    r"cifar[-_]?100": "cifar100",
    r"cifar[-_]?10": "cifar10",
    r"imagenet[-_]?16": "imagenet16-120",
    r"imagenet": "imagenet",
    r"fashion[-_]?mnist": "fashion-mnist",
    r"mnist": "mnist",
    r"svhn": "svhn",
}


@dataclass(frozen=True)
class Recording:
    """A parquet, CSV or npz file.

    Attributes:
        path: where it is.
        names: of its columns or arrays; empty for a file of another kind, or a folder.
    """

    path: Path
    names: frozenset[str]

    @property
    def is_arrays(self) -> bool:
        """Whether it is an npz file."""
        return self.path.suffix == ".npz"

    @property
    def data(self) -> str:
        """The data set that the file's name speaks of, "" for none; only a default of `--data`."""
        found = (name for pattern, name in _DATA_IN_NAMES.items() if re.search(pattern, self.path.name.lower()))
        return next(found, "")

    def frame(self) -> pd.DataFrame:
        """The columns of a parquet or CSV file."""
        with_index = pd.read_parquet if self.path.suffix == ".parquet" else pd.read_csv
        try:
            return with_index(self.path)
        except (OSError, ValueError) as error:
            raise TableError(f"{self.path} is damaged: {_one_line(error)}; fetch it again") from None

    def arrays(self, *names: str) -> dict[str, NDArray[Any]]:
        """Arrays of an npz file; only plain numbers and texts, nothing pickled."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return {name: file[name] for name in names}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise TableError(f"{self.path} is damaged: {_one_line(error)}; fetch it again") from None


def open_recording(path: Path) -> Recording:
    """Looks at the names in a file.

    Raises:
        TableError: there is no such file, or it is not what its name says.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise TableError(f"{path}: no such file or folder")
        return Recording(path, frozenset(_names(path)))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"{path} cannot be read: {_one_line(error)}") from None


def _names(path: Path) -> list[str]:
    if path.is_dir():
        return []
    if path.suffix == ".parquet":
        return [str(name) for name in pq.read_schema(path).names]
    if path.suffix == ".npz":
        if not zipfile.is_zipfile(path):
            raise TableError(f"{path} is not an npz file; fetch it again")
        with np.load(path, allow_pickle=False) as file:
            return list(file.files)
    if path.name.endswith((".csv", ".csv.gz")):
        return [str(name) for name in pd.read_csv(path, nrows=0).columns]
    return []


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
