"""From places in an order to final values in the unit of the metric."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from taurank.schedulers.curves.ensemble import CurveEnsemble
from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.schedulers.curves.rising import last_values
from taurank.schedulers.curves.signals import best_level, contained, filled_gaps, from_quality, quality

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
UNSEEN_DROP = {"accuracy": 0.45, "error": 0.45}
"""Standard deviation of what a drop of the learning rate may still bring to all alike, in quality: accuracies are
logits, so .7 halves the error, which the interval just holds."""
UNSEEN_SHARE = 0.25
"""Likewise of other metrics, as a share of the way from the first values to the best ones."""


def final_values(curves: CurveMatrix, start: Floats, scores: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """Final values and their standard deviations, (trials,) each; of finished trials what was measured, and 0.

    With at least three finished trials a line leads from score to quality: ``q = a + b s``, ``a`` and ``b`` from the
    scores that the finished had when all stood abreast (later ones know the end), ``b`` shrunk to the spread of the
    qualities by now; the standard deviation comes from the residuals and makes +- 1.645 of it hold 90 % (t
    distribution). Without them the level at the end is that of ``CurveEnsemble``, which has to guess what the rest of
    the schedule brings to all alike, and a drop of the learning rate may come that no trial has gone through: the
    intervals are wide. An error of that guess is common to all trials: nearly all intervals of a run hold, or nearly
    all miss.

    No interval is narrower than the way that trials have gone apart from each other in the last half of their curves:
    in lists of hyper-parameters some plateau and take off late. Values of trials that diverged are ``contained``.

    Caveat: finished trials that were chosen for being best have been lucky too, so the others are overrated a little.

    Args:
        curves: all curves.
        start: scores at the lowest rung, (trials,).
        scores: scores by now, (trials,); nan for no value.
        variances: of these, (trials,).
    """
    means, sds = np.full(len(scores), np.nan), np.full(len(scores), np.nan)
    variances = np.minimum(variances, 1.0)  # of the spread of all: no score leaves more unknown
    placed = np.isfinite(scores)
    begun = placed & (curves.counts > 0)
    if not begun.any():
        return means, sds
    qualities = _contained_qualities(curves)
    latest = np.full(len(scores), np.nan)
    filled = filled_gaps(qualities)
    for count in np.unique(curves.counts[begun]):
        here = curves.counts == count
        latest[here] = best_level(filled[here, :count])
    spread = _robust_spread(latest[begun])
    apart = _apart(curves, filled, begun)
    finished = begun & (curves.counts == curves.values.shape[1])
    unfinished = placed & ~finished
    if int(finished.sum()) >= FEWEST_FINISHED:
        lowest = int(curves.counts[begun].min())
        before = best_level(filled[finished, :lowest])
        regressors = np.column_stack([start[finished], before])
        noise = max(math.sqrt(variances[begun].max()) * spread, apart)
        level, slopes, sd = _line(regressors, qualities[finished, -1], noise)
        spreads = sd * np.sqrt(variances / variances[begun].max())
        middle = level + slopes[0] * scores + slopes[1] * latest
    else:
        gain, common = _common_gain(curves, np.flatnonzero(begun), latest)
        level_sd = np.hypot(common, _unseen_drop(curves, qualities, begun))
        spreads = np.hypot(level_sd, np.maximum(spread * np.sqrt(variances), apart))
        middle = latest + gain
    low, high = (from_quality(middle + side * spreads, curves.metric) for side in (-1, 1))
    means[unfinished] = from_quality(middle, curves.metric)[unfinished]
    sds[unfinished] = (np.abs(high - low) / 2)[unfinished]
    means[finished], sds[finished] = curves.values[finished, -1], 0.0
    return means, sds


def _line(regressors: Floats, finals: Floats, noise: float) -> tuple[float, Floats, float]:
    """Level, slopes of score and quality, and standard deviation, from finished trials; ``noise``: prior of it."""
    centred = regressors - regressors.mean(axis=0)
    penalty = np.diag(SLOPE_TRIALS * np.maximum(centred.var(axis=0), np.finfo(float).tiny))
    prior = np.array([0.0, 1.0])
    slopes = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (finals - finals.mean()) + penalty @ prior)
    level = float(finals.mean() - regressors.mean(axis=0) @ slopes)
    residuals = finals - level - regressors @ slopes
    count = len(finals)
    noise = (NOISE_TRIALS * float(np.square(noise)) + float(residuals @ residuals)) / (NOISE_TRIALS + count)
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


def _contained_qualities(curves: CurveMatrix) -> Floats:
    """Qualities; without bounds, those further below the first values than the best are above them are contained.

    Where the usual trial is below its first value, as one that overfits, those twice as far below are.
    """
    qualities = quality(curves.values, curves.metric)
    if curves.metric in UNSEEN_DROP:
        return qualities
    first, way = _way(qualities)
    last = last_values(qualities)
    if np.isfinite(last).any():
        way = max(way, 2 * (first - float(np.nanmedian(last))))
    return contained(qualities, first, way) if way > 0 else qualities


def _way(qualities: Floats) -> tuple[float, float]:
    """The median first value, and the way from there to the best value of the best tenth; nan without values."""
    firsts = filled_gaps(qualities)[:, 0]
    known = np.isfinite(qualities).any(axis=1)
    if not known.any():
        return math.nan, math.nan
    first = float(np.median(firsts[known]))
    return first, float(np.quantile(np.nanmax(qualities[known], axis=1), 0.9)) - first


def _unseen_drop(curves: CurveMatrix, qualities: Floats, begun: NDArray[np.bool_]) -> float:
    """What no trial has gone through yet may still bring: less once all that is left is a part of a doubling."""
    left = math.log2(curves.epochs[-1] / curves.epochs[int(np.median(curves.counts[begun])) - 1])
    drop = UNSEEN_DROP.get(curves.metric) or UNSEEN_SHARE * max(_way(qualities)[1], 0.0)
    return drop * math.sqrt(min(left, 1.0))


def _apart(curves: CurveMatrix, filled: Floats, begun: NDArray[np.bool_]) -> float:
    """Standard deviation by which trials will depart from what is common, if they go on as in the last half.

    The width that holds ``COVERAGE`` of the departures, since few of them are large; grows with the logarithm of time.
    """
    lowest = int(curves.counts[begun].min())
    middle = int(np.searchsorted(curves.epochs, curves.epochs[lowest - 1] / 2, side="right"))
    if middle < 1 or lowest == len(curves.epochs) or begun.sum() < FEWEST_FINISHED:
        return 0.0
    gained = best_level(filled[begun, :lowest]) - best_level(filled[begun, :middle])
    departure = float(np.quantile(np.abs(gained - np.median(gained)), COVERAGE)) / NORMAL_WIDTH
    end, here, half = (math.log(curves.epochs[place]) for place in (-1, lowest - 1, middle - 1))
    return departure * math.sqrt((end - here) / (here - half))


def _robust_spread(values: Floats) -> float:
    middle = float(np.median(values))
    return max(MAD_TO_SD * float(np.median(np.abs(values - middle))), 0.25 * float(values.std()), 1e-6)
