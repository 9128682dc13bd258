"""Parametric families of learning curves, as data.

Each family is ``f(x) = level + gain * shape(x, rates)`` with a shape that rises from left to right; ``x`` is the epoch,
counted from 1. Level and gain enter linearly, so a curve model only has to search over at most two rates.

Caveats. Each family is concave in the end and none knows the schedule: an accuracy that rises when the learning rate
drops is under-predicted, a curve that peaks is over-predicted.

Source: Domhan, Springenberg and Hutter (IJCAI 2015); ``exponential`` is also the family of PENGUIN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from taurank.schedulers.curves.matrix import Floats


@dataclass(frozen=True)
class Rate:
    """Range of a rate, and the grid of values in it.

    Attributes:
        low: lowest value.
        high: highest value.
        guesses: number of values, evenly spread over the range.
        unit: ``per_horizon`` is divided by the length of the schedule, ``horizon`` multiplied by it.
        logarithmic: whether the values are evenly spread on a logarithmic scale.
    """

    low: float
    high: float
    guesses: int
    unit: Literal["none", "per_horizon", "horizon"] = "none"
    logarithmic: bool = True

    def grid(self, horizon: float) -> Floats:
        """The values for a schedule of ``horizon`` epochs, (guesses,); their logarithms if logarithmic."""
        factor = {"none": 1.0, "per_horizon": 1 / horizon, "horizon": horizon}[self.unit]
        low, high = self.low * factor, self.high * factor
        if self.logarithmic:
            low, high = float(np.log(low)), float(np.log(high))
        return np.linspace(low, high, self.guesses)

    def value(self, searched: Floats) -> Floats:
        """The rate of a value of the grid."""
        return np.exp(searched) if self.logarithmic else searched


@dataclass(frozen=True)
class Family:
    """The shape of a family, ``shape(x, *rates)``, rising in x, and the ranges of its rates."""

    shape: Callable[..., Floats]
    rates: tuple[Rate, ...]

    def shapes(self, x: Floats) -> Floats:
        """The shapes of all combinations of rates at epochs (points,), (combinations, points)."""
        axes = [rate.grid(x[-1]) for rate in self.rates]
        grid = [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]
        rates = [rate.value(column)[:, None] for rate, column in zip(self.rates, grid, strict=True)]
        return np.atleast_2d(self.shape(x, *rates))


_STRETCH = Rate(0.25, 4.0, 6)
_HALF_TIME = Rate(0.002, 3.0, 14, unit="horizon")
_COARSE_SPEED = Rate(0.1, 300.0, 14, unit="per_horizon")

FAMILIES = {
    "pow3": Family(lambda x, alpha: -(x**-alpha), (Rate(0.02, 4.0, 20),)),
    # From a tenth of a time constant to 300.
    "exponential": Family(lambda x, speed: -np.exp(-speed * x), (Rate(0.1, 300.0, 20, unit="per_horizon"),)),
    "weibull": Family(lambda x, speed, stretch: -np.exp(-((speed * x) ** stretch)), (_COARSE_SPEED, _STRETCH)),
    "mmf": Family(lambda x, kappa, delta: -1 / (1 + (kappa * x) ** delta), (_COARSE_SPEED, _STRETCH)),
    "ilog2": Family(lambda x: -1 / np.log(x + 1), ()),
    "hill3": Family(lambda x, half, power: 1 / (1 + (half / x) ** power), (_HALF_TIME, _STRETCH)),
    "pow4": Family(
        lambda x, shift, alpha: -((x + shift) ** -alpha), (Rate(0.003, 3.0, 8, unit="horizon"), Rate(0.1, 8.0, 10))
    ),
    "vapor_pressure": Family(
        lambda x, b, c: np.exp(-b / x + c * np.log(x)), (_HALF_TIME, Rate(0.0, 0.6, 7, logarithmic=False))
    ),
}
"""All families by name."""
