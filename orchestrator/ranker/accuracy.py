"""Final accuracies: measured where a candidate was trained to the end, else on a line from scores to logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from taurank.orchestrator.ranker.views import Scores, View

LEVEL_SD = 0.25
"""Standard deviation (logits) of an accuracy around the line for reasons other than its score: the images, the seed."""
PRIOR_ANCHORS = 3.0
"""Full trainings that the prior of the line's slope and scatter is worth."""
FEWEST_ANCHORS = 3
"""Full trainings from which the accuracies of the other candidates are predicted: a line has two parameters."""
SEED_SD = 0.1
"""Standard deviation (logits) of a final accuracy between seeds, before any candidate was trained by several.

Between the seeds of NAS-Bench-201 it is .03 (CIFAR-10 and CIFAR-100); networks that are trained on few images for few
epochs differ by more."""
PRIOR_SEEDS = 3.0
"""Repeated trainings that ``SEED_SD`` is worth."""
SMALLEST_SIGNAL = 0.05
"""Share of the variance of measured accuracies that is taken to be of the candidates, however few the images."""


@dataclass(frozen=True, eq=False)
class FinalAccuracies:
    """Final accuracies and their intervals, all (candidates,) and in [0, 1]; NaN where they are not known.

    Attributes:
        values: measured where a candidate was trained to the end, else predicted.
        low: lower end of the interval.
        high: upper end of the interval.
        full_trainings: candidates whose measured or predicted ends the other predictions rest on.
    """

    values: Scores
    low: Scores
    high: Scores
    full_trainings: int

    def without(self, unknown: NDArray[np.bool_]) -> FinalAccuracies:
        """The same with nothing said of some candidates."""
        values, low, high = (np.where(unknown, np.nan, column) for column in (self.values, self.low, self.high))
        return FinalAccuracies(values, low, high, self.full_trainings)


def final_accuracies(
    mean: Scores, spread: Scores, views: Sequence[View], *, level: float, images: int | None = None
) -> FinalAccuracies:
    """Final accuracy of every candidate and its interval.

    A candidate that was trained to the end has the accuracy that was measured (the mean of its seeds). Its interval is
    for what another training measures on as many other images: Wilson's, for as many images as make the binomial
    variance that of images and seeds together.

    The accuracies of others lie on a line from score to logit accuracy through the candidates that were trained to the
    end; its slope is shrunk to the scatter of accuracies in the view of most candidates. They are NaN while fewer than
    ``FEWEST_ANCHORS`` were.

    Args:
        mean: score of each candidate, in standard deviations of the final scores.
        spread: its standard deviation.
        views: where the accuracies are.
        level: of the interval.
        images: of validation; None where that is unknown.
    """
    accuracies = [view for view in views if view.is_accuracy]
    final = [view for view in accuracies if view.fidelity >= 1]
    anchors = np.full(len(mean), np.nan)
    for view in final:
        values = _logit(view.values)
        anchors = np.where(np.isfinite(values), values, anchors)
    count = int(np.isfinite(anchors).sum())
    line, half = np.full((2, len(mean)), np.nan)
    if count >= FEWEST_ANCHORS:
        line, half = _line(mean, spread, anchors, accuracies, level=level, images=images)
    # What was trained to the end; other final values are predictions.
    ended = np.array([np.where(view.reached >= 1, view.values, np.nan) for view in final]).reshape(-1, len(mean))
    own, low, high = _measured(ended, level=level, images=images)
    measured = np.isfinite(own)
    return FinalAccuracies(
        values=np.where(measured, own, special.expit(line)),
        low=np.where(measured, low, special.expit(line - half)),
        high=np.where(measured, high, special.expit(line + half)),
        full_trainings=count,
    )


