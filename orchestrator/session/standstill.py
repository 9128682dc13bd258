"""Why a run is idle, as text with the way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taurank.orchestrator.session.lock import Holder
from taurank.orchestrator.session.state import SavedState, Waiting
from taurank.orchestrator.session.storage import ROOM_BYTES
from taurank.orchestrator.text import duration

QUIET_SECONDS = 60.0
"""A driver updates its state file every few seconds while a stage runs."""
SILENT_SHARE = 0.25
"""Share of the hang limit after which silent trials are reported."""


def standstill(
    folder: Path, state: str, holder: Holder | None, saved: SavedState | None, *, last_row: float, free: int, now: float
) -> str:
    """Why the run is idle; empty if it is not.

    Args:
        folder: of the run.
        state: see ``RunStatus``.
        holder: the process that works on it.
        saved: the last state that it wrote.
        last_row: Unix time of the last row of the log.
        free: bytes of the disk.
        now: Unix time.
    """
    if state == "finished":
        return "the run is complete"
    if holder is None:
        return _no_process(folder, free)
    if saved is None:
        return f"{holder} works on it and has not written its state yet"
    if saved.state.waiting is not None:
        return _waits(saved.state.waiting, saved.state.counts.waiting, now)
    if not saved.state.stage:
        return f"{saved.state.doing or 'between stages'}, since {duration(now - saved.written)}"
    if now - saved.written > QUIET_SECONDS:
        return (
            f"{holder} has written nothing for {duration(now - saved.written)}: it is stopped, or its machine is "
            "overloaded or lost; end it, then: taurank resume " + str(folder)
        )
    silent = now - max(last_row, saved.began)
    patience = saved.state.patience
    if saved.state.counts.running and patience and silent > max(QUIET_SECONDS, SILENT_SHARE * patience):
        return (
            f"the {saved.state.counts.running} running have reported nothing for {duration(silent)}; a worker that is "
            f"silent for {duration(patience)} is ended (resources.hang_minutes)"
        )
    if not saved.state.counts.running and saved.state.counts.waiting:
        return "workers are starting"
    return ""


def _no_process(folder: Path, free: int) -> str:
    resume = f"taurank resume {folder}"
    if free < ROOM_BYTES:
        return (
            f"no process works on it, and the disk is full ({free:,} bytes are free); free some space, then: {resume}"
        )
    return f"no process works on it; continue with: {resume}"


def _waits(waiting: Waiting, ready: int, now: float) -> str:
    asked = _amounts(waiting.asked)
    free = ", ".join(f"{waiting.free[name]:g} of {waiting.total[name]:g} {name}" for name in waiting.asked)
    said = f"{ready} waiting for Ray since {duration(now - waiting.since)}: each asks for {asked}, free: {free}"
    if any(waiting.total[name] < amount for name, amount in waiting.asked.items()):
        return f"{said}; no remaining node is large enough, so the run waits for one"
    if waiting.starting:
        return f"workers are starting, since {duration(now - waiting.since)}"
    if any(waiting.free[name] < amount for name, amount in waiting.asked.items()):
        return f"{said}; other jobs use the rest"
    return f"{said}; Ray starts them next, unless no single node has as much free"


def _amounts(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in amounts.items())
