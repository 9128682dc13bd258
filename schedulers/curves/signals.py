"""Signals of a trial from a prefix of its learning curve, as normal scores, so that trials can be compared."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from taurank.schedulers.curves.matrix import CurveMatrix, Floats, Metric

_SATURATION = 0.003
"""Added to both ends of [0, 1]: about one image in 300, so that no accuracy is infinitely far from the next."""
_LOSS_FLOOR = 0.01
BEST_SHARE = 0.1
"""Best so far is the mean of this share of the best points: safe against one lucky epoch."""
RECENT_SHARE = 0.25
"""What is recent: this last share of the prefix."""


def quality(values: Floats, metric: Metric) -> Floats:
    """The metric as a quality without bounds, higher is better.

    Accuracy (and 1 - error) as ``log((a + .003) / (1 - a + .003))``, loss as its negative, perplexity as
    ``-log(perplexity)``, a score as it is.
    """
    if metric == "error":
        return quality(1 - values, "accuracy")
    if metric == "accuracy":
        inside = np.clip(values, 0.0, 1.0)
        return np.log((inside + _SATURATION) / (1 - inside + _SATURATION))
    if metric == "loss":
        return -values
    if metric == "perplexity":
        return -np.log(np.maximum(values, np.finfo(float).tiny))
    return values.astype(float)


def from_quality(qualities: Floats, metric: Metric) -> Floats:
    """The inverse of ``quality``."""
    if metric == "error":
        return 1 - from_quality(qualities, "accuracy")
    if metric == "accuracy":
        odds = np.exp(np.clip(qualities, -50, 50))
        return np.asarray(np.clip((odds * (1 + _SATURATION) - _SATURATION) / (1 + odds), 0.0, 1.0))
    if metric == "loss":
        return -qualities
    return np.exp(-qualities) if metric == "perplexity" else qualities


def contained(values: Floats, centre: float, reach: float) -> Floats:
    """Values that rise, where those more than ``reach`` below ``centre`` are pushed together within another ``reach``.

    A training that diverged is far below all others by a number that says nothing. It stays in its place, but sums of
    squares no longer consist of it alone. The rest is unchanged.
    """
    floor = centre - reach
    # The quotient first: the difference of huge numbers overflows.
    below = np.maximum(floor / reach - values / reach, 0.0)
    return np.where(below > 0, floor - reach * below / (1 + below), values)


def filled_gaps(values: Floats) -> Floats:
    """Points that were passed over take the value before them, those before the first value that one.

    Nothing is filled behind the last value of a row. Shape (trials, points) in and out.
    """
    seen = np.isfinite(values)
    if (seen[:, 1:] <= seen[:, :-1]).all():
        return np.where(seen, values, np.nan)
    points = np.arange(values.shape[1])
    before = np.maximum.accumulate(np.where(seen, points, -1), axis=1)
    source = np.where(before >= 0, before, seen.argmax(axis=1)[:, None])
    last = np.where(seen.any(axis=1), values.shape[1] - 1 - seen[:, ::-1].argmax(axis=1), -1)
    filled = np.take_along_axis(values, source, axis=1)
    return np.where(points <= last[:, None], filled, np.nan)


def best_level(qualities: Floats) -> Floats:
    """Mean of the best tenth of the points, rounded up: (trials, points) -> (trials,)."""
    count = math.ceil(BEST_SHARE * qualities.shape[1])
    if count == 1:
        return np.asarray(qualities.max(axis=1))
    return np.asarray(-np.partition(-qualities, count - 1, axis=1)[:, :count].mean(axis=1))


def recent_level(qualities: Floats) -> Floats:
    """Mean of the last quarter of the points: (trials, points) -> (trials,)."""
    count = math.ceil(RECENT_SHARE * qualities.shape[1])
    return np.asarray(qualities[:, -count:].mean(axis=1))


def training_signal(training: Floats) -> Floats:
    """Mean of ``-log(loss + .01)`` over the last quarter of the points: (trials, points) -> (trials,), nan for none."""
    count = math.ceil(RECENT_SHARE * training.shape[1])
    recent = -np.log(np.maximum(training[:, -count:], 0.0) + _LOSS_FLOOR)
    known = np.isfinite(recent)
    total = np.where(known, recent, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def normal_scores(values: Floats) -> Floats:
    """Expected normal order statistics of the ranks, ``Phi^-1((rank - 3/8) / (n + 1/4))``; ties share, nan counts as 0.

    Ranks keep a few outlying trials from dominating what separates the rest.
    """
    scores = np.zeros(len(values))
    count = int(np.isfinite(values).sum())
    if count:
        # A decision of order-settling makes hundreds of these, and scipy.stats.rankdata takes several times as long.
        finite = np.where(np.isfinite(values), values, np.nan) if count < len(values) else values
        order = np.argsort(finite)[:count]
        ranked = finite[order]
        differs = ranked[1:] != ranked[:-1]
        if differs.all():
            scores[order] = _score_of_half_rank(count)[::2]
        else:
            starts = np.concatenate([[0], np.flatnonzero(differs) + 1])
            ends = np.append(starts[1:], count)
            scores[order] = np.repeat(_score_of_half_rank(count)[starts + ends - 1], ends - starts)
    return scores


@lru_cache(maxsize=64)
def _score_of_half_rank(count: int) -> Floats:
    """Normal scores of the ranks 1, 1.5, 2, ..., ``count``."""
    return np.asarray(ndtri((np.arange(2, 2 * count + 1) / 2 - 0.375) / (count + 0.25)))


def has_training(curves: CurveMatrix) -> bool:
    """Whether at least half of the measured points have a training loss."""
    if curves.training is None:
        return False
    measured = np.isfinite(curves.values)
    return bool((np.isfinite(curves.training) & measured).sum() >= 0.5 * max(1, measured.sum()))
