"""How far supernets can be trusted: their scores in the log, and how these agree with trainings.

Inherited accuracies order candidates by how well they do with weights that all of them share. Whether that is the order
of trained networks is never known beforehand: it is measured on candidates that were also trained alone, beside the
number of parameters on the same ones. The baseline is not read; it only scores the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.orchestrator.evidence import CONTENDERS
from taurank.orchestrator.ranker.groups import SUPERNETS
from taurank.orchestrator.ranker.ranking import Ranking
from taurank.orchestrator.ranker.views import Scores, View, make_views
from taurank.orchestrator.tau import Agreement, agreement

FEWEST_ALONE = 3
"""Fewest candidates trained alone with which an order can be checked."""


@dataclass(frozen=True)
class TrainedAlone:
    """Agreement with trainings of the same candidates.

    Attributes:
        stage: of the trainings.
        fidelity: share of full training that they are, in [0, 1].
        supernet: of the order that the supernet gives, with what its contenders changed.
        parameters: of the number of parameters; None where it is not known.
        sampler: of the sampler's learned order of the candidates; None if it has none.
    """

    stage: str
    fidelity: float
    supernet: Agreement
    parameters: Agreement | None
    sampler: Agreement | None


@dataclass(frozen=True)
class SupernetTrust:
    """What speaks for and against the scores of one supernet.

    Attributes:
        stage: name of the supernet in the log.
        scored: candidates with an accuracy.
        updates: times that a candidate's own path was trained: the least and the median over the candidates; NaN where
            the log does not say.
        option_updates: times that a decision of a candidate was trained, the mean over its decisions: the median over
            the candidates; NaN for spaces without decisions.
        sd: standard deviation of an accuracy over draws of images, median over the candidates, in [0, 1].
        reliability: share of the variance of the accuracies that is not of that kind; see ``ranker.views``.
        contenders: candidates trained on from the shared weights.
        moved: those whose place has changed by it.
        alone: agreement with trainings; None while fewer than ``FEWEST_ALONE`` of the scored were trained alone.
    """

    stage: str
    scored: int
    updates: tuple[float, float]
    option_updates: float
    sd: float
    reliability: float
    contenders: int
    moved: int
    alone: TrainedAlone | None


def supernet_trust(evidence: pd.DataFrame, candidates: Sequence[str], *, full_epochs: int) -> list[SupernetTrust]:
    """How far each supernet of a log can be trusted, in the order in which they ran.

    Args:
        evidence: rows as ``EvidenceLog.evidence`` gives them; baseline rows must have been taken out.
        candidates: codes.
        full_epochs: length of full training.
    """
    views, index = make_views(evidence, candidates, full_epochs=full_epochs), pd.Index(candidates)
    parameters = next((view.values for view in views if view.name == "parameters"), None)
    trainings = list(_measured(views))
    supernets = [view for view in views if view.kind == "supernet"]
    return [_trust(view, evidence[evidence["stage"] == view.stage], index, trainings, parameters) for view in supernets]


def _measured(views: Sequence[View]) -> Iterator[tuple[View, Scores]]:
    """Trainings with the accuracies that they have come to; predictions are left out."""
    for view in views:
        if view.is_accuracy:
            yield view, np.where(np.isfinite(view.sds), np.nan, view.values)


def _trust(
    view: View, rows: pd.DataFrame, index: pd.Index, trainings: Sequence[tuple[View, Scores]], parameters: Scores | None
) -> SupernetTrust:
    def of(metric: str) -> Scores:
        own = rows[(rows["metric"] == metric) & ~rows["source"].str.endswith(CONTENDERS)]
        return own.groupby("architecture")["value"].last().reindex(index).to_numpy(dtype=float)

    scored, updates = np.isfinite(view.values), of("updates")
    trained_on = rows[rows["source"].str.endswith(CONTENDERS) & (rows["metric"] == "validation_accuracy")]
    return SupernetTrust(
        stage=view.stage,
        scored=int(scored.sum()),
        updates=(_median(updates, 0.0), _median(updates)),
        option_updates=_median(of("option_updates")),
        sd=_median(np.broadcast_to(view.sds, scored.shape)),
        reliability=view.reliability,
        contenders=int(trained_on.dropna(subset="value")["architecture"].nunique()),
        moved=int((_places(view.order[scored]) != _places(view.values[scored])).sum()),
        alone=_trained_alone(view, scored, trainings, parameters, of("sampler_score")),
    )


def _places(scores: Scores) -> NDArray[np.intp]:
    """Candidates, best first; of equal ones the first comes first."""
    return np.argsort(-scores, kind="stable")


def _median(values: Scores, quantile: float = 0.5) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, quantile)) if len(known) else float("nan")


def _trained_alone(
    view: View,
    scored: NDArray[np.bool_],
    trainings: Sequence[tuple[View, Scores]],
    parameters: Scores | None,
    opinions: Scores,
) -> TrainedAlone | None:
    """By the longest trainings that enough of the scored candidates had; of equally long ones by the most."""
    enough = [
        (training.fidelity, known, training.stage, values)
        for training, values in trainings
        if (known := int((np.isfinite(values) & scored).sum())) >= FEWEST_ALONE
    ]
    if not enough:
        return None
    fidelity, _, stage, values = max(enough, key=lambda found: found[:2])
    same = np.where(scored, values, np.nan)
    return TrainedAlone(
        stage=stage,
        fidelity=fidelity,
        supernet=agreement(view.order, same),
        parameters=None if parameters is None else agreement(parameters, same),
        sampler=agreement(opinions, same) if np.isfinite(opinions).any() else None,
    )


def ranking_lines(ranking: Ranking, trust: Sequence[SupernetTrust]) -> list[tuple[str, str]]:
    """Decisions with their reasons: what each source weighs, how far supernets and earlier knowledge are trusted."""
    weights = sorted(ranking.weights.items(), key=lambda pair: -pair[1])
    sources = ", ".join(f"{name} {weight:.2f}" for name, weight in weights) or "no evidence"
    lines = [("weighed", f"{len(ranking.table)} candidates by {sources}; intervals are {ranking.certainty}")]
    for one in trust:
        weight = ranking.weights.get(one.stage, ranking.weights.get(SUPERNETS, 0.0))
        decision = "trusted" if weight > 0 else "dropped"
        lines.append((decision, f"{one.stage}: weight {weight:.2f}; {_grounds(one)}"))
    for use in ranking.knowledge:
        known = f"{use.known} known" + (f", {use.predicted} predicted" if use.predicted else "")
        lines.append(("knowledge", f"{use.name} ({use.relation}, {known}): weight {use.weight:.2f}; {use.reason}"))
    return lines


def _grounds(one: SupernetTrust) -> str:
    known = [f"{one.scored} scored"]
    if math.isfinite(one.reliability):
        known.append(f"reliability {one.reliability:.2f}")
    if one.alone is None:
        known.append("too few were trained alone to check its order")
    else:
        alone = one.alone
        parameters = "" if alone.parameters is None else f", that of parameters {alone.parameters.tau:.2f}"
        known.append(f"tau to {alone.supernet.n} trained alone by {alone.stage} {alone.supernet.tau:.2f}{parameters}")
    return ", ".join(known)
