from __future__ import annotations

import math
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.evidence import opened_to_read
from taurank.orchestrator.evidence.log import FORMAT, Evidence, EvidenceError, EvidenceLog

ROW = Evidence("training-3", "training-3/a/seed 0", "a", "training", 1, 3, 0, "validation_accuracy", 0.5, 2.0, 1.0)


@pytest.fixture
def log(tmp_path):
    return EvidenceLog(tmp_path / "evidence.sqlite")


class TestRows:
    def test_come_back_as_they_went_in(self, log):
        rows = [ROW, replace(ROW, metric="train_loss", value=1.25, seconds=0.0, epochs=0.0), replace(ROW, epoch=2)]
        assert log.append(rows) == 3
        frame = log.evidence()
        assert [Evidence(**row) for row in frame.drop(columns="time").to_dict("records")] == rows
        assert (abs(frame["time"] - time.time()) < 60).all()

    def test_a_second_row_of_the_same_number_changes_nothing(self, log):
        log.append([ROW])
        assert log.append([replace(ROW, value=0.9, seconds=7.0), replace(ROW, epoch=2)]) == 1
        assert log.evidence()["value"].tolist() == [0.5, 0.5]
        assert log.spent_in("training-3") == (4.0, 2.0)

    def test_what_each_result_took(self, log):
        log.append([ROW, replace(ROW, metric="train_loss", seconds=0.5), replace(ROW, epoch=2, seconds=0.0)])
        log.append([replace(ROW, epoch=3, seconds=4.0), replace(ROW, trial="other", seconds=9.0)])
        assert log.seconds_of_results("training-3", {ROW.trial}) == [2.5, 4.0]
        assert log.seconds_of_results("another stage", {ROW.trial}) == []

    def test_twice_in_one_batch(self, log):
        assert log.append([ROW, ROW]) == 1

    @pytest.mark.parametrize("field", ["trial", "architecture", "epoch", "metric"])
    def test_what_makes_a_row_another_row(self, log, field):
        other = replace(ROW, **{field: 9 if field == "epoch" else "other"})
        assert log.append([ROW, other]) == 2

    def test_nothing_to_append(self, log):
        assert log.append([]) == 0

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_a_missing_value_is_null_in_the_file_and_nan_outside(self, log, value):
        log.append([replace(ROW, value=value)])
        assert log.connection.execute("SELECT value FROM evidence").fetchone() == (None,)
        column = log.evidence()["value"]
        assert column.dtype == np.float64  # also when there is nothing else in the column
        assert math.isnan(column[0])

    @pytest.mark.parametrize("field", ["seconds", "epochs"])
    def test_a_cost_has_to_be_known(self, log, field):
        with pytest.raises(EvidenceError, match=r"training-3/a/seed 0: the cost is .*nan"):
            log.append([replace(ROW, **{field: math.nan})])
        assert log.evidence().empty

    def test_numpy_numbers_are_numbers(self, log):
        log.append([replace(ROW, epoch=np.int64(4), value=np.float32(0.25), seconds=np.float64(1.5))])
        row = log.evidence().iloc[0]
        assert (row["epoch"], row["value"], row["seconds"]) == (4, 0.25, 1.5)
        assert log.last_epochs() == {ROW.trial: 4}

    def test_an_empty_log_has_the_same_columns_and_types(self, log):
        empty = log.evidence()
        log.append([ROW])
        assert empty.dtypes.to_dict() == log.evidence().dtypes.to_dict()
        assert len(empty) == 0
        assert empty["seconds"].sum() == 0.0


