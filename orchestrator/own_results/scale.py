"""Any metric as what the ranker works with: accuracies in [0, 1], higher is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Mode = Literal["min", "max"]
SPREAD = 0.5
"""Standard deviation of final values on the logit scale, where the ranker's priors of noise are in place."""
LINEAR = 2.0
"""Logits beyond which values far from the final ones are compressed: early epochs, diverged trainings."""
MOST = 30.0
"""Largest logit: beyond, accuracies would be 0 or 1 in floating point."""


@dataclass(frozen=True)
class MetricScale:
    """A monotone map between a metric and accuracies in (0, 1).

    A metric of which higher is better and all values are in [0, 1] is taken as it is. Of others, the logit of the
    accuracy is ``k asinh(z / k)`` with ``z = SPREAD (u - centre) / width`` and ``k = LINEAR``: ``u`` is the value, or
    its negative where lower is better, or its negative logarithm where such values are all above 0.

    Attributes:
        mode: which end of the metric is better.
        kind: whether values are taken as they are, their sign or their logarithm.
        centre: median of ``u`` over final values.
        width: their standard deviation, as the middle half has it.
    """

    mode: Mode
    kind: Literal["accuracy", "linear", "log"]
    centre: float = 0.0
    width: float = 1.0

    @staticmethod
    def of(values: Floats, finals: Floats, mode: Mode) -> MetricScale:
        """The scale of a metric.

        Args:
            values: all finite values, at least one.
            finals: those at the ends of the longest trainings, at least one.
            mode: which end is better.
        """
        if mode == "max" and values.min() >= 0 and values.max() <= 1:
            return MetricScale(mode, "accuracy")
        kind: Literal["linear", "log"] = "log" if mode == "min" and values.min() > 0 else "linear"
        u = MetricScale(mode, kind)._rising(finals)
        width = float(stats.iqr(u, scale="normal")) or float(u.std()) or max(abs(float(u[0])), 1.0)
        return MetricScale(mode, kind, float(np.median(u)), width)

    def accuracies(self, values: Floats) -> Floats:
        """Values of the metric on the ranker's scale; NaN stays NaN."""
        if self.kind == "accuracy":
            return np.asarray(values, dtype=float)
        z = SPREAD * (self._rising(values) - self.centre) / self.width
        return np.asarray(special.expit(np.clip(LINEAR * np.arcsinh(z / LINEAR), -MOST, MOST)))

    def values(self, accuracies: Floats) -> Floats:
        """The inverse, in the unit and direction of the metric."""
        if self.kind == "accuracy":
            return np.asarray(accuracies, dtype=float)
        logits = np.clip(special.logit(accuracies), -MOST, MOST)
        u = self.centre + self.width * LINEAR * np.sinh(logits / LINEAR) / SPREAD
        if self.kind == "log":
            return np.exp(-u)
        return np.asarray(u if self.mode == "max" else -u)

    def _rising(self, values: Floats) -> Floats:
        if self.kind == "log":
            # A forecast may be 0 or below, which no value of the metric is.
            return -np.log(np.maximum(values, np.finfo(float).tiny))
        return np.asarray(values if self.mode == "max" else -values, dtype=float)
