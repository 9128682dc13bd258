"""Parametric families of learning curves, as data.

All rise (or stay) from left to right, and all are of one form, which is how they are fitted:
``f(x) = level + gain * shape(x, rates)``. Level and gain enter linearly and are found in closed form; at most two
rates are searched for. ``x`` is the epoch, from 1; ``y`` lies near [0, 1] (see ``rising_curves``).

Caveats. Each family is concave in the end and none knows the schedule: an accuracy that rises when the learning rate
drops is under-predicted, a curve that peaks is over-predicted. To rank unfinished trials by fitted limits is on most
recorded data worse than to rank them by their last values. Some families are the same curves under other names:
``weibull`` = ``janoschek`` = ``exp4``, ``hill3`` = ``log_power``, ``penguin`` = ``exponential``. ``DISTINCT`` has each
of them once.

Sources: the eleven of Domhan, Springenberg and Hutter (IJCAI 2015); ``penguin``, ``power2``, ``exponential`` and
``exp_power`` as in PENGUIN (``accDefaultFn``, ``accPow2``, ``accExp3``, ``accExpp3``), whose power law of three
parameters is ``pow3``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from taurank.schedulers.curves.matrix import Floats

Shape = Callable[..., Floats]


@dataclass(frozen=True)
class Rate:
    """Box of a parameter that does not enter linearly, and the first guesses in it.

    Attributes:
        low: least value.
        high: greatest value.
        guesses: number of values that are tried first, evenly spread over the box.
        unit: ``per_horizon`` is divided by the length of the schedule, ``horizon`` multiplied by it.
        logarithmic: whether it is spread and searched on a logarithmic scale.
    """

    low: float
    high: float
    guesses: int
    unit: Literal["none", "per_horizon", "horizon"] = "none"
    logarithmic: bool = True

    def box(self, horizon: float) -> tuple[float, float]:
        """Least and greatest value on the scale of the search."""
        factor = {"none": 1.0, "per_horizon": 1 / horizon, "horizon": horizon}[self.unit]
        low, high = self.low * factor, self.high * factor
        return (float(np.log(low)), float(np.log(high))) if self.logarithmic else (low, high)

    def value(self, searched: Floats) -> Floats:
        """From the scale of the search to the parameter."""
        return np.exp(searched) if self.logarithmic else searched


@dataclass(frozen=True)
class Family:
    """One family: its formula and how it is fitted.

    Attributes:
        name: as in the literature.
        parameters: names in the order that ``formula`` takes them.
        formula: ``formula(x, *parameters)``; arrays broadcast, (trials, 1) parameters give (trials, points).
        shape: ``shape(x, *rates)``, rising in x.
        rates: boxes of the rates.
        assemble: ``assemble(level, gain, *rates)``, the parameters of the formula. With a gain of 0, a flat curve,
            some are infinite; the formula takes them.
        has_level: False: the level is 0.
        has_gain: False: the gain is 1.
    """

    name: str
    parameters: tuple[str, ...]
    formula: Shape
    shape: Shape
    rates: tuple[Rate, ...]
    assemble: Callable[..., tuple[Floats, ...]]
    has_level: bool = True
    has_gain: bool = True

    def __call__(self, x: Floats, parameters: Floats) -> Floats:
        """Values of the curves, (trials, points), from epochs (points,) and parameters (trials, parameters)."""
        with np.errstate(all="ignore"):
            return np.asarray(self.formula(x, *(column[:, None] for column in parameters.T)), dtype=np.float64)

    def first_guesses(self, horizon: float) -> Floats:
        """All combinations of first guesses of the rates on the scale of the search, (guesses, rates)."""
        axes = [np.linspace(*rate.box(horizon), rate.guesses) for rate in self.rates]
        return (
            np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1) if axes else np.empty((1, 0))
        )

    def shape_at(self, x: Floats, searched: Floats) -> Floats:
        """The shape, (n, points), at epochs (points,) for rates on the scale of the search, (n, rates)."""
        rates = [rate.value(column)[:, None] for rate, column in zip(self.rates, searched.T, strict=True)]
        return np.asarray(np.broadcast_to(self.shape(x, *rates), (len(searched), len(x))))


_SPEED = Rate(0.1, 300.0, 20, unit="per_horizon")  # of an exponential: from a tenth of a time constant to 300
_POWER = Rate(0.02, 4.0, 20)
_STRETCH = Rate(0.25, 4.0, 6)
_HALF_TIME = Rate(0.002, 3.0, 14, unit="horizon")
_COARSE_SPEED = Rate(0.1, 300.0, 14, unit="per_horizon")


def _exponential(x: Floats, speed: Floats) -> Floats:
    return -np.exp(-speed * x)


def _stretched(x: Floats, speed: Floats, stretch: Floats) -> Floats:
    return -np.exp(-((speed * x) ** stretch))


def _hill(x: Floats, half: Floats, power: Floats) -> Floats:
    return 1 / (1 + (half / x) ** power)


_ALL = (
    Family(
        "vapor_pressure",
        ("a", "b", "c"),
        lambda x, a, b, c: np.exp(a + b / x + c * np.log(x)),
        lambda x, b, c: np.exp(-b / x + c * np.log(x)),
        (Rate(0.002, 3.0, 14, unit="horizon"), Rate(0.0, 0.6, 7, logarithmic=False)),
        lambda _, gain, b, c: (np.log(gain), -b, c),
        has_level=False,
    ),
    Family(
        "ilog2",
        ("c", "a"),
        lambda x, c, a: c - a / np.log(x + 1),
        lambda x: -1 / np.log(x + 1),
        (),
        lambda level, gain: (level, gain),
    ),
    Family(
        "weibull",
        ("alpha", "beta", "kappa", "delta"),
        lambda x, alpha, beta, kappa, delta: alpha - (alpha - beta) * np.exp(-((kappa * x) ** delta)),
        _stretched,
        (_COARSE_SPEED, _STRETCH),
        lambda level, gain, speed, stretch: (level, level - gain, speed, stretch),
    ),
    Family(
        "pow3",
        ("c", "a", "alpha"),
        lambda x, c, a, alpha: c - a * x**-alpha,
        lambda x, alpha: -(x**-alpha),
        (_POWER,),
        lambda level, gain, alpha: (level, gain, alpha),
    ),
    Family(
        "pow4",
        ("c", "a", "b", "alpha"),
        lambda x, c, a, b, alpha: c - (a * x + b) ** -alpha,
        lambda x, shift, alpha: -((x + shift) ** -alpha),
        (Rate(0.003, 3.0, 8, unit="horizon"), Rate(0.1, 8.0, 10)),
        lambda level, gain, shift, alpha: (level, gain ** (-1 / alpha), shift * gain ** (-1 / alpha), alpha),
    ),
    Family(
        "loglog_linear",
        ("a", "b"),
        lambda x, a, b: np.log(a * np.log(x) + b),
        lambda x, ratio: np.log(np.log(x) + ratio),
        (Rate(0.05, 500.0, 24),),
        lambda level, _, ratio: (np.exp(level), np.exp(level) * ratio),
        has_gain=False,
    ),
    Family(
        "mmf",
        ("alpha", "beta", "kappa", "delta"),
        lambda x, alpha, beta, kappa, delta: alpha - (alpha - beta) / (1 + (kappa * x) ** delta),
        lambda x, kappa, delta: -1 / (1 + (kappa * x) ** delta),
        (_COARSE_SPEED, _STRETCH),
        lambda level, gain, kappa, delta: (level, level - gain, kappa, delta),
    ),
    Family(
        "janoschek",
        ("alpha", "beta", "kappa", "delta"),
        lambda x, alpha, beta, kappa, delta: alpha - (alpha - beta) * np.exp(-kappa * x**delta),
        _stretched,
        (_COARSE_SPEED, _STRETCH),
        lambda level, gain, speed, stretch: (level, level - gain, speed**stretch, stretch),
    ),
    Family(
        "hill3",
        ("ymax", "kappa", "eta"),
        lambda x, ymax, kappa, eta: ymax * x**eta / (kappa**eta + x**eta),
        _hill,
        (_HALF_TIME, _STRETCH),
        lambda _, gain, half, power: (gain, half, power),
        has_level=False,
    ),
    Family(
        "log_power",
        ("a", "b", "c"),
        lambda x, a, b, c: a / (1 + (x / np.exp(b)) ** c),
        _hill,
        (_HALF_TIME, _STRETCH),
        lambda _, gain, half, power: (gain, np.log(half), -power),
        has_level=False,
    ),
    Family(
        "exp4",
        ("c", "a", "alpha", "b"),
        lambda x, c, a, alpha, b: c - np.exp(-a * x**alpha + b),
        _stretched,
        (_COARSE_SPEED, _STRETCH),
        lambda level, gain, speed, stretch: (level, speed**stretch, stretch, np.log(gain)),
    ),
    Family(
        "penguin",
        ("a", "b", "c"),
        lambda x, a, b, c: a - b ** (c - x),
        _exponential,
        (_SPEED,),
        lambda level, gain, speed: (level, np.exp(speed), np.log(gain) / speed),
    ),
    Family(
        "power2",
        ("a", "b"),
        lambda x, a, b: a * x**b,
        lambda x, b: x**b,
        (Rate(0.001, 1.0, 20),),
        lambda _, gain, b: (gain, b),
        has_level=False,
    ),
    Family(
        "exponential",
        ("a", "b", "c"),
        lambda x, a, b, c: a * np.exp(b * x) + c,
        _exponential,
        (_SPEED,),
        lambda level, gain, speed: (-gain, -speed, level),
    ),
    Family(
        "exp_power",
        ("a", "b", "c"),
        lambda x, a, b, c: c - np.exp((x - b) ** a),
        lambda x, power, shift: -np.exp((x - 1 + shift) ** -power),
        (Rate(0.02, 4.0, 10), Rate(0.6, 100.0, 8)),
        lambda level, _, power, shift: (-power, 1 - shift, level),
        has_gain=False,
    ),
)
FAMILIES = {family.name: family for family in _ALL}
"""All families by name."""

DISTINCT = tuple(name for name in FAMILIES if name not in ("janoschek", "exp4", "log_power", "penguin"))
"""Names of families without those that are another one's curves."""
