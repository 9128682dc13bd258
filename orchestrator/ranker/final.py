"""The final score from full trainings: the second of the ranker's two stages.

Regressors learn how the order at the end differs from the prior order. A label is seen through two monotone transforms
that stretch the crowded top and tame the tail below; predictions are averaged as normal scores. Trained candidates are
not forced to the order of their labels: one seed is noisy, and the models smooth it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from taurank.orchestrator.ranker.gaussian_process import Rows
from taurank.orchestrator.ranker.inputs import Inputs, filled
from taurank.orchestrator.ranker.prior import PriorOrder
from taurank.orchestrator.ranker.regressors import (
    LABEL_NOISE,
    REGRESSORS,
    FinalInputs,
    GaussianProcessRegressor,
    stack_weights,
)
from taurank.orchestrator.ranker.short_runs import DIVERGED, NORMAL_MEDIAN, OUTLYING, ShortRuns
from taurank.orchestrator.ranker.views import Scores, View, normal_scores

FEW_LABELS = 6
"""Up to so many full trainings the order is the prior's; beyond, its share falls with the square of their number."""
STACK_LABELS = 8
"""Full trainings from which other regressors join the Gaussian process."""
HALF_TRUST = 20.0
"""Full trainings at which another regressor gets half of its final weight."""
DESERVED = {"extra-trees": 0.5, "boosted-trees": 0.25, "pairwise": 0.25}
"""Weight beside the Gaussian process's 1 that a regressor is taken to deserve with many labels."""
HEADROOM = 0.25
"""How far above the best label the ceiling of the log transform lies, in distances from the median to the best.

From the worst to the best where half of the labels are the best."""
MOST_DIVERGED = 0.2
"""Most full trainings that are taken for diverged, as a share."""
SMALLEST_SPREAD = 0.3
"""Labels of candidates that the prior holds for equal are not squeezed together for that."""

SHOWN = 10
"""Trainings of a stage that ran to the end from which the standard deviations of its predictions count.

With 10 to 27 the noise factors were 1.2 to 4.4 times those of the actual errors (spikenas, naap440); with none, 4 to 17
times."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Full trainings: candidates, accuracies (several seeds averaged), and noise in units of one full training's."""

    rows: Rows
    values: Scores
    noise_factors: Scores


@dataclass(frozen=True, eq=False)
class FinalScores:
    """Scores of all candidates and the process that their uncertainty comes from.

    Attributes:
        scores: (candidates,), higher is better.
        regressor: the Gaussian process on the normal scores of the labels; None without labels that differ.
        weights: of the regressors, adding up to 1; empty while the order is the prior's alone.
        prior_share: share of the prior in the scores.
    """

    scores: Scores
    regressor: GaussianProcessRegressor | None
    weights: dict[str, float]
    prior_share: float


def find_labels(views: Sequence[View]) -> Labels:
    """Labels from the views of full trainings; several of a candidate are averaged by their precision.

    A training that ran to the end has precision 1. A prediction of standard deviation ``sd`` has
    ``n / (n + min(sd / spread, 1)^2)``: ``n`` is ``LABEL_NOISE``, the noise variance of a full training where labels
    have variance 1, and the spread of all labels brings accuracies to that scale. That takes ``SHOWN`` trainings of its
    stage that ran to the end. Without them most of an ``sd`` is the level at the end, an error that all predictions
    share and that is none of their order. There, and where no ``sd`` is known, a prediction has the share of the
    schedule that was trained.
    """
    final = [view for view in views if view.is_final]
    if not final:
        return Labels(np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0))
    table = np.array([view.values for view in final])  # (trainings, candidates)
    spread = _spread(table[np.isfinite(table)])
    precision = np.where(np.isfinite(table), np.array([_precision(view, spread) for view in final]), 0.0)
    total = precision.sum(axis=0)
    rows = np.flatnonzero(total > 0)
    values = (np.where(np.isfinite(table), table, 0.0) * precision).sum(axis=0)[rows] / total[rows]
    return Labels(rows, values, 1 / total[rows])


def _precision(view: View, spread: float) -> Scores:
    """Precision of the labels of a view in units of a full training's, (candidates,)."""
    by_share = np.maximum(view.reached, 0.01)
    finished = np.isfinite(view.values) & (view.reached >= 1)
    if finished.sum() < SHOWN:
        return by_share
    variances = np.minimum(view.sds / spread, 1.0) ** 2
    return np.where(np.isfinite(variances), LABEL_NOISE / (LABEL_NOISE + variances), by_share)


def _spread(values: Scores) -> float:
    """Standard deviation as the middle half of the values has it: a training at chance does not widen it."""
    return float(stats.iqr(values, scale="normal")) or float(values.std()) or 1.0


def without_diverged(labels: Labels, prior: Scores) -> Labels:
    """Labels without those of trainings that diverged: far below the prior order's prediction for the candidate.

    One such label at the bottom moves the Gaussian process far more than it knows. The worst is taken out while its
    normal score is below the prior's by ``DIVERGED`` and by ``OUTLYING`` times the typical error of the others; and
    not more than ``MOST_DIVERGED`` of them, since then it is the prior that is wrong.

    Args:
        labels: full trainings.
        prior: the prior order's scores of all candidates, (candidates,).
    """
    rows, values, factors = labels.rows, labels.values, labels.noise_factors
    most = int(MOST_DIVERGED * len(rows))
    for _ in range(most):
        if len(rows) <= STACK_LABELS:
            break
        expected = normal_scores(prior[rows])
        # Several that diverged are tied at chance; the one that was expected to be best is then the worst.
        errors = normal_scores(_ties_broken(values, -expected)) - expected
        worst = int(errors.argmin())
        others = np.delete(errors, worst)
        typical = float(np.median(np.abs(others - np.median(others)))) / NORMAL_MEDIAN
        if errors[worst] >= -max(DIVERGED, OUTLYING * typical):
            break
        kept = np.delete(np.arange(len(rows)), worst)
        rows, values, factors = rows[kept], values[kept], factors[kept]
    return Labels(rows, values, factors)


