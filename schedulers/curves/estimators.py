"""Scores of unfinished trainings from their curves so far, without a model; higher is better in all of them.

They are the baselines that every extrapolator has to beat. Scores of validation are on the scale of ``rising_curves``,
those of training are losses with their sign turned. A trial of which nothing was measured has score nan.

Caveat for all: they do not predict the value at the end, and compare trials that have come equally far. Of trials that
have not, the longer one looks better.

Source of TSE-E: Ru, Lyle, Schut, Fil, van der Wilk and Gal, Speedy Performance Estimation for Neural
Architecture Search (NeurIPS 2021).
"""

from __future__ import annotations

import numpy as np

from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.schedulers.curves.rising import last_values, rising_curves


def last_value(curves: CurveMatrix) -> Floats:
    """The last measured value.

    Caveat: under a large learning rate it is mostly noise; best so far is hardly ever worse.
    """
    return last_values(rising_curves(curves).values)


def best_so_far(curves: CurveMatrix) -> Floats:
    """The best measured value.

    Caveat: on a small validation set it is biased upwards, the more the longer the curve.
    """
    values = rising_curves(curves).values
    return np.asarray(np.fmax.reduce(values, axis=1))


def training_speed_late(curves: CurveMatrix, points: int = 1) -> Floats:
    """TSE-E: minus the sum of the last ``points`` training losses, here their mean, which orders alike.

    The mean instead of the sum keeps trials with fewer points comparable.

    Caveat: where regularisation keeps the training loss high in the better networks, its order is wrong.

    Raises:
        ValueError: the curves have no training loss, or ``points`` is below 1.
    """
    if points < 1:
        raise ValueError(f"points must be at least 1, got {points!r}")
    if curves.training is None:
        raise ValueError("curves must have a training loss for this score, got training=None; use best_so_far")
    seen = np.isfinite(curves.training)
    from_end = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
    chosen = seen & (from_end <= points)
    counts = chosen.sum(axis=1)
    return np.where(counts > 0, -np.where(chosen, curves.training, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)
