"""How far sources without training are believed, judged by the short trainings of the candidates.

A correlation over n candidates has a sampling error of about ``1 / sqrt(n)``, so a source that agrees well with full
training may seem to disagree with a dozen short ones. Size and the curvature proxies, which are known to work in most
spaces, lose weight only where the correlation is low beyond that error; other sources lose it as soon as it is low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taurank.orchestrator.ranker.gaussian_process import Rows
from taurank.orchestrator.ranker.views import Scores, normal_scores

INCREDIBLE, CREDIBLE = 0.1, 0.3
"""Correlation with the trainings from which a cheap source counts, and from which it counts in full."""
ALLOWED_ERRORS = 2.0
"""Sampling errors that a correlation is taken to be too low by."""
MIN_SHARED = 8
"""Candidates that two sources share before their correlation is believed."""
DEPTH, DEPTH_WEIGHT = "depth", 0.5
"""The size column of the number of layers, and its weight beside the 1 of others: it is coarse, with many ties."""
DEPTH_ERRORS = 1.5
"""Depth takes part unless its correlation with the trainings is below that of size by so many sampling errors."""


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


def credible(scores: Scores, judge: Judge | None, *, errors: float = 0.0) -> tuple[Scores, float]:
    """A cheap source with the sign that the trainings imply, and its credit in [0, 1].

    ``credit = (r + errors / sqrt(n) - .1) / .2``, clipped; a source with ``r < -max(.3, 2 / sqrt(n))`` is inverted and
    has the credit 1. The credit is 1 without a judge or with too few trainings.

    Args:
        scores: normal scores of the source, (candidates,).
        judge: the trainings; None where there are none that may judge.
        errors: sampling errors that r may be too low by.
    """
    agreement = float("nan") if judge is None else judge.agreement(scores)
    if judge is None or np.isnan(agreement):
        return scores, 1.0
    if agreement < -max(CREDIBLE, 2 * judge.error):
        return -scores, 1.0
    lowest = agreement + errors * judge.error
    return scores, float(np.clip((lowest - INCREDIBLE) / (CREDIBLE - INCREDIBLE), 0.0, 1.0))


def size_score(columns: dict[str, Scores], judge: Judge | None) -> Scores:
    """Normal scores of the mean of the size columns, depth at half weight.

    Depth is left out where the trainings refute it. No other column is ever chosen: the single best one among few
    trainings is worse than the mean.

    Args:
        columns: normal scores by metric, (candidates,) each; at least one.
        judge: see ``credible``.
    """
    others = [column for name, column in columns.items() if name != DEPTH]
    if DEPTH not in columns or not others:
        return normal_scores(np.mean(list(columns.values()), axis=0))
    size, depth = np.mean(others, axis=0), columns[DEPTH]
    if judge is not None:
        apart = judge.agreement(depth) - judge.agreement(normal_scores(size))
        if apart <= -DEPTH_ERRORS * judge.error:
            return normal_scores(size)
    return normal_scores(np.average([*others, depth], axis=0, weights=[1.0] * len(others) + [DEPTH_WEIGHT]))
