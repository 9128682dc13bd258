"""Which candidates to train next, by design and for their cost, from what a model of the evidence knows."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from taurank.orchestrator.ranker.design import Account, Spending, choose
from taurank.orchestrator.ranker.final import FEW_LABELS
from taurank.orchestrator.ranker.gaussian_process import GaussianProcess, Rows
from taurank.orchestrator.ranker.model import RankingModel
from taurank.orchestrator.ranker.regressors import final_process
from taurank.orchestrator.ranker.short_runs import short_run_process
from taurank.orchestrator.ranker.threads import one_thread

SHORT_RUN_NOISE, LABEL_NOISE = 0.1, 0.05
"""Noise variance of a label that the designs assume."""


def can_design(model: RankingModel) -> bool:
    """Whether anything describes the candidates, so that trainings can be chosen by design and not at random."""
    return bool(short_run_process(model.inputs, relevance=False).blocks)


@one_thread
def choose_short_runs(
    model: RankingModel, count: int, *, had: Collection[str] = (), spending: Spending | None = None
) -> list[str]:
    """Codes of the next ``count`` candidates for a short training, by design.

    Those that ``had`` it are left out, and those that failed in every training, since they would fail again. Short
    trainings of another kind leave none out. With ``spending`` they are as many as it allows, ``count`` at most, the
    most informative ones for their cost.
    """
    left_out = np.flatnonzero(model.mask(model.failures.entirely | frozenset(had)))
    process = short_run_process(model.inputs, relevance=False)
    return _designed(model, process, SHORT_RUN_NOISE, count, left_out, most_of_pool=0.5, step=4, spending=spending)


@one_thread
def choose_full_trainings(
    model: RankingModel, count: int, *, had: Collection[str] = (), spending: Spending | None = None
) -> list[str]:
    """Codes of the next ``count`` candidates for a full training, by design; those without one come first.

    Those that ``had`` it are left out, and those that failed in every training, since they would fail again. Up to
    ``FEW_LABELS`` never change a prior order; they give it accuracies, so they are spread evenly over it, a single one
    in its middle. With ``spending`` they are as many as it allows, ``count`` at most, the most informative ones for
    their cost; where it allows one without a full training, only such.
    """
    left_out = np.flatnonzero(model.mask(model.failures.entirely | frozenset(had)))
    chosen = _full_trainings(model, count, np.union1d(model.labels.rows, left_out), spending)
    if len(chosen) == count or (chosen and spending is not None):
        return chosen
    left_out = np.union1d(left_out, np.flatnonzero(model.mask(chosen)))
    return chosen + _full_trainings(model, count - len(chosen), left_out, spending)


def _full_trainings(model: RankingModel, count: int, left_out: Rows, spending: Spending | None) -> list[str]:
    few = count if spending is None else min(count, spending.labels)
    if len(model.labels.rows) + few <= FEW_LABELS and np.ptp(model.prior.scores) > 0:
        spread = _spread_over_the_order(model, few, left_out, spending)
        if spread:
            return spread
    process = final_process(model.final_inputs)
    return _designed(model, process, LABEL_NOISE, count, left_out, most_of_pool=0.6, step=5, spending=spending)


def _spread_over_the_order(model: RankingModel, count: int, had: Rows, spending: Spending | None) -> list[str]:
    """Codes in the middle of each of ``count`` equal parts of the prior order; of fewer parts if they cost less."""
    others = np.setdiff1d(np.arange(len(model.codes)), had)
    order = others[np.argsort(-model.prior.scores[others], kind="stable")]
    for parts in range(min(count, len(order)), 0, -1):
        rows = [int(order[int((part + 0.5) * len(order) / parts)]) for part in range(parts)]
        account = Account(spending, len(model.codes))
        if all(account.pay(row) for row in rows):
            return [model.codes[row] for row in rows]
    return []


def _designed(
    model: RankingModel,
    process: GaussianProcess,
    noise: float,
    count: int,
    had: Rows,
    *,
    most_of_pool: float,
    step: int,
    spending: Spending | None,
) -> list[str]:
    """Codes by design; at random where nothing describes the candidates."""
    candidates, generator = len(model.codes), model.generator(step)
    if process.blocks:
        places = choose(
            process,
            candidates,
            noise,
            count,
            taken=had,
            generator=generator,
            most_of_pool=most_of_pool,
            spending=spending,
        ).tolist()
    else:
        account = Account(spending, candidates)
        drawn = generator.permutation(np.setdiff1d(np.arange(candidates), had)).tolist()
        places = [place for place in drawn if account.pay(place)][:count]
    return [model.codes[place] for place in places]
