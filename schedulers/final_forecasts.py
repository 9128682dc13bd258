"""What the values of trials are predicted to be at the end of their schedule, in the unit of the metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from taurank.schedulers.curves import Ladder
from taurank.schedulers.measure import Measure
from taurank.schedulers.policies import Curve, Limits, curve_matrix


@dataclass(frozen=True)
class FinalForecast:
    """The value that a trial is predicted to have at the end of the schedule.

    Attributes:
        mean: in the unit of the metric; nan where nothing is known.
        sd: standard deviation; 0 for a trial that has reached the end.
        place: in the order of all trials that have reported, from 1 for the best; 0 for one that has not.
        trials: how many have reported.
    """

    mean: float
    sd: float
    place: int
    trials: int


def final_forecasts(curves: Mapping[str, Curve], limits: Limits, measure: Measure) -> dict[str, FinalForecast]:
    """The forecast of each trial that has reported, by ``curves.Ladder`` from the curves of all."""
    begun = {key: curve for key, curve in curves.items() if curve.epochs}
    if not begun:
        return {}
    forecast = Ladder().forecast(curve_matrix(begun, limits))
    order = sorted(zip(begun, forecast.scores.tolist(), strict=True), key=lambda one: (math.isnan(one[1]), -one[1]))
    places = {key: place for place, (key, _) in enumerate(order, 1)}
    show = measure.show
    return {
        key: FinalForecast(show(mean), show(sd), places[key], len(begun))
        for key, mean, sd in zip(begun, forecast.means.tolist(), forecast.sds.tolist(), strict=True)
    }
