"""The ranker: fuses whatever evidence there is into one order with uncertainty.

The score is the posterior mean of ``fusion``. Its uncertainty is the bootstrap over candidates (how sure the weights
are), a draw of the loadings (what the views cannot say about themselves) and the posterior's own spread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from orchestrator.ranker.accuracy import final_accuracies
from orchestrator.ranker.fusion import Fusion
from orchestrator.ranker.ranking import LEVEL, Ranking
from orchestrator.ranker.views import make_views

DRAWS = 400


def rank_evidence(evidence: pd.DataFrame, candidates: Sequence[str], *, full_epochs: int, seed: int) -> Ranking:
    """Ranks candidates from the rows of an evidence log; baseline rows must have been taken out.

    Args:
        evidence: rows as ``EvidenceLog.evidence`` gives them.
        candidates: codes; all of them are ranked, those without evidence in the middle.
        full_epochs: length of full training.
        seed: of the bootstrap. The same rows and seed give the same ranking, in whatever order the candidates come.
    """
    codes = sorted(candidates)
    count = len(codes)
    views = make_views(evidence, codes, full_epochs=full_epochs)
    fusion = Fusion(views, count)
    fitted = fusion.posterior(np.arange(count))
    generator = np.random.default_rng([seed, 3])
    draws = np.empty((DRAWS, count))
    for index in range(DRAWS):
        drawn = fusion.posterior(generator.integers(count, size=count), generator)
        draws[index] = drawn.mean + drawn.spread * generator.standard_normal(count)
    # The bootstrap's own bias would pull intervals away from the order they belong to.
    draws += fitted.mean - draws.mean(axis=0)

    # Stable, and codes are sorted: of equal scores the first code comes first.
    order = np.argsort(-fitted.mean, kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(1, count + 1)
    ranks = stats.rankdata(-draws, axis=1)
    tail = (1 - LEVEL) / 2
    predicted, low, high = final_accuracies(fitted.mean, draws.std(axis=0), views, level=LEVEL)
    cost = _costs(evidence, codes)
    table = pd.DataFrame(
        {
            "rank": rank,
            "architecture": codes,
            "score": fitted.mean,
            "predicted_accuracy": predicted,
            "accuracy_low": low,
            "accuracy_high": high,
            "rank_low": np.minimum(np.quantile(ranks, tail, axis=0, method="lower").astype(np.int64), rank),
            "rank_high": np.maximum(np.quantile(ranks, 1 - tail, axis=0, method="higher").astype(np.int64), rank),
            "evidence": [
                ", ".join(dict.fromkeys(view.stage for view in views if np.isfinite(view.order[index])))
                for index in range(count)
            ],
            "seconds": cost["seconds"].to_numpy(),
            "epochs": cost["epochs"].to_numpy(),
        }
    )
    return Ranking(
        table=table.iloc[order].reset_index(drop=True),
        samples=draws[:, order],
        weights=dict(zip(fusion.names, fitted.say.tolist(), strict=True)),
    )


def _costs(evidence: pd.DataFrame, candidates: Sequence[str]) -> pd.DataFrame:
    """Seconds and epochs by candidate; what all share (a supernet's epochs) in equal parts, so sums are right."""
    own = evidence.groupby("architecture")[["seconds", "epochs"]].sum()
    shared = own.loc[[""]].sum() if "" in own.index else pd.Series({"seconds": 0.0, "epochs": 0.0})
    return own.reindex(list(candidates)).fillna(0.0) + shared / len(candidates)
