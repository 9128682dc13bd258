"""What a proposal is worth: expected improvement."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def expected_improvement(mean: ArrayLike, sd: ArrayLike, best: float) -> NDArray[np.float64]:
    """By how much each candidate is expected to be above the best, higher is better; never below 0.

        EI = (mean - best) Phi(u) + sd phi(u),   u = (mean - best) / sd

    and ``max(mean - best, 0)`` where ``sd`` is 0.

    Args:
        mean: of the prediction, (candidates,).
        sd: its standard deviation, (candidates,), at least 0.
        best: what is to be improved on.

    Source: Jones et al., Efficient Global Optimization of Expensive Black-Box Functions (1998), equation 15.
    """
    above, spread = np.asarray(mean, dtype=float) - best, np.asarray(sd, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = above / spread
        improvement = above * stats.norm.cdf(u) + spread * stats.norm.pdf(u)
    return np.maximum(np.where(spread > 0, improvement, above), 0.0)
