"""All families at once, averaged by how well each explains a curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from taurank.schedulers.curves.families import FAMILIES
from taurank.schedulers.curves.forecast import Forecast
from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.schedulers.curves.rising import RisingCurves, last_values, rising_curves

Indices = NDArray[np.int64]

_NOISE_TRIALS = 3.0
"""What the noise of all trials counts for, in points of one curve."""
_LEAST_NOISE = 0.003
_LEAST_HEADROOM = 0.01
_LEAST_RISE = 0.02
_LEVEL_SD = 0.3
_SHARED = 0.5
"""Weight of the other trials' evidence for the shape; the rest is even over families."""
_ROUNDS = 8
_WIDEST = 4.0
_HINDCASTS = 8
"""Fewer trials are too few to calibrate the width of the intervals."""
_LEAST_SPAN = 1e-6
"""Of a shape over the points of a curve; below, sums of squares are rounding errors."""


@dataclass(frozen=True, kw_only=True)
class CurveEnsemble:
    """Bayesian average over families and their rates; mean and spread of the value at the end of the schedule.

    A family with its rates from the grid of first guesses is one shape; given the shape the curve is
    ``level + gain * shape(x)`` with normal noise, and the posterior of level, gain and noise is known in closed form
    (normal-inverse-gamma), and so is the evidence of the shape. No search, no sampling: shapes are averaged by evidence
    times a prior, which ``pooled`` learns from all trials (they were trained by one recipe). The gain still to come has
    mean 0 and standard deviation ``gain_per_doubling`` of what is missing to the limit for every doubling of the epochs
    still to go; without that the average of free curves ranks far worse than the last value. Gains below 0 and ends
    above the limit have no weight.

    Intervals are widened, never narrowed, by a hindcast: the first half of each curve forecasts its second half.

    Caveats. No family knows the schedule: what comes with a drop of the learning rate is missing from mean and
    interval. Level and gain of all families are free, so ``hill3`` and ``vapor_pressure`` only contribute their shapes.
    Fewer than two points: the last value with a wide spread.

    Source: after Domhan, Springenberg and Hutter (IJCAI 2015), which averages parametric families by MCMC.

    Attributes:
        families: names of families.
        recency: points count by ``(epoch / last epoch) ** recency``; 0 counts all alike.
        gain_per_doubling: see above; higher leaves more to the families.
        pooled: whether trials share their evidence for the shape.

    Raises:
        ValueError: an unknown name, or a value outside its range.
    """

    families: tuple[str, ...] = tuple(FAMILIES)
    recency: float = 1.0
    gain_per_doubling: float = 0.15
    pooled: bool = True

    def __post_init__(self) -> None:
        wrong = [name for name in self.families if name not in FAMILIES]
        if wrong or not self.families:
            raise ValueError(f"families must be some of {', '.join(FAMILIES)}, got {', '.join(wrong) or 'none'}")
        if not (math.isfinite(self.recency) and self.recency >= 0):
            raise ValueError(f"recency must be a finite number of 0 or more, got {self.recency!r}")
        if not (math.isfinite(self.gain_per_doubling) and self.gain_per_doubling > 0):
            raise ValueError(f"gain_per_doubling must be a finite number above 0, got {self.gain_per_doubling!r}")

    def forecast(self, curves: CurveMatrix) -> Forecast:
        """Forecasts every trial; scores are the means on the scale of ``rising_curves``."""
        rising = rising_curves(curves)
        x, y = rising.times, rising.values
        last = curves.counts - 1
        means = last_values(y)
        noise = _noise_sd(y)
        sds = np.where(
            last >= 0, np.hypot(self._gain_sd(rising, means, np.maximum(last, 0), len(x) - 1), noise), np.nan
        )
        open_ = np.flatnonzero((np.isfinite(y).sum(axis=1) >= 2) & (last < len(x) - 1))
        if len(open_):
            ends = np.full(len(open_), len(x) - 1)
            means[open_], sds[open_] = self._extrapolate(rising, y[open_], last[open_], ends, noise)
            sds[open_] *= self._widening(rising, y[open_], last[open_], noise)
        values, spreads = rising.metric(means, sds)
        return Forecast(scores=means, variances=sds**2, means=values, sds=spreads)

    def _gain_sd(self, rising: RisingCurves, values: Floats, last: Indices, end: Indices | int) -> Floats:
        """Prior standard deviation of the gain from point ``last`` to point ``end``, (trials,)."""
        doublings = np.log2(rising.times[end] / rising.times[last])
        return self.gain_per_doubling * doublings * np.maximum(rising.limit - values, _LEAST_HEADROOM)

    def _widening(self, rising: RisingCurves, y: Floats, last: Indices, noise: float) -> float:
        """Factor for all standard deviations, 1 or more, from forecasts of the last points by the first halves."""
        early = np.where(rising.times <= rising.times[last][:, None] / 2, y, np.nan)
        usable = np.flatnonzero(np.isfinite(early).sum(axis=1) >= 2)
        if len(usable) < _HINDCASTS:
            return 1.0
        early, ends = early[usable], last[usable]
        middles = early.shape[1] - 1 - np.isfinite(early)[:, ::-1].argmax(axis=1)
        means, sds = self._extrapolate(rising, early, middles, ends, noise)
        misses = np.abs(y[usable, ends] - means) / sds
        return float(np.clip(np.quantile(misses, 0.9) / 1.645, 1.0, _WIDEST))

    def _extrapolate(
        self, rising: RisingCurves, y: Floats, last: Indices, end: Indices, noise: float
    ) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the value at point ``end`` of each trial, known up to point ``last``.

        A shape is moved and scaled so that it is -1 at the first and 0 at the last point of the curve: ``level`` is
        the value there, ``gain`` the rise so far and ``ahead * gain`` what is still to come.
        """
        x, limit = rising.times, rising.limit
        shapes, prior = self._shapes(x)  # (shapes, points), (shapes,)
        seen = np.isfinite(y)
        now = y[np.arange(len(y)), last][:, None]
        w = np.where(seen, (x / x[last][:, None]) ** self.recency, 0.0)
        r = np.where(seen, y - now, 0.0)
        at_last = shapes[:, last].T  # (trials, shapes), as all that follows
        span = np.maximum(at_last - shapes[:, seen.argmax(axis=1)].T, _LEAST_SPAN)
        ahead = (shapes[:, end].T - at_last) / span

        sum_w, sum_r, sum_rr = (each.sum(axis=1)[:, None] for each in (w, w * r, w * r * r))
        raw_h = w @ shapes.T
        sum_h = (raw_h - at_last * sum_w) / span
        sum_hh = (w @ (shapes**2).T - 2 * at_last * raw_h + at_last**2 * sum_w) / span**2
        sum_hh = np.maximum(sum_hh, sum_h**2 / sum_w)  # as it is but for rounding
        sum_hr = ((w * r) @ shapes.T - at_last * sum_r) / span

        # Priors as if they were points, in units of the noise.
        rise = np.maximum(np.nanmax(y, axis=1) - np.nanmin(y, axis=1), _LEAST_RISE)[:, None]
        gain_sd = self._gain_sd(rising, now[:, 0], last, end)[:, None]
        prior_hh = (noise / rise) ** 2
        a = sum_w + (noise / _LEVEL_SD) ** 2
        c = sum_hh + prior_hh + (ahead * noise / gain_sd) ** 2
        det = a * c - sum_h**2
        level = (c * sum_r - sum_h * sum_hr) / det
        gain = (a * sum_hr - sum_h * sum_r) / det
        freedom = _NOISE_TRIALS + sum_w
        squares = _NOISE_TRIALS * np.square(noise) + (sum_rr - level * sum_r - gain * sum_hr).clip(min=0)
        variance = squares / freedom
        value = level + ahead * gain
        value_var = variance * (c - 2 * ahead * sum_h + ahead**2 * a) / det

        log_evidence = 0.5 * (np.log(prior_hh / det) - freedom * np.log(squares))
        log_evidence += log_ndtr(gain / np.sqrt(variance * a / det))
        log_evidence += log_ndtr((limit - now - value) / np.sqrt(value_var))
        weight = _posterior(log_evidence, prior, rounds=_ROUNDS if self.pooled else 0)
        mean = (weight * value).sum(axis=1)
        spread = (weight * (value_var + variance + (value - mean[:, None]) ** 2)).sum(axis=1)
        # A few points do not show how a curve flattens, whatever the families say.
        spread += (gain_sd[:, 0] / seen.sum(axis=1)) ** 2
        return np.minimum(now[:, 0] + mean, limit), np.sqrt(spread)

    def _shapes(self, x: Floats) -> tuple[Floats, Floats]:
        """All shapes, (shapes, points), and their prior: even over families, then over the rates of each, (shapes,)."""
        shapes, prior = [], []
        for name in self.families:
            shapes.append(FAMILIES[name].shapes(x))
            prior.append(np.full(len(shapes[-1]), 1 / (len(shapes[-1]) * len(self.families))))
        return np.concatenate(shapes), np.concatenate(prior)


def _posterior(log_evidence: Floats, prior: Floats, rounds: int) -> Floats:
    """Probability of each shape, (trials, shapes); ``rounds`` of EM for the prior that all trials share."""
    evidence = np.exp(log_evidence - log_evidence.max(axis=1, keepdims=True))
    shared = prior
    for _ in range(rounds):
        weight = evidence * shared
        weight /= weight.sum(axis=1, keepdims=True)
        shared = _SHARED * weight.mean(axis=0) + (1 - _SHARED) * prior
    weight = evidence * shared
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _noise_sd(y: Floats) -> float:
    """Standard deviation of one point, the median over all trials, from second (else first) differences."""
    second, first = np.diff(y, n=2, axis=1), np.diff(y, axis=1)
    for differences, variance in ((second, 6.0), (first - _median(first), 2.0)):
        found = np.abs(differences[np.isfinite(differences)])
        if len(found):
            return max(1.4826 * float(np.median(found)) / math.sqrt(variance), _LEAST_NOISE)
    return _LEAST_NOISE


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else 0.0
