"""Any metric as what the ranker works with: accuracies in [0, 1], higher is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from taurank.orchestrator.evidence import (
    BASELINE,
    PREDICTED,
    PREDICTED_SD,
    TRAINING,
    VALIDATION_ACCURACY,
    Mode,
    RankedMetric,
)

Floats = NDArray[np.float64]
SPREAD = 0.5
"""Standard deviation of final values on the logit scale, where the ranker's priors of noise are in place."""
LINEAR = 2.0
"""Logits beyond which values far from the final ones are compressed: early epochs, diverged trainings."""
MOST = 30.0
"""Largest logit: beyond, accuracies would be 0 or 1 in floating point."""


@dataclass(frozen=True)
class MetricScale:
    """A monotone map between a metric and accuracies in (0, 1).

    A metric of which higher is better and all values are in [0, 1] is taken as it is. Of others, the logit of the
    accuracy is ``k asinh(z / k)`` with ``z = SPREAD (u - centre) / width`` and ``k = LINEAR``: ``u`` is the value, or
    its negative where lower is better, or its negative logarithm where such values are all above 0.

    Attributes:
        mode: which end of the metric is better.
        kind: whether values are taken as they are, their sign or their logarithm.
        centre: median of ``u`` over final values.
        width: their standard deviation, as the middle half has it.
    """

    mode: Mode
    kind: Literal["accuracy", "linear", "log"]
    centre: float = 0.0
    width: float = 1.0

    @staticmethod
    def of(values: Floats, finals: Floats, mode: Mode) -> MetricScale:
        """The scale of a metric.

        Args:
            values: all finite values, at least one.
            finals: those at the ends of the longest trainings, at least one.
            mode: which end is better.
        """
        if mode == "max" and values.min() >= 0 and values.max() <= 1:
            return MetricScale(mode, "accuracy")
        kind: Literal["linear", "log"] = "log" if mode == "min" and values.min() > 0 else "linear"
        u = MetricScale(mode, kind)._rising(finals)
        width = float(stats.iqr(u, scale="normal")) or float(u.std()) or max(abs(float(u[0])), 1.0)
        return MetricScale(mode, kind, float(np.median(u)), width)

    def accuracies(self, values: Floats) -> Floats:
        """Values of the metric on the ranker's scale; NaN stays NaN."""
        if self.kind == "accuracy":
            return np.asarray(values, dtype=float)
        z = SPREAD * (self._rising(values) - self.centre) / self.width
        return np.asarray(special.expit(np.clip(LINEAR * np.arcsinh(z / LINEAR), -MOST, MOST)))

    def values(self, accuracies: Floats) -> Floats:
        """The inverse, in the unit and direction of the metric."""
        if self.kind == "accuracy":
            return np.asarray(accuracies, dtype=float)
        logits = np.clip(special.logit(accuracies), -MOST, MOST)
        u = self.centre + self.width * LINEAR * np.sinh(logits / LINEAR) / SPREAD
        if self.kind == "log":
            return np.exp(-u)
        return np.asarray(u if self.mode == "max" else -u)

    def _rising(self, values: Floats) -> Floats:
        if self.kind == "log":
            # A forecast may be 0 or below, which no value of the metric is.
            return -np.log(np.maximum(values, np.finfo(float).tiny))
        return np.asarray(values if self.mode == "max" else -values, dtype=float)


def in_accuracies(rows: pd.DataFrame, metric: RankedMetric, *, full_epochs: int) -> tuple[pd.DataFrame, MetricScale]:
    """Rows of a log as the ranker reads them, and the scale of their metric.

    Values of the metric become validation accuracies, and predictions of them predicted accuracies; other metrics of
    the user's trainings are left out. The scale depends on the evidence only, not on the baseline.

    Args:
        rows: of the log, with or without the baseline.
        metric: by which candidates are ranked; rows of accuracies by taurank stay as they are.
        full_epochs: length of full training.
    """
    if not metric.is_own:
        return rows, MetricScale(metric.mode, "accuracy")
    trained = rows["source"] == TRAINING
    own = rows[trained & (rows["metric"] == metric.name)]
    seen = own[(own["stage"] != BASELINE) & np.isfinite(own["value"])]
    ends = seen.sort_values("epoch", kind="stable").groupby("trial").tail(1)
    finals = ends.loc[ends["epoch"] >= full_epochs, "value"]
    scale = MetricScale(metric.mode, "accuracy")
    if len(seen):
        finals = finals if len(finals) > 1 else ends["value"]
        scale = MetricScale.of(seen["value"].to_numpy(dtype=float), finals.to_numpy(dtype=float), metric.mode)
    own = own.assign(metric=VALIDATION_ACCURACY, value=scale.accuracies(own["value"].to_numpy(dtype=float)))
    parts = [rows[~trained], own, _predictions(rows[trained], scale)]
    return pd.concat([part for part in parts if len(part)] or [own]).sort_index(kind="stable"), scale


def _predictions(rows: pd.DataFrame, scale: MetricScale) -> pd.DataFrame:
    """Rows of predicted finals on the ranker's scale, with their standard deviations."""
    means = rows[rows["metric"] == PREDICTED]
    sds = rows[rows["metric"] == PREDICTED_SD]
    centre = sds.merge(means[["trial", "epoch", "value"]], on=["trial", "epoch"], how="left", suffixes=("", "_mean"))
    mean, sd = centre["value_mean"].to_numpy(dtype=float), centre["value"].to_numpy(dtype=float)
    spread = np.abs(scale.accuracies(mean + sd) - scale.accuracies(mean - sd)) / 2
    scaled = means.assign(value=scale.accuracies(means["value"].to_numpy(dtype=float)))
    return pd.concat([scaled, sds.assign(value=spread)]) if len(sds) else scaled


def final_values(rows: pd.DataFrame, metric: RankedMetric, *, full_epochs: int) -> pd.Series:
    """Mean over seeds of the metric at the end of full training, index = candidate, from the evidence of a log."""
    full = (rows["source"] == TRAINING) & (rows["stage"] != BASELINE) & (rows["metric"] == metric.name)
    full &= (rows["epoch"] >= full_epochs) & np.isfinite(rows["value"])
    means: pd.Series = rows[full].groupby("architecture")["value"].mean()
    return means


def in_unit(table: pd.DataFrame, scale: MetricScale, measured: pd.Series) -> pd.DataFrame:
    """The table of a ranking with its final values in the unit of the metric, those measured as they were.

    Args:
        table: of a ranking on the ranker's scale.
        scale: of the metric.
        measured: final values in its unit, index = candidate.
    """
    value, low, high = (
        scale.values(table[column].to_numpy(dtype=float))
        for column in ("predicted_accuracy", "accuracy_low", "accuracy_high")
    )
    if scale.mode == "min":
        low, high = high, low
    own = table["architecture"].map(measured).to_numpy(dtype=float)
    value = np.where(np.isfinite(own) & np.isfinite(value), own, value)
    # The mean of seeds may lie beyond an interval that was made on another scale.
    return table.assign(predicted_accuracy=value, accuracy_low=np.fmin(low, value), accuracy_high=np.fmax(high, value))
