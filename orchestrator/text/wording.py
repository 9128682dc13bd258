"""Formats numbers and durations for messages."""

from __future__ import annotations

PLAIN_LINE_SECONDS = 10.0


def duration(seconds: float) -> str:
    """``2:05 min``, ``3 h 07 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{rest:02d} min"


def counted(number: int, thing: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
