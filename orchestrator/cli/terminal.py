"""The console that commands print to."""

from __future__ import annotations

from rich.console import Console


def make_console(width: int = 130) -> Console:
    """The terminal; for other outputs a console of the given width, so that tables in files and logs do not wrap."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