class TestEvents:
    def test_in_the_order_they_came(self, log):
        log.append_event("s", "t1", "started")
        log.append_event("s", "t1", "failed", "out of memory")
        log.append_event("s", "", "ended")
        events = log.events()
        assert events.columns.tolist() == ["time", "stage", "trial", "event", "reason"]
        assert events["event"].tolist() == ["started", "failed", "ended"]
        assert events["reason"].tolist() == ["", "out of memory", ""]

    def test_the_last_final_event_of_a_trial_is_its_outcome(self, log):
        for trial, event, reason in (
            ("a", "started", ""),
            ("a", "stopped", "by asha"),
            ("a", "recovered", "worker lost"),
            ("a", "completed", ""),
            ("b", "started", ""),
            ("b", "lost", "worker lost"),
            ("c", "failed", "out of memory"),
            ("", "completed", "a stage is no trial"),
        ):
            log.append_event("s", trial, event, reason)
        assert log.outcomes() == {"a": ("completed", ""), "c": ("failed", "out of memory")}

    def test_last_epochs(self, log):
        log.append([ROW, replace(ROW, epoch=3), replace(ROW, trial="other")])
        assert log.last_epochs() == {ROW.trial: 3, "other": 1}

    def test_spent_in_counts_one_stage(self, log):
        log.append([ROW, replace(ROW, epoch=2), replace(ROW, stage="baseline", trial="b", seconds=99.0)])
        assert log.spent_in("training-3") == (4.0, 2.0)
        assert log.spent_in("baseline") == (99.0, 1.0)
        assert log.spent_in("nobody") == (0.0, 0.0)

    def test_the_first_note_stays(self, log):
        log.note("data_dir", "here")
        log.note("data_dir", "there")
        assert log.noted("data_dir") == "here"
        assert log.noted("nothing") is None


class TestWallSeconds:
    @pytest.fixture
    def at(self, log, monkeypatch):
        """Calls of the log at a given time."""

        def at(moment, call, *arguments):
            monkeypatch.setattr("taurank.orchestrator.evidence.log.time.time", lambda: moment)
            getattr(log, call)(*arguments)

        return at

    def test_from_start_to_end(self, log, at):
        at(100.0, "append_event", "a", "", "started")
        at(104.0, "append_event", "a", "", "ended")
        at(110.0, "append_event", "b", "", "started")
        at(111.0, "append_event", "b", "", "ended")
        assert log.wall_seconds() == {"a": 4.0, "b": 1.0}

    def test_cut_off_ends_at_the_last_sign_of_life(self, log, at):
        at(100.0, "append_event", "training-3", "", "started")
        at(103.0, "append", [ROW])
        assert log.wall_seconds() == {"training-3": 3.0}
        at(105.0, "append_event", "training-3", ROW.trial, "lost")
        assert log.wall_seconds() == {"training-3": 5.0}

    def test_resumed_leaves_out_the_pause(self, log, at):
        at(100.0, "append_event", "training-3", "", "started")
        at(103.0, "append", [ROW])
        at(900.0, "append_event", "training-3", "", "started")
        at(902.0, "append", [replace(ROW, epoch=2)])
        at(903.0, "append_event", "training-3", "", "ended")
        assert log.wall_seconds() == {"training-3": 6.0}

    def test_started_and_nothing_more(self, log, at):
        at(100.0, "append_event", "a", "", "started")
        assert log.wall_seconds() == {"a": 0.0}

    def test_nothing(self, log):
        assert log.wall_seconds() == {}


