"""The table format: what goes in comes out, what breaks a promise is refused, and the questions have known answers."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taurank.trainables.table import Metric, RecordedTable, TableError, TableInfo, read_table, write_table
from taurank.trainables.table.format import COLUMNS, KEY
from taurank.trainables.table.metrics import describe, describe_all
from taurank.trainables.table.rows import Rows
from taurank.trainables.table.summary import possible_truths, summarise

NAN = math.nan
ROWS = [
    # architecture, source, epoch, schedule_epochs, seed, metric, value, seconds
    ("b", "training", 1, 2, 0, "validation_accuracy", 0.25, 10.0),
    ("b", "training", 1, 2, 0, "train_loss", 2.0, 0.0),
    ("b", "training", 2, 2, 0, "validation_accuracy", 0.5, 12.0),
    ("b", "training", 2, 2, 0, "train_loss", 1.0, 0.0),
    ("b", "training", 2, 2, 0, "test_accuracy", 0.375, 0.0),
    ("a", "training", 1, 2, 0, "validation_accuracy", 0.125, 6.0),
    ("a", "training", 4, 8, 0, "validation_accuracy", 0.625, 20.0),
    ("a", "training", 8, 8, 0, "validation_accuracy", 0.75, NAN),
    ("a", "training", 8, 8, 1, "validation_accuracy", 0.875, NAN),
    ("a", "training:all_images", 8, 8, -1, "test_accuracy", 0.9375, NAN),
    ("b", "size", 0, 0, 0, "parameters", 1000.0, 0.0),
    ("a", "size", 0, 0, 0, "parameters", 2000.0, 0.0),
    ("a", "size", 0, 0, 0, "flops", 3e6, 0.0),
]
METRICS = describe_all(["validation_accuracy", "train_loss", "test_accuracy", "parameters", "flops"])
INFO = TableInfo("mine", "digits", METRICS, {"width": 4}, "made up", "none", ("a note", "another"))


def frame(rows=ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def changed(place: int, **values) -> pd.DataFrame:
    rows = frame()
    for column, value in values.items():
        rows[column] = rows[column].astype(object)
        rows.loc[place, column] = value
        if column not in ("architecture", "source", "metric"):
            rows[column] = pd.to_numeric(rows[column])
    return rows


@pytest.fixture(scope="module")
def table() -> RecordedTable:
    return RecordedTable(INFO, frame())


class TestRoundTrip:
    def test_comes_back_as_it_went_in(self, table, tmp_path):
        write_table(table, tmp_path / "t.parquet")
        back = read_table(tmp_path / "t.parquet")
        assert back.info == INFO
        pd.testing.assert_frame_equal(back.rows, table.rows, check_categorical=False)
        assert [list(row) for row in back.rows.head(2).itertuples(index=False)] == [list(row) for row in ROWS[:2]]
        assert math.isnan(back.rows["seconds"].iloc[7])

    def test_only_the_file_is_left(self, table, tmp_path):
        write_table(table, tmp_path / "t.parquet")
        write_table(table, tmp_path / "t.parquet")
        assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]

    def test_on_disk_it_is_what_the_format_says(self, table, tmp_path):
        write_table(table, tmp_path / "t.parquet")
        schema = pq.read_schema(tmp_path / "t.parquet")
        assert schema.names == list(COLUMNS)
        assert [str(schema.field(name).type) for name in ("epoch", "schedule_epochs", "seed")] == ["int32"] * 3
        assert [str(schema.field(name).type) for name in ("value", "seconds")] == ["double"] * 2
        assert all(pa.types.is_dictionary(schema.field(name).type) for name in ("architecture", "source", "metric"))
        assert pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(0).column(6).compression == "ZSTD"
        described = json.loads(schema.metadata[KEY])
        assert (described["format"], described["space"], described["notes"]) == (1, "mine", ["a note", "another"])
        assert described["metrics"]["train_loss"] == {"direction": "lower", "unit": "nats", "category": False}

    def test_a_folder_that_is_not_there(self, table, tmp_path):
        with pytest.raises(TableError, match=r"t.parquet cannot be written: .*; choose another place"):
            write_table(table, tmp_path / "no" / "t.parquet")


class TestRefused:
    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (frame().drop(columns="seed"), "column 'seed' is missing"),
            (frame().assign(colour=1), "column 'colour' is not one of the format"),
            (frame([]), "there are no rows"),
            (frame([*ROWS, ROWS[0]]), "1 numbers occur twice, the first is architecture b, source training, epoch 1"),
            (changed(0, value=NAN), "value: 1 rows are NaN or infinite"),
            (changed(0, value=math.inf), "value: 1 rows are NaN or infinite"),
            (changed(2, seconds=-1.0), "seconds: -1.0 is no cost"),
            (changed(2, seconds=math.inf), "seconds: inf is no cost"),
            (changed(4, value=37.5), r"test_accuracy: 37.5 of b is no share in \[0, 1\]; divide percentages by 100"),
            (changed(4, value=-0.1), r"test_accuracy: -0.1 of b is no share"),
            (changed(0, epoch=3), "epoch: 3 of b is beyond its schedule of 2 epochs"),
            (changed(0, epoch=1.5), "epoch: 1.5 is not a whole number"),
            (changed(0, seed=NAN), "seed: nan is not a whole number"),
            (changed(0, seed=-2), "seed: -2 is less than -1"),
            (changed(0, epoch=-1), "epoch: -1 is less than 0"),
            (changed(0, source=None), "source: 1 rows have none"),
            (changed(0, metric=7), "metric: the type is object, but it has to be text"),
            (changed(0, metric="colour"), "metric 'colour' is not described"),
            (frame().assign(value="high"), "value: the type is .*, but it has to be a number"),
        ],
    )
    def test_rows_that_break_a_promise(self, rows, message):
        with pytest.raises(TableError, match=message) as raised:
            RecordedTable(INFO, rows)
        assert "\n" not in str(raised.value)

    def test_the_same_number_of_another_seed_is_another_number(self):
        again = tuple(5 if column == "seed" else value for column, value in zip(COLUMNS, ROWS[0], strict=True))
        assert len(RecordedTable(INFO, frame([*ROWS, again])).rows) == len(ROWS) + 1

    def test_losses_may_be_above_one(self):
        assert RecordedTable(INFO, changed(1, value=37.5)).rows["value"].max() == 3e6

    def test_a_direction_that_is_none(self):
        with pytest.raises(TableError, match="direction: 'up' is none of higher, lower, none"):
            Metric("up")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("write", "message"),
        [
            (lambda path: None, "cannot be read as a table: no such file; "),
            (lambda path: path.write_text("hello"), "cannot be read as a table: it is not a parquet file"),
            (lambda path: frame().to_parquet(path), "is a parquet file, but no table of taurank"),
            (lambda path: _write(path, {"format": 2}), "is a table of format 2; this version reads 1"),
            (lambda path: _write(path, {"format": 1}), "its description is damaged"),
            (lambda path: _write(path, []), "its description is damaged"),
            (lambda path: _write(path, None, frame().drop(columns="seed")), "column 'seed' is missing"),
            (lambda path: _write(path, None, frame([*ROWS, ROWS[0]])), "1 numbers occur twice"),
        ],
    )
    def test_files(self, write, message, tmp_path):
        path = tmp_path / "t.parquet"
        write(path)
        with pytest.raises(TableError, match=message) as raised:
            read_table(path)
        assert str(raised.value).startswith(str(path))
        assert "\n" not in str(raised.value)

    def test_a_file_that_was_cut_off(self, table, tmp_path):
        path = tmp_path / "t.parquet"
        write_table(table, path)
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(TableError, match="cannot be read as a table"):
            read_table(path)


def _write(path, described, rows=None):
    if described is None:
        metrics = {name: vars(metric) for name, metric in METRICS.items()}
        described = {"format": 1, "space": "s", "data": "d", "metrics": metrics, "notes": []}
    written = pa.Table.from_pandas(frame() if rows is None else rows, preserve_index=False)
    pq.write_table(written.replace_schema_metadata({KEY: json.dumps(described)}), path)


class TestQuestions:
    def test_lists(self, table):
        assert table.architectures == ["b", "a"]  # first appearance, not the alphabet
        assert table.sources == ["training", "training:all_images", "size"]
        assert table.schedules() == [2, 8]
        assert table.full_epochs == 8
        assert table.schedules("training:all_images") == [8]
        assert table.seeds(8) == [0, 1]
        assert table.seeds(2) == [0]
        assert table.seeds(5) == []

    def test_a_schedule_that_nobody_completed_is_none(self):
        assert RecordedTable(INFO, frame([ROWS[5], ROWS[10]])).full_epochs == 0

    def test_without_trainings(self):
        only_sizes = RecordedTable(INFO, frame(ROWS[10:]))
        assert only_sizes.full_epochs == 0
        assert math.isnan(only_sizes.seconds_per_epoch)
        assert possible_truths(only_sizes) == []

    def test_final(self, table):
        final = table.final("validation_accuracy", schedule_epochs=8, seed=0)
        assert list(final.index) == ["b", "a"]
        np.testing.assert_array_equal(final, [NAN, 0.75])
        np.testing.assert_array_equal(table.final("validation_accuracy", schedule_epochs=2, seed=0), [0.5, NAN])
        np.testing.assert_array_equal(
            table.final("test_accuracy", schedule_epochs=8, seed=-1, source="training:all_images"), [NAN, 0.9375]
        )

    def test_at(self, table):
        early = table.at("validation_accuracy", epoch=1, schedule_epochs=2, seed=0)
        np.testing.assert_array_equal(early, [0.25, 0.125])
        assert table.at("validation_accuracy", epoch=7, schedule_epochs=8, seed=0).isna().all()

    def test_curve(self, table):
        curve = table.curve("b", schedule_epochs=2, seed=0)
        assert list(curve.index) == [1, 2]
        assert sorted(curve.columns) == ["seconds", "test_accuracy", "train_loss", "validation_accuracy"]
        np.testing.assert_array_equal(curve["validation_accuracy"], [0.25, 0.5])
        np.testing.assert_array_equal(curve["test_accuracy"], [NAN, 0.375])
        np.testing.assert_array_equal(curve["seconds"], [10.0, 12.0])
        assert math.isnan(table.curve("a", schedule_epochs=8, seed=0)["seconds"].iloc[-1])

    def test_wide(self, table):
        sizes = table.wide("size")
        assert sizes.loc["a"].to_dict() == {"parameters": 2000.0, "flops": 3e6}
        np.testing.assert_array_equal(sizes.loc["b"], [1000.0, NAN])
        with pytest.raises(TableError, match="training has several epochs or seeds of an architecture"):
            table.wide("training")

    def test_seconds_per_epoch_are_those_of_known_epochs(self, table):
        # 10 and 12 for two epochs of b, 6 for one of a, 20 for the first four of eight; the rest is unknown.
        assert table.seconds_per_epoch == pytest.approx(48 / 7)

    @pytest.mark.parametrize(
        ("ask", "message"),
        [
            (
                lambda table: table.schedules("supernet:x"),
                "source: 'supernet:x' is not in the table; there are training, ",
            ),
            (
                lambda table: table.final("acc", schedule_epochs=2, seed=0),
                "metric: 'acc' is not in the table; there are",
            ),
            (lambda table: table.curve("b", schedule_epochs=2, seed=3), "no training of 'b' over 2 epochs with seed 3"),
            (lambda table: table.curve("c", schedule_epochs=2, seed=0), "no training of 'c'"),
        ],
    )
    def test_what_is_not_there(self, table, ask, message):
        with pytest.raises(TableError, match=message):
            ask(table)


def test_curves_are_the_rows_whatever_their_order():
    generator = np.random.default_rng(0)
    rows = Rows([f"a{index}" for index in range(7)])
    values = generator.random((7, 5))
    values[generator.random((7, 5)) < 0.3] = NAN
    losses = generator.random((7, 5))
    seconds = generator.integers(1, 9, (7, 5)).astype(float)
    for seed in (0, 1):
        rows.add(
            "training",
            {"validation_accuracy": values / (seed + 1), "train_loss": losses},
            epoch=np.arange(1, 6),
            schedule_epochs=5,
            seed=seed,
            seconds=seconds,
        )
    shuffled = rows.frame().sample(frac=1, random_state=1)
    table = RecordedTable(TableInfo("s", "d", describe_all(rows.metrics)), shuffled)
    for index in range(7):
        for seed in (0, 1):
            curve = table.curve(f"a{index}", schedule_epochs=5, seed=seed)
            np.testing.assert_array_equal(curve["train_loss"], losses[index])
            if "validation_accuracy" in curve.columns:
                np.testing.assert_array_equal(curve["validation_accuracy"], values[index] / (seed + 1))
            np.testing.assert_array_equal(curve["seconds"], seconds[index])
    assert table.rows["seconds"].sum() == 2 * seconds.sum()


class TestRows:
    def test_the_booking_goes_to_the_first_metric_that_has_a_number(self):
        rows = Rows(["a", "b"])
        rows.add("proxy:x", {"score": [NAN, 1.0], "latency": [2.0, 3.0]}, seconds=[5.0, 7.0])
        found = rows.frame()
        booked = {(row.architecture, row.metric): row.seconds for row in found.itertuples()}
        assert booked == {("a", "latency"): 5.0, ("b", "score"): 7.0, ("b", "latency"): 0.0}

    def test_an_architecture_twice(self):
        with pytest.raises(TableError, match="architecture 'a' occurs twice"):
            Rows(["a", "b", "a"])

    def test_nothing(self):
        with pytest.raises(TableError, match="there are no numbers"):
            Rows(["a"]).frame()


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("validation_top5_accuracy", Metric("higher", "share")),
        ("accuracy", Metric("higher", "share")),
        ("train_loss", Metric("lower", "nats")),
        ("validation_perplexity", Metric("lower")),
        ("latency", Metric("lower", "ms")),
        ("lr", Metric()),
    ],
)
def test_what_a_name_means(name, metric):
    assert describe(name) == metric


def test_summary(table):
    parts = {(part.source, part.schedule_epochs, part.seed, part.metric): part for part in summarise(table)}
    short = parts["training", 2, 0, "validation_accuracy"]
    assert (short.architectures, short.complete, short.epochs, short.values) == (2, 1, (1, 2), (0.125, 0.5))
    assert (short.seconds, short.unknown) == (28.0, 0)
    long = parts["training", 8, 0, "validation_accuracy"]
    assert (long.seconds, long.unknown) == (20.0, 1)
    assert sum(part.seconds for part in parts.values()) == table.rows["seconds"].sum()


def test_truths_are_complete_trainings_of_the_schedule_that_most_completed_and_of_longer_ones():
    more = [("c", "training", 8, 8, 0, "validation_accuracy", 0.5, NAN)]
    longest = [("c", "training", 16, 16, 0, "validation_accuracy", 0.5, NAN)]
    truths = possible_truths(RecordedTable(INFO, frame([*ROWS, *more, *longest])))
    assert [(truth.source, truth.metric, truth.schedule_epochs, truth.architectures) for truth in truths] == [
        ("training", "test_accuracy", 2, {0: 1}),
        ("training", "validation_accuracy", 8, {0: 2, 1: 1}),
        ("training", "validation_accuracy", 16, {0: 1}),
        ("training:all_images", "test_accuracy", 8, {-1: 1}),
    ]
