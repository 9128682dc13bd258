"""Values and times of any trainable in the terms of the policies: metrics with a direction, and whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from taurank.schedulers.curves import Metric

SCALES: dict[str, Metric] = {
    "accuracy": "accuracy",
    "percent": "accuracy",
    "error": "error",
    "loss": "loss",
    "perplexity": "perplexity",
    "score": "score",
}
"""What the policies take each scale for."""
_MODES = {"accuracy": "max", "percent": "max", "score": "max", "error": "min", "loss": "min", "perplexity": "min"}
_BOUNDS = {"accuracy": (0.0, 1.0), "percent": (0.0, 100.0), "error": (0.0, 1.0), "perplexity": (0.0, math.inf)}
_MOST_STEPS = 1000
_STEPS = 200
_TINY = 1e-9


def number(name: str, value: Any) -> float:
    """The value as a float.

    Raises:
        ValueError: it is no number; the message names it.
    """
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None


class Measure:
    """Direction and scale of a metric.

    Args:
        mode: ``min``, ``max``, or None if it is not known yet.
        scale: one of ``SCALES``; None to follow the mode and the values: ``loss`` where lower is better, else
            ``accuracy``, until a value lies outside [0, 1], and ``score`` from there on.

    Raises:
        ValueError: an unknown mode or scale, or a scale of the other direction.
    """

    def __init__(self, mode: str | None, scale: str | None) -> None:
        if scale is not None and scale not in SCALES:
            raise ValueError(f"scale must be one of {', '.join(SCALES)}, got {scale!r}")
        self._scale, self._wide = scale, False
        self.mode: str | None = None if scale is None else _MODES[scale]
        if mode is not None:
            self.set_mode(mode)

    def set_mode(self, mode: str) -> None:
        """Sets the direction.

        Raises:
            ValueError: an unknown mode, or that of the other direction.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be min or max, got {mode!r}")
        if self._scale is not None and mode != _MODES[self._scale]:
            raise ValueError(f"mode must be {_MODES[self._scale]} for the scale {self._scale}, got {mode!r}")
        self.mode = mode

    @property
    def kind(self) -> Metric:
        """What policies take the values for."""
        if self._scale is not None:
            return SCALES[self._scale]
        if self.mode == "min":
            return "loss"
        return "score" if self._wide else "accuracy"

    def read(self, name: str, value: float) -> float:
        """A reported value as the policies take it; one that is not finite stays so.

        Raises:
            ValueError: a value that the given scale does not have.
        """
        low, high = _BOUNDS.get(self._scale or "", (-math.inf, math.inf))
        if math.isfinite(value) and not low <= value <= high:
            raise ValueError(f"{name} must lie in [{low:g}, {high:g}] for the scale {self._scale}, got {value:g}")
        self.see(value)
        return value / self._unit

    def see(self, value: float) -> None:
        """Takes notice of a value: one outside [0, 1] is no accuracy."""
        if self._scale is None and math.isfinite(value) and not 0 <= value <= 1:
            self._wide = True

    def show(self, value: float) -> float:
        """A value of the policies, or a distance of two, in the unit in which it is reported."""
        return value * self._unit

    @property
    def _unit(self) -> float:
        return 100.0 if self._scale == "percent" else 1.0


@dataclass(frozen=True)
class Ticks:
    """Time in whole steps.

    Attributes:
        count: steps of the schedule.
        length: of a step, in the unit of the time that is reported.
    """

    count: int
    length: float

    @classmethod
    def of(cls, time_attr: str, max_t: float, resolution: float | None) -> Ticks:
        """The steps up to ``max_t``; see ``CurveScheduler``.

        Raises:
            ValueError: a time or resolution that is not above 0, or a resolution above ``max_t``.
        """
        max_t = number("max_t", max_t)
        if not (math.isfinite(max_t) and max_t > 0):
            raise ValueError(f"max_t must be a finite number above 0, got {max_t!r}")
        if resolution is None:
            fine = max_t > _MOST_STEPS or time_attr.startswith("time_") or not float(max_t).is_integer()
            resolution = max_t / _STEPS if fine else 1.0
        if not 0 < resolution <= max_t:
            raise ValueError(f"resolution must lie above 0 and up to max_t {max_t:g}, got {resolution!r}")
        count = math.ceil(max_t / resolution - _TINY)
        return cls(count, max_t / count)

    def of_time(self, value: float) -> int:
        """The last step that ends by this time; the first one for a time before.

        Raises:
            ValueError: a time that is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f"time must be a finite number, got {value!r}")
        return max(1, math.floor(value / self.length + _TINY))

    def time(self, step: float) -> float:
        """The end of a step in the unit of the time."""
        return round(step * self.length, 9)
