"""Lines and progress bars on the terminal; tables are printed where they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

__all__ = ["Console", "print_line", "progress_bar"]

Progress = Callable[[int, int], None]
"""Takes how many are done, and of how many."""


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
def progress_bar(title: str, *, console: Console | None = None) -> Iterator[Progress]:
    """A progress bar, shown from the first report; nothing if the output is not a terminal.

    Args:
        title: of the bar.
        console: where the bar is shown; None for the standard error.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = console or Console(stderr=True)
    columns = TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("", total=None, visible=False)
        yield lambda done, count: bars.update(task, completed=done, total=count, visible=True)
