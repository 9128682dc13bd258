"""From scores to final accuracies: a line through the full trainings, on the logit scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special, stats

from taurank.orchestrator.ranker.views import Scores, View

LEVEL_SD = 0.25
"""Standard deviation (logits) of an accuracy around the line for reasons other than its score: the images, the seed."""
PRIOR_ANCHORS = 3.0
"""Full trainings that the prior of the line's slope and scatter is worth."""


def final_accuracies(
    mean: Scores, spread: Scores, views: Sequence[View], *, level: float
) -> tuple[Scores, Scores, Scores]:
    """Final accuracy of every candidate and its interval, all (candidates,) and in [0, 1].

    The line goes from score to logit accuracy through the candidates that were trained to the end; its slope is shrunk
    to the scatter of accuracies in the view of most candidates. NaN for all while no candidate was trained to the end.

    Args:
        mean: score of each candidate, in standard deviations of the final scores.
        spread: its standard deviation.
        views: where the accuracies are.
        level: of the interval.
    """
    accuracies = [view for view in views if view.is_accuracy]
    final = [_logit(view.values) for view in accuracies if view.fidelity >= 1]
    anchors = np.full(len(mean), np.nan)
    for values in final:
        anchors = np.where(np.isfinite(values), values, anchors)
    known = np.isfinite(anchors)
    if not known.any():
        nothing = np.full(len(mean), np.nan)
        return nothing, nothing, nothing
    count = int(known.sum())
    centre, height = float(mean[known].mean()), float(anchors[known].mean())
    x, y = mean[known] - centre, anchors[known] - height
    weight = PRIOR_ANCHORS + float(x @ x)
    slope = max((PRIOR_ANCHORS * _scatter(accuracies) + float(x @ y)) / weight, 0.0)
    line = height + slope * (mean - centre)

    residual = y - slope * x
    prior = LEVEL_SD**2 + slope**2 * float(np.mean(spread[known] ** 2))
    noise = (PRIOR_ANCHORS * prior + float(residual @ residual)) / (PRIOR_ANCHORS + count)
    # Scatter of the candidate, error of the line's level, error of its slope.
    variance = (slope * spread) ** 2 + LEVEL_SD**2 + noise / count + noise * (mean - centre) ** 2 / weight
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt(variance)
    return special.expit(line), special.expit(line - half), special.expit(line + half)


def _scatter(accuracies: Sequence[View]) -> float:
    """Standard deviation of logit accuracies in the view of most candidates."""
    largest = max(accuracies, key=lambda view: (np.isfinite(view.values).sum(), view.fidelity))
    return float(np.nanstd(_logit(largest.values)))


def _logit(accuracy: Scores) -> Scores:
    logits: Scores = special.logit(np.clip(accuracy, 1e-3, 1 - 1e-3))
    return logits
