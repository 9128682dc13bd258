"""Predictions of a curve model for the end of every training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import ndtr

from taurank.schedulers.curves.matrix import CurveMatrix, Floats


@dataclass(frozen=True, eq=False)
class Forecast:
    """Finals of all trials: an order with its uncertainty, and values in the unit of the metric.

    Orders and values are apart since what all trials gain alike to the end does not matter for their order.

    Attributes:
        scores: higher is better, on a scale of the model's own, (trials,); nan where nothing is known.
        variances: of the scores, (trials,).
        means: predicted metric at the end of the schedule, (trials,); nan where there is none.
        sds: standard deviations of these, (trials,).
    """

    scores: Floats
    variances: Floats
    means: Floats
    sds: Floats

    def probability_above(self) -> Floats:
        """P(trial i ends above trial j), (trials, trials): Phi((s_i - s_j) / sqrt(v_i + v_j)), .5 on the diagonal."""
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = (self.scores[:, None] - self.scores) / np.sqrt(self.variances[:, None] + self.variances)
        known = np.isfinite(self.scores)
        return np.where(known[:, None] & known, ndtr(np.nan_to_num(distance)), 0.5)

    def expected_tau(self) -> float:
        """Kendall's tau between the order of the scores and the final one, if the model is right; nan below 2 trials.

        The mean of ``|2 P - 1|`` over pairs; pairs with a trial of which nothing is known count as 0.
        """
        n = len(self.scores)
        if n < 2:
            return float("nan")
        upper = np.triu_indices(n, 1)
        return float(np.abs(2 * self.probability_above()[upper] - 1).mean())


class Extrapolator(Protocol):
    """A curve model: all curves in, a forecast for each out."""

    def forecast(self, curves: CurveMatrix) -> Forecast:
        """Forecasts the end of the schedule from what was measured so far."""
        ...
