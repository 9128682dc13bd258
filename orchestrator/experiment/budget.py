"""How many times cheaper than full training, as it is written in files and on the command line."""

from __future__ import annotations

import math
import re

_FACTOR = re.compile(r"[0-9]+(\.[0-9]+)?")


class BudgetError(ValueError):
    """A budget that cannot be read; one line with the way out."""


def read_budget(budget: object) -> str:
    """The normal spelling, such as ``10x``, of a budget as text or as a number: ``10x``, ``10``, 10, 2.5.

    Raises:
        BudgetError: not a factor of at least 1.
    """
    text = f"{budget:.15g}" if isinstance(budget, float) else str(budget)
    factor = text.strip().lower().removesuffix("x").rstrip()
    if isinstance(budget, bool) or not _FACTOR.fullmatch(factor) or not 1 <= float(factor) < math.inf:
        raise BudgetError(f"{budget} is not how many times cheaper than full training: write 10x, or 1x and above")
    return f"{factor}x"


def budget_factor(budget: str) -> float:
    """The factor of a budget in its normal spelling."""
    return float(budget.removesuffix("x"))
