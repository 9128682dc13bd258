"""Numbers as the format has them: shares for accuracies, NaN for what is missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_SCORE = -1e7
"""Proxy scores at or below this are the sentinel of a failed computation (-1e8 in NASLib)."""


def shares(accuracies: ArrayLike) -> NDArray[np.float64]:
    """Accuracies in [0, 1]: divided by 100 where any of them is above 1, so they must be percentages.

    Single precision is rounded to seven digits: 0.82092 is stored, not 0.8209199905.
    """
    values = _rounded(accuracies)
    return np.round(values / 100, 10) if np.nanmax(values, initial=0.0) > 1 else values


def losses(values: ArrayLike) -> NDArray[np.float64]:
    """Losses as they are; single precision is rounded to seven digits."""
    return _rounded(values)


def scores(values: ArrayLike) -> NDArray[np.float64]:
    """Proxy scores; sentinels and what is not finite become NaN."""
    given = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(given) & (given > LEAST_SCORE), given, np.nan)


def _rounded(values: ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(values)
    wide: NDArray[np.float64] = given.astype(np.float64)
    if given.dtype != np.float32:
        return wide
    with np.errstate(divide="ignore", invalid="ignore"):
        decimals = 6 - np.floor(np.log10(np.abs(wide)))
    scale = 10.0 ** np.where(np.isfinite(decimals), decimals, 0)
    return np.round(wide * scale) / scale
