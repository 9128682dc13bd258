"""From places in an order to final values in the unit of the metric."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from taurank.schedulers.curves.ensemble import CurveEnsemble
from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.schedulers.curves.signals import best_level, filled_gaps, from_quality, quality

Integers = NDArray[np.int64]

FEWEST_FINISHED = 3
SLOPE_TRIALS = 3.0
NOISE_TRIALS = 5.0
"""How many finished trials the prior slope and the prior noise count for."""
COVERAGE = 0.9
NORMAL_WIDTH = 1.6448536269514722
"""Standard deviations on either side that hold ``COVERAGE`` of a normal distribution."""
GAIN_SAMPLE = 64
"""Trials from which the common gain to the end is extrapolated; more cost time and add no accuracy."""
MAD_TO_SD = 1.4826


def final_values(curves: CurveMatrix, start: Floats, scores: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """Final values and their standard deviations, (trials,) each; of finished trials what was measured, and 0.

    With at least three finished trials a line leads from score to quality: ``q = a + b s``, ``a`` and ``b`` from the
    scores that the finished had when all stood abreast (later ones know the end), ``b`` shrunk to the spread of the
    qualities by now; the standard deviation comes from the residuals and makes +- 1.645 of it hold 90 % (t
    distribution). Without them the level at the end is that of ``CurveEnsemble``, which has to guess what the rest of
    the schedule brings to all alike. An error of that guess is common to all trials: nearly all intervals of a run
    hold, or nearly all miss.

    Caveat: finished trials that were chosen for being best have been lucky too, so the others are overrated a little.

    Args:
        curves: all curves.
        start: scores at the lowest rung, (trials,).
        scores: scores by now, (trials,); nan for no value.
        variances: of these, (trials,).
    """
    means, sds = np.full(len(scores), np.nan), np.full(len(scores), np.nan)
    placed = np.isfinite(scores)
    begun = placed & (curves.counts > 0)
    if not begun.any():
        return means, sds
    qualities = quality(curves.values, curves.metric)
    latest = np.full(len(scores), np.nan)
    filled = filled_gaps(qualities)
    for count in np.unique(curves.counts[begun]):
        here = curves.counts == count
        latest[here] = best_level(filled[here, :count])
    spread = _robust_spread(latest[begun])
    finished = begun & (curves.counts == curves.values.shape[1])
    unfinished = placed & ~finished
    if int(finished.sum()) >= FEWEST_FINISHED:
        lowest = int(curves.counts[begun].min())
        before = best_level(filled[finished, :lowest])
        regressors = np.column_stack([start[finished], before])
        level, slopes, sd = _line(regressors, qualities[finished, -1], spread, float(variances[begun].max()))
        spreads = sd * np.sqrt(variances / variances[begun].max())
        middle = level + slopes[0] * scores + slopes[1] * latest
    else:
        gain, common = _common_gain(curves, np.flatnonzero(begun), latest)
        spreads = np.sqrt(np.square(common) + np.square(spread) * variances)
        middle = latest + gain
    low, high = (from_quality(middle + side * spreads, curves.metric) for side in (-1, 1))
    means[unfinished] = from_quality(middle, curves.metric)[unfinished]
    sds[unfinished] = (np.abs(high - low) / 2)[unfinished]
    means[finished], sds[finished] = curves.values[finished, -1], 0.0
    return means, sds


def _line(regressors: Floats, finals: Floats, spread: float, variance: float) -> tuple[float, Floats, float]:
    """Level, slopes of score and quality, and standard deviation, from finished trials."""
    centred = regressors - regressors.mean(axis=0)
    penalty = np.diag(SLOPE_TRIALS * np.maximum(centred.var(axis=0), np.finfo(float).tiny))
    prior = np.array([0.0, 1.0])
    slopes = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (finals - finals.mean()) + penalty @ prior)
    level = float(finals.mean() - regressors.mean(axis=0) @ slopes)
    residuals = finals - level - regressors @ slopes
    count = len(finals)
    noise = (NOISE_TRIALS * variance * np.square(spread) + float(residuals @ residuals)) / (NOISE_TRIALS + count)
    widened = float(student.ppf((1 + COVERAGE) / 2, NOISE_TRIALS + count)) / NORMAL_WIDTH
    return level, slopes, widened * math.sqrt(noise * (1 + 1 / count))


def _common_gain(curves: CurveMatrix, begun: Integers, latest: Floats) -> tuple[float, float]:
    """What a trial still gains in quality as the ensemble has it, and the standard deviation of that."""
    ordered = begun[np.argsort(latest[begun], kind="stable")]
    sample = ordered[np.unique(np.linspace(0, len(ordered) - 1, GAIN_SAMPLE).round().astype(int))]
    forecast = CurveEnsemble().forecast(CurveMatrix(curves.values[sample], curves.epochs, curves.metric))
    ends, above, below = (quality(forecast.means + side * forecast.sds, curves.metric) for side in (0, 1, -1))
    known = np.isfinite(ends)
    if not known.any():
        return float("nan"), float("nan")
    gain = float(np.median((ends - latest[sample])[known]))
    if curves.metric in ("accuracy", "error"):
        gain = max(gain, 0.0)  # near the limit the ensemble's mean lies below the best so far
    return gain, float(np.median(np.abs(above - below)[known])) / 2


def _robust_spread(values: Floats) -> float:
    middle = float(np.median(values))
    return max(MAD_TO_SD * float(np.median(np.abs(values - middle))), 0.25 * float(values.std()), 1e-6)
