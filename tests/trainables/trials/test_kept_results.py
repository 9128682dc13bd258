"""Complete trainings in files: taken over as they were, or not at all."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from taurank.trainables.trials.kept_results import keep_result, read_result


def row(epoch: int, *, outcome: str = "") -> dict[str, Any]:
    evidence = [
        ("code", epoch, "validation_accuracy", epoch / 10, 1.5, 1.0),
        ("code", epoch, "odd", math.nan, 0.0, 0.0),
    ]
    shown = {"validation_accuracy": epoch / 10, "train_loss": 1 / epoch}
    return {"epoch": epoch, "evidence": evidence, "trial": "first", "outcome": outcome, "reason": ""} | shown


ROWS = [row(1), row(2), row(3, outcome="completed")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    kept = tmp_path / "ab" / "abc.json"
    keep_result(kept, run="run-1 training-3", rows=ROWS)
    return kept


def test_rows_come_back_as_the_results_of_another_trial(file: Path) -> None:
    found = read_result(file, trial="second", epochs=3)
    assert found is not None
    assert found.run == "run-1 training-3"
    assert repr(found.rows) == repr(
        [
            {
                "epoch": one["epoch"],
                "evidence": one["evidence"],
                "reason": "",
                "validation_accuracy": one["validation_accuracy"],
                "train_loss": one["train_loss"],
                "trial": "second",
                "outcome": one["outcome"],
            }
            for one in ROWS
        ]
    )


def test_fewer_epochs_of_the_same_schedule_are_its_beginning(file: Path) -> None:
    found = read_result(file, trial="second", epochs=2)
    assert found is not None
    assert [(one["epoch"], one["outcome"]) for one in found.rows] == [(1, ""), (2, "completed")]


def test_a_shorter_one_is_none(file: Path) -> None:
    assert read_result(file, trial="second", epochs=4) is None


def test_a_longer_one_takes_the_place_of_a_shorter_one_and_not_the_reverse(file: Path) -> None:
    longer = [row(1), row(2), row(3), row(4, outcome="completed")]
    keep_result(file, run="run-2", rows=longer)
    keep_result(file, run="run-3", rows=ROWS)
    found = read_result(file, trial="second", epochs=4)
    assert found is not None
    assert found.run == "run-2"
    assert [path.name for path in file.parent.iterdir()] == ["abc.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"run": "r"}',
        b'{"run": "r", "rows": 7}',
        b'{"run": "r", "rows": [1, 2, 3]}',
        b'{"run": "r", "rows": [{}, {}, {}]}',
        b"[" * 100_000,
        json.dumps({"run": "r", "rows": [row(2), row(3), row(1)]}).encode(),
        json.dumps({"run": "r", "rows": [row(1) | {"evidence": [["code", 1]]}, row(2), row(3)]}).encode(),
    ],
)
def test_what_is_damaged_is_as_good_as_nothing(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    assert read_result(file, trial="second", epochs=3) is None


def test_what_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    keep_result(tmp_path / "file" / "abc.json", run="run", rows=ROWS)
    assert (tmp_path / "file").read_text() == "no folder"
