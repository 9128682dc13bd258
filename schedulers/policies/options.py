"""Checks of what the constructor of a policy is given."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


def require_integer(name: str, value: object, *, at_least: int) -> None:
    """Raises a ValueError unless the value is a whole number and not too small."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, got {value!r}")


def require_number(name: str, value: object, *, above: float, below: float = math.inf) -> None:
    """Raises a ValueError unless the value is a finite number strictly between the bounds."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and above < value < below):  # type: ignore[operator,arg-type]
        bounds = f"above {above:g}" if math.isinf(below) else f"above {above:g} and below {below:g}"
        raise ValueError(f"{name} must be a finite number {bounds}, got {value!r}")


def require_cut_point(name: str, epoch: int, cut_points: Sequence[int]) -> None:
    """Raises a ValueError unless trials may be compared and paused at this epoch."""
    if epoch not in cut_points:
        nearest = sorted(sorted(cut_points, key=lambda point: (abs(point - epoch), point))[:2])
        raise ValueError(
            f"{name} must be an epoch at which trials may be compared, got {epoch}; "
            f"nearest: {', '.join(map(str, nearest))}"
        )


@dataclass(frozen=True)
class HalvingOptions:
    """The options of all policies that halve over rungs; each documents the fields."""

    judges_running: ClassVar[bool] = False

    reduction_factor: float = 3
    first_rung: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require_number("reduction_factor", self.reduction_factor, above=1)
        if self.first_rung is not None:
            require_integer("first_rung", self.first_rung, at_least=1)
        require_integer("seed", self.seed, at_least=0)
