"""What a run comes to, in one or two plain sentences: its cost, how far its order agrees, and what to take."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.figures import doubt, number, percent
from taurank.orchestrator.scoring import SIZES, Score, SourceScore, are_accuracies
from taurank.orchestrator.text import counted

TELLABLE = 0.3
"""Tau between two full trainings below which the share of it that a ranking reaches says nothing."""


def conclusion(ranking: Ranking, score: Score | None, names: Mapping[str, str], *, share: float) -> str:
    """The cost, the agreement with full training (measured, or else expected), and the candidate to take.

    A ranking that agrees less than an order by size alone is said to be one that size replaces.

    Args:
        ranking: the order.
        score: of it; None without a reference.
        names: of the candidates, by code.
        share: epochs of all evidence / epochs of full training of all candidates.
    """
    said = [f"{_cost(share)}; {_agreement(ranking, score)}", _choice(ranking, score, names)]
    return " ".join(f"{sentence}." for sentence in said if sentence)


def _cost(share: float) -> str:
    if share <= 0:
        return "Trained nothing"
    if share > 1 / 1.05:
        return f"Trained {share:.1f} times as much as full training"
    return f"Trained 1/{f'{1 / share:.1f}'.removesuffix('.0')} of full training"


def _agreement(ranking: Ranking, score: Score | None) -> str:
    if score is None or not math.isfinite(score.tau):
        return _expected(ranking)
    size = max((source for source in score.sources if source.name in SIZES.values()), key=_tau, default=None)
    if size is not None and _tau(size) > score.tau:
        alone = size.name.removesuffix(" only")
        return (
            f"ordering by {alone} alone, which costs nothing, agrees better with full training "
            f"(tau {size.agreement.tau:.2f}) than this ranking ({score.tau:.2f}), so do not rely on it here"
        )
    measured = f"tau {score.tau:.2f}"
    if score.truth.sample is not None:
        measured += f" ({score.low:.2f} to {score.high:.2f}), estimated from {counted(score.n, 'candidate')}"
    if score.tau <= 0:
        return f"the order does not agree with full training ({measured})"
    best = score.ceiling
    if best is None:
        return f"the order agrees with full training ({measured}; a second baseline seed shows how much is possible)"
    if best.ceiling < TELLABLE:
        return (
            f"two full trainings hardly agree themselves (tau {best.ceiling:.2f}), so no order of these candidates can "
            f"be confirmed ({measured})"
        )
    if best.retained >= 1:
        return f"the order agrees with full training as well as a second full training would ({measured})"
    share = min(99, round(100 * best.retained))
    return f"the order agrees with full training {share} % as well as a second full training would ({measured})"


def _expected(ranking: Ranking) -> str:
    if not math.isfinite(ranking.expected_tau):
        return "how far the order agrees with full training is not known"
    low, high = ranking.expected_tau_interval
    return (
        f"the order is expected to agree with full training at tau {ranking.expected_tau:.2f} "
        f"({low:.2f} to {high:.2f}){doubt(ranking)}"
    )


def _choice(ranking: Ranking, score: Score | None, names: Mapping[str, str]) -> str:
    """The first of the ranking; with a reference what that has measured of it."""
    first = str(ranking.table["architecture"].iloc[0])
    if first in ranking.failed:
        return ""
    take = f"Take {names[first]}"
    place = score.candidates.index(first) if score is not None else -1
    if score is None or not math.isfinite(score.truth.values[place]):
        return take
    values, accuracies = score.truth.values, are_accuracies(score.truth.values)
    lost = float(np.nanmax(values) - values[place])
    value = score.truth.measured[place]
    measured = f"{take}: {percent(value) if accuracies else number(value, digits=4)} by full training"
    best = "the best" if score.truth.sample is None else "the best of the sample"
    if lost == 0:
        return f"{measured}, {best}"
    return f"{measured}, {f'{100 * lost:.1f} points' if accuracies else number(lost, digits=3)} from {best}"


def _tau(source: SourceScore) -> float:
    tau = source.agreement.tau
    return tau if math.isfinite(tau) else -math.inf