def _ties_broken(values: Scores, by: Scores) -> Scores:
    ranks = np.empty(len(values))
    ranks[np.lexsort((by, values))] = np.arange(len(values))
    return ranks


def final_inputs(inputs: Inputs, shorts: Sequence[ShortRuns], prior: PriorOrder) -> FinalInputs:
    """Inputs of the regressors: length-scales that the cheap views have taught are built in."""
    completed = [column for short in shorts for column in (short.measured, short.predicted)]
    if prior.knowledge is not None and prior.knowledge.reliability > 0:
        completed.append(prior.knowledge.completed)
    learned = np.column_stack(completed) if completed else np.zeros((inputs.count, 0))
    lead = next((short for short in reversed(shorts) if np.isfinite(short.imputability)), None)
    scales, score_scales = prior.scales, np.ones(inputs.scores.shape[1])
    if lead is not None:
        # A column that either finds relevant is.
        scales = np.minimum(scales, lead.scales)
        score_scales = lead.score_scales[: len(score_scales)]
    listed = [kind == "size" or name in prior.weights for name, kind in zip(inputs.names, inputs.kinds, strict=True)]
    linear = np.column_stack([prior.scores, learned, inputs.scores[:, listed]])
    return FinalInputs(
        encoding=inputs.encoding / scales,
        scores=np.column_stack([inputs.scores / score_scales, learned]),
        linear=linear,
        prior=prior.scores,
        flat=np.column_stack([inputs.encoding, inputs.scores, learned, prior.scores]),
    )


def score_finally(
    inputs: FinalInputs,
    labels: Labels,
    generator: np.random.Generator,
    *,
    models: Sequence[str],
    all_trained: bool = False,
) -> FinalScores:
    """Scores from the labels; with few of them, or all alike, the prior's.

    Without a prior order, or where it is not needed since all candidates are trained to the end (``all_trained``), the
    labels are all that counts: few candidates keep the order of their values, and others are placed by what they
    resemble.
    """
    count = len(labels.rows)
    prior = filled(normal_scores(inputs.prior))
    if count == 0 or np.ptp(labels.values) == 0:
        return FinalScores(prior, None, {}, 1.0)
    names = ["gaussian-process"]
    if count >= STACK_LABELS:
        names += [name for name in models if name != "gaussian-process"]
    predictions: dict[str, list[Scores]] = {name: [] for name in names}
    left_out: dict[str, list[Scores]] = {name: [] for name in names}
    first: GaussianProcessRegressor | None = None
    targets = score_targets(labels.values)
    aligned = [align_to_prior(target, inputs.prior[labels.rows]) for target in targets]
    for target in aligned:
        for name in names:
            regressor = REGRESSORS[name](inputs, generator).fit(labels.rows, target, labels.noise_factors)
            if first is None:
                assert isinstance(regressor, GaussianProcessRegressor)
                first = regressor
            predictions[name].append(filled(normal_scores(regressor.predict()[0])))
            left_out[name].append(regressor.left_out())
    defaults = [1.0] + [DESERVED[name] * count / (count + HALF_TRUST) for name in names[1:]]
    weights = np.array(defaults) / np.sum(defaults)
    if len(names) > 1:
        weights = stack_weights([np.mean(left_out[name], axis=0) for name in names], aligned[0], defaults)
    means = [filled(normal_scores(np.mean(predictions[name], axis=0))) for name in names]
    stacked = weights @ np.array(means)
    share = min(1.0, (FEW_LABELS / count) ** 2)
    if np.ptp(prior) == 0 or all_trained:
        share, stacked = 0.0, _as_labelled(stacked, labels)
    return FinalScores(
        scores=(1 - share) * stacked + share * prior,
        regressor=first,
        weights=dict(zip(names, weights.tolist(), strict=True)) if share < 1 else {},
        prior_share=share,
    )


def _as_labelled(scores: Scores, labels: Labels) -> Scores:
    """The scores with those of few labelled candidates in the order of their values, or their values alone."""
    placed = scores.copy()
    if np.ptp(scores) == 0:
        placed[labels.rows] = normal_scores(labels.values)
    elif len(labels.rows) <= FEW_LABELS:
        own = scores[labels.rows]
        placed[labels.rows[np.lexsort((own, labels.values))]] = np.sort(own)
    return placed


def score_targets(values: Scores) -> tuple[Scores, Scores]:
    """Two monotone transforms of labels: normal scores, and ``-log(c - y)`` with c above the best; see ``HEADROOM``."""
    best = float(values.max())
    distance = (best - float(np.median(values))) or (best - float(values.min())) or 1.0
    return normal_scores(values), -np.log(best + HEADROOM * distance - values)


def align_to_prior(target: Scores, prior: Scores) -> Scores:
    """Labels on the scale of the prior of the same candidates: designed ones are extremes, not a sample."""
    spread = float(target.std()) if np.ptp(target) > 0 else 1.0
    stretch = max(float(prior.std()), SMALLEST_SPREAD) / spread
    aligned: Scores = (target - target.mean()) * stretch + prior.mean()
    return aligned
