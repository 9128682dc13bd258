"""The fusion of views into one score: normal scores, a loading for each view, the posterior mean.

The final score z of a candidate is standard normal over the candidates, and so is each view x_v after it was replaced
by its normal scores. With loadings ``r_v = corr(x_v, z)`` and ``S = corr(x)`` the posterior of z is normal with mean
``w'x``, ``w = S^-1 r``, and variance ``1 - r'S^-1 r``, over the views that a candidate has. S is seen; r is not:

* A priori a view explains half of the variance of z, one full training ``SEED_NOISE`` of it, and a shorter one a share
  in between. Views that disagree lower this. Views that agree do not raise it: an error they have in common looks the
  same as the truth.
* The view that ran longest stands for z. The others' correlations with it move their loadings; ``n`` trainings of
  fidelity ``f`` move them like ``n f`` full ones, against a prior worth ``PRIOR_LABELS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.ranker.views import Scores, View, normal_scores

MIN_LABELS = 7
"""The order does not follow a view of fewer candidates: so few do not beat the other views, they only give a scale."""
CHEAP_SHARE = 0.5
"""Share of the variance of z that a view explains a priori: a correlation of .71, a tau of .50."""
SEED_NOISE = 0.95
"""Share that one full training explains: another seed would come out a little differently."""
LOADING_SD = 0.2
"""Prior standard deviation of a loading."""
PRIOR_LABELS = 6.0
"""Full trainings that the prior is worth: n of them tell a correlation of .7 to .5 / sqrt(n), so LOADING_SD at 6."""
MOST = 0.97
"""Most of the variance that all views together explain; no evidence makes z certain."""


@dataclass(frozen=True)
class Posterior:
    """Posterior of the final scores: ``mean`` and ``spread`` (standard deviation) are (candidates,).

    ``say`` is each view's mean share of the weights over the candidates; the shares add up to 1.
    """

    mean: Scores
    spread: Scores
    say: Scores


class Fusion:
    """The model above over the views that can take part in an order.

    Args:
        views: all there are; those of fewer than ``MIN_LABELS`` candidates and constant ones are left out.
        count: number of candidates.
    """

    def __init__(self, views: Sequence[View], count: int) -> None:
        enough = max(min(MIN_LABELS, count), 2)
        used = [view for view in views if len(np.unique(view.order[np.isfinite(view.order)])) >= 2]
        used = [view for view in used if np.isfinite(view.order).sum() >= enough]
        self.names = tuple(view.name for view in used)
        self._count = count
        self._scores = _aligned([_standardised(view.order) for view in used], count)  # (candidates, views)
        self._known = np.isfinite(self._scores)
        self._reached = np.column_stack([view.reached for view in used]) if used else np.zeros((count, 0))
        self._fidelity = np.array([view.fidelity for view in used])
        trained = [index for index, view in enumerate(used) if view.is_accuracy]
        # Of equally long ones the view of most candidates.
        self._longest = max(trained, key=lambda v: (self._fidelity[v], self._known[:, v].sum()), default=None)
        # Candidates with the same views, trained equally far, share their weights.
        kinds = np.where(self._known, self._reached, -1.0)
        self._kinds, self._kind_of = np.unique(kinds, axis=0, return_inverse=True)

    def posterior(self, rows: NDArray[np.intp], generator: np.random.Generator | None = None) -> Posterior:
        """Posterior of all candidates, with correlations and loadings from the candidates ``rows``.

        With a generator the loadings are drawn from their own distribution instead of set to its mean.
        """
        mean, spread, say = np.zeros(self._count), np.ones(self._count), np.zeros(len(self.names))
        if not self.names:
            return Posterior(mean, spread, say)
        correlation, loadings, error = self._estimate(rows)
        if generator is not None:
            # Views that are nearly the same have nearly the same loading.
            values, vectors = np.linalg.eigh(correlation)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            loadings = loadings + error * (root @ generator.standard_normal(len(loadings)))
        loadings = np.clip(loadings, 0.0, np.sqrt(MOST))
        kind_of = self._kind_of.ravel()
        for kind, reached in enumerate(self._kinds):
            views = np.flatnonzero(reached >= 0)
            members = kind_of == kind
            if len(views) == 0:
                continue
            # A training that was ended early says less than its stage does when it runs to the end.
            weaker = np.sqrt(_share(reached[views]) / _share(self._fidelity[views]))
            weights, left = _weights(correlation[np.ix_(views, views)], loadings[views] * weaker)
            mean[members] = self._scores[np.ix_(members, views)] @ weights
            spread[members] = np.sqrt(left)
            say[views] += members.sum() * weights / max(weights.sum(), 1e-12)
        return Posterior(mean, spread, say / max(say.sum(), 1e-12))

    def _estimate(self, rows: NDArray[np.intp]) -> tuple[Scores, Scores, Scores]:
        """Correlations of the views, their loadings, and the standard deviation of these."""
        known = self._known[rows]
        scores = np.where(known, self._scores[rows], 0.0)
        pairs = known.T.astype(float) @ known  # (views, views): candidates that both have seen
        norms = np.sqrt((scores**2).T @ known)
        seen = (scores.T @ scores) / np.maximum(norms * norms.T, 1e-12)

        prior = np.sqrt(_share(self._fidelity))
        expected = np.outer(prior, prior)
        shrunk = (pairs * seen + PRIOR_LABELS * expected) / (pairs + PRIOR_LABELS)
        others = ~np.eye(len(prior), dtype=bool)
        if len(prior) > 1:
            agreed = np.mean(np.clip(shrunk / expected, 0.0, 1.0), axis=1, where=others)
            prior = prior * np.sqrt(1 - (1 - self._fidelity) * (1 - agreed) / 2)
        loadings, labels = prior.copy(), np.zeros(len(prior))
        if self._longest is not None:
            labels = pairs[self._longest] * self._fidelity[self._longest]
            labels[self._longest] = 0.0
            loadings = (PRIOR_LABELS * prior + labels * seen[self._longest] / prior[self._longest]) / (
                PRIOR_LABELS + labels
            )
        error = LOADING_SD * (1 - self._fidelity) * np.sqrt(PRIOR_LABELS / (PRIOR_LABELS + labels))
        correlation = (pairs * seen + PRIOR_LABELS * np.outer(loadings, loadings)) / (pairs + PRIOR_LABELS)
        np.fill_diagonal(correlation, 1.0)
        return correlation, loadings, error


def _share(fidelity: Scores) -> Scores:
    """Share of the variance of z that a view explains a priori: most of what a training tells, it tells early."""
    share: Scores = CHEAP_SHARE + (SEED_NOISE - CHEAP_SHARE) * np.sqrt(fidelity)
    return share


def _weights(correlation: Scores, loadings: Scores) -> tuple[Scores, float]:
    """Weights of the posterior mean, none below 0, and the variance that they leave."""
    values, vectors = np.linalg.eigh(correlation)
    # Correlations of pairs that were seen on different candidates need not fit together.
    inverse = (vectors / np.maximum(values, 0.05)) @ vectors.T
    weights = np.maximum(inverse @ loadings, 0.0)
    size = float(weights @ correlation @ weights)
    if size <= 0:
        return weights, 1.0
    along = float(loadings @ weights)
    explained = min(along**2 / size, MOST)
    return weights * np.sqrt(explained / size), 1 - explained


def _standardised(values: Scores) -> Scores:
    scores = normal_scores(values)
    return scores / max(float(np.sqrt(np.nanmean(scores**2))), 1e-12)


def _aligned(columns: list[Scores], count: int) -> Scores:
    """Views side by side, (candidates, views), with the level and the scale that they would have over all candidates.

    The normal scores of a view are those among the candidates it has, and these can be a chosen part: the best, or the
    extremes. Their level and scale in another view that has everybody, times the correlation with it, are the view's.
    """
    if not columns:
        return np.zeros((count, 0))
    whole = [column for column in columns if np.isfinite(column).all()]
    fused = _standardised(np.sum(whole, axis=0)) if whole else np.zeros(count)
    aligned = []
    for column in columns:
        known = np.isfinite(column)
        level, scale = 0.0, 1.0
        if not known.all() and whole:
            correlation = float(np.mean(column[known] * fused[known])) / max(float(fused[known].std()), 1e-12)
            level = correlation * float(fused[known].mean())
            scale = np.sqrt(1 + correlation**2 * (float(fused[known].var()) - 1))
        aligned.append(level + scale * column)
    return np.column_stack(aligned)
