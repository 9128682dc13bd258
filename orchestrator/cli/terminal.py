"""Where commands print."""

from __future__ import annotations

from rich.console import Console


def make_console(width: int = 130) -> Console:
    """The terminal; elsewhere that many columns, so that tables in files and logs do not break their lines."""
    console = Console()
    return console if console.is_terminal else Console(width=width)
