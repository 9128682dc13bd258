"""Runs whose log is empty, foreign or poorer than it was: refused in a line, or said before results are replaced."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from taurank.orchestrator.evidence import Evidence, EvidenceLog

Taurank = Callable[..., tuple[int, str, str]]
COMMANDS = (
    ("rank", "RUN"),
    ("score", "RUN"),
    ("front", "RUN"),
    ("why", "c", "--run", "RUN"),
    ("resume", "RUN"),
    ("extend", "RUN", "--budget", "5x"),
)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("epoch,accuracy\n1,0.5\n")


def of_photos(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE photos (name TEXT)")
    other.close()


def of_another_run(file: Path) -> None:
    file.unlink()
    log = EvidenceLog(file)
    log.append([Evidence("size", "size/z", "z", "size", 0, 0, 0, "parameters", 1.0)])
    log.close()


def without_rows(file: Path) -> None:
    file.unlink()
    log = EvidenceLog(file)
    log.note("made", "just now")
    log.close()


def contents(folder: Path, *, but: str = "nothing") -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and but not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def folder(run_folder: Path) -> Path:
    """A run with results that must not be lost."""
    for name in ("ranking.csv", "ranking.parquet", "report.html"):
        (run_folder / name).write_text("of value")
    return run_folder


@pytest.mark.parametrize("command", [*COMMANDS, ("status", "RUN")], ids=lambda command: command[0])
@pytest.mark.parametrize("spoil", [empty, text, of_photos])
def test_what_is_no_log_is_refused(folder: Path, taurank: Taurank, spoil: Callable[[Path], None], command) -> None:
    spoil(folder / "evidence.sqlite")
    before, beside = contents(folder), set(folder.parent.iterdir())
    code, out, err = taurank(*(folder if part == "RUN" else part for part in command))
    assert code == 2
    assert err.startswith("taurank: ")
    assert err.count("\n") == 1
    assert "evidence.sqlite" in err
    assert out == ""
    assert contents(folder) == before
    assert set(folder.parent.iterdir()) == beside


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_the_log_of_another_run_is_refused(folder: Path, taurank: Taurank, command) -> None:
    of_another_run(folder / "evidence.sqlite")
    before = contents(folder, but="sqlite")
    code, _, err = taurank(*(folder if part == "RUN" else part for part in command))
    assert code == 2
    assert "is the log of another run: none of the 24 candidates of" in err
    assert contents(folder, but="sqlite") == before


@pytest.mark.parametrize("command", ["rank", "score", "front"])
def test_a_log_without_rows_has_nothing_to_rank_by(folder: Path, taurank: Taurank, command: str) -> None:
    without_rows(folder / "evidence.sqlite")
    code, _, err = taurank(command, folder)
    assert code == 2
    assert "has no evidence yet, so there is nothing to rank by; resume the run first" in err
    assert (folder / "ranking.csv").read_text() == "of value"


def test_a_poorer_ranking_is_said_before_it_is_written(run_folder: Path, taurank: Taurank) -> None:
    code, out, _ = taurank("rank", run_folder)
    assert code == 0
    assert "is replaced by" not in out
    log = EvidenceLog(run_folder / "evidence.sqlite")
    log.connection.execute("DELETE FROM evidence WHERE stage = 'training-40'")
    log.close()
    code, out, _ = taurank("rank", run_folder)
    assert code == 0
    assert "ranking.csv had 24 candidates from 51 sources and 168.0 epochs of evidence; it is replaced by" in out
    assert "24 candidates from 48 sources and 48.0 epochs of evidence" in out
