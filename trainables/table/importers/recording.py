"""A file of recorded numbers before anything is read from it but the names of its columns or arrays."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from taurank.trainables.table.format import TableError

_DATA_IN_NAMES = {
    r"cifar[-_]?100": "cifar100",
    r"cifar[-_]?10": "cifar10",
    r"tiny[-_]?imagenet(?:[-_]?200)?": "tiny-imagenet",
    r"imagenet[-_]?16(?:[-_]?120)?": "imagenet16-120",
    r"imagenet(?:[-_]?1k)?": "imagenet",
    r"fashion[-_]?mnist": "fashion-mnist",
    r"mnist": "mnist",
    r"svhn": "svhn",
}
"""Data sets by what a file's name calls them; the longer of two names first."""
_DATA_NAME = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(_DATA_IN_NAMES)})(?![a-z0-9])")
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "NULL", "null", "None", "none", "<NA>", "#N/A")
"""Numbers that are missing, as files write them."""
_KIND_OF = re.compile(
    r"(?:tiny|mini|micro|small|sub|half|down\w*|fashion|extended|colou?red|permuted|rotated|corrupted|noisy|stylized)"
)
_VARIANT = re.compile(r"\w{1,2}|v\d\w*|\d+\w*|real|sketch|extra|subset|corrupted|noisy|mini|tiny|lite")
"""Words before and after a data set's name that make it the name of another one, such as `imagenet-v2`."""


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
        """The data set that the file's name speaks of, "" where that is not certain; only a default of `--data`."""
        name = re.sub(r"\.(?:csv|csv\.gz|npz|parquet)$", "", self.path.name.lower())
        found = set()
        for match in _DATA_NAME.finditer(name):
            before, after = (re.split(r"[-_. ]+", text) for text in (name[: match.start()], name[match.end() :]))
            other = len(before) > 1 and _KIND_OF.fullmatch(before[-2])
            other = other or (len(after) > 1 and _VARIANT.fullmatch(after[1]))
            known = next(known for pattern, known in _DATA_IN_NAMES.items() if re.fullmatch(pattern, match[0]))
            found.add("" if other else known)
        return found.pop() if len(found) == 1 else ""

    def frame(self, text: Collection[str] = ()) -> pd.DataFrame:
        """The columns of a parquet or CSV file.

        Args:
            text: columns that are text as it is written, stripped: a code such as `0312`, `1e5` or `NA` is no number
                and not missing.

        Raises:
            TableError: The file is damaged, or such a column of a parquet file has neither text nor whole numbers.
        """
        try:
            if self.path.suffix == ".parquet":
                whole: pd.DataFrame = _as_text(pq.read_table(self.path), text, self.path).to_pandas()
                return whole
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                frame = pd.read_csv(
                    self.path,
                    dtype=dict.fromkeys(text, str),
                    keep_default_na=False,
                    na_values={name: MISSING for name in self.names if name not in text},
                    index_col=False,
                )
            return frame.assign(**{name: frame[name].str.strip() for name in text})
        except TableError:
            raise
        except pd.errors.ParserWarning:
            raise TableError(f"{self.path}: rows have more cells than the header; each column needs a name") from None
        except (OSError, ValueError) as error:
            raise TableError(f"{self.path} is damaged: {one_line(error)}; fetch it again") from None

    def arrays(self, *names: str) -> dict[str, NDArray[Any]]:
        """Arrays of an npz file; only plain numbers and texts, nothing pickled."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return {name: file[name] for name in names}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise TableError(f"{self.path} is damaged: {one_line(error)}; fetch it again") from None


def _as_text(table: pa.Table, names: Collection[str], path: Path) -> pa.Table:
    for place, name in enumerate(table.column_names):
        if name in names:
            column = table.column(name)
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            if not (pa.types.is_integer(kind) or str(kind).endswith(("string", "string_view", "null"))):
                raise TableError(f"{path}: column {name!r} holds {kind}; save it as text, as the codes are written")
            table = table.set_column(place, name, column.cast(pa.string()))
    return table


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
        raise TableError(f"{path} cannot be read: {one_line(error)}") from None


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


def only(recordings: Sequence[Recording], importer: str) -> Recording:
    """Returns the single file of an importer that reads one file.

    Raises:
        TableError: There are several.
    """
    if len(recordings) > 1:
        raise TableError(f"{importer}: a table is made of one file; import them one by one")
    return recordings[0]


def list_and_curves(
    recordings: Sequence[Recording],
    is_list: Callable[[Recording], bool],
    is_curves: Callable[[Recording], bool],
    importer: str,
) -> tuple[Recording, Recording]:
    """Returns the CSV of the networks and the npz of their curves.

    Raises:
        TableError: One is missing, or there are several.
    """
    lists, curves = [*filter(is_list, recordings)], [*filter(is_curves, recordings)]
    if len(lists) != 1 or len(curves) != 1:
        raise TableError(f"{importer}: give the CSV of the networks and the npz of their curves together")
    return lists[0], curves[0]


def one_line(error: Exception) -> str:
    """Returns the message of an error on one line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
