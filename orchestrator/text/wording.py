"""Formats numbers and durations for messages."""

from __future__ import annotations

import math
from typing import Any

PLAIN_LINE_SECONDS = 10.0


def duration(seconds: float) -> str:
    """``2:05 min``, ``3 h 07 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{rest:02d} min"


def counted(number: int, thing: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def finite_or_none(content: Any) -> Any:
    """The content for JSON: numbers that are not finite become None, within lists and mappings too."""
    if isinstance(content, dict):
        return {key: finite_or_none(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite_or_none(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
