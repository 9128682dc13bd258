"""How figures are written, on the terminal and on the page."""

from __future__ import annotations

import math

from orchestrator.tau import Agreement


def percent(value: float) -> str:
    """An accuracy in percent, a dash for a missing one; what is no accuracy (a truth from a table) as it is."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.1%}" if 0 <= value <= 1 else f"{value:.4g}"


def decimal(value: float) -> str:
    """A coefficient to three digits, a dash for a missing one."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def interval(found: Agreement) -> str:
    """The interval of tau, a dash where there is no tau."""
    return f"{found.low:.2f} to {found.high:.2f}" if math.isfinite(found.low) else "-"


def times(value: float) -> str:
    """How many times cheaper, a dash where nothing was spent."""
    return f"{value:.1f}x" if math.isfinite(value) else "-"
