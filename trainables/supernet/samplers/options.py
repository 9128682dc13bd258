"""Checks of the options that samplers are made with: a wrong one is named, with what it has to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeGuard


def check_count(name: str, value: object, *, lowest: int) -> None:
    """Checks that a value is a whole number of at least ``lowest``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise ValueError(f"{name} is {value!r}; it has to be a whole number of at least {lowest}")


def check_share(name: str, value: object, *, zero: bool = True, one: bool = True) -> None:
    """Checks that a value is a number in [0, 1]; ``zero`` and ``one`` include the bounds."""
    if not _is_number(value) or not 0 <= value <= 1 or (value == 0 and not zero) or (value == 1 and not one):
        bounds = f"{'[' if zero else '('}0, 1{']' if one else ')'}"
        raise ValueError(f"{name} is {value!r}; it has to be in {bounds}")


def check_number(name: str, value: object, *, above: float = -math.inf, lowest: float = -math.inf) -> None:
    """Checks that a value is a finite number, greater than ``above`` and at least ``lowest``."""
    if not _is_number(value) or not math.isfinite(value) or value <= above or value < lowest:
        bound = f"a number above {above:g}" if above > -math.inf else f"a number of at least {lowest:g}"
        raise ValueError(f"{name} is {value!r}; it has to be {bound}")


def check_word(name: str, value: object, allowed: Sequence[str]) -> None:
    """Checks that a value is one of the allowed words."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it has to be one of {', '.join(allowed)}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
