"""The ranker: fuses whatever evidence there is into one order with uncertainty.

Each view (size, short trainings, supernet ...) is turned into normal scores. The view that ran longest is the target
(a handful of trainings is none):
the others predict it by a linear model whose weights are shrunk to equal weights, so that few labels change little
(with none, the order is the equal-weight fusion). A candidate's score is its prediction, moved towards its own target
value by the share ``kappa = (1 + fidelity) / 2``: half when the target is a very short training, nearly all the way
when it is a full one. Intervals come from the bootstrap over the labelled candidates and the disagreement of views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from orchestrator.ranker.ranking import LEVEL, Ranking
from orchestrator.ranker.views import Scores, View, make_views, normal_scores

DRAWS = 400
MIN_LABELS = 7
"""With fewer trainings of a length than this the order does not follow them; they only give the scale of accuracies."""
WEIGHT_SD = 0.3
"""Prior standard deviation of a weight around the equal weight; views have unit variance."""
SEED_NOISE = 0.95
"""Most that a single full training may say about its candidate: another seed would come out a little differently."""
ANCHOR_SD = 0.25
"""Prior scatter (logits) of final accuracies around the line through the anchors, worth ``ANCHOR_WEIGHT`` of them."""
ANCHOR_WEIGHT = 3.0


def rank_evidence(evidence: pd.DataFrame, candidates: Sequence[str], *, full_epochs: int, seed: int) -> Ranking:
    """Ranks candidates from the rows of an evidence log; baseline rows must have been taken out.

    Args:
        evidence: rows as ``EvidenceLog.evidence`` gives them.
        candidates: codes; all of them are ranked, those without evidence in the middle.
        full_epochs: length of full training.
        seed: of the bootstrap. The same rows and seed give the same ranking.
    """
    views = make_views(evidence, candidates, full_epochs=full_epochs)
    count = len(candidates)
    generator = np.random.default_rng([seed, 3])
    fusion = _Fusion.of(views, count)
    score, spread, weights = fusion.fit(np.arange(count))
    draws = np.empty((DRAWS, count))
    for index in range(DRAWS):
        resampled, _, _ = fusion.fit(generator.integers(count, size=count))
        draws[index] = resampled + spread * generator.standard_normal(count)
    # The bootstrap's own bias would pull intervals away from the order they belong to.
    draws += score - draws.mean(axis=0)

    ranks = stats.rankdata(-draws, axis=1)
    tail = (1 - LEVEL) / 2
    predicted, low, high = _accuracies(score, draws.std(axis=0), views)
    cost = _costs(evidence, candidates)
    table = pd.DataFrame(
        {
            "architecture": list(candidates),
            "score": score,
            "predicted_accuracy": predicted,
            "accuracy_low": low,
            "accuracy_high": high,
            "rank_low": np.quantile(ranks, tail, axis=0, method="lower").astype(int),
            "rank_high": np.quantile(ranks, 1 - tail, axis=0, method="higher").astype(int),
            "evidence": [
                ", ".join(view.name for view in views if np.isfinite(view.order[index])) for index in range(count)
            ],
            "seconds": cost["seconds"].to_numpy(),
            "epochs": cost["epochs"].to_numpy(),
        }
    )
    # Equal scores: by code, so that permuting the candidates permutes the ranking.
    order = np.lexsort((table["architecture"].to_numpy(dtype=str), -table["score"].to_numpy()))
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, count + 1))
    return Ranking(table=table, samples=draws[:, order], weights=weights)


@dataclass(frozen=True)
class _Fusion:
    """The linear model: predictors (candidates, p) without gaps, and the target with NaN where it was not bought."""

    names: tuple[str, ...]
    predictors: NDArray[np.float64]
    target_name: str
    target: Scores
    kappa: float

    @staticmethod
    def of(views: Sequence[View], count: int) -> _Fusion:
        enough = min(MIN_LABELS, count)
        trained = [view for view in views if view.is_accuracy and np.isfinite(view.order).sum() >= enough]
        # Of equally long ones the view of most candidates.
        longest = max(trained, key=lambda view: (view.fidelity, np.isfinite(view.order).sum()), default=None)
        rest = [view for view in views if view is not longest and (view in trained or not view.is_accuracy)]
        columns = [np.nan_to_num(normal_scores(view.order)) for view in rest]
        return _Fusion(
            names=tuple(view.name for view in rest),
            predictors=np.column_stack(columns) if columns else np.zeros((count, 0)),
            target_name=longest.name if longest else "",
            target=normal_scores(longest.order) if longest else np.full(count, np.nan),
            kappa=min((1 + longest.fidelity) / 2, SEED_NOISE) if longest else 0.0,
        )

    def fit(self, rows: NDArray[np.int64]) -> tuple[Scores, Scores, dict[str, float]]:
        """Score and its standard deviation for every candidate, from the labels among ``rows``; weights by view."""
        count, p = self.predictors.shape
        labelled = np.isfinite(self.target)
        used = rows[labelled[rows]]
        if p == 0:
            score = np.where(labelled, self.target, 0.0)
            return score, np.where(labelled, 0.5, 1.0), {self.target_name: 1.0}
        prior = np.full(p, 1 / p)
        weights = prior.copy()
        fused = self.predictors @ prior
        target = self.target
        if len(np.unique(used)) >= 2:
            # Few and chosen labels are no fair sample: they take level and scale of the fused views on the same rows.
            level, scale = fused[used].mean(), max(float(fused[used].std()), 0.3)
            centre, width = target[used].mean(), float(target[used].std())
            target = (self.target - centre) / width * scale + level if width > 0 else np.full(count, level)
            residual = target[used] - fused[used]
            noise = max(float(np.mean(residual**2)), 0.05)
            design = self.predictors[used]
            gram = design.T @ design / noise + np.eye(p) / WEIGHT_SD**2
            weights = np.maximum(prior + np.linalg.solve(gram, design.T @ residual / noise), 0.0)
        predicted = self.predictors @ weights
        has_target = labelled & np.isfinite(target)
        own = np.where(has_target, target, predicted)
        score = (1 - self.kappa) * predicted + self.kappa * own
        if len(used) >= 3:
            disagreement = float(np.std(target[used] - predicted[used]))
        elif p >= 2:
            disagreement = float(np.mean(np.std(self.predictors, axis=1, ddof=1)))
        else:
            disagreement = 1.0
        kappa = self.kappa if labelled.any() else 0.5
        spread = disagreement * np.where(has_target, float(np.sqrt(kappa * (1 - kappa))), float(np.sqrt(kappa)))
        say = dict(zip(self.names, (1 - self.kappa) * weights / max(weights.sum(), 1e-12), strict=True))
        return score, spread, say | ({self.target_name: self.kappa} if self.target_name else {})


def _accuracies(score: Scores, spread: Scores, views: Sequence[View]) -> tuple[Scores, Scores, Scores]:
    """Final accuracy and its 90 % interval: a line from score to logit accuracy through the full trainings.

    Its slope is shrunk to the one seen in the longest view of most candidates, since full trainings are few.
    """
    nothing = np.full(len(score), np.nan)
    final = [view for view in views if view.is_accuracy and view.fidelity >= 1 and np.isfinite(view.values).any()]
    if not final:
        return nothing, nothing, nothing
    anchors = pd.DataFrame([_logit(view.values) for view in final]).mean().to_numpy()
    known = np.isfinite(anchors)
    x, y = score[known], anchors[known]
    slope = _slope_of_largest(score, [view for view in views if view.is_accuracy])
    centred = x - x.mean()
    slope = (slope * ANCHOR_WEIGHT + float(centred @ (y - y.mean()))) / (ANCHOR_WEIGHT + float(centred @ centred))
    slope = max(slope, 0.0)
    line = y.mean() + slope * (score - x.mean())
    residual = y - line[known]
    scatter = (ANCHOR_WEIGHT * ANCHOR_SD**2 + float(residual @ residual)) / (ANCHOR_WEIGHT + len(x))
    scatter *= 1 + 1 / len(x)  # the level of the line is an estimate too
    half = stats.norm.ppf(0.5 + LEVEL / 2) * np.sqrt((slope * spread) ** 2 + scatter)
    return _expit(line), _expit(line - half), _expit(line + half)


def _slope_of_largest(score: Scores, views: Sequence[View]) -> float:
    largest = max(views, key=lambda view: (np.isfinite(view.values).sum(), view.fidelity))
    values = _logit(largest.values)
    known = np.isfinite(values)
    x, y = score[known] - score[known].mean(), values[known] - values[known].mean()
    return float(x @ y / max(x @ x, 1e-9))


def _logit(accuracy: Scores) -> Scores:
    clipped = np.clip(accuracy, 1e-3, 1 - 1e-3)
    return np.log(clipped / (1 - clipped))


def _expit(z: Scores) -> Scores:
    return 1 / (1 + np.exp(-z))


def _costs(evidence: pd.DataFrame, candidates: Sequence[str]) -> pd.DataFrame:
    """Seconds and epochs by candidate; what all share (a supernet's epochs) in equal parts, so sums are right."""
    own = evidence.groupby("architecture")[["seconds", "epochs"]].sum()
    shared = own.loc[[""]].sum() if "" in own.index else pd.Series({"seconds": 0.0, "epochs": 0.0})
    return own.reindex(list(candidates)).fillna(0.0) + shared / len(candidates)
