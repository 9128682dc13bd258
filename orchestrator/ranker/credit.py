"""How far sources without training are believed, judged by the short trainings of the candidates.

A correlation over n candidates has a sampling error of about ``1 / sqrt(n)``, so a source that agrees well with full
training may seem to disagree with a dozen short ones. Size and the curvature proxies are known to work in most spaces,
so what is observed of them is combined with that knowledge by Bayes' rule; they also lose weight where they are far
below the best one of them. Other sources lose it as soon as their correlation is low.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from taurank.orchestrator.ranker.gaussian_process import Rows
from taurank.orchestrator.ranker.views import Scores, normal_scores

INCREDIBLE, CREDIBLE = 0.1, 0.3
"""Correlation with the trainings from which a cheap source counts, and from which it counts in full."""
MIN_SHARED = 8
"""Candidates that two sources share before their correlation is believed."""
DEPTH, DEPTH_WEIGHT = "depth", 0.5
"""The size column of the number of layers, and its weight beside the 1 of others: it is coarse, with many ties."""
BELOW, FADES, BELOW_ERRORS = 0.6, 0.3, 0.25
"""How far the correlation of a source may be below the best one, on the scale artanh(r), before it loses weight; over
which further distance it loses all; and sampling errors that are added to the first."""
LARGEST_AGREEMENT = 0.97
"""Correlations are kept below that on this scale."""


@dataclass(frozen=True)
class Expected:
    """What is known of a source before any training.

    Attributes:
        correlation: with full training.
        sd: standard deviation of that between lists of candidates, on the scale artanh(r).
        credible: posterior correlation from which the source counts in full.
    """

    correlation: float
    sd: float
    credible: float


ONE_DESIGN = Expected(0.5, 0.3, 0.6)
"""Size and curvature proxies of candidates from one search space."""
OF_MANY_DESIGNS = Expected(0.3, 0.5, 0.7)
"""The same of networks that differ in kind: more parameters are better within a kind, not between a transformer and a
convolutional network."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Short trainings that cheap sources are compared with.

    Attributes:
        scores: of all candidates, (candidates,).
        rows: candidates that were trained.
    """

    scores: Scores
    rows: Rows

    @property
    def error(self) -> float:
        """Sampling error of a correlation with the trainings."""
        return 1 / float(np.sqrt(len(self.rows)))

    def agreement(self, scores: Scores) -> float:
        """Correlation of a source with the trainings; NaN over too few candidates and for a constant."""
        own, trained = scores[self.rows], self.scores[self.rows]
        if len(self.rows) < MIN_SHARED or own.std() == 0 or trained.std() == 0:
            return float("nan")
        return float(np.corrcoef(own, trained)[0, 1])


def credible(scores: Scores, judge: Judge | None, *, expected: Expected | None = None) -> tuple[Scores, float]:
    """A cheap source with the sign that the trainings imply, and its credit in [0, 1].

    ``credit = (r - .1) / .2``, clipped; a source with ``r < -max(.3, 2 / sqrt(n))`` is inverted and has the credit 1.
    Where something is expected of a source, r is the posterior mean on the scale artanh(r), with the sampling error
    ``1 / sqrt(n - 3)``, and the credit is ``(r - .1) / (expected.credible - .1)``. The credit is 1 without a judge or
    with too few trainings.

    Args:
        scores: normal scores of the source, (candidates,).
        judge: the trainings; None where there are none that may judge.
        expected: of a source that works in most spaces; None for others.
    """
    agreement = float("nan") if judge is None else judge.agreement(scores)
    if judge is None or np.isnan(agreement):
        return scores, 1.0
    if agreement < -max(CREDIBLE, 2 * judge.error):
        return -scores, 1.0
    full = CREDIBLE
    if expected is not None:
        agreement, full = _with_prior(agreement, len(judge.rows), expected), expected.credible
    return scores, float(np.clip((agreement - INCREDIBLE) / (full - INCREDIBLE), 0.0, 1.0))


def _with_prior(agreement: float, count: int, expected: Expected) -> float:
    """The posterior correlation of a source, observed over ``count`` candidates."""
    observed, prior = count - 3, expected.sd**-2
    shown = np.arctanh(np.clip(agreement, -LARGEST_AGREEMENT, LARGEST_AGREEMENT))
    return float(np.tanh((prior * np.arctanh(expected.correlation) + observed * shown) / (prior + observed)))


def beside_the_best(agreements: Mapping[str, float], judge: Judge | None) -> dict[str, float]:
    """Share of its weight that each of several sources of the same use keeps beside the best of them, in [0, 1].

    With d the distance to the largest correlation on the scale artanh(r), it is ``1 - (d - .6 - .25 e) / .3``, clipped,
    e being the sampling error ``1 / sqrt(n - 3)`` there. A source of unknown correlation keeps its weight.

    Args:
        agreements: correlations with the trainings by source; NaN where unknown.
        judge: the trainings; None where there are none that may judge.
    """
    most = LARGEST_AGREEMENT
    known = {name: np.arctanh(np.clip(r, -most, most)) for name, r in agreements.items() if not np.isnan(r)}
    if judge is None or not known:
        return dict.fromkeys(agreements, 1.0)
    allowed, best = BELOW + BELOW_ERRORS / np.sqrt(len(judge.rows) - 3), max(known.values())
    return {
        name: float(np.clip(1 - (best - known[name] - allowed) / FADES, 0.0, 1.0)) if name in known else 1.0
        for name in agreements
    }


def size_score(columns: dict[str, Scores], judge: Judge | None) -> Scores:
    """Normal scores of the mean of the size columns, depth at half weight; see also ``beside_the_best``.

    The single best column among few trainings is worse than the mean, so only a column far below the best one drops
    out.

    Args:
        columns: normal scores by metric, (candidates,) each; at least one.
        judge: see ``credible``.
    """
    agreements = {name: judge.agreement(column) for name, column in columns.items()} if judge is not None else {}
    kept = dict.fromkeys(columns, 1.0) | beside_the_best(agreements, judge)
    weights = [kept[name] * (DEPTH_WEIGHT if name == DEPTH else 1.0) for name in columns]
    return normal_scores(np.average(list(columns.values()), axis=0, weights=weights))
