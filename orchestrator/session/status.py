"""The state of a run, and why it is idle, read from its log and its folder alone.

Neither Ray nor the experiment is needed, and nothing is written, so it works at any time, on any machine that can read
the folder.
"""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from taurank.orchestrator.evidence import (
    BASELINE,
    LATENCY,
    RANKING,
    SIZE,
    TIMING,
    TRAINING,
    LogSummary,
    StageRows,
    TrialSummary,
    bookings,
    opened_to_read,
    summarize,
    trials_of,
)
from taurank.orchestrator.session.lock import Holder, holder_of
from taurank.orchestrator.session.log import RUN_LOG
from taurank.orchestrator.session.standstill import standstill
from taurank.orchestrator.session.state import Counts, SavedState, StagePlan, read_state
from taurank.orchestrator.session.time_left import TimeLeft, time_left

EXPERIMENT_FILE, LOG_FILE = "experiment.yaml", "evidence.sqlite"
TRAININGS = (TRAINING, BASELINE)
"""Prefixes of the names of stages whose epochs take equally long."""
TAIL_BYTES = 4096

State = Literal["running", "interrupted", "finished", "not begun"]


class StatusError(ValueError):
    """A folder that is not a run folder; one line with the way out."""


@dataclass(frozen=True)
class StageStatus:
    """The state of a stage.

    Attributes:
        title: its name.
        trials: upper bound of the number of trials; 0 if unknown.
        counts: trials by state; interrupted ones are waiting.
        epochs: epoch-equivalents spent.
        most_epochs: upper bound of its epoch-equivalents; 0 if unknown.
        saved_epochs: scheduled epochs that stopped or paused trials did not train.
        seconds: device seconds spent.
        is_over: whether nothing is left to do in it.
    """

    title: str
    trials: int
    counts: Counts
    epochs: float
    most_epochs: float
    saved_epochs: float
    seconds: float
    is_over: bool


@dataclass(frozen=True)
class RunStatus:
    """The state of a run.

    Attributes:
        folder: the run folder.
        state: the state in one word.
        holder: the process that works on it; None if there is none.
        stage: title of the current or last stage; empty before the first.
        number: of that stage among ``stages``, counted from 1; 0 before the first.
        stages: all stages, the baseline last.
        spent_epochs: cost of the evidence in epoch-equivalents.
        spent_seconds: cost of the evidence in device seconds.
        budget_epochs: budget of the evidence in epoch-equivalents; 0 if unknown.
        budget_time: how much of a budget in time was spent when the run last said so; empty for one in epochs.
        baseline_epochs: cost of the full trainings against which the ranking is scored.
        taken: number of trainings taken over from other runs.
        taken_epochs: their cost there, which is included in ``spent_epochs``.
        rows: number of rows of the evidence log.
        last_row: Unix time of the last row, 0 for none.
        left: estimate of the remaining time; None if there is no basis for one.
        standstill: why the run is idle, as text with the way out; empty if it is not.
        last_line: of ``run.log``.
    """

    folder: str
    state: State
    holder: Holder | None
    stage: str
    number: int
    stages: tuple[StageStatus, ...]
    spent_epochs: float
    spent_seconds: float
    budget_epochs: float
    budget_time: str
    baseline_epochs: float
    taken: int
    taken_epochs: float
    rows: int
    last_row: float
    left: TimeLeft | None
    standstill: str
    last_line: str


def run_trials(folder: Path, title: str) -> list[TrialSummary]:
    """Reads the trials of a stage that have begun, the last to report first.

    Args:
        folder: of the run.
        title: of the stage.

    Raises:
        EvidenceError: the log of the run cannot be read.
    """
    holder = holder_of(folder)
    with opened_to_read(folder / LOG_FILE, elsewhere=holder is not None and not holder.is_here) as connection:
        return trials_of(connection, title)


def run_status(folder: Path) -> RunStatus:
    """Reads the state of a run.

    Raises:
        StatusError: the folder is not a run folder.
        EvidenceError: its log cannot be read.
    """
    folder = folder.absolute()
    missing = [name for name in (EXPERIMENT_FILE, LOG_FILE) if not (folder / name).is_file()]
    if missing:
        what = "has no" if folder.is_dir() else "is not a folder, so it has no"
        raise StatusError(f"{folder} is not the folder of a run: it {what} {missing[0]}; give runs/NAME-TIME")
    holder, saved = holder_of(folder), read_state(folder)
    with opened_to_read(folder / LOG_FILE, elsewhere=holder is not None and not holder.is_here) as connection:
        found = summarize(connection)
        stages = _stages(found, saved, is_held=holder is not None)
        state = _state(folder, found, saved, holder)
        current = _current(found, saved, stages, state)
        booked = []
        if current:
            booked = bookings(connection, current, found.began.get(current.split(" ")[0], 0.0))
    evidence = [stage for title, stage in found.stages.items() if title != BASELINE]
    baseline = found.stages.get(BASELINE, StageRows())
    why = standstill(folder, state, holder, saved, last_row=found.last_row, free=_free(folder), now=time.time())
    titles = [stage.title for stage in stages]
    return RunStatus(
        folder=str(folder),
        state=state,
        holder=holder,
        stage=current,
        number=titles.index(current) + 1 if current else 0,
        stages=stages,
        spent_epochs=sum(stage.epochs for stage in evidence),
        spent_seconds=sum(stage.seconds for stage in evidence),
        budget_epochs=saved.state.budget_epochs if saved else 0.0,
        budget_time=saved.state.budget_time if saved else "",
        baseline_epochs=baseline.epochs,
        taken=found.taken[0],
        taken_epochs=found.taken[1],
        rows=sum(stage.rows for stage in found.stages.values()),
        last_row=found.last_row,
        left=_left(stages, current, booked, saved, state) if state in ("running", "interrupted") else None,
        standstill=why,
        last_line=_last_line(folder / RUN_LOG),
    )