class TestFile:
    def test_two_connections_see_one_log(self, log):
        other = EvidenceLog(log.path)
        assert log.append([ROW]) == 1
        assert other.append([ROW, replace(ROW, epoch=2)]) == 1
        assert len(log.evidence()) == 2
        pd.testing.assert_frame_equal(log.evidence(), other.evidence())

    def test_closed_it_opens_again(self, log):
        log.append([ROW])
        log.close()
        log.close()
        assert len(log.evidence()) == 1

    def test_pickled_it_opens_a_connection_of_its_own(self, log):
        log.append([ROW])
        copy = pickle.loads(pickle.dumps(log))
        assert copy.path == log.path
        assert copy.connection is not log.connection
        assert len(copy.evidence()) == 1

    def test_a_failed_batch_leaves_nothing(self, log):
        def rows():
            yield ROW
            raise RuntimeError("the trial went wrong")

        with pytest.raises(RuntimeError):
            log.append(rows())
        assert log.append([replace(ROW, epoch=2)]) == 1
        assert log.evidence()["epoch"].tolist() == [2]

    def test_not_a_database(self, tmp_path):
        file = tmp_path / "evidence.sqlite"
        file.write_text("epoch, accuracy\n" * 100)
        with pytest.raises(EvidenceError, match=r"evidence\.sqlite cannot be used as an evidence log: file is not"):
            EvidenceLog(file).evidence()

    @pytest.mark.parametrize("tables", ["", "DROP TABLE photos"])
    def test_another_database_is_left_as_it_is(self, tmp_path, tables):
        file = tmp_path / "photos.sqlite"
        with sqlite3.connect(file) as other:
            other.executescript(f"CREATE TABLE photos (name TEXT); {tables}")
        other.close()
        before = file.read_bytes()
        assert before
        with pytest.raises(EvidenceError, match="is a database, but not an evidence log"):
            EvidenceLog(file).append([ROW])
        assert file.read_bytes() == before

    def test_a_log_appears_whole(self, tmp_path, monkeypatch):
        seen = []
        link = os.link

        def linked(source, target):
            assert not target.exists()
            link(source, target)
            seen.append(EvidenceLog(target).evidence())

        monkeypatch.setattr(os, "link", linked)
        EvidenceLog(tmp_path / "evidence.sqlite").append_event("a", "", "started")
        assert [len(rows) for rows in seen] == [0]
        assert not list(tmp_path.glob(".evidence*"))

    def test_of_two_that_make_a_log_at_once_both_write_to_one(self, tmp_path, monkeypatch):
        path, link = tmp_path / "evidence.sqlite", os.link

        def overtaken(source, target):
            monkeypatch.setattr(os, "link", link)
            EvidenceLog(path).append_event("a", "", "started", "first")
            link(source, target)

        monkeypatch.setattr(os, "link", overtaken)
        EvidenceLog(path).append_event("a", "", "started", "second")
        assert EvidenceLog(path).events()["reason"].tolist() == ["first", "second"]

    def test_a_log_needs_no_links(self, tmp_path, monkeypatch):
        def refused(source, target):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refused)
        EvidenceLog(tmp_path / "evidence.sqlite").append_event("a", "", "started")
        assert EvidenceLog(tmp_path / "evidence.sqlite").events()["event"].tolist() == ["started"]

    def test_an_empty_file_is_left_as_it_is(self, tmp_path):
        file = tmp_path / "evidence.sqlite"
        file.touch()
        with pytest.raises(EvidenceError, match=r"evidence\.sqlite is empty, so it is not an evidence log"):
            EvidenceLog(file).append([ROW])
        with (
            pytest.raises(EvidenceError, match="cannot be read as an evidence log: it is empty"),
            opened_to_read(file, elsewhere=False),
        ):
            pass
        assert [found.name for found in tmp_path.iterdir()] == ["evidence.sqlite"]
        assert file.read_bytes() == b""

    def test_another_format(self, log):
        log.connection.execute("UPDATE meta SET value = '2' WHERE key = 'format'")
        log.close()
        with pytest.raises(EvidenceError, match=f"is an evidence log of format 2; this version reads {FORMAT}"):
            log.evidence()

    def test_no_such_folder(self, tmp_path):
        with pytest.raises(EvidenceError, match=r"an evidence log: .*nowhere: No such file or directory"):
            EvidenceLog(tmp_path / "nowhere" / "evidence.sqlite").evidence()


WRITER = """
import sys
from pathlib import Path
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
log = EvidenceLog(Path(sys.argv[1]))
for epoch in range(1, 1_000_000):
    log.append(
        Evidence("s", "t", f"c{part}", "training", epoch, 9, 0, "accuracy", 0.5, 1.0, 1.0) for part in range(20)
    )
    if epoch == 20:
        print("writing", flush=True)
"""


@pytest.mark.parametrize("patience", [0.0, 0.05, 0.11])
def test_a_killed_writer_leaves_whole_transactions(log, patience):
    root = Path(__file__).parents[3]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(log.path)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    time.sleep(patience)
    writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()

    epochs = log.evidence()["epoch"]
    assert len(epochs) >= 400
    assert (epochs.value_counts() == 20).all()
    assert sorted(epochs.unique()) == list(range(1, epochs.max() + 1))
    # And it goes on from there.
    assert log.append([ROW]) == 1
    assert log.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
