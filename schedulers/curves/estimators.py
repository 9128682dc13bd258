"""Scores of unfinished trainings from their curves so far, without a model; higher is better in all of them.

They are the baselines that every extrapolator has to beat. Scores of validation are on the scale of ``rising_curves``,
those of training are losses with their sign turned. A trial of which nothing was measured has score nan.

Caveat for all: they do not predict the value at the end, and compare trials that have come equally far. Of trials that
have not, the longer one looks better.

Source of the TSE family: Ru, Lyle, Schut, Fil, van der Wilk and Gal, Speedy Performance Estimation for Neural
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


def mean_of_last(curves: CurveMatrix, points: int = 5) -> Floats:
    """Mean of the last ``points`` measured values; of all where there are fewer.

    Caveat: lags behind steep curves.

    Raises:
        ValueError: ``points`` is below 1.
    """
    return _mean_of_last(rising_curves(curves).values, points)


def best_so_far(curves: CurveMatrix) -> Floats:
    """The best measured value.

    Caveat: on a small validation set it is biased upwards, the more the longer the curve.
    """
    values = rising_curves(curves).values
    return np.asarray(np.fmax.reduce(values, axis=1))


def training_speed(curves: CurveMatrix) -> Floats:
    """TSE, also SoTL: minus the sum of the training losses so far, ``-(l_1 + ... + l_t)``.

    Caveat: early losses, which are least informative, weigh as much as late ones; a hole in the record counts as a loss
    of 0.

    Raises:
        ValueError: the curves have no training loss.
    """
    losses = _losses(curves)
    return np.where(np.isfinite(losses).any(axis=1), -np.nansum(losses, axis=1), np.nan)


def training_speed_late(curves: CurveMatrix, points: int = 1) -> Floats:
    """TSE-E: minus the sum of the last ``points`` training losses, here their mean, which orders alike.

    The mean instead of the sum keeps trials with fewer points comparable.

    Caveat: where regularisation keeps the training loss high in the better networks, its order is wrong.

    Raises:
        ValueError: the curves have no training loss, or ``points`` is below 1.
    """
    return -_mean_of_last(_losses(curves), points)


def training_speed_ema(curves: CurveMatrix, mu: float = 0.9) -> Floats:
    """TSE-EMA: minus ``s_t``, with ``s_1 = l_1`` and ``s_t = (1 - mu) s_(t-1) + mu l_t``.

    As in the published code mu is the weight of the newest loss: with its .9 nearly all weight is on the last epoch,
    although the paper speaks of heavy smoothing. Missing losses are passed over.

    Caveat: see ``training_speed_late``.

    Raises:
        ValueError: the curves have no training loss, or ``mu`` is not in (0, 1].
    """
    if not 0 < mu <= 1:
        raise ValueError(f"mu must be above 0 and at most 1, got {mu!r}")
    losses = _losses(curves)
    average = losses[:, 0]
    for loss in losses.T[1:]:
        mixed = np.where(np.isfinite(average), (1 - mu) * average + mu * loss, loss)
        average = np.where(np.isfinite(loss), mixed, average)
    return -average


def _mean_of_last(values: Floats, points: int) -> Floats:
    if points < 1:
        raise ValueError(f"points must be at least 1, got {points!r}")
    seen = np.isfinite(values)
    from_end = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]
    chosen = seen & (from_end <= points)
    counts = chosen.sum(axis=1)
    return np.where(counts > 0, np.where(chosen, values, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)


def _losses(curves: CurveMatrix) -> Floats:
    if curves.training is None:
        raise ValueError("curves must have a training loss for this score, got training=None; use best_so_far")
    return np.where(np.isfinite(curves.training), curves.training, np.nan)
