"""Results in tables: columns are found, and each mistake ends in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import taurank
from taurank.orchestrator.own_results import Results, ResultsError, read_results


def curves(**last: float) -> list[dict[str, Any]]:
    """Three epochs of each candidate that end in a value."""
    return [
        {"net": net, "epoch": epoch, "val_acc": value - 0.1 * (3 - epoch)}
        for net, value in last.items()
        for epoch in (1, 2, 3)
    ]


ROWS = curves(a=0.9, b=0.7, c=0.8)


def read(source: Any, **options: Any) -> Results:
    return read_results(source, **({"full_epochs": 3, "metric": "val_acc"} | options))


def test_a_file_and_a_frame_are_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.to_parquet(tmp_path / "r.parquet")
    expected = read(frame).rows
    for source in (tmp_path / "r.csv", str(tmp_path / "r.parquet"), ROWS, frame.set_index("net")):
        pd.testing.assert_frame_equal(read(source).rows, expected)


def test_the_names_of_metrics_may_stand_in_a_column() -> None:
    long = pd.DataFrame(ROWS).melt(["net", "epoch"], var_name="metric")
    pd.testing.assert_frame_equal(read(long).rows, read(ROWS).rows)


def test_columns_can_be_named_and_names_are_text_as_written(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("which,at,val_acc\n" + "".join(f"0{n},{e},0.{n}\n" for n in (1, 2) for e in (1, 2)))
    found = read(tmp_path / "r.csv", columns={"candidate": "which", "epoch": "at"})
    assert found.candidates == ("01", "02")


def test_an_export_of_mlflow_is_a_table() -> None:
    runs = [
        {"run_id": f"id{n}", "tags.mlflow.runName": f"net-{n}", "params.epochs": "3", "metrics.val_acc": 0.5 + n / 10}
        for n in range(3)
    ]
    found = read(pd.DataFrame(runs), columns={"candidate": "tags.mlflow.runName"})
    assert found.candidates == ("net-0", "net-1", "net-2")
    assert set(found.rows["epoch"]) == {3}


def test_epochs_counted_from_0_are_shifted_and_said() -> None:
    shifted = [row | {"epoch": row["epoch"] - 1} for row in ROWS]
    found = read(shifted)
    pd.testing.assert_frame_equal(found.rows, read(ROWS).rows)
    assert "counted from 0" in found.notes[0]
    untrained = [*ROWS, {"net": "a", "epoch": 0, "val_acc": 0.1}]
    assert len(read(untrained).rows) == len(ROWS)


def test_costs_are_counted_once_and_repetitions_are_numbered() -> None:
    rows = [row | {"seed": seed, "seconds": 2.0} for seed in (7, 3) for row in ROWS[: 9 if seed == 7 else 5]]
    found = read(rows)
    assert found.spent == 9 + 5
    assert found.rows["seconds"].sum() == 2.0 * 14
    repeats = found.last.reset_index().set_index(["candidate", "epoch"])["repeat"]
    assert repeats[("b", 3)] == 0
    assert repeats[("b", 2)] == 1  # the shorter training of it


@pytest.mark.parametrize("gap", [None, np.nan, "", "nan"])
def test_a_gap_is_not_a_failure_but_a_missing_end_is(gap: Any) -> None:
    rows = [dict(row) for row in ROWS]
    rows[1]["val_acc"] = None  # epoch 2 of a: not measured
    rows[5]["val_acc"] = gap  # the end of b, where others were measured
    found = read(rows)
    ends = found.last.reset_index().set_index("candidate")["value"]
    assert ends["a"] == 0.9
    assert np.isnan(ends["b"])
    assert sum("failed" in note for note in found.notes) == 1
    # Validation every other epoch is no failure, whatever the last row is.
    sparse = [row if row["epoch"] == 2 else row | {"val_acc": None} for row in ROWS]
    assert read(sparse).last["value"].notna().all()


def test_rows_of_training_beside_those_of_validation() -> None:
    both = [{"net": "a", "epoch": 1, "val_acc": None, "loss": 1.0}, *ROWS]
    assert len(read(both).rows) == len(ROWS)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (ROWS, {"metric": "val_loss"}, "no metric 'val_loss'; it has val_acc"),
        ([row | {"val_acc": "high"} for row in ROWS], {}, "row 1: val_acc 'high' is not a number"),
        ([row | {"val_acc": None} for row in ROWS], {}, "no number for 'val_acc'"),
        ([*ROWS, ROWS[4]], {}, "row 10: 'b' has epoch 2 in row 5, too; remove one, or name the column of their seeds"),
        ([row | {"seed": 1} for row in [*ROWS, ROWS[4]]], {}, "in row 5, too; remove one"),
        ([*ROWS, {"net": "d", "epoch": 390, "val_acc": 0.5}], {}, "'d' has epoch 390, beyond full_epochs 3 in 1 of 4"),
        ([row | {"epoch": row["epoch"] * 100} for row in ROWS], {}, "has epoch 300, beyond full_epochs 3; are these"),
        ([*ROWS, {"net": "d", "epoch": 0.5, "val_acc": 0.5}], {}, "'d' has epoch 0.5; epochs are whole numbers"),
        ([row | {"schedule_epochs": 2} for row in ROWS], {}, "epoch 3 of a schedule of 2 epochs"),
        (ROWS[:3], {}, "results of 1 candidate, 'a'; a ranking needs 2"),
        ([{"net": row["net"], "val_acc": 0.5} for row in ROWS], {}, "no column for the epoch: it has net, val_acc"),
        ([{"epoch": 1, "val_acc": 0.5}], {}, "no column for the candidate"),
        ([], {}, "no rows"),
        (ROWS, {"columns": {"epoch": "step"}}, "no column 'step' for epoch"),
        (ROWS, {"columns": {"net": "net"}}, "'net' is none of candidate, epoch"),
        (ROWS, {"mode": "down"}, "mode: 'down' is neither min nor max"),
        ([row | {"quux": 1} for row in ROWS], {"metric": "quux"}, "mode is missing: the name 'quux'"),
        (ROWS, {"full_epochs": 0}, "full_epochs: 0 is not a number of epochs"),
        (ROWS, {"features": [{"net": "a", "depth": 1}]}, "lacks 2 of 3 candidates: b, c"),
        (ROWS, {"features": [{"net": n, "depth": 1} for n in "abca"]}, "has 'a' twice"),
        (ROWS, {"features": [{"net": n, "kind": "deep"} for n in "abc"]}, "row 1: kind 'deep' is not a number"),
        ("missing.csv", {}, "missing.csv does not exist"),
        (3, {}, "the results are no table"),
    ],
)
def test_mistakes_end_in_a_line(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultsError) as caught:
        taurank.rank(source, **({"full_epochs": 3, "metric": "val_acc"} | options))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
