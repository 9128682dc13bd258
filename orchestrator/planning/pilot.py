"""Whether short trainings tell candidates apart, seen from a few of them: the pilot of a stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taurank.orchestrator.ranker import beyond_chance

PILOT = 8
"""Candidates that are trained first: as many as the least that teach a model of short trainings."""
TELLING = 0.5
"""Signal from which short trainings are long enough."""
LEAST = 3
"""Accuracies that are needed to see anything."""


def signal(accuracies: Sequence[float], *, images: int, classes: int) -> float:
    """Share of the differences between trainings that is information on the candidates, in [0, 1].

    It is the product of two factors: 1 - noise / variance of the accuracies, with the noise ``p (1 - p) / images`` of
    drawing the images, and how far the median accuracy is beyond chance (``ranker.beyond_chance``): networks that have
    hardly begun to learn differ in how fast they begin. Fewer than ``LEAST`` accuracies give 1: they show nothing.

    Example:
        >>> signal([0.10, 0.12, 0.14, 0.16, 0.21], images=400, classes=10) < 0.25
        True
        >>> signal([0.52, 0.60, 0.64, 0.71, 0.78], images=400, classes=10) > 0.9
        True
    """
    values = np.asarray(accuracies, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < LEAST or classes < 2:
        return 1.0
    noise, variance = float(np.mean(values * (1 - values))) / images, float(np.var(values, ddof=1))
    if variance == 0:
        return 0.0
    return max(1 - noise / variance, 0.0) * beyond_chance(values, classes)
