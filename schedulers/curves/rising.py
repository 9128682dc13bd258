"""Any metric as curves that rise towards a known limit: where every curve model begins and ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.schedulers.curves.signals import contained

_SCORE_LIMIT = 2.0
"""A score has no known limit: twice the way from where trials begin to the best value seen."""

_FURTHEST = 2.0
"""Least bound on how far forecasts are below the start, and on their uncertainty; 1 is as far as a perfect value is
above it."""
_USUAL = 2.0
"""Where the usual trial ends below the start, as one that overfits, the bound is so many times as far."""


@dataclass(frozen=True, eq=False)
class RisingCurves:
    """Curves of which higher is better, on a scale near [0, 1], with the way back.

    Accuracy stays as it is and error becomes 1 - error. A loss becomes ``1 - loss / start``, the logarithm of a
    perplexity likewise, and a score ``(score - start) / (best - start)``: ``start`` is the median first value of the
    trials, ``best`` the best value of any. A loss with values below 0 has no known limit and is a score turned round.
    Values below ``-furthest``, where few but diverged trials are, are ``contained``.

    Attributes:
        values: (trials, points); NaN where nothing finite was measured.
        times: epoch of each point, (points,); the last is the end of the schedule.
        limit: no value can be higher.
        offset: metric at 0.
        slope: metric gained by 1; below 0 where lower is better.
        logarithmic: whether offset and slope are those of the logarithm of the metric.
        furthest: how far below the start a forecast may be.
    """

    values: Floats
    times: Floats
    limit: float
    offset: float
    slope: float
    logarithmic: bool = False
    furthest: float = _FURTHEST

    def metric(self, values: Floats, sds: Floats) -> tuple[Floats, Floats]:
        """Values and standard deviations on this scale, in the unit of the metric.

        Of a training that diverged no more is said than that it ends far below where trials began.
        """
        values, sds = np.maximum(values, -self.furthest), np.minimum(sds, self.furthest)
        means = self.offset + self.slope * values
        spreads = abs(self.slope) * sds
        if self.logarithmic:
            means = np.exp(means)
            spreads = means * spreads
        return means, spreads


def rising_curves(curves: CurveMatrix) -> RisingCurves:
    """Turns the values so that they rise; what is not finite, or no perplexity, is missing."""
    values = np.where(np.isfinite(curves.values), curves.values, np.nan)
    times = curves.epochs.astype(np.float64)
    if curves.metric == "accuracy":
        return RisingCurves(values, times, limit=1.0, offset=0.0, slope=1.0)
    if curves.metric == "error":
        return RisingCurves(1.0 - values, times, limit=1.0, offset=1.0, slope=-1.0)
    turned_round = curves.metric == "loss" and bool((values < 0).any())
    if curves.metric == "score" or turned_round:
        sign = -1.0 if turned_round else 1.0
        start = _first(values)
        reach = float(np.nanmax(sign * values)) - sign * start if np.isfinite(values).any() else 0.0
        slope = sign * reach if reach > 0 else sign
        return _contained(values / slope - start / slope, times, limit=_SCORE_LIMIT, offset=start, slope=slope)
    logarithmic = curves.metric == "perplexity"
    if logarithmic:
        values = np.log(values, out=np.full_like(values, np.nan), where=values > 0)
    start = abs(_first(values)) or 1.0
    rising = 1.0 - values / start
    return _contained(rising, times, limit=1.0, offset=start, slope=-start, logarithmic=logarithmic)


def _contained(
    rising: Floats, times: Floats, *, limit: float, offset: float, slope: float, logarithmic: bool = False
) -> RisingCurves:
    last = last_values(rising)
    last = last[np.isfinite(last)]
    furthest = max(_FURTHEST, -_USUAL * float(np.median(last))) if len(last) else _FURTHEST
    kept = contained(rising, centre=0.0, reach=furthest)
    return RisingCurves(kept, times, limit, offset, slope, logarithmic, furthest)


def last_values(values: Floats) -> Floats:
    """Last finite value of each row, (trials,); nan where there is none."""
    seen = np.isfinite(values)
    last = values.shape[1] - 1 - seen[:, ::-1].argmax(axis=1)
    return np.asarray(values[np.arange(len(values)), last])


def _first(values: Floats) -> float:
    """Median of the first finite values; 0 without any."""
    firsts = last_values(values[:, ::-1])
    firsts = firsts[np.isfinite(firsts)]
    return float(np.median(firsts)) if len(firsts) else 0.0
