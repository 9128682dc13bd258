"""Formats numbers and durations for messages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from pathlib import PurePath
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


def as_json(content: Any) -> Any:
    """The content as JSON has it: numbers that are not finite become None, within lists and mappings too.

    NumPy's numbers and arrays become Python's, data classes mappings, sets sorted lists, paths text.
    """
    if hasattr(content, "tolist"):
        content = content.tolist()
    if is_dataclass(content) and not isinstance(content, type):
        content = {field.name: getattr(content, field.name) for field in fields(content)}
    if isinstance(content, Mapping):
        return {str(key): as_json(value) for key, value in content.items()}
    if isinstance(content, Set):
        return sorted(map(as_json, content))
    if isinstance(content, list | tuple):
        return [as_json(value) for value in content]
    if isinstance(content, PurePath):
        return str(content)
    return None if isinstance(content, float) and not math.isfinite(content) else content
