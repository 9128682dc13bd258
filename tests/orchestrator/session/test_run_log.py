"""The log of a run for people: what stands in the evidence log, a line each."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.session.interruption import RunInterruptedError
from taurank.orchestrator.session.log import RunLog

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")


def lines(folder: Path) -> list[list[str]]:
    """The columns of each line, without its time."""
    found = (folder / "run.log").read_text().splitlines()
    assert all(STAMP.match(line) for line in found)
    return [re.split(r" {2,}", STAMP.sub("", line, count=1)) for line in found]


def validated(trial: str, code: str, epoch: int, value: float) -> Evidence:
    return Evidence("training-4", trial, code, "training", epoch, 4, 0, "validation_accuracy", value)


def test_every_event_is_a_line_and_a_completed_training_says_how_far_it_came(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    with log.followed_by(RunLog(tmp_path)):
        log.append_event("training-4", "", "started")
        log.append_event("training-4", "", "chosen", "2 of 4 by design")
        log.append_event("training-4", "training-4/a-b/seed 0", "started", "to epoch 1: all train to the first rung")
        log.append([validated("training-4/a-b/seed 0", "a", 1, 0.5), validated("training-4/a-b/seed 0", "a", 4, 0.75)])
        log.append_event("training-4", "training-4/a-b/seed 0", "completed")
        log.append_event("supernet:uniform", "supernet:uniform scores/1/4 candidates/seed 0", "completed")
        log.append_event("training-4", "", "ended")
    log.append_event("training-4", "training-4/a-b/seed 0", "nobody", "follows")
    assert lines(tmp_path) == [
        ["training-4", "-", "chosen", "2 of 4 by design"],
        ["training-4", "a-b seed 0", "started", "to epoch 1: all train to the first rung"],
        ["training-4", "a-b seed 0", "completed", "validation accuracy 75.0% after epoch 4"],
        ["supernet:uniform scores", "1 4 candidates seed 0", "completed"],
    ]


def test_a_trial_that_scores_many_has_no_accuracy_of_its_own(tmp_path: Path) -> None:
    run_log = RunLog(tmp_path)
    run_log.rows([validated("s/1/2 candidates", "a", 4, 0.5), validated("s/1/2 candidates", "b", 4, 0.6)])
    run_log.event("s", "s/1/2 candidates", "completed", "")
    assert lines(tmp_path) == [["s", "1 2 candidates", "completed"]]


def test_the_end_of_a_stage_says_what_became_of_its_trials(tmp_path: Path) -> None:
    run_log = RunLog(tmp_path)
    for trial, event in (("a", "stopped"), ("b", "stopped"), ("c", "failed"), ("d", "paused")):
        run_log.event("s", f"s/{trial}", event, "because")
    run_log.end_stage("s", "12.0 epochs in 0:10 min")
    run_log.end_stage("t", "0.0 epochs in 0:01 min")
    assert lines(tmp_path)[-2][2:] == ["ends", "1 failed, 2 stopped; 12.0 epochs in 0:10 min"]
    assert lines(tmp_path)[-1][2:] == ["ends", "no trial ended; 0.0 epochs in 0:01 min"]


def test_a_reason_of_several_lines_is_one(tmp_path: Path) -> None:
    RunLog(tmp_path).event("s", "s/a", "failed", "first\n  second")
    assert lines(tmp_path) == [["s", "a", "failed", "first second"]]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (None, ["ends", "complete"]),
        (RunInterruptedError("s"), ["interrupted", "all finished results are kept; taurank resume continues"]),
        (ValueError("no room\nat all"), ["ends", "ValueError: no room"]),
    ],
)
def test_how_a_process_ends(tmp_path: Path, error: BaseException | None, says: list[str]) -> None:
    ends = nullcontext() if error is None else pytest.raises(type(error))
    with ends, RunLog(tmp_path).session():
        if error is not None:
            raise error
    first, last = lines(tmp_path)
    assert first[2] == "begins"
    assert last[2:] == says


def test_a_folder_that_is_gone_is_for_the_evidence_log_to_complain_about(tmp_path: Path) -> None:
    RunLog(tmp_path / "gone").line("s", "a", "started")
