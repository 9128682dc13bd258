"""The order before anything was trained to the end: a weighted sum of the sources, smoothed by architecture.

Each group of sources (size, a curvature proxy, pretext tasks, supernets, the longest short trainings) is one normal
score; the sum weighs a group by its fidelity (``inputs.weight``), by how far it is no noise, and by whether it agrees
with the trainings at all. Supernets are one group: they err alike, since all of them prefer what learns fast with
shared weights. So are pretext tasks, whose trainings differ only in the task, and earlier knowledge (``knowledge``).
The sum is then averaged with a Gaussian process of it over the encoding: scores of similar architectures reduce the
noise of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taurank.orchestrator.ranker.aggregation import AGGREGATIONS
from taurank.orchestrator.ranker.gaussian_process import Block, GaussianProcess
from taurank.orchestrator.ranker.inputs import CHEAP_SHARE, Inputs, filled, share, weight
from taurank.orchestrator.ranker.knowledge import (
    KNOWLEDGE,
    UNSMOOTHED,
    JointKnowledge,
    KnownColumn,
    join_knowledge,
    pooled_reliability,
    reference_of,
)
from taurank.orchestrator.ranker.short_runs import LOSS_FADES, ShortRuns
from taurank.orchestrator.ranker.views import Kind, Scores, normal_scores

CURVATURE = ("jacov", "jacob_cov", "nwot", "epe_nas", "zico", "zen", "synflow")
"""Proxies that complement size, best first; one of them takes part, since they are correlated with each other."""
INCREDIBLE, CREDIBLE = 0.1, 0.3
"""Correlation with the trainings from which a cheap source counts, and from which it counts in full."""
SUPERNETS, PRETEXT_TASKS = "supernets", "pretext tasks"
"""Names of these groups where there are several of a kind; a single one goes by its own."""
MIN_SHARED = 8
"""Candidates that two sources share before their correlation is believed."""
SMOOTHED = 20
"""Candidates from which smoothing over the encoding is worth it."""
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
            training: from how far its groups agree with each other, and without trainings no more than ``CHEAP_SHARE``.
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
) -> PriorOrder:
    """The order that the sources agree on; all 0 without any."""
    groups, weights = _groups(inputs)
    trained = _training_group(shorts)
    if trained is not None:
        name, scores, fidelity, rows = trained
        for other in groups:
            groups[other], credit = _credible(groups[other], scores, rows)
            weights[other] *= credit
    _join(groups, weights, inputs, "supernet", SUPERNETS)
    _join(groups, weights, inputs, "pretext", PRETEXT_TASKS)
    if trained is not None:
        groups[name], weights[name] = scores, weight(fidelity)
    kept = [name for name in groups if weights[name] > 0 and np.ptp(groups[name]) > 0]
    fidelity = 0.0 if trained is None else trained[2]

    def summed(names: Sequence[str]) -> Scores:
        return AGGREGATIONS[aggregation]([groups[name] for name in names], [weights[name] for name in names])

    joint = None
    if knowledge:
        others = summed(kept) if kept else None
        own, count = (None, 0) if trained is None else (trained[1], len(trained[3]))
        joint = join_knowledge(knowledge, reference_of(own, count, others), others, short_runs=count)
    if joint is not None and joint.reliability > 0:
        credits = [weights[name] for name in kept if trained is None or name != trained[0]]
        reliability = pooled_reliability(credits, fidelity, joint.reliability)
        kept, groups[KNOWLEDGE], weights[KNOWLEDGE] = [*kept, KNOWLEDGE], joint.scores, joint.weight
    elif kept:
        reliability = _reliability([groups[name] for name in kept], fidelity)
    else:
        return PriorOrder(np.zeros(inputs.count), {}, np.ones(inputs.encoding.shape[1]), 0.0, joint)
    scores = filled(normal_scores(summed(kept)))
    smoothed, scales = _smoothed(inputs, scores, generator)
    if joint is not None and joint.reliability >= UNSMOOTHED:
        smoothed = scores
    return PriorOrder(smoothed, {name: weights[name] for name in kept}, scales, reliability, joint)


def _reliability(groups: Sequence[Scores], fidelity: float) -> float:
    """Spearman-Brown: of k groups with the mean correlation r, their sum has the reliability k r / (1 + (k - 1) r).

    One group alone is believed as its fidelity is a priori. Sources that train nothing are believed no more for
    agreeing: they have errors in common.
    """
    if len(groups) < 2:
        return share(fidelity)
    least, most = RELIABILITY if fidelity > 0 else (RELIABILITY[0], CHEAP_SHARE)
    mean = (float(np.corrcoef(groups).sum()) - len(groups)) / (len(groups) * (len(groups) - 1))
    mean = max(mean, 0.0)
    return float(np.clip(len(groups) * mean / (1 + (len(groups) - 1) * mean), least, most))


def _groups(inputs: Inputs) -> tuple[dict[str, Scores], dict[str, float]]:
    """Groups of sources without training of the candidates, and their weights: the share that is not noise."""
    columns = {name: inputs.scores[:, place] for place, name in enumerate(inputs.names)}
    kinds = dict(zip(inputs.names, inputs.kinds, strict=True))
    groups = {}
    sizes = [columns[name] for name in columns if kinds[name] == "size"]
    if sizes:
        groups["size"] = normal_scores(np.mean(sizes, axis=0))
    proxies = [name for name in columns if kinds[name] == "proxy"]
    preferred = [f"proxy:{name}" for name in CURVATURE if f"proxy:{name}" in proxies]
    if not sizes:
        preferred += proxies  # any is better than none
    groups |= {name: normal_scores(columns[name]) for name in preferred[:1]}
    groups |= {name: normal_scores(columns[name]) for name in columns if kinds[name] in ("pretext", "supernet")}
    reliable = dict(zip(inputs.names, inputs.reliabilities, strict=True))
    return groups, {name: reliable.get(name, 1.0) for name in groups}


def _join(groups: dict[str, Scores], weights: dict[str, float], inputs: Inputs, kind: Kind, name_of_group: str) -> None:
    """Puts one group in the place of several of a kind: their mean by weight, which has the mean weight."""
    kinds = dict(zip(inputs.names, inputs.kinds, strict=True))
    joined = [name for name in groups if kinds.get(name) == kind and weights[name] > 0]
    if len(joined) < 2:
        return
    scores, shares = [groups.pop(name) for name in joined], [weights.pop(name) for name in joined]
    groups[name_of_group] = normal_scores(np.average(scores, axis=0, weights=shares))
    weights[name_of_group] = float(np.average(shares, weights=shares))


def _training_group(shorts: Sequence[ShortRuns]) -> tuple[str, Scores, float, np.ndarray] | None:
    """The trainings of highest fidelity that have a model or cover all candidates; accuracy and training loss averaged.

    None where there are none, or all came out the same.
    """
    if not shorts:
        return None
    known = [short for short in shorts if np.isfinite(short.imputability)] or list(shorts)
    longest = max(short.fidelity for short in known)
    chosen = [short for short in known if short.fidelity == longest]
    total = np.sum([_loss_weight(short) * short.measured for short in chosen], axis=0)
    if np.ptp(total) == 0:
        return None
    lead = next((short for short in chosen if not short.is_loss), chosen[0])
    return lead.name, filled(normal_scores(total)), longest, lead.rows


def _loss_weight(short: ShortRuns) -> float:
    return (1 - short.fidelity) ** LOSS_FADES if short.is_loss else 1.0


def _credible(scores: Scores, trained: Scores, rows: np.ndarray) -> tuple[Scores, float]:
    """A cheap source with the sign that the trainings imply, and its weight: below 1 where they hardly agree."""
    if len(rows) < MIN_SHARED or scores[rows].std() == 0 or trained[rows].std() == 0:
        return scores, 1.0
    correlation = float(np.corrcoef(scores[rows], trained[rows])[0, 1])
    if correlation < -max(CREDIBLE, 2 / np.sqrt(len(rows))):
        return -scores, 1.0
    return scores, float(np.clip((correlation - INCREDIBLE) / (CREDIBLE - INCREDIBLE), 0.0, 1.0))


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
