"""Tau and related measures of the ranking, compared with each source alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from taurank.orchestrator.evidence import ACCURACY, BASELINE, SIZE, EvidenceLog, RankedMetric
from taurank.orchestrator.ranker import Ranking, find_failures, in_accuracies, make_views
from taurank.orchestrator.scoring.speed_up import SpeedUp, ratio, seconds_of_full_training, speed_up
from taurank.orchestrator.scoring.truth import Truth
from taurank.orchestrator.tau import (
    Agreement,
    Ceiling,
    Coefficient,
    agreement,
    ceiling,
    estimate_tau,
    partial_of,
    partial_tau,
    tau_of_true_top,
    top_overlap,
    top_regret,
    weighted_tau,
)

TOP = 5
FEWEST_AT_TOP = 5
"""Minimal number of candidates for the tau within the true top."""
PARAMETERS = "parameters only"
SIZES = {"parameters": PARAMETERS, "flops": "flops only", "depth": "depth only"}
"""Names of the orders by size alone, by metric."""


@dataclass(frozen=True)
class SourceScore:
    """The order by one source alone.

    Attributes:
        name: of the source.
        values: its value for each candidate, in the order of the candidates.
        agreement: with the truth.
        speed_up: cost of one full training of all divided by the cost of the source, in seconds; NaN if it cost
            nothing.
    """

    name: str
    values: NDArray[np.float64]
    agreement: Agreement
    speed_up: float


@dataclass(frozen=True)
class TopScore:
    """Quality of the top of the ranking. Not available for a sample of the candidates.

    Attributes:
        k: five, or the number of candidates if lower.
        overlap: share of the true best ``k`` among the predicted best ``k``.
        regret: truth of the true best minus the truth of the predicted best, in units of the truth.
        weighted: tau with more weight on the best.
        within: tau-b among the true best fifth; None with fewer than five in it.
    """

    k: int
    overlap: Coefficient
    regret: Coefficient
    weighted: Coefficient
    within: Coefficient | None


@dataclass(frozen=True)
class Score:
    """A scored ranking; every figure is measured in this run.

    With a truth of a stratified sample all taus are estimates of those over all candidates.

    Attributes:
        candidates: codes, in the order of all arrays here.
        ranking: agreement of the ranking with the truth (its Pearson is that of ranks).
        top: quality of its top; None for a sample.
        beyond_size: partial tau of the ranking given the number of parameters; None if sizes are unknown.
        ceiling: tau of a second full training; None with one baseline seed.
        sources: the orders by each source alone.
        speed_up: None unless the run has trained every candidate, or its sample of them, with at least one seed.
        truth: full training.
        coverage: share of the intervals of predicted final values that contain the truth; NaN without intervals, and if
            the truth is of another metric.
        failed: number of candidates whose own full trainings all failed. They have no truth and are not scored.
    """

    candidates: tuple[str, ...]
    ranking: Agreement
    top: TopScore | None
    beyond_size: Coefficient | None
    ceiling: Ceiling | None
    sources: tuple[SourceScore, ...]
    speed_up: SpeedUp | None
    truth: Truth
    coverage: float
    failed: int = 0

    @property
    def tau(self) -> float:
        """Kendall's tau-b of the ranking, in [-1, 1]; higher is better."""
        return self.ranking.tau

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval of tau."""
        return self.ranking.low

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.ranking.high

    @property
    def n(self) -> int:
        """Number of candidates compared."""
        return self.ranking.n


def score_ranking(
    ranking: Ranking,
    truth: Truth,
    log: EvidenceLog,
    candidates: Sequence[str],
    *,
    full_epochs: int,
    metric: RankedMetric = ACCURACY,
) -> Score:
    """Scores a ranking, and each source alone, against the truth."""
    table = ranking.table.set_index("architecture").reindex(list(candidates))
    scores = -table["rank"].to_numpy(dtype=float)
    rows = in_accuracies(log.evidence(), metric, full_epochs=full_epochs)[0]
    evidence = rows[rows["stage"] != BASELINE]
    compare = comparison(truth, candidates)
    known = np.isfinite(truth.values)
    lacking = [code for code, has in zip(candidates, known, strict=True) if not has]
    complete = [np.where(known, seed, np.nan) for seed in truth.seeds if np.isfinite(seed[known]).all()]
    full_seconds = seconds_of_full_training(log, rows, len(candidates))
    sources = _source_scores(evidence, candidates, truth, compare, full_epochs=full_epochs, full_seconds=full_seconds)
    return Score(
        candidates=tuple(candidates),
        ranking=compare(scores, truth.values),
        top=None if truth.sample else _top_score(scores[known], truth.values[known]),
        beyond_size=_beyond_size(scores, truth, sources, compare),
        ceiling=ceiling(scores, complete, compare=compare),
        sources=sources,
        speed_up=speed_up(log, rows, full_seconds=full_seconds, full_epochs=float(full_epochs * len(candidates))),
        truth=truth,
        coverage=_coverage(table, truth, metric),
        failed=len(find_failures(rows[rows["stage"] == BASELINE], lacking, {}).entirely),
    )


def comparison(truth: Truth, candidates: Sequence[str]) -> Callable[[ArrayLike, ArrayLike], Agreement]:
    """The comparison of two lists: over all candidates with both values, or weighted by the design of the sample."""
    if truth.sample is None:
        return agreement
    stratum = truth.sample.stratum_of(candidates)
    return partial(estimate_tau, stratum=stratum, sizes=truth.sample.sizes)


def _top_score(scores: NDArray[np.float64], truth: NDArray[np.float64]) -> TopScore:
    k = min(TOP, len(truth))
    within = tau_of_true_top(scores, truth)
    return TopScore(
        k=k,
        overlap=top_overlap(scores, truth, k),
        regret=top_regret(scores, truth),
        weighted=weighted_tau(scores, truth),
        within=within if within.n >= FEWEST_AT_TOP else None,
    )


def _beyond_size(
    scores: NDArray[np.float64],
    truth: Truth,
    sources: Sequence[SourceScore],
    compare: Callable[[ArrayLike, ArrayLike], Agreement],
) -> Coefficient | None:
    sizes = next((source.values for source in sources if source.name == PARAMETERS), None)
    if sizes is None:
        return None
    if truth.sample is None:
        return partial_tau(scores, truth.values, sizes)
    found, size = compare(scores, truth.values), compare(sizes, truth.values)
    # The order and the sizes are known for all candidates, so their tau needs no estimate.
    return Coefficient(partial_of(found.tau, agreement(scores, sizes).tau, size.tau), found.n, found.ties)


def _coverage(table: pd.DataFrame, truth: Truth, metric: RankedMetric) -> float:
    low, high = table["accuracy_low"].to_numpy(dtype=float), table["accuracy_high"].to_numpy(dtype=float)
    stated = np.isfinite(low) & np.isfinite(truth.values)
    alike = truth.metric == metric.name if metric.is_own else are_accuracies(truth.values)
    if not stated.any() or not alike:
        return math.nan
    return float(((truth.measured >= low) & (truth.measured <= high))[stated].mean())


def are_accuracies(truth: NDArray[np.float64]) -> bool:
    """Whether all known values lie in [0, 1]."""
    known = truth[np.isfinite(truth)]
    return bool(((known >= 0) & (known <= 1)).all())


def _source_scores(
    evidence: pd.DataFrame,
    candidates: Sequence[str],
    truth: Truth,
    compare: Callable[[ArrayLike, ArrayLike], Agreement],
    *,
    full_epochs: int,
    full_seconds: float,
) -> tuple[SourceScore, ...]:
    sources = []
    for metric, name in SIZES.items():
        size = evidence[(evidence["source"] == SIZE) & (evidence["metric"] == metric)]
        if len(size):
            values = size.groupby("architecture")["value"].mean().reindex(list(candidates)).to_numpy(dtype=float)
            sources.append(SourceScore(name, values, compare(values, truth.values), math.nan))
    seconds = evidence.groupby("stage")["seconds"].sum()
    for view in make_views(evidence, candidates, full_epochs=full_epochs):
        if view.stage != SIZE and np.isfinite(view.order).sum() >= 3:
            cheaper = ratio(full_seconds, float(seconds.get(view.stage, math.nan)))
            sources.append(SourceScore(view.name, view.values, compare(view.order, truth.values), cheaper))
    return tuple(sources)
