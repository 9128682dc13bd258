"""An ensemble of surrogates that each see four fifths of the data, for predictions beyond what was seen."""

from __future__ import annotations

import numpy as np

from orchestrator.search.pool import Pool, Told
from orchestrator.search.surrogate import Surrogate, Values, can_fit

MEMBERS = 5


def ensemble_mean(pool: Pool, told: Told, *, regressor: str, seed: int, members: int = MEMBERS) -> Values | None:
    """Mean prediction of the members, (architectures of the pool,), higher is better; None without enough to fit.

    Each member is fitted without another part of what was told. One member sees all.

    Source: Liu et al., Progressive Neural Architecture Search (ECCV 2018), section 4.2.
    """
    fold = np.random.default_rng(seed).permutation(len(told)) % members
    means = []
    for member in range(members):
        kept = [one for one, own in zip(told, fold, strict=True) if members == 1 or own != member]
        if can_fit(pool.labels(kept)):
            means.append(Surrogate(pool, kept, regressor=regressor, seed=seed + member).mean)
    mean: Values | None = np.mean(means, axis=0) if means else None
    return mean
