"""Unsupervised fusion: one order from several, with weights and without labels.

Every function takes the sources' scores, each (candidates,), higher is better, NaN where one has no value, and
one weight per source; it returns one score per candidate, higher is better, NaN where no source has a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from taurank.orchestrator.ranker.views import Scores, normal_scores

ITERATIONS, TOLERANCE = 200, 1e-8
PSEUDO_WINS = 0.5
"""Added to each side of every pair: keeps the strength of a candidate that always wins finite."""


def normal_score_sum(sources: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Weighted mean of the sources' normal scores."""
    return _mean([normal_scores(source) for source in sources], weights)


def log_rank_sum(sources: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Weighted mean of ``log(rank / n)``, where the worst has rank 1: one very bad rank weighs more than a good one."""
    return _mean([np.log(_relative_ranks(source)) for source in sources], weights)


def borda(sources: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Borda's count: weighted mean of the share of candidates beaten."""
    return _mean([_relative_ranks(source) for source in sources], weights)


def bradley_terry(sources: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """Log strengths of the Bradley-Terry model, each source a judge of all pairs that it knows; ties are half a win.

    ``P(i beats j) = s_i / (s_i + s_j)``; fitted by the minorisation of Hunter 2004. Where every source knows every
    candidate the order is Borda's; it differs where sources know different candidates.
    """
    count = len(sources[0])
    wins, games = np.zeros(count), np.zeros((count, count))
    for source, weight in zip(sources, weights, strict=True):
        known = np.isfinite(source)
        ranks = stats.rankdata(source[known])
        wins[known] += weight * (ranks - 1)
        games[np.ix_(known, known)] += weight
    np.fill_diagonal(games, 0.0)
    played = games.sum(1) > 0
    wins = wins + PSEUDO_WINS * (games > 0).sum(1)
    games = games + 2 * PSEUDO_WINS * (games > 0)
    strengths = np.ones(count)
    for _ in range(ITERATIONS):
        load = (games / (strengths[:, None] + strengths)).sum(1)
        updated = np.where(played, wins / np.maximum(load, 1e-300), 1.0)
        updated /= np.exp(np.log(updated[played]).mean()) if played.any() else 1.0
        change = np.abs(np.log(updated[played]) - np.log(strengths[played])).max(initial=0.0)
        strengths = updated
        if change < TOLERANCE:
            break
    covered = np.isfinite(np.array(sources)).any(axis=0)
    return np.where(covered, np.log(strengths), np.nan)


AGGREGATIONS: dict[str, Callable[[Sequence[Scores], Sequence[float]], Scores]] = {
    "normal-scores": normal_score_sum,
    "log-rank": log_rank_sum,
    "borda": borda,
    "bradley-terry": bradley_terry,
}


def _relative_ranks(source: Scores) -> Scores:
    ranks = np.full(len(source), np.nan)
    known = np.isfinite(source)
    ranks[known] = stats.rankdata(source[known]) / max(known.sum(), 1)
    return ranks


def _mean(columns: Sequence[Scores], weights: Sequence[float]) -> Scores:
    table, shares = np.column_stack(columns), np.array(weights, dtype=float)  # (candidates, sources)
    known = np.isfinite(table)
    total = (known * shares).sum(axis=1)
    with np.errstate(invalid="ignore"):
        mean: Scores = np.where(total > 0, (np.where(known, table, 0.0) * shares).sum(axis=1) / total, np.nan)
    return mean
