"""Tables as files: parquet with the description of the table in its schema. Nothing is ever unpickled."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taurank.trainables.table.format import COLUMNS, FORMAT, KEY, TEXT, Metric, TableError, TableInfo
from taurank.trainables.table.recorded import RecordedTable


def write_table(table: RecordedTable, path: Path) -> None:
    """Writes a table; the file is there as a whole or not at all.

    Raises:
        TableError: the file cannot be written.
    """
    described = {"format": FORMAT, **dataclasses.asdict(table.info)}
    try:
        text = json.dumps(described)
    except TypeError:
        raise TableError(f"space_options: {table.info.space_options!r} cannot be written as JSON") from None
    rows = pa.Table.from_pandas(table.rows, preserve_index=False).replace_schema_metadata({KEY: text.encode()})
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(rows, unfinished, compression="zstd")
        unfinished.replace(path)
    except OSError as error:
        raise TableError(f"{path} cannot be written: {error.strerror or error}; choose another place") from None
    finally:
        unfinished.unlink(missing_ok=True)


def read_table(path: Path) -> RecordedTable:
    """Reads a table of recorded trainings and checks it; `taurank table import` makes one (docs/how-to/tables.md).

    Example:
        >>> import taurank
        >>> table = taurank.read_table("nb201.parquet")                            # doctest: +SKIP
        >>> table.full_epochs                                                      # doctest: +SKIP
        200

    Raises:
        TableError: the file is missing, no table, of another version, or breaks a promise of the format.
    """
    path = Path(path)
    if not path.exists():
        raise TableError(f"{path} cannot be read as a table: no such file; `taurank table import` makes one")
    try:
        schema = pq.read_schema(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        reason = getattr(error, "strerror", None) or "it is not a parquet file"
        raise TableError(f"{path} cannot be read as a table: {reason}; `taurank table import` makes one") from None
    info = _info((schema.metadata or {}).get(KEY), path)
    for column in COLUMNS:
        if column not in schema.names:
            raise TableError(f"{path}: column {column!r} is missing; import its source again")
    try:
        rows = pq.read_table(path, columns=list(COLUMNS), read_dictionary=list(TEXT)).to_pandas()
    except (OSError, ValueError):
        raise TableError(f"{path} is damaged; import its source again") from None
    try:
        return RecordedTable(info, rows)
    except TableError as error:
        raise TableError(f"{path}: {error}") from None


def _info(text: bytes | None, path: Path) -> TableInfo:
    if text is None:
        raise TableError(f"{path} is a parquet file, but no table of taurank; `taurank table import` makes one of it")
    try:
        described: dict[str, Any] = json.loads(text)
        version = described.pop("format")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise TableError(f"{path}: its description is damaged; import its source again") from None
    if version != FORMAT:
        raise TableError(f"{path} is a table of format {version}; this version reads {FORMAT}: import its source again")
    try:
        metrics = {name: Metric(**metric) for name, metric in described.pop("metrics").items()}
        return TableInfo(metrics=metrics, notes=tuple(described.pop("notes")), **described)
    except (KeyError, AttributeError, TypeError, TableError):
        raise TableError(f"{path}: its description is damaged; import its source again") from None
