"""CSV files as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from taurank.orchestrator.text import CsvError, read_text_cells


def test_cells_stay_as_written(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("code , value\n0312, 1e5\nNA,\n")
    table = read_text_cells(file)
    assert list(table.columns) == ["code", "value"]
    assert table.to_numpy().tolist() == [["0312", "1e5"], ["NA", ""]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2,3\n", "rows have more cells than the header"),
        (b"", "cannot be read as CSV: No columns"),
        (b"\xff\xfe\x00", "cannot be read as CSV"),
    ],
)
def test_a_broken_file_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.csv"
    file.write_bytes(content)
    with pytest.raises(CsvError, match=message) as caught:
        read_text_cells(file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CsvError, match=r"nothing\.csv cannot be read as CSV: No such file"):
        read_text_cells(tmp_path / "nothing.csv")
