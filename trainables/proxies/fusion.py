"""One order from several proxies."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

SETS: Mapping[str, tuple[str, ...]] = {
    "reference": ("flops", "jacob_cov"),
    "az_nas": ("az_expressivity", "az_progressivity", "az_trainability", "flops"),
    "te_nas": ("ntk_condition", "linear_regions"),
    "vkdnw": ("vkdnw", "jacob_cov", "az_expressivity", "az_trainability", "flops"),
}
"""Sets of proxies that belong together, by name.

- `reference`: two cheap ones that differ; tau .755 on the stored scores of NAS-Bench-201, as good as the best published
  aggregate. Adding proxies that are like them makes it worse.
- `az_nas`: Lee and Ham 2024 (arXiv 2403.19232), section 3.
- `te_nas`: Chen et al. 2021 (arXiv 2102.11535), section 3.2; their sum of ranks, not of logarithms, is
  `te_nas.rank_sum`.
- `vkdnw`: Tybl and Neumann 2025 (arXiv 2502.04975), section 4.
"""


def log_rank_sum(scores: Mapping[str, ArrayLike], directions: Mapping[str, int]) -> NDArray[np.float64]:
    """Sum over proxies of log(rank / N), rank N for the best candidate: higher is better, the best possible is 0.

    The sum is not linear in the ranks: one very bad rank counts for more than several good ones. Ties share their mean
    rank. A void score (not finite) drops out: ranks are among the N candidates that have the score, and the candidate's
    other terms are scaled up to as many as there are proxies. NaN only where nothing is known.

    Args:
        scores: For each proxy the scores of all candidates, (candidates,).
        directions: For each proxy 1 where higher is better, -1 where lower is.

    Source: Lee and Ham 2024 (AZ-NAS, arXiv 2403.19232), section 3.

    Example:
        >>> log_rank_sum({"flops": [1, 2, 3], "ntk_condition": [9, 1, 5]}, {"flops": 1, "ntk_condition": -1}).round(3)
        array([-2.197, -0.405, -0.405])
    """
    from scipy.stats import rankdata  # takes as long to import as half of torch, and lists of proxies need only SETS

    terms = []
    for name, column in scores.items():
        values = np.asarray(column, float) * directions[name]
        values[~np.isfinite(values)] = math.nan
        ranks = rankdata(values, nan_policy="omit")
        terms.append(np.log(ranks / np.isfinite(values).sum()))
    stacked = np.array(terms)  # (proxies, candidates)
    known = np.isfinite(stacked).sum(axis=0)
    total = np.nansum(stacked, axis=0) * len(stacked)
    return np.where(known > 0, total / np.maximum(known, 1), math.nan)
