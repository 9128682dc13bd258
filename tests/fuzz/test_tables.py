"""Tables, recordings and latencies from strangers: whole ones, or one line that says why not; no pickle is loaded."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taurank.trainables.latency.parts import LatencyError
from taurank.trainables.latency.table import LatencyTable
from taurank.trainables.table import RecordedTable, TableError, TableInfo, read_table, write_table
from taurank.trainables.table.format import COLUMNS, KEY
from taurank.trainables.table.importers import import_csv, import_results, import_table
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.summary import possible_truths, summarise
from taurank.trainables.trials.kept_results import KeptResult, keep_result, read_result
from tests.fuzz.fuzzing import answer, damaged, hostile_pickle

ROWS = [
    (code, "training", epoch, 3, seed, metric, 0.1 * epoch, 1.5)
    for code in ("a", "b", "c")
    for epoch in (1, 2, 3)
    for seed in (0, 1)
    for metric in ("validation_accuracy", "test_accuracy")
]
FRAME = pd.DataFrame(ROWS, columns=list(COLUMNS))
TABLE = RecordedTable(TableInfo("mine", "digits", describe_all(["validation_accuracy", "test_accuracy"])), FRAME)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> bytes:
    file = tmp_path_factory.mktemp("table") / "t.parquet"
    write_table(TABLE, file)
    return file.read_bytes()


def look_at(table: RecordedTable | None) -> None:
    """What a command does with a table that it has read."""
    if table is not None:
        summarise(table)
        possible_truths(table)


@given(st.data())
def test_a_damaged_table(tmp_path, written, data):
    file = tmp_path / "t.parquet"
    file.write_bytes(data.draw(damaged(written)))
    look_at(answer(lambda: read_table(file), TableError))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
DESCRIBED = {"format": 1, "space": "mine", "data": "x", "metrics": {"test_accuracy": {}}, "space_options": {},
             "origin": "", "licence": "", "notes": []}  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(DESCRIBED)) | st.text(max_size=5), JSON, max_size=3))
def test_any_description_of_a_table(tmp_path, changes):
    rows = pa.Table.from_pandas(FRAME, preserve_index=False)
    text = json.dumps(DESCRIBED | changes).encode()
    pq.write_table(rows.replace_schema_metadata({KEY: text}), tmp_path / "t.parquet")
    look_at(answer(lambda: read_table(tmp_path / "t.parquet"), TableError))


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=4) | st.binary(max_size=4)


@given(st.sampled_from(COLUMNS), st.lists(VALUES, min_size=len(FRAME), max_size=len(FRAME)))
def test_any_values_in_a_column_of_a_table(tmp_path, column, values):
    first = next((value for value in values if value is not None), None)
    alike = [value if type(value) is type(first) else None for value in values]  # a parquet column has one type
    rows = pa.Table.from_pandas(FRAME, preserve_index=False)
    rows = rows.set_column(rows.schema.get_field_index(column), column, pa.array(alike))
    described = json.dumps(DESCRIBED | {"metrics": {"validation_accuracy": {}, "test_accuracy": {}}}).encode()
    pq.write_table(rows.replace_schema_metadata({KEY: described}), tmp_path / "t.parquet")
    look_at(answer(lambda: read_table(tmp_path / "t.parquet"), TableError))


CELLS = st.sampled_from(
    ["a", "1", "0.5", "-1", "1e999", "nan", "1.5", '"', "é", "inf", "99999999999", "", " ", "\x00", "9" * 30]
)
LINES = st.lists(st.lists(CELLS, min_size=2, max_size=5).map(",".join), max_size=6)
MAPPED = {"architecture": "arch", "value": "acc"}


@given(LINES, st.sampled_from(["", "epoch", "seed", "seconds", "metric", "source"]), st.booleans())
def test_any_csv_of_numbers(tmp_path, lines, other, percent):
    head = "arch,acc,more" if other else "arch,acc"
    (tmp_path / "t.csv").write_text("\n".join([head, *lines]), encoding="utf-8")
    columns = MAPPED | ({other: "more"} if other else {})
    constants = {"metric": "test_accuracy", "schedule_epochs": "3"}
    constants = {key: value for key, value in constants.items() if key not in columns}
    look_at(answer(lambda: import_csv([tmp_path / "t.csv"], columns, constants, percent=percent), TableError))


@given(LINES, st.sampled_from(["more", "seed", "loss", "test_accuracy", "acc", "arch", ""]))
def test_any_csv_of_final_results(tmp_path, lines, other):
    file = tmp_path / "t.csv"
    file.write_text("\n".join([f"arch,acc,{other}", *lines]), encoding="utf-8")
    look_at(answer(lambda: import_results(file), TableError))


@given(st.binary(max_size=300))
def test_any_bytes_as_final_results(tmp_path, content):
    file = tmp_path / "t.csv"
    file.write_bytes(b"arch,acc\n" + content)
    look_at(answer(lambda: import_results(file), TableError))


@given(st.binary(max_size=300))
def test_any_bytes_as_a_csv(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(b"arch,acc\n" + content)
    constants = {"metric": "loss", "schedule_epochs": "3"}
    look_at(answer(lambda: import_csv([tmp_path / "t.csv"], MAPPED, constants), TableError))


@given(st.text(max_size=8), st.text(max_size=8))
def test_any_constant_for_a_column(tmp_path, seed, epochs):
    (tmp_path / "t.csv").write_text("arch,acc\na,0.5\nb,0.25\n")
    constants = {"metric": "test_accuracy", "schedule_epochs": epochs, "seed": seed}
    look_at(answer(lambda: import_csv([tmp_path / "t.csv"], MAPPED, constants), TableError))


HEADS = [
    ["edge_ops", "val_acc", "train_acc", "val_loss", "train_loss", "test_acc", "elapsed_s", "params", "n_epochs"],
    ["x", "y"],
    ["c10_val_hp12", "c10_params_M", "arch"],
    ["model", "top1", "param_count", "infer_samples_per_sec"],
]


@given(st.sampled_from(["csv", "npz", "parquet"]), st.sampled_from(HEADS), st.binary(max_size=100))
def test_any_recording(tmp_path, kind, names, noise):
    file = tmp_path / f"cifar10.{kind}"
    numbers = np.frombuffer(noise.ljust(24, b"\x00")[:24], np.float64)
    if kind == "csv":
        file.write_bytes(",".join(names).encode() + b"\n" + noise)
    elif kind == "npz":
        np.savez(file, **dict.fromkeys(names, numbers))
    else:
        pd.DataFrame(dict.fromkeys(names, numbers)).to_parquet(file)
    look_at(answer(lambda: import_table([file]), TableError))


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.npz", "t.pickle.pbz2", "t.pkl", "NATS-tss-v1_0.pickle.pbz2"])
def test_a_pickle_under_any_name_is_not_loaded(tmp_path, name):
    marker, file = tmp_path / "ran", tmp_path / name
    file.write_bytes(hostile_pickle(marker))
    assert answer(lambda: import_table([file]), TableError) is None
    assert answer(lambda: read_table(file), TableError) is None
    assert answer(lambda: import_csv([file], MAPPED, {"metric": "loss", "schedule_epochs": "3"}), TableError) is None
    assert not marker.exists()


LATENCIES = json.dumps(
    {
        "conditions": {"device": "cpu x", "precision": "float32", "batch": 1, "threads": 1, "torch": "2"},
        "milliseconds": {"conv 3": 1.5, "conv 5": 2.5},
    }
).encode()


@given(damaged(LATENCIES))
def test_a_damaged_latency_table(tmp_path, content):
    file = tmp_path / "latency.json"
    file.write_bytes(content)
    table = answer(lambda: LatencyTable.load(file), LatencyError)
    if table is not None:
        assert all(0 <= value < math.inf for value in table.milliseconds.values())
        str(table.conditions)


@given(JSON | st.builds(dict, conditions=JSON, milliseconds=JSON))
def test_any_json_as_a_latency_table(tmp_path, value):
    file = tmp_path / "latency.json"
    file.write_text(json.dumps(value))
    answer(lambda: LatencyTable.load(file), LatencyError)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"milliseconds": ' + "9" * 10_000 + "}", "\ufeff{}", '"' + "x" * 10**6]
)
def test_a_hostile_latency_table(tmp_path, text):
    file = tmp_path / "latency.json"
    file.write_text(text, encoding="utf-8")
    assert answer(lambda: LatencyTable.load(file), LatencyError) is None


KEPT = [
    {"trial": "t", "epoch": epoch, "outcome": "", "reason": "", "evidence": [("a", epoch, "loss", 1.0, 0.1, 1.0)]}
    for epoch in (1, 2, 3)
]


@given(st.data())
def test_a_damaged_training_of_another_run_is_none(tmp_path, data):
    file = tmp_path / "kept.json"
    file.unlink(missing_ok=True)
    keep_result(file, run="other", rows=KEPT)
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    found = answer(lambda: read_result(file, trial="mine", epochs=3))
    assert found is None or isinstance(found, KeptResult)
