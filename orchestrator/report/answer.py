"""The first sentence of the report: which candidate to take, how sure that is, and what it has cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.figures import interval
from taurank.orchestrator.scoring import Score
from taurank.orchestrator.text import counted

NAMED = 8
"""Most candidates that are named as possibly the best."""


@dataclass(frozen=True)
class Answer:
    """The answer of a ranking.

    Attributes:
        take: place of the candidate to take, from 0; None where nothing speaks for one.
        best: places of the candidates among which the best is.
        named: whether they are few enough to be named.
        facts: what it has cost and what is expected of the order, as phrases.
        caveat: a sentence on how far the probabilities can be believed; empty if they are calibrated.
    """

    take: int | None
    best: tuple[int, ...]
    named: bool
    facts: tuple[str, ...]
    caveat: str


def answer_of(ranking: Ranking, score: Score | None, *, spent: float, full: float) -> Answer:
    """The answer.

    Args:
        ranking: the order.
        score: of it; None without a reference.
        spent: epochs of its evidence.
        full: epochs of full training of all candidates.
    """
    codes = ranking.table["architecture"]
    speaks = bool(ranking.weights) and str(codes.iloc[0]) not in ranking.failed
    best = tuple(ranking.likely_best()) if speaks else ()
    facts = (_cost(spent, full), *_agreement(ranking, score))
    return Answer(0 if speaks else None, best, 1 < len(best) <= NAMED, facts, " ".join(_caveats(ranking, speaks)))


def _cost(spent: float, full: float) -> str:
    share = f"{spent / full:.1%}".replace("%", " %") if full else "-"
    return f"trained {share} of full cost"


def _agreement(ranking: Ranking, score: Score | None) -> Iterator[str]:
    if score is not None and np.isfinite(score.tau):
        yield f"tau {score.tau:.2f} ({interval(score.ranking)}) against full training"
    elif np.isfinite(ranking.expected_tau):
        low, high = ranking.expected_tau_interval
        yield f"expected tau {ranking.expected_tau:.2f} ({low:.2f} to {high:.2f})"


def _caveats(ranking: Ranking, speaks: bool) -> Iterator[str]:
    if not ranking.weights:
        yield "No source says anything of the candidates yet, so their order is arbitrary."
    elif not speaks:
        yield "Every candidate failed in all of its trainings."
    elif ranking.certainty != "calibrated":
        trained = counted(ranking.full_trainings, "full training")
        yield f"The probabilities are {ranking.certainty}: the evidence has {trained}."


def objective_best(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """The best by the objective of accuracy and cost; empty without one."""
    if "objective_rank" not in table or table["objective_rank"].isna().all():
        return ""
    first = table.sort_values("objective_rank")["architecture"].iloc[0]
    return f"Best by the objective of accuracy and cost: {names[str(first)]}."
