"""The order before anything was trained to the end: a weighted sum of the sources, smoothed by architecture.

Each group of sources (size, curvature proxies, pretext tasks, supernets, the longest short trainings) is one normal
score; the sum weighs a group by its fidelity (``inputs.weight``), by how far it is no noise (``signal``), and by
whether it agrees with the trainings at all (``credit``). Supernets are one group: they err alike, since all of them
prefer what learns fast with shared weights. So are pretext tasks, whose trainings differ only in the task, and earlier
knowledge (``knowledge``). With enough candidates the sum is then averaged with a Gaussian process of it over the
encoding: scores of similar architectures reduce the noise of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taurank.orchestrator.ranker.aggregation import AGGREGATIONS
from taurank.orchestrator.ranker.credit import ONE_DESIGN, Expected
from taurank.orchestrator.ranker.gaussian_process import Block, GaussianProcess
from taurank.orchestrator.ranker.groups import cheap_groups
from taurank.orchestrator.ranker.inputs import CHEAP_SHARE, Inputs, filled
from taurank.orchestrator.ranker.knowledge import (
    KNOWLEDGE,
    UNSMOOTHED,
    JointKnowledge,
    KnownColumn,
    join_knowledge,
    pooled_reliability,
    reference_of,
)
from taurank.orchestrator.ranker.short_runs import ShortRuns
from taurank.orchestrator.ranker.signal import UNKNOWN, Trainings, Validation, lead_trainings
from taurank.orchestrator.ranker.views import Scores, normal_scores

SMOOTHED = 100
"""Candidates from which smoothing over the encoding is worth it: a coarse encoding costs .04 to .1 of tau below."""
RELIABILITY = 0.1, 0.9
"""Bounds of an untested reliability."""
SMOOTHING_POINTS, SMOOTHING_SEARCH, SMOOTHING_ITERATIONS = 1000, 300, 20


@dataclass(frozen=True, eq=False)
class PriorOrder:
    """The prior's normal scores, (candidates,), and what made them.

    Attributes:
        scores: higher is better.
        weights: weight of each group in the sum, by name.
        scales: length-scales of the encoding's columns in the smoothing process, geometric mean 1.
        reliability: share of the variance of the final scores that the order is taken to explain before any full
            training: from how far its groups agree with each other, no less than its trainings alone, and without
            trainings no more than ``CHEAP_SHARE``.
        knowledge: what was made of earlier knowledge; None without any.
    """

    scores: Scores
    weights: dict[str, float]
    scales: Scores
    reliability: float
    knowledge: JointKnowledge | None = None


def prior_order(
    inputs: Inputs,
    shorts: Sequence[ShortRuns],
    generator: np.random.Generator,
    *,
    aggregation: str = "normal-scores",
    knowledge: Sequence[KnownColumn] = (),
    validation: Validation = UNKNOWN,
    expected: Expected = ONE_DESIGN,
) -> PriorOrder:
    """The order that the sources agree on; all 0 without any."""
    trained = lead_trainings(shorts, validation)
    groups, weights = cheap_groups(inputs, None if trained is None else trained.judge, expected)
    if trained is not None:
        groups[trained.name], weights[trained.name] = trained.scores, trained.weight
    kept = [name for name in groups if weights[name] > 0 and np.ptp(groups[name]) > 0]

    def summed(names: Sequence[str]) -> Scores:
        return AGGREGATIONS[aggregation]([groups[name] for name in names], [weights[name] for name in names])

    joint = None
    if knowledge:
        others = summed(kept) if kept else None
        judge = None if trained is None else trained.judge
        joint = join_knowledge(
            knowledge,
            reference_of(judge, others),
            others,
            short_runs=0 if trained is None else len(trained.rows),
        )
    if joint is not None and joint.reliability > 0:
        credits = [weights[name] for name in kept if trained is None or name != trained.name]
        explained = 0.0 if trained is None else trained.explained
        reliability = pooled_reliability(credits, explained, joint.reliability)
        kept, groups[KNOWLEDGE], weights[KNOWLEDGE] = [*kept, KNOWLEDGE], joint.scores, joint.weight
    elif kept:
        reliability = _reliability([groups[name] for name in kept], trained)
    else:
        return PriorOrder(np.zeros(inputs.count), {}, np.ones(inputs.encoding.shape[1]), 0.0, joint)
    scores = filled(normal_scores(summed(kept)))
    smoothed, scales = _smoothed(inputs, scores, generator)
    if joint is not None and joint.reliability >= UNSMOOTHED:
        smoothed = scores
    return PriorOrder(smoothed, {name: weights[name] for name in kept}, scales, reliability, joint)


def _reliability(groups: Sequence[Scores], trained: Trainings | None) -> float:
    """Spearman-Brown: of k groups with the mean correlation r, their sum has the reliability k r / (1 + (k - 1) r).

    The sum is believed no less than its trainings alone, unless their order has not settled: groups that disagree may
    be views of different parts of quality. One group alone is believed as it is a priori. Sources that train nothing
    are believed no more for agreeing: they have errors in common.
    """
    alone = CHEAP_SHARE if trained is None else trained.explained
    if len(groups) < 2:
        return alone
    least = RELIABILITY[0] if trained is None or trained.is_unsettled else max(RELIABILITY[0], alone)
    most = CHEAP_SHARE if trained is None else RELIABILITY[1]
    mean = (float(np.corrcoef(groups).sum()) - len(groups)) / (len(groups) * (len(groups) - 1))
    mean = max(mean, 0.0)
    return float(np.clip(len(groups) * mean / (1 + (len(groups) - 1) * mean), least, most))


def _smoothed(inputs: Inputs, scores: Scores, generator: np.random.Generator) -> tuple[Scores, Scores]:
    columns = inputs.encoding.shape[1]
    if inputs.count < SMOOTHED or not columns or scores.std() == 0:
        return scores, np.ones(columns)
    points = np.sort(generator.choice(inputs.count, min(SMOOTHING_POINTS, inputs.count), replace=False))
    search = np.sort(generator.choice(len(points), min(SMOOTHING_SEARCH, len(points)), replace=False))
    process = GaussianProcess([Block(inputs.encoding, "matern", 0.3, relevance=True)], noise=0.2)
    process.fit(points, scores[points], iterations=SMOOTHING_ITERATIONS, search=search)
    fitted = filled(normal_scores(process.mean(np.arange(inputs.count))))
    scales = process.length_scales(0)
    return filled(normal_scores(scores + fitted)), scales / np.exp(np.log(scales).mean())
