"""Constraints: bounds on parameters, FLOPs and latency, in the notation of an experiment."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Measure = Literal["parameters", "flops", "latency"]
"""Measures of an untrained candidate: trainable weights, multiply-accumulates per image, milliseconds per batch."""

SPELLINGS: dict[str, Measure] = {
    "params": "parameters",
    "parameters": "parameters",
    "flops": "flops",
    "latency": "latency",
}
COUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
MILLISECONDS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?"
EXAMPLES = "'params <= 5e6', 'flops <= 600M' or 'latency <= 20ms'"


class ConstraintError(ValueError):
    """A constraint or an amount that cannot be read; one line with the way out."""


@dataclass(frozen=True)
class Constraint:
    """A bound that a candidate has to satisfy.

    Attributes:
        measure: of the candidate.
        bound: a number, or milliseconds of a latency.
        at_least: whether the bound is the lowest allowed value instead of the highest.
        text: the constraint as written.
    """

    measure: Measure
    bound: float
    at_least: bool
    text: str

    def allows(self, value: float) -> bool:
        """Whether a value is within the bound; NaN is not."""
        return value >= self.bound if self.at_least else value <= self.bound

    def excess(self, value: float) -> float:
        """How far a value is beyond the bound, as a share of it; 0 within it, infinite for NaN."""
        if math.isnan(value):
            return math.inf
        return max(0.0, (self.bound - value if self.at_least else value - self.bound) / self.bound)

    def violated_by(self, value: float) -> str:
        """A value and the violated constraint, as text."""
        return f"{describe(self.measure, value)}, not {self.text}"


def describe(measure: Measure, value: float) -> str:
    """A value with its name and unit."""
    if measure == "latency":
        return f"latency {value:.3g} ms"
    return f"{measure} {value:,.0f}"


def read_constraint(text: str) -> Constraint:
    """Reads ``params <= 5e6``, ``flops >= 100M``, ``latency <= 20ms``.

    Counts may have the units k, M and G; times need one of us, ms and s.

    Raises:
        ConstraintError: the text has another form.
    """
    parts = re.fullmatch(r"\s*([A-Za-z_]+)\s*(<=|>=|<|>|==?|!=)\s*(.*?)\s*", text)
    if not parts:
        raise ConstraintError(f"{text!r} is not a constraint; write {EXAMPLES}")
    name, operator, amount = parts.groups()
    if name.lower() not in SPELLINGS:
        raise ConstraintError(f"{text!r}: {name} cannot be constrained; use parameters (params), flops or latency")
    if operator not in ("<=", ">="):
        raise ConstraintError(f"{text!r}: {operator} is not a bound; write <= for an upper or >= for a lower bound")
    measure = SPELLINGS[name.lower()]
    return Constraint(measure, read_amount(measure, amount, text), operator == ">=", text.strip())


def read_amount(measure: Measure, amount: str, text: str = "") -> float:
    """A number, or the milliseconds of a time.

    Args:
        measure: the measured quantity.
        amount: number and unit.
        text: its name in errors; by default ``amount``.

    Raises:
        ConstraintError: the amount cannot be read, or is not above 0.
    """
    where = repr(text or amount)
    units = MILLISECONDS if measure == "latency" else COUNTS
    parts = re.fullmatch(rf"({_NUMBER})\s*([A-Za-zµ]*)", amount.strip())
    if not parts:
        example = "20ms" if measure == "latency" else "5e6 or 5M"
        raise ConstraintError(f"{where}: {amount.strip() or 'nothing'} is not an amount above 0; write {example}")
    number, unit = parts.groups()
    if unit not in units:
        if measure == "latency":
            what = f"{unit} is not a unit of time" if unit else "the unit is missing"
            raise ConstraintError(f"{where}: {what}; write us, ms or s, such as 20ms")
        raise ConstraintError(f"{where}: {unit} is not a unit of a count; write k, M or G, such as 5M")
    value = float(number) * units[unit]
    if not 0 < value < math.inf:
        raise ConstraintError(f"{where}: {amount.strip()} is not a finite amount above 0")
    return value
