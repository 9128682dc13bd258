"""The command `taurank status`.

Imports are inside the functions, and neither torch nor Ray is imported, so that the command is fast.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taurank.orchestrator.cli.runs import Folder
from taurank.orchestrator.cli.terminal import Document, make_console, output
from taurank.orchestrator.text import MiddleElided

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

    from taurank.orchestrator.evidence import TrialSummary
    from taurank.orchestrator.session import RunStatus, StageStatus

WATCH_SECONDS = 2.0
FEWEST_TRIALS = 5
"""Fewest trials that are shown, however low the terminal is."""
STATES = ("running", "paused", "waiting", "done", "stopped", "failed")
HEADINGS = ("trials", *STATES, "epochs", "at most", "saved", "seconds")


def status(
    folder: Folder,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the trials too, every two seconds while a process works on the run.")
    ] = False,
) -> Document:
    """Show the state of a run: stages, trials, budget, time left, and why it is idle."""
    from taurank.orchestrator.session import StatusError, run_status

    if output().json and watch:
        raise StatusError("--json prints one object; omit --watch")
    found = run_status(folder)
    if watch:
        _watch(folder)
    else:
        make_console().print(show(found, now=time.time()))
    return asdict(found)


def _watch(folder: Path) -> None:
    from rich.live import Live

    from taurank.orchestrator.session import run_status, run_trials

    console = make_console()

    def shown(found: RunStatus) -> Group:
        trials = run_trials(folder, found.stage) if found.stage else []
        return show(found, now=time.time(), trials=trials, height=console.height)

    found = run_status(folder)
    with Live(shown(found), console=console, auto_refresh=False) as live:
        while found.state == "running":
            time.sleep(WATCH_SECONDS)
            found = run_status(folder)
            live.update(shown(found), refresh=True)


def show(found: RunStatus, *, now: float, trials: Sequence[TrialSummary] = (), height: int = 0) -> Group:
    """One line on the run, a row for each stage, the budget, and a row for each trial of the stage.

    Args:
        found: the state of the run.
        now: Unix seconds.
        trials: of the stage, the last to report first.
        height: of the terminal in lines; as many trials are shown as there is room for.
    """
    from rich.console import Group
    from rich.text import Text

    lines = [Text(line, overflow="fold") for line in status_lines(found, now)]
    stages = [_table(found)] if found.stages else []
    room = max(FEWEST_TRIALS, height - len(found.stages) - len(lines) - 5)
    below: list[RenderableType] = [Text(), _trial_table(trials, now, room)] if trials else []
    return Group(Text(headline(found), style="bold"), *stages, *lines, *below)


def _trial_table(trials: Sequence[TrialSummary], now: float, most: int) -> Group:
    """Trials that are at work first, the last to report on top."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from taurank.orchestrator.text import duration

    table = Table(box=None, pad_edge=False)
    table.add_column("trial")
    for heading in ("state", "epoch", "accuracy", "seconds", "last result"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=1)
    for one in sorted(trials, key=lambda one: one.state != "begun")[:most]:
        table.add_row(
            MiddleElided(one.trial.partition("/")[2].replace("/", " ")),
            "running" if one.state == "begun" else one.state,
            f"{one.epoch} of {one.schedule_epochs}" if one.schedule_epochs else "-",
            f"{one.accuracy:.1%}" if math.isfinite(one.accuracy) else "-",
            f"{one.seconds:,.1f}",
            f"{duration(max(now - one.last, 0))} ago",
            Text(one.reason),
        )
    more = [Text(f"... and {len(trials) - most} more")] if len(trials) > most else []
    return Group(table, *more)


def headline(found: RunStatus) -> str:
    """The run, its state and the stage that it is in."""
    by = f" ({found.holder})" if found.holder else ""
    where = f", stage {found.number} of {len(found.stages)}: {found.stage}" if found.number else ""
    return f"{Path(found.folder).name}: {found.state}{by}{where if found.state != 'finished' else ''}"


def _table(found: RunStatus) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    rows = [_figures(stage) for stage in found.stages]
    # Twelve columns are too many for a narrow terminal; those that have no number say nothing.
    kept = [place for place in range(len(HEADINGS)) if any(row[place] != "-" for row in rows)]
    for place in kept:
        table.add_column(HEADINGS[place], justify="right", no_wrap=True)
    for stage, row in zip(found.stages, rows, strict=True):
        here = stage.title == found.stage and found.state == "running"
        table.add_row(MiddleElided(stage.title), *(row[place] for place in kept), style="bold" if here else None)
    return table


def _figures(stage: StageStatus) -> list[str]:
    counts = [getattr(stage.counts, name) for name in STATES]
    return [
        str(stage.trials or "-"),
        *(str(count or "-") for count in counts),
        f"{stage.epochs:,.1f}",
        f"{stage.most_epochs:,.1f}" if stage.most_epochs else "-",
        f"{stage.saved_epochs:,.1f}" if stage.saved_epochs else "-",
        f"{stage.seconds:,.1f}",
    ]


def status_lines(found: RunStatus, now: float) -> list[str]:
    """The budget, the last result, the time left, and why nothing runs."""
    from taurank.orchestrator.text import counted, duration

    budget = ""
    if found.budget_time:
        budget = f" (budget: {found.budget_time})"
    elif found.budget_epochs:
        budget = f" of {found.budget_epochs:,.1f} ({found.spent_epochs / found.budget_epochs:.0%} of the budget)"
    baseline = f"; baseline: {found.baseline_epochs:,.1f} epochs" if found.baseline_epochs else ""
    lines = [f"evidence: {found.spent_epochs:,.1f} epochs{budget}, {found.spent_seconds:,.1f} device seconds{baseline}"]
    if found.taken:
        share = found.taken_epochs / max(found.spent_epochs + found.baseline_epochs, 1e-9)
        trainings = counted(found.taken, "training")
        lines.append(f"taken over from other runs: {trainings}, {found.taken_epochs:,.1f} epochs ({share:.0%})")
    if found.last_row:
        at = datetime.fromtimestamp(found.last_row).strftime("%Y-%m-%d %H:%M:%S")
        lines.append(
            f"last result: {at}, {duration(now - found.last_row)} ago; {counted(found.rows, 'row')} of evidence"
        )
    if found.left is not None:
        left = found.left
        of = f" for {found.stage}" if left.of_stage else ""
        when = "" if found.state == "running" else " after resuming"
        basis = "from what an epoch of each candidate takes"
        if left.low <= left.high:  # neither is NaN
            parts = f"{duration(left.low)} to {duration(left.high)} at that of its fastest and slowest parts"
            basis = f"at the pace so far, {parts}"
        lines.append(f"time left{of}: about {duration(left.seconds)}{when} {basis}; less if trials end early")
    elif found.state == "running":
        lines.append("time left: unknown until the stage has booked a few epochs")
    if found.standstill:
        lines.append(f"nothing runs: {found.standstill}")
    if found.last_line:
        lines.append(f"last line of run.log: {found.last_line}")
    return lines
