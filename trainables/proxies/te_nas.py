"""Order of a list of candidates by trainability and expressivity together (TE-NAS)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from taurank.trainables.proxies.proxy import ProxyError


def rank_sum(condition: ArrayLike, regions: ArrayLike) -> NDArray[np.float64]:
    """Rank by condition number plus rank by number of linear regions: lower is better, the best possible sum is 2.

    The lowest condition number and the highest number of regions have rank 1; equal ones share a rank and the next one
    is one more (dense ranks). The sum is meaningful within its list only. A candidate with a NaN has a NaN and takes
    no part in the ranks of the others.

    Args:
        condition: Condition numbers of the tangent kernel or their logarithms, (candidates,).
        regions: Numbers of linear regions, (candidates,).

    Raises:
        ProxyError: There are not as many of one as of the other.

    Source: Chen et al. 2021 (arXiv 2102.11535), section 3.2.

    Example:
        >>> rank_sum([5.0, 3.0, 3.0, 8.0], [70, 70, 20, 90])
        array([4., 3., 4., 4.])
    """
    trained, expressed = np.asarray(condition, np.float64), np.asarray(regions, np.float64)
    if trained.ndim != 1 or trained.shape != expressed.shape:
        raise ProxyError(
            f"rank_sum: condition has shape {trained.shape}, regions {expressed.shape}; give one of each a candidate"
        )
    known = ~(np.isnan(trained) | np.isnan(expressed))
    sums = np.full(trained.shape, math.nan)
    sums[known] = _dense_ranks(trained[known]) + _dense_ranks(-expressed[known])
    return sums


def _dense_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for the lowest value."""
    return np.unique(values, return_inverse=True)[1].astype(np.float64) + 1
