"""Lines, tables' cells and progress bars on the terminal; tables are printed where they are made."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from taurank.orchestrator.text.wording import PLAIN_LINE_SECONDS, duration

__all__ = ["Console", "MiddleElided", "make_console", "print_line", "progress_bar"]

Progress = Callable[[int, int], None]
"""Takes how many are done, and of how many."""
PIPED_WIDTH = 1000
"""Columns of an output that is no terminal, unless $COLUMNS says otherwise: a row is one line, for grep."""
SHORTEST_NAME = 12
"""Minimal number of characters of a name that is elided."""


def make_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """The standard output or error, as wide as the terminal, or as $COLUMNS says, or wide where there is neither.

    With $NO_COLOR, and on a terminal that is dumb, nothing but plain lines is printed: no styles, no live progress.
    """
    # In a notebook, lines are lines of the output of a cell, and not a page each.
    make = partial(Console, stderr=stderr, quiet=quiet, force_jupyter=False)
    console = make()
    if console.is_terminal and (os.environ.get("NO_COLOR") or console.is_dumb_terminal):
        return make(width=console.width, force_terminal=False)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdecimal():
        return console
    return make(width=PIPED_WIDTH)


class MiddleElided:
    """A name in a cell of a table: where there is no room for it, dots stand for its middle.

    Names of candidates often differ at their ends; folded ones break anywhere.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(len(self.name), SHORTEST_NAME), len(self.name))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.shown(options.max_width), no_wrap=True, overflow="crop")

    def shown(self, width: int) -> str:
        """The name in at most ``width`` characters."""
        if len(self.name) <= width:
            return self.name
        kept = max(width - 3, 0)
        return f"{self.name[: kept - kept // 2]}...{self.name[len(self.name) - kept // 2 :]}"[:width]


def print_line(console: Console, text: str = "", *, style: str | None = None, wrap: bool = False) -> None:
    """Prints text as it is: brackets are no markup, and numbers are not coloured.

    Args:
        console: where to.
        text: of the line.
        style: of all of it.
        wrap: whether it is broken between words where the console ends, as beside a table.
    """
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=not wrap)


@contextmanager
def progress_bar(title: str, *, console: Console | None = None, rate: str = "") -> Iterator[Progress]:
    """A progress bar, shown from the first report; a line now and then if the output is not a terminal.

    Args:
        title: of the bar.
        console: where the bar is shown; None for the standard error.
        rate: unit in which the speed is shown, such as ``images/s``; empty for none.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = console or make_console(stderr=True)
    speed = [TextColumn("{task.fields[speed]}")] if rate else []
    columns = TextColumn(title), BarColumn(), MofNCompleteColumn(), *speed, TimeRemainingColumn()
    pace = _Pace(rate)
    if not console.is_terminal:
        yield _plain_progress(title, console, pace)
        return
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None, visible=False, speed="")

        def show(done: int, count: int) -> None:
            bars.update(task, completed=done, total=count, visible=True, speed=pace(done, count)[0])

        yield show


class _Pace:
    """Speed since the first report, and the time left; empty texts until there are two reports."""

    def __init__(self, rate: str) -> None:
        self._rate = rate
        self._first: tuple[float, int] | None = None

    def __call__(self, done: int, count: int) -> tuple[str, str]:
        if not self._rate:
            return "", ""
        began, before = self._first = self._first or (time.monotonic(), done)
        took = time.monotonic() - began
        if done <= before or not took:
            return "", ""
        speed = (done - before) / took
        return f"{speed:,.0f} {self._rate}", f"{duration((count - done) / speed)} left"


def _plain_progress(title: str, console: Console, pace: _Pace) -> Progress:
    said, any_said = time.monotonic(), False

    def say(done: int, count: int) -> None:
        nonlocal said, any_said
        shown = ", ".join(filter(None, pace(done, count)))
        if time.monotonic() - said >= PLAIN_LINE_SECONDS or (any_said and done == count):
            said, any_said = time.monotonic(), True
            print_line(console, f"{title}: {done:,} of {count:,}" + (f" ({shown})" if shown else ""))

    return say
