"""Whether short trainings tell candidates apart, seen from a few of them: the pilot of a stage."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

PILOT = 8
"""Candidates that are trained first: as many as the least that teach a model of short trainings."""
TELLING = 0.5
"""Signal from which short trainings are long enough."""
STARTED, UNDER_WAY = 0.1, 0.3
"""Share of the bits of a label that the median training is beyond chance: up to which trainings say nothing, and from
which they count in full."""
LEAST = 3
"""Accuracies that are needed to see anything."""


def signal(accuracies: ArrayLike, *, images: int, classes: int) -> float:
    """Share of the differences between trainings that is information on the candidates, in [0, 1].

    It is the product of two factors: 1 - noise / variance of the accuracies, with the noise ``p (1 - p) / images`` of
    drawing the images, and how far the median accuracy p is beyond chance. For C classes the latter is
    ``(w - STARTED) / (UNDER_WAY - STARTED)``, clipped, with ``w = log(C p) / log C``: networks that have hardly begun
    to learn differ in how fast they begin. Fewer than ``LEAST`` accuracies give 1, since they show nothing.

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
    way = np.log(max(classes * float(np.median(values)), 1.0)) / np.log(classes)
    beyond = float(np.clip((way - STARTED) / (UNDER_WAY - STARTED), 0.0, 1.0))
    return max(1 - noise / variance, 0.0) * beyond