def _line(
    mean: Scores, spread: Scores, anchors: Scores, accuracies: Sequence[View], *, level: float, images: int | None
) -> tuple[Scores, Scores]:
    """Logit accuracies on the line and half of their intervals, both (candidates,)."""
    known = np.isfinite(anchors)
    count = int(known.sum())
    centre, height = float(mean[known].mean()), float(anchors[known].mean())
    x, y = mean[known] - centre, anchors[known] - height
    weight = PRIOR_ANCHORS + float(x @ x)
    slope = max((PRIOR_ANCHORS * _scatter(accuracies) + float(x @ y)) / weight, 0.0)
    line = height + slope * (mean - centre)

    residual = y - slope * x
    # An accuracy that is measured on few images falls off the line for that alone.
    own = LEVEL_SD**2 + (0.0 if images is None else float(np.mean(_logit_noise(special.expit(anchors[known]), images))))
    prior = own + slope**2 * float(np.mean(spread[known] ** 2))
    noise = (PRIOR_ANCHORS * prior + float(residual @ residual)) / (PRIOR_ANCHORS + count)
    # Scatter of the candidate, error of the line's level, error of its slope.
    variance = (slope * spread) ** 2 + own + noise / count + noise * (mean - centre) ** 2 / weight
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(variance)
    return line, half


def _measured(ended: Scores, *, level: float, images: int | None) -> tuple[Scores, Scores, Scores]:
    """Mean and interval of the accuracies of full trainings, (trainings, candidates); NaN for those without any."""
    seeds = np.isfinite(ended).sum(axis=0)
    total = np.where(np.isfinite(ended), np.clip(ended, 0, 1), 0.0).sum(axis=0)
    mean = np.where(seeds > 0, total / np.maximum(seeds, 1), np.nan)
    apart = _logit(ended) - _logit(mean)
    repeated = np.isfinite(apart) & (seeds > 1)
    freedom = float((seeds - 1)[seeds > 1].sum())
    variance = (PRIOR_SEEDS * SEED_SD**2 + float((apart[repeated] ** 2).sum())) / (PRIOR_SEEDS + freedom)
    inside = np.clip(mean, 1e-3, 1 - 1e-3)
    # In units of p (1 - p), which is the slope of the logistic function; all seeds saw the same images. Noise of what
    # was measured, and of what will be.
    relative = variance * inside * (1 - inside) * (1 / np.maximum(seeds, 1) + 1)
    relative += 0.0 if images is None else 2 / images
    z = float(stats.norm.ppf(0.5 + level / 2)) ** 2 * relative
    centre = (mean + z / 2) / (1 + z)
    half = np.sqrt(z * mean * (1 - mean) + z**2 / 4) / (1 + z)
    # Wilson's interval holds the mean; rounding must not lose it.
    return mean, np.clip(np.minimum(centre - half, mean), 0, 1), np.clip(np.maximum(centre + half, mean), 0, 1)


def sampling_noise(views: Sequence[View], images: int | None) -> float:
    """Variance of a measured accuracy over draws of the validation images, in units of that between the candidates.

    From the view of most candidates, on the logit scale, where the noise of an accuracy p is ``1 / (n p (1 - p))``; 0
    where the number of images is unknown or nothing was trained.
    """
    accuracies = [view for view in views if view.is_accuracy]
    if images is None or not accuracies:
        return 0.0
    values = _largest(accuracies).values
    values = values[np.isfinite(values)]
    observed = float(np.var(_logit(values))) if len(values) else 0.0
    if observed == 0:
        return 0.0
    noise = float(np.mean(_logit_noise(values, images)))
    return noise / max(observed - noise, SMALLEST_SIGNAL * max(observed, noise))


def _logit_noise(accuracy: Scores, images: int) -> Scores:
    """Binomial variance of accuracies on the logit scale; one more hit and miss keep it finite."""
    inside = (accuracy * images + 1) / (images + 2)
    noise: Scores = 1 / (images * inside * (1 - inside))
    return noise


def _scatter(accuracies: Sequence[View]) -> float:
    """Standard deviation of logit accuracies in the view of most candidates."""
    return float(np.nanstd(_logit(_largest(accuracies).values)))


def _largest(accuracies: Sequence[View]) -> View:
    return max(accuracies, key=lambda view: (np.isfinite(view.values).sum(), view.fidelity))


def _logit(accuracy: Scores) -> Scores:
    logits: Scores = special.logit(np.clip(accuracy, 1e-3, 1 - 1e-3))
    return logits
