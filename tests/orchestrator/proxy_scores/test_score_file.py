from __future__ import annotations

import math
from pathlib import Path

import pytest

from taurank.orchestrator.proxy_scores.score_file import COLUMNS, ScoreFile, ScoreFileError

SETTINGS = "cells width=4; digits; images 8; initialisations 1; seed 0"
GOOD = ("a,b", "nwot", 0.1 + 0.2, math.nan, 1.0, 0.5, "")
VOID = ("c", "nwot", math.nan, math.nan, 0.0, 0.25, "no unit,\n of any kind")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below" / "scores.csv"


def filled(path: Path) -> ScoreFile:
    file = ScoreFile(path, SETTINGS)
    file.open()
    file.append([GOOD, VOID])
    return file


def test_reads_what_was_added_to_the_digit(path: Path) -> None:
    rows = filled(path).read()
    assert tuple(rows.columns) == COLUMNS
    first, second = rows.to_dict("records")
    assert (first["architecture"], first["score"], first["reason"], first["settings"]) == (
        "a,b",
        0.1 + 0.2,
        "",
        SETTINGS,
    )
    assert math.isnan(first["sd"])
    assert math.isnan(second["score"])
    assert (second["coverage"], second["seconds"], second["reason"]) == (0.0, 0.25, "no unit, of any kind")


def test_an_architecture_that_is_called_nan_is_no_missing_one(path: Path) -> None:
    file = filled(path)
    file.append([("nan", *GOOD[1:])])
    assert file.read()["architecture"].tolist() == ["a,b", "c", "nan"]


def test_without_a_file_there_is_nothing_and_none_is_made(path: Path) -> None:
    assert len(ScoreFile(path, SETTINGS).read()) == 0
    assert not path.exists()


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_that_was_not_finished_is_dropped_and_done_again(path: Path, cut: int) -> None:
    file = filled(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert file.read()["architecture"].tolist() == ["a,b"]
    assert path.read_bytes() == whole[:-cut]  # only looked at
    file.open()
    file.append([VOID])
    assert path.read_bytes() == whole


def test_what_is_there_twice_counts_once(path: Path) -> None:
    file = filled(path)
    file.append([GOOD])
    assert len(file.read()) == 2


def test_an_empty_file_is_begun(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert len(filled(path).read()) == 2


def test_scores_of_other_settings_are_refused(path: Path) -> None:
    filled(path)
    with pytest.raises(ScoreFileError) as caught:
        ScoreFile(path, SETTINGS.replace("seed 0", "seed 1")).read()
    assert (
        "has scores of other settings (cells width=4; digits; images 8; initialisations 1; seed 0; asked for: "
        in str(caught.value)
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["x", "a,b\n1,2\n", "not a table\n1,2,3\n1,2,3,4\n", "\n\n"])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ScoreFileError, match="does not hold scores of proxies; give another file"):
        ScoreFile(path, SETTINGS).open()
    assert path.read_text() == content


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoreFileError, match="cannot be read"):
        ScoreFile(tmp_path, SETTINGS).read()


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ScoreFileError, match="cannot be written"):
        ScoreFile(tmp_path / "file" / "scores.csv", SETTINGS).open()
