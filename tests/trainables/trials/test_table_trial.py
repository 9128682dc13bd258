"""The trial that replays a recorded training, and trials that end before their schedule does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pandas as pd
import pytest

from taurank.trainables.data import ImageData
from taurank.trainables.table import RecordedTable, TableInfo
from taurank.trainables.table.format import COLUMNS
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.trials.architecture import ArchitectureTrial
from taurank.trainables.trials.spec import TrialSpec
from taurank.trainables.trials.table import TableTrial
from tests.trainables.direct_trials import make_trial, results, spec_of


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    return spec_of(tmp_path)


@pytest.fixture
def table() -> RecordedTable:
    """Three epochs of 10, 20 and 30 seconds."""
    rows = [
        ["2,1", "training", epoch, 3, 5, metric, value, seconds]
        for epoch in (1, 2, 3)
        for metric, value, seconds in (
            ("train_loss", 2.0 / epoch, 10.0 * epoch),
            ("validation_accuracy", 0.2 * epoch, 0.0),
        )
    ]
    rows.append(["2,1", "training", 3, 3, 5, "test_accuracy", 0.55, 0.0])
    info = TableInfo("mnist_blocks", "mnist", describe_all(["train_loss", "validation_accuracy", "test_accuracy"]))
    return RecordedTable(info, pd.DataFrame(rows, columns=list(COLUMNS)))


@pytest.fixture
def make(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: RecordedTable, digits: ImageData
) -> Callable[..., Any]:
    """Makes a trial of a kind as Tune does."""
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))

    def make(spec: TrialSpec, kind: type = TableTrial) -> Any:
        return make_trial(kind, spec, table if kind is TableTrial else digits, stage="replay")

    return make


def test_rows_are_those_of_the_table(make: Callable[..., Any], spec: TrialSpec) -> None:
    rows = results(make(spec))
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["validation_accuracy"] for row in rows] == pytest.approx([0.2, 0.4, 0.6])
    assert [row["train_loss"] for row in rows] == pytest.approx([2.0, 1.0, 2 / 3])
    assert [row["outcome"] for row in rows] == ["", "", "completed"]
    evidence = [item for row in rows for item in row["evidence"]]
    assert [item[:3] for item in evidence] == [
        ("2,1", epoch, metric) for epoch in (1, 2, 3) for metric in ("train_loss", "validation_accuracy")
    ]
    # The recorded cost on one row of each epoch, and no test accuracy: that is for the truth.
    assert [item[4:] for item in evidence] == [
        (0.0, 0.0), (10.0, 1.0), (0.0, 0.0), (20.0, 1.0), (0.0, 0.0), (30.0, 1.0)
    ]  # fmt: skip


def test_after_a_crash_it_goes_on(make: Callable[..., Any], spec: TrialSpec, tmp_path: Path) -> None:
    whole = results(make(replace(spec, checkpoint=str(tmp_path / "other.pt"))))
    results(make(spec), most=2)
    again = results(make(spec))
    assert [row["evidence"] for row in again] == [row["evidence"] for row in whole]


def test_a_training_that_is_not_recorded_fails_as_a_trial(make: Callable[..., Any], spec: TrialSpec) -> None:
    (row,) = results(make(replace(spec, seed=6)))
    assert row["outcome"] == "failed"
    assert "no training of '2,1' over 3 epochs with seed 6" in row["reason"]


@pytest.mark.parametrize("kind", [TableTrial, ArchitectureTrial])
def test_until_ends_a_trial_before_its_schedule(make: Callable[..., Any], spec: TrialSpec, kind: type) -> None:
    whole = results(make(spec, kind))
    Path(spec.checkpoint).unlink()
    rows = results(make(replace(spec, until=2), kind))
    assert [(row["epoch"], row["outcome"], row["done"]) for row in rows] == [(1, "", False), (2, "completed", True)]
    # The first epochs of the same schedule.
    assert [row["validation_accuracy"] for row in rows] == [row["validation_accuracy"] for row in whole[:2]]
    assert not any(item[2].startswith("test") for row in rows for item in row["evidence"])
