"""The trust report of supernets for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from taurank.orchestrator.evidence import SUPERNET
from taurank.orchestrator.ranker import FEWEST_ALONE, SupernetTrust
from taurank.orchestrator.report.figures import decimal, interval, percent
from taurank.orchestrator.tau import Agreement
from taurank.orchestrator.text import MiddleElided, print_line

TITLE = "How far supernets can be trusted"
ALONE_SHORT = 10
"""Length of the suggested trainings, as a share of full training."""
ALONE_CANDIDATES = 8


def trust_rows(found: Sequence[SupernetTrust]) -> list[tuple[str, list[str]]]:
    """One row per figure, one cell per supernet; figures that no supernet has are omitted."""
    rows: list[tuple[str, list[str]]] = []

    def add(label: str, cell: Callable[[SupernetTrust], str], *, always: bool = False) -> None:
        cells = [cell(one) for one in found]
        if always or any(text != "-" for text in cells):
            rows.append((label, cells))

    add("candidates scored", lambda one: f"{one.scored:,}", always=True)
    add("updates of a path: least, median", lambda one: f"{_count(one.updates[0])}, {_count(one.updates[1])}"
        if math.isfinite(one.updates[0]) else "-")  # fmt: skip
    add("updates of an option, median", lambda one: _count(one.option_updates))
    add("sd of an accuracy, median", lambda one: percent(one.sd))
    add("reliability", lambda one: f"{one.reliability:.2f}" if math.isfinite(one.reliability) else "-")
    add("contenders, of these moved", lambda one: f"{one.contenders}, {one.moved}" if one.contenders else "-")
    if any(one.alone is not None for one in found):
        add("trained alone", lambda one: f"{one.alone.supernet.n} by {one.alone.stage}" if one.alone else "-")
        add("tau to these", lambda one: _tau(one.alone.supernet if one.alone else None), always=True)
        add("tau of parameters", lambda one: _tau(one.alone.parameters if one.alone else None), always=True)
        add("tau of the sampler's own scores", lambda one: _tau(one.alone.sampler if one.alone else None))
    return rows


def trust_note(found: Sequence[SupernetTrust], *, full_epochs: int) -> str:
    """The missing figures and how to get them, or else how to read the taus."""
    lacking = [name_of(one) for one in found if one.alone is None]
    if not lacking:
        return "tau-b with its 95 % interval; a supernet that orders no better than parameters is not worth its cost"
    epochs = max(1, full_epochs // ALONE_SHORT)
    return (
        f"fewer than {FEWEST_ALONE} candidates of {', '.join(lacking)} were trained alone, so their order cannot be "
        f"checked; add `trainings: [{{epochs: {epochs}, candidates: {ALONE_CANDIDATES}}}]`"
    )


def name_of(one: SupernetTrust) -> str:
    """Its name without the common prefix."""
    return one.stage.removeprefix(SUPERNET)


def print_trust(console: Console, found: Sequence[SupernetTrust], *, full_epochs: int) -> None:
    """Prints a small table with one column per supernet; nothing without supernets."""
    if not found:
        return
    console.print()
    console.print(TITLE.lower(), style="bold")
    table = Table(box=None, pad_edge=False)
    table.add_column("supernet")
    for one in found:
        table.add_column(MiddleElided(name_of(one)), justify="right")
    for label, cells in trust_rows(found):
        table.add_row(label, *map(escape, cells))
    console.print(table)
    print_line(console, trust_note(found, full_epochs=full_epochs), wrap=True)


def _count(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "-"


def _tau(found: Agreement | None) -> str:
    if found is None or not math.isfinite(found.tau):
        return "-"
    return f"{decimal(found.tau)} ({interval(found)})"
