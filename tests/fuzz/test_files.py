"""Logs, truths and scores that are damaged or of strangers: what is in them, or one line; no pickle is loaded."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import suppress

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taurank.orchestrator.evidence.log import EvidenceError, EvidenceLog
from taurank.orchestrator.knowledge.known import KNOWLEDGE_FILE, KnowledgeError, Known, read_known, write_known
from taurank.orchestrator.proxy_scores.score_file import COLUMNS, ScoreFile, ScoreFileError
from taurank.orchestrator.ranker import KnowledgeSource
from taurank.orchestrator.scoring import ScoringError, read_truth
from taurank.spaces import SpaceError
from taurank.spaces.own_code import import_own
from taurank.trainables.table import TableError
from tests.fuzz.fuzzing import answer, damaged, hostile_pickle

CODES = ["a", "b", "c"]


def read_all(log: EvidenceLog) -> None:
    """What ranking and reports ask a log."""
    for question in (
        log.evidence,
        log.events,
        log.outcomes,
        log.last_epochs,
        log.wall_seconds,
        lambda: log.noted("plan"),
        lambda: log.spent_in("training-2"),
        lambda: log.trials_of("training-2"),
        lambda: log.architectures("training-2"),
    ):
        answer(question, EvidenceError)
    log.close()


@pytest.fixture(scope="module")
def small_log(tmp_path_factory, finished_log) -> bytes:
    """A log of a few pages."""
    file = tmp_path_factory.mktemp("small") / "evidence.sqlite"
    finished_log.close()
    shutil.copy(finished_log.path, file)
    connection = sqlite3.connect(file)
    connection.execute("DELETE FROM evidence WHERE id > 20")
    connection.execute("DELETE FROM events WHERE id > 20")
    connection.commit()
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("VACUUM")
    connection.close()
    return file.read_bytes()


@given(st.data())
def test_a_damaged_log(tmp_path, small_log, data):
    file = tmp_path / "evidence.sqlite"
    for old in tmp_path.iterdir():
        old.unlink()
    file.write_bytes(data.draw(damaged(small_log)))
    read_all(EvidenceLog(file))


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=4) | st.binary(max_size=4)


@given(st.data(), st.sampled_from(["evidence", "events", "meta"]), VALUES)
def test_any_value_in_a_log(tmp_path, small_log, data, table, value):
    file = tmp_path / "evidence.sqlite"
    for old in tmp_path.iterdir():
        old.unlink()
    file.write_bytes(small_log)
    connection = sqlite3.connect(file)
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    with suppress(sqlite3.Error):  # SQLite itself refuses some
        connection.execute(f"UPDATE OR IGNORE {table} SET {data.draw(st.sampled_from(columns))} = ?", (value,))
    connection.commit()
    connection.close()
    read_all(EvidenceLog(file))


@given(st.binary(max_size=300))
def test_any_bytes_as_a_log_are_left_as_they_are(tmp_path, content):
    file = tmp_path / "evidence.sqlite"
    content = b"x" * 512 + content  # to SQLite a shorter one is an empty database
    file.write_bytes(content)
    assert answer(EvidenceLog(file).evidence, EvidenceError) is None
    assert file.read_bytes() == content


def test_a_log_with_triggers_of_a_stranger_runs_no_program(tmp_path, small_log):
    file, marker = tmp_path / "evidence.sqlite", tmp_path / "ran"
    file.write_bytes(small_log)
    connection = sqlite3.connect(file)
    harm = f"SELECT writefile('{marker}', 'x'); SELECT load_extension('x');"
    connection.execute(f"CREATE TRIGGER t AFTER INSERT ON events BEGIN {harm} END")
    connection.commit()
    connection.close()
    answer(lambda: EvidenceLog(file).append_event("a", "b", "c"), EvidenceError)
    assert not marker.exists()


CELLS = st.sampled_from(
    [*["architecture", "value", "a", "b", "0.5", "1e999", "-1", "nan", '"', "inf", "é"], "", "\x00", "9" * 400]
)
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=4).map(",".join), max_size=6).map("\n".join)


@given(st.sampled_from(["architecture,value\n", ""]), LINES | st.text(max_size=60))
def test_any_truth(tmp_path, head, text):
    file = tmp_path / "truth.csv"
    file.write_text(head + text, encoding="utf-8", errors="replace")
    truth = answer(lambda: read_truth(file, CODES), ScoringError)
    if truth is not None:
        assert truth.values.shape == (3,)


@given(st.binary(max_size=200), st.sampled_from(["truth.csv", "truth.parquet", "truth"]))
def test_any_bytes_as_a_truth(tmp_path, content, name):
    file = tmp_path / name
    file.write_bytes(content)
    answer(lambda: read_truth(file, CODES), ScoringError, TableError)


SCORES = (",".join(COLUMNS) + "\na,nwot,1.5,,1,0.1,,mine\nb,nwot,,,0,0.1,void,mine\n").encode()


@given(damaged(SCORES))
def test_a_damaged_file_of_scores(tmp_path, content):
    file = tmp_path / "scores.csv"
    file.write_bytes(content)
    rows = answer(lambda: ScoreFile(file, "mine").open(), ScoreFileError)
    if rows is None:
        assert file.read_bytes() == content
    else:
        assert isinstance(rows, pd.DataFrame)
        assert set(rows["settings"]) <= {"mine"}


@pytest.mark.parametrize("name", ["truth.csv", "truth.parquet", "truth.pkl", "evidence.sqlite", "scores.csv"])
def test_a_pickle_under_any_name_is_not_loaded(tmp_path, name):
    marker, file = tmp_path / "ran", tmp_path / name
    file.write_bytes(hostile_pickle(marker))
    assert answer(lambda: read_truth(file, CODES), ScoringError, TableError) is None
    assert answer(EvidenceLog(file).evidence, EvidenceError) is None
    assert answer(lambda: ScoreFile(file, "mine").open(), ScoreFileError) is None
    assert not marker.exists()


NAMES = st.sampled_from([*["os", ":", ".", "system", "sys", "exit", "..", "/", "\\", "__import__", "(", ")", "é"], " "])


@given(st.lists(NAMES, max_size=6))
def test_own_code_is_named_and_not_evaluated(parts):
    before = set(sys.path)
    answer(lambda: import_own("".join(parts)), SpaceError)
    assert len(set(sys.path) - before) <= 1


KNOWN = Known(KnowledgeSource("old", {"a": 0.5, "b": -1.5}, "short", 0.25), "old.csv", "loss on digits")


@given(st.data())
def test_a_damaged_copy_of_knowledge(tmp_path, data):
    write_known([KNOWN], tmp_path)
    whole = (tmp_path / KNOWLEDGE_FILE).read_bytes()
    (tmp_path / KNOWLEDGE_FILE).write_bytes(data.draw(damaged(whole)))
    for known in answer(lambda: read_known(tmp_path), KnowledgeError) or ():
        known.line(CODES)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"sources": [{"values": {"a": ' + "9" * 400 + "}}]}", "null", "{}", "3"]
)
def test_any_other_json_as_knowledge(tmp_path, text):
    (tmp_path / KNOWLEDGE_FILE).write_text(text)
    assert answer(lambda: read_known(tmp_path), KnowledgeError) is None
