"""Learning curves of many trials side by side: the input of every curve model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Metric = Literal["accuracy", "error", "loss", "perplexity", "score"]
"""What a value is: ``accuracy``, ``error`` in [0, 1], ``loss`` in nats, ``perplexity`` above 0, ``score`` any number.

Accuracy and score are better when higher, the others when lower.
"""
HIGHER_IS_BETTER: tuple[Metric, ...] = ("accuracy", "score")


def standardised(columns: Floats) -> Floats:
    """Columns with mean 0 and standard deviation 1; those that are constant or not finite are left out.

    A power of two takes each column near 1 first, which is exact, so that squares of huge and tiny numbers are finite.
    """
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    exponents = np.frexp(np.abs(columns).max(axis=0, initial=0.0))[1]
    columns = np.ldexp(columns, -exponents)
    spread = columns.std(axis=0)
    varied = (np.ptp(columns, axis=0) > 0) & (spread > 0)
    return np.asarray((columns - columns.mean(axis=0))[:, varied] / spread[varied])


@dataclass(frozen=True, eq=False)
class CurveMatrix:
    """Curves of trials that share one schedule.

    Attributes:
        values: validation metric, (trials, points); NaN where it was not measured (yet) or was not finite.
        epochs: epoch of each point, counted from 1, rising, (points,); the last is the end of the schedule.
        metric: what the values are, and so which end is better.
        training: training loss in nats at the same points, lower is better, (trials, points), NaN where there is
            none; None without any.
        features: numeric description of each architecture, (trials, features); None without one.
        drops: epochs after which the learning rate of the schedule drops suddenly; empty for a rate that changes
            gradually or not at all.

    Raises:
        ValueError: shapes that do not fit, epochs that do not rise, or an unknown metric.
    """

    values: Floats
    epochs: NDArray[np.int64]
    metric: Metric = "accuracy"
    training: Floats | None = None
    features: Floats | None = None
    drops: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.metric not in get_args(Metric):
            raise ValueError(f"metric must be one of {', '.join(get_args(Metric))}, got {self.metric!r}")
        if self.values.ndim != 2 or self.epochs.shape != self.values.shape[1:]:
            raise ValueError(
                f"values must be (trials, points) with an epoch a point, got {self.values.shape} and "
                f"{self.epochs.shape}"
            )
        if len(self.epochs) == 0 or self.epochs[0] < 1 or (np.diff(self.epochs) <= 0).any():
            raise ValueError(f"epochs must rise from 1 or more, got {self.epochs}")
        if self.training is not None and self.training.shape != self.values.shape:
            raise ValueError(f"training must be shaped like values {self.values.shape}, got {self.training.shape}")
        if self.features is not None and (self.features.ndim != 2 or len(self.features) != len(self.values)):
            raise ValueError(
                f"features must be (trials, features) of {len(self.values)} trials, got {self.features.shape}"
            )

    @property
    def counts(self) -> NDArray[np.int64]:
        """How far each trial has come: number of points up to its last finite value, (trials,)."""
        seen = np.isfinite(self.values)
        return np.where(seen.any(axis=1), self.values.shape[1] - seen[:, ::-1].argmax(axis=1), 0)
