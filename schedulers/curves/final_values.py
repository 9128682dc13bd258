"""From places in an order to final values in the unit of the metric."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.schedulers.curves.rising import last_values
from taurank.schedulers.curves.signals import best_level, contained, filled_gaps, from_quality, quality

Integers = NDArray[np.int64]

FEWEST_FINISHED = 3
SLOPE_TRIALS = 3.0
NOISE_TRIALS = 2.0
"""How many finished trials the prior slope and the prior noise count for."""
COVERAGE = 0.9
NORMAL_WIDTH = 1.6448536269514722
"""Standard deviations on either side that hold ``COVERAGE`` of a normal distribution."""
KEPT_PACE, PACE_SD = 0.65, 0.25
"""Trials gain in each doubling of time to the end this share of what they gained in the last one, and its standard
deviation, with which 90 % intervals hold on nine recorded lists at 10 to 80 % of the schedule."""
FIRST_PACE = 0.4
"""Gain of accuracies in the last doubling where it was not measured, in quality."""
KEPT_DEPARTURE = 0.65
"""Likewise of the departures of single trials from what is common."""
MAD_TO_SD, MEAN_TO_SD = 1.4826, math.sqrt(math.pi / 2)
"""Of a normal distribution, from the median and from the mean of the absolute deviations."""
SUDDEN_DROP = 0.45
"""Standard deviation of what a sudden drop of the learning rate brings to all alike, in quality: accuracies are logits,
so .7 halves the error, which the interval just holds."""
DROP_SHARE = 0.55
"""That of other metrics is so much as a share of the way from the first values to the best ones, times the above."""
AT_START = 0.1
"""Trials that have gained less than this share of what the best tenth has gained have not left the start."""


def final_values(curves: CurveMatrix, start: Floats, scores: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """Final values and their standard deviations, (trials,) each; of finished trials what was measured, and 0.

    With at least three finished trials a line leads from score to quality: ``q = a + b s``, ``a`` and ``b`` from the
    scores that the finished had when all stood abreast (later ones know the end), ``b`` shrunk to the spread of the
    qualities by now; the standard deviation comes from how far off each of them is predicted by the others, and makes
    +- 1.645 of it hold 90 % (t distribution).

    Without them all are taken to go on as in their last doubling of time, at a part of its pace: what trials gain alike
    is ``KEPT_PACE`` of the gain in it for each doubling to come, and they depart from that as they did in it. A sudden
    drop of the learning rate adds to the gain and is no part of this pace: it has to be named in ``curves.drops``. An
    error of the common gain is common to all trials: nearly all intervals of a run hold, or nearly all miss.

    Trials that have not left the start, where others have, may take off at any time or never: the interval reaches from
    where they are to where the others are. Values of trials that diverged are ``contained``.

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
    apart = math.hypot(_apart(curves, filled, begun), _noise(curves, filled, begun))
    finished = begun & (curves.counts == curves.values.shape[1])
    unfinished = placed & ~finished
    if int(finished.sum()) >= FEWEST_FINISHED:
        lowest = int(curves.counts[begun].min())
        before = best_level(filled[finished, :lowest])
        regressors = np.column_stack([start[finished], before])
        foretold = math.sqrt(variances[begun].max()) * spread
        prior_sd = math.sqrt(foretold * apart) if apart > 0 else foretold
        points = np.column_stack([scores, latest])
        middle, spreads = _line(regressors, qualities[finished, -1], prior_sd, points)
        spreads = spreads * np.sqrt(variances / variances[begun].max())
    else:
        gains, common = _common_gain(curves, filled, latest)
        middle, spreads = latest + gains, np.hypot(common, apart)
    middle, spreads = _with_late_starts(filled, latest, middle, spreads, unfinished & begun)
    low, high = (from_quality(middle + side * spreads, curves.metric) for side in (-1, 1))
    means[unfinished] = from_quality(middle, curves.metric)[unfinished]
    sds[unfinished] = (np.abs(high - low) / 2)[unfinished]
    means[finished], sds[finished] = curves.values[finished, -1], 0.0
    return means, sds


def _line(regressors: Floats, finals: Floats, prior_sd: float, points: Floats) -> tuple[Floats, Floats]:
    """Means and standard deviations at ``points``, (trials, 2), from a line through finished trials.

    Each finished trial is predicted from the others; such errors are as large as those of unfinished ones like them.
    The standard deviation comes from their mean size, which a single outlier moves less than their squares, with
    ``NOISE_TRIALS`` errors of ``prior_sd`` among them. It grows with the distance from the finished trials as that of a
    regression line does (its leverage), since often only the best ones finish.
    """
    count, centre = len(finals), regressors.mean(axis=0)
    centred = regressors - centre
    penalty = np.diag(SLOPE_TRIALS * np.maximum(centred.var(axis=0), np.finfo(float).tiny))
    inverse = np.linalg.inv(centred.T @ centred + penalty)
    slopes = inverse @ (centred.T @ (finals - finals.mean()) + penalty @ np.array([0.0, 1.0]))
    means = finals.mean() + (points - centre) @ slopes
    leverage = _leverage(centred, inverse) + 1 / count
    left_out = (finals - finals.mean() - centred @ slopes) / (1 - leverage)
    sd = (NOISE_TRIALS * prior_sd + MEAN_TO_SD * float(np.abs(left_out).sum())) / (NOISE_TRIALS + count)
    widened = float(student.ppf((1 + COVERAGE) / 2, NOISE_TRIALS + count)) / NORMAL_WIDTH
    farther = (1 + _leverage(points - centre, inverse) + 1 / count) / (1 + leverage.mean())
    return means, widened * sd * np.sqrt(np.maximum(farther, 1.0))