def _state(folder: Path, found: LogSummary, saved: SavedState | None, holder: Holder | None) -> State:
    if holder is not None:
        return "running"
    if RANKING in found.ended and (BASELINE in found.ended or not _has_baseline(folder, saved)):
        return "finished"
    return "interrupted" if saved is not None or found.began.keys() - {SIZE, LATENCY, TIMING} else "not begun"


def _has_baseline(folder: Path, saved: SavedState | None) -> bool:
    """From the plan of the last process; from the experiment if no process has written one."""
    if saved is not None:
        return any(stage.title == BASELINE for stage in saved.state.stages)
    try:
        experiment = yaml.safe_load((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(experiment, dict) and experiment.get("baseline") is not None


def _stages(found: LogSummary, saved: SavedState | None, *, is_held: bool) -> tuple[StageStatus, ...]:
    """The planned stages in their order, preceded by other stages of the log except sizes."""
    plan = {stage.title: stage for stage in saved.state.stages} if saved else {}
    others = [title for title, stage in found.stages.items() if title not in plan and stage.states]
    now = saved.state.stage if saved is not None and is_held else ""
    running = saved.state.counts if saved is not None and now else None
    return tuple(
        _stage(
            plan.get(title, StagePlan(title, 0, 0.0)),
            found.stages.get(title, StageRows()),
            now=running if title == now else None,
            was_ended=title.split(" ")[0] in found.ended,
        )
        for title in (*others, *plan)
    )


def _stage(plan: StagePlan, rows: StageRows, *, now: Counts | None, was_ended: bool) -> StageStatus:
    states = list(rows.states.values())
    paused, stopped, done, failed = (states.count(name) for name in ("paused", "stopped", "done", "failed"))
    over = paused + stopped + done + failed
    trials = max(plan.trials, len(states))
    counts = Counts(paused=paused, stopped=stopped, done=done, failed=failed, waiting=trials - over)
    if was_ended and over == len(states):
        trials, counts = over, Counts(paused=paused, stopped=stopped, done=done, failed=failed)
    is_over = now is None and over > 0 and not counts.waiting
    return StageStatus(
        title=plan.title,
        trials=trials,
        counts=counts if now is None else now,
        epochs=rows.epochs,
        most_epochs=plan.epochs,
        saved_epochs=rows.saved,
        seconds=rows.seconds,
        is_over=is_over,
    )


def _current(found: LogSummary, saved: SavedState | None, stages: tuple[StageStatus, ...], state: State) -> str:
    """The stage under way, or else the next, or else, if nothing is left to do, the one with the last rows."""
    if saved is not None and state == "running" and saved.state.stage:
        return saved.state.stage
    left = [stage.title for stage in stages if not stage.is_over and stage.title.split(" ")[0] not in found.ended]
    if left and state != "finished":
        # One that has not begun has no time; the titles of one name share theirs, and the first of them is next.
        return max(left, key=lambda title: found.began.get(title.split(" ")[0], 0.0))
    titles = {stage.title for stage in stages}
    begun = [(rows.last, title) for title, rows in found.stages.items() if title in titles and rows.last]
    return max(begun, default=(0.0, ""))[1]


def _left(
    stages: tuple[StageStatus, ...],
    current: str,
    booked: list[tuple[float, float]],
    saved: SavedState | None,
    state: State,
) -> TimeLeft | None:
    if saved is not None and saved.state.left is not None:
        # The driver knows more: what an epoch of each candidate takes.
        passed = time.time() - saved.written if state == "running" else 0.0
        return TimeLeft(max(saved.state.left - passed, 0.0), math.nan, math.nan, of_stage=False)
    of_stage = not current.startswith(TRAININGS)
    left = sum(
        max(0.0, stage.most_epochs - stage.epochs)
        for stage in stages
        if not stage.is_over and (stage.title == current or not of_stage)
    )
    return time_left(booked, left, of_stage=of_stage) if left > 0 else None


def _free(folder: Path) -> int:
    """Free bytes of the disk."""
    return shutil.disk_usage(folder).free


def _last_line(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - TAIL_BYTES))
            lines = opened.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
