"""The final list of a search: the order of the trained architectures and of the best predicted others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from taurank.orchestrator.evidence import Evidence
from taurank.orchestrator.ranker import LEVEL, Ranking, rank_evidence
from taurank.orchestrator.search.drawing import draw_one, listed, mutant
from taurank.orchestrator.search.pool import SIZES
from taurank.orchestrator.search.searcher import FreeScores, Observation, Searcher, SearchError
from taurank.spaces import Architecture, SearchSpace

CANDIDATES = 1_000
"""Untrained architectures that are predicted by default."""
PARENTS = 20
"""The best trained architectures, whose mutants are half of these."""


@dataclass(frozen=True)
class FinalList:
    """The end of a search.

    Attributes:
        ranking: of all trained architectures and of the best predicted others, with their uncertainty.
        looked_at: whether each was trained, in the order of the ranking's table; failed ones were.
    """

    ranking: Ranking
    looked_at: tuple[bool, ...]


def final_list(
    searcher: Searcher, *, full_epochs: int, unseen: int = 20, candidates: Sequence[Architecture] | None = None
) -> FinalList:
    """Ranks by the ranker's posterior the architectures that a search trained, and the best predicted others.

    Args:
        searcher: with all its observations; its first objective is an accuracy in [0, 1], higher is better.
        full_epochs: length of full training.
        unseen: how many untrained architectures are in the list.
        candidates: from which these are chosen, by predicted score; by default random ones and mutants of the best.
            Those that the constraints refuse are left out.

    Raises:
        SearchError: nothing was observed, or an argument is out of its range.
    """
    if not searcher.observations:
        raise SearchError("observations: the searcher has no results, so there is nothing to rank")
    if full_epochs < 1 or unseen < 0:
        raise SearchError(f"full_epochs, unseen: {full_epochs} and {unseen} are not at least 1 and 0")
    space, problem = searcher.space, searcher.problem
    seen = list(dict.fromkeys(space.canonical(one.architecture) for one in searcher.observations))
    if candidates is None:
        candidates = _usual_candidates(searcher) if unseen else []
    others = [one for one in dict.fromkeys(map(space.canonical, candidates)) if one not in set(seen)]
    architectures = [*seen, *others]
    encoding = pd.DataFrame(
        np.array([space.features(one) for one in architectures]), index=pd.Index([one.code for one in architectures])
    )
    rows = [
        *_rows(space, searcher.observations, next(iter(problem.objectives)), full_epochs),
        *_free_rows(problem.free_scores, architectures),
    ]
    ranking = rank_evidence(pd.DataFrame(rows), encoding, full_epochs=full_epochs, seed=problem.seed)
    codes = {one.code for one in seen}
    best = _best_unseen(searcher, [code for code in ranking.table["architecture"] if code not in codes], unseen)
    table = _only(ranking, codes | best)
    return FinalList(table, tuple(code in codes for code in table.table["architecture"]))


def _usual_candidates(searcher: Searcher) -> list[Architecture]:
    generator = np.random.default_rng([searcher.problem.seed, len(searcher.observations), 1])
    architectures = listed(searcher.space)
    if architectures is not None and len(architectures) <= CANDIDATES:
        return list(architectures)
    drawn = [draw_one(searcher.space, generator) for _ in range(CANDIDATES // 2)]
    parents = searcher.best(PARENTS)
    mutants = [
        mutant(searcher.space, parents[place % len(parents)], generator) for place in range(CANDIDATES // 2) if parents
    ]
    return [*drawn, *mutants]


def _best_unseen(searcher: Searcher, codes: Sequence[str], count: int) -> set[str]:
    """The first so many that may be in the list."""
    found: set[str] = set()
    for code in codes:
        if len(found) == count:
            break
        if searcher.allows(Architecture(searcher.space.name, code)):
            found.add(code)
    return found


def _rows(space: SearchSpace, observations: Sequence[Observation], objective: str, full_epochs: int) -> list[Evidence]:
    """Evidence as the log has it: a training for each observation, the number of which is its seed."""
    rows = []
    for number, observation in enumerate(observations):
        epochs = max(1, round(observation.fidelity * full_epochs))
        value = observation.values[objective]
        rows.append(
            Evidence(
                stage=f"training-{epochs}",
                trial=f"search/{number}",
                architecture=space.canonical(observation.architecture).code,
                source="training",
                epoch=epochs,
                schedule_epochs=epochs,
                seed=number,
                metric="validation_accuracy",
                value=math.nan if math.isnan(value) else value,
                epochs=observation.cost * full_epochs,
            )
        )
    return rows


def _free_rows(free_scores: FreeScores | None, architectures: Sequence[Architecture]) -> list[Evidence]:
    rows = []
    for name, scores in ({} if free_scores is None else free_scores(architectures)).items():
        source, metric = ("size", name) if name in SIZES else (name, "score")
        for one, value in zip(architectures, scores, strict=True):
            rows.append(Evidence(source, f"{source}/{one.code}", one.code, source, 0, 0, 0, metric, float(value)))
    return rows


def _only(ranking: Ranking, codes: set[str]) -> Ranking:
    """The ranking of some of its candidates among themselves."""
    kept = ranking.table["architecture"].isin(codes).to_numpy()
    table, samples = ranking.table[kept].reset_index(drop=True), ranking.samples[:, kept]
    rank = np.arange(1, len(table) + 1)
    ranks = stats.rankdata(-samples, axis=1)
    tail = (1 - LEVEL) / 2
    table["rank"] = rank
    table["rank_low"] = np.minimum(np.quantile(ranks, tail, axis=0, method="lower").astype(np.int64), rank)
    table["rank_high"] = np.maximum(np.quantile(ranks, 1 - tail, axis=0, method="higher").astype(np.int64), rank)
    return Ranking(table, samples, ranking.weights, ranking.certainty)