def _leverage(centred: Floats, inverse: Floats) -> Floats:
    return ((centred @ inverse) * centred).sum(axis=1)


def _common_gain(curves: CurveMatrix, filled: Floats, latest: Floats) -> tuple[Floats, Floats]:
    """What trials that stand at a point still gain alike in quality, and the standard deviation of that, (trials,)."""
    gains, sds = np.full(len(latest), np.nan), np.full(len(latest), np.nan)
    bounded = curves.metric in ("accuracy", "error")
    unit = 1.0 if bounded else DROP_SHARE * max(_way(filled)[1], 0.0)
    for count in np.unique(curves.counts[np.isfinite(latest)]):
        reached = curves.counts >= count
        doublings = math.log2(curves.epochs[-1] / curves.epochs[count - 1])
        half = _half(curves, count)
        if half:
            gained = best_level(filled[reached, :count]) - best_level(filled[reached, :half])
            pace = float(np.median(gained)) / math.log2(curves.epochs[count - 1] / curves.epochs[half - 1])
        else:
            pace = FIRST_PACE * unit if bounded else _robust_spread(filled[reached, 0])
        drop = SUDDEN_DROP * unit if any(drop >= curves.epochs[count - 1] for drop in curves.drops) else 0.0
        here = curves.counts == count
        gains[here] = KEPT_PACE * pace * doublings * min(doublings, 1.0)  # schedules end with small steps
        sds[here] = math.hypot(PACE_SD * pace * doublings, drop)
    return gains, sds


def _half(curves: CurveMatrix, count: int) -> int:
    """Number of points up to half of the epochs of so many points; 0 for none."""
    return int(np.searchsorted(curves.epochs, curves.epochs[count - 1] / 2, side="right"))


def _with_late_starts(
    filled: Floats, latest: Floats, middle: Floats, spreads: Floats, open_: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Widens the intervals of those that have not left the start up to where the others are predicted."""
    moved = latest - filled[:, 0]
    seen = np.isfinite(moved)
    if seen.sum() < FEWEST_FINISHED:
        return middle, spreads
    far = float(np.quantile(moved[seen], 0.9))
    on_the_way = seen & (moved >= AT_START * far)
    at_start = open_ & seen & (moved < AT_START * far)
    at_start &= latest < np.median(filled[on_the_way, 0]) + AT_START * far
    if far <= 0 or not at_start.any():
        return middle, spreads
    others = float(np.median(middle[on_the_way & np.isfinite(middle)]))
    lower, upper = np.minimum(latest, others), np.maximum(latest, others)
    half_way = (upper - lower)[at_start] / 2
    middle, spreads = middle.copy(), spreads.copy()
    middle[at_start] = ((lower + upper) / 2)[at_start]
    spreads[at_start] = np.hypot(spreads[at_start], half_way / NORMAL_WIDTH)
    return middle, spreads


def _contained_qualities(curves: CurveMatrix) -> Floats:
    """Qualities; without bounds, those further below the first values than the best are above them are contained.

    Where the usual trial is below its first value, as one that overfits, those twice as far below are.
    """
    qualities = quality(curves.values, curves.metric)
    if curves.metric in ("accuracy", "error"):
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


def _apart(curves: CurveMatrix, filled: Floats, begun: NDArray[np.bool_]) -> float:
    """Standard deviation by which trials will depart from what is common, if they go on as in the last half.

    The width that holds ``COVERAGE`` of the departures, since few of them are large; grows with the logarithm of time.
    """
    lowest = int(curves.counts[begun].min())
    middle = _half(curves, lowest)
    if middle < 1 or lowest == len(curves.epochs) or begun.sum() < FEWEST_FINISHED:
        return 0.0
    gained = best_level(filled[begun, :lowest]) - best_level(filled[begun, :middle])
    departure = float(np.quantile(np.abs(gained - np.median(gained)), COVERAGE)) / NORMAL_WIDTH
    end, here, half = (math.log(curves.epochs[place]) for place in (-1, lowest - 1, middle - 1))
    return KEPT_DEPARTURE * departure * math.sqrt((end - here) / (here - half))


def _noise(curves: CurveMatrix, filled: Floats, begun: NDArray[np.bool_]) -> float:
    """Standard deviation of the last value of a schedule around its level.

    From the steps of the last half of the curves, in proportion to the share of the schedule that is over, since it
    shrinks with the learning rate.
    """
    lowest = int(curves.counts[begun].min())
    steps = np.diff(filled[begun, _half(curves, lowest) : lowest], axis=1)
    if steps.shape[1] < FEWEST_FINISHED:
        return 0.0
    departures = np.abs(steps - np.median(steps))
    return (
        MAD_TO_SD * float(np.median(departures)) / math.sqrt(2) * float(curves.epochs[lowest - 1] / curves.epochs[-1])
    )


def _robust_spread(values: Floats) -> float:
    middle = float(np.median(values))
    return max(MAD_TO_SD * float(np.median(np.abs(values - middle))), 0.25 * float(values.std()), 1e-6)
