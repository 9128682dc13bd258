"""Every failed training ends with a missing accuracy, however it failed."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator.evidence import Evidence, EvidenceLog
from taurank.orchestrator.planning import LogRanker, Problem
from taurank.orchestrator.planning.failed_trainings import failure_reasons, with_failures

NAMES = {f"code {letter}": letter for letter in "abcd"}
STAGE = "training-4"


def trial(letter: str) -> str:
    return f"{STAGE}/{letter}/seed 0"


def book(log: EvidenceLog, letter: str, epoch: int, value: float) -> None:
    row = (STAGE, trial(letter), f"code {letter}", "training", epoch, 4, 0, "validation_accuracy")
    log.append([Evidence(*row, value, 1.0, 1.0)])


@pytest.fixture
def log(tmp_path: Path) -> EvidenceLog:
    """Two trained to the end; c lost its worker after two epochs, d before its first."""
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    for letter, epochs, end in (("a", 4, 0.5), ("b", 4, 0.6), ("c", 2, 0.7)):
        for epoch in range(1, epochs + 1):
            book(log, letter, epoch, end * epoch / epochs)
    for letter in "abcd":
        log.append_event(STAGE, trial(letter), "started")
        lost = letter in "cd"
        log.append_event(STAGE, trial(letter), "failed" if lost else "completed", "lost its worker" if lost else "")
    return log


def completed(log: EvidenceLog) -> pd.DataFrame:
    return with_failures(log.evidence(), log, failure_reasons(log), NAMES)


def test_a_row_is_added_to_what_ended_without(log: EvidenceLog) -> None:
    rows, found = log.evidence(), completed(log)
    added = found.iloc[len(rows) :]
    assert added[["trial", "architecture", "stage", "source", "epoch"]].to_numpy().tolist() == [
        [trial("c"), "code c", STAGE, "training", 3],
        [trial("d"), "code d", STAGE, "training", 0],
    ]
    assert added["value"].isna().all()
    assert (added[["seconds", "epochs"]] == 0).all(axis=None)
    pd.testing.assert_frame_equal(found.iloc[: len(rows)], rows)


def test_one_that_failed_by_itself_has_its_row(log: EvidenceLog) -> None:
    book(log, "c", 3, math.nan)
    book(log, "d", 1, math.nan)
    pd.testing.assert_frame_equal(completed(log), log.evidence())


def test_a_failed_batch_is_no_failed_candidate(log: EvidenceLog) -> None:
    for stage in ("proxies", "supernet:uniform"):
        log.append_event(stage, f"{stage}/b/seed 0", "failed", "out of memory")
    found = completed(log)
    assert not found.loc[found["value"].isna(), "architecture"].isin(["code b"]).any()


def test_the_ranking_names_the_reason(log: EvidenceLog) -> None:
    problem = Problem(tuple(NAMES), pd.DataFrame(index=list(NAMES)), 4, 0, names=NAMES)
    table = LogRanker(problem, log).ranking().table.set_index("architecture")
    assert table.index.tolist()[:2] == ["code b", "code a"]
    assert table.loc[["code c", "code d"], "problem"].tolist() == ["failed: lost its worker"] * 2
    assert table.loc[["code c", "code d"], "predicted_accuracy"].isna().all()
