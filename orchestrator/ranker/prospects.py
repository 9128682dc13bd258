"""Which trainings to make next, and the tau that the ranking is expected to have after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, stats

from taurank.orchestrator.ranker.gaussian_process import Array, Rows
from taurank.orchestrator.ranker.inputs import share
from taurank.orchestrator.ranker.views import Scores
from taurank.orchestrator.tau import tau_b

LEARNED = 2000
"""Draws that the effect of results on the order is learned from."""
TINY = 1e-9


@dataclass(frozen=True)
class TrainingOption:
    """A training that may be made next.

    Attributes:
        code: the candidate.
        reached: share of full training that it has by now, in [0, 1].
        fidelity: share that it has afterwards.
        cost: epochs, above 0.
    """

    code: str
    reached: float
    fidelity: float
    cost: float


@dataclass(frozen=True)
class Prospect:
    """Trainings that are made next, and what they do.

    Attributes:
        chosen: the trainings, the most informative ones for their cost first.
        now: tau-b with full training that the ranking expects of itself, in [-1, 1], higher is better.
        after: the same after the trainings.
        low: 5 % quantile of the tau after them.
        high: 95 % quantile.
    """

    chosen: tuple[TrainingOption, ...]
    now: float
    after: float
    low: float
    high: float


def result_noise(variance: float, option: TrainingOption, *, label_noise: float, known: bool) -> float:
    """Variance of the noise of a training's result, as information on the final score.

    A full training has that of a label. A shorter one leaves ``r`` of the candidate's variance, the ratio of what its
    fidelity and what it has reached by now leave a priori: ``r / (1 - r)`` times the variance.

    Args:
        variance: of the candidate's score by now.
        option: the training.
        label_noise: variance of the noise of a full training.
        known: whether there is any evidence on the candidate by now.
    """
    if option.fidelity >= 1:
        return label_noise
    left = (1 - share(option.fidelity)) / (1 - share(option.reached) if known else 1.0)
    return label_noise + variance * left / max(1 - left, TINY)


def most_informative(covariance: Array, rows: Rows, noises: Scores, costs: Scores, budget: float) -> list[int]:
    """Options that lower the sum of variances most per epoch, greedily, one for each candidate, within a budget.

    Each step takes the option of candidate i that maximises ``sum_j C_ji^2 / (C_ii + noise) / cost``, then conditions C
    on its result: the A-optimal design of ``design.a_optimal`` with costs.

    Args:
        covariance: of the scores by now, (candidates, candidates).
        rows: candidate of each option, (options,).
        noises: variance of the noise of its result, (options,).
        costs: of the options, above 0, (options,).
        budget: most that they cost together.
    """
    left = covariance.copy()
    free = np.ones(len(rows), dtype=bool)
    chosen: list[int] = []
    while True:
        affordable = free & (costs <= budget + TINY)
        if not affordable.any():
            return chosen
        gains = (left * left).sum(axis=0)[rows] / (np.diag(left)[rows] + noises + TINY) / costs
        best = int(np.where(affordable, gains, -np.inf).argmax())
        if gains[best] <= TINY:
            return chosen
        chosen.append(best)
        budget -= float(costs[best])
        free &= rows != rows[best]
        column = left[:, rows[best]].copy()
        left -= np.outer(column, column / (column[rows[best]] + noises[best] + TINY))


def taus_before_and_after(
    centre: Scores,
    deviations: Scores,
    truths: Scores,
    rows: Rows,
    noises: Scores,
    generator: np.random.Generator,
) -> tuple[Scores, Scores]:
    """Tau-b with each of the truths, (truths,), of the order now and of that after some candidates have a result.

    The draws are jointly normal, so the order after the results y of the candidates R is that of the mean given y,
    ``centre + C_R (C_RR + N)^-1 (y - centre_R)``. ``C`` is estimated on the draws without a truth, so that errors of
    the estimate lower the tau.

    Args:
        centre: mean of the scores, (candidates,).
        deviations: draws of the scores around it, (draws, candidates).
        truths: full trainings of the last of the draws, (truths, candidates).
        rows: candidates that are trained.
        noises: variance of the noise of their results, (rows,).
        generator: draws that noise.
    """
    before = np.array([tau_b(_places(centre), truth) for truth in truths])
    if not len(rows):
        return before, before
    learned, tested = deviations[: -len(truths)], deviations[-len(truths) :]
    covariance = learned[:, rows].T @ learned / len(learned)  # (rows, candidates)
    within = covariance[:, rows] + np.diag(noises + TINY)
    results = tested[:, rows] + np.sqrt(noises) * generator.standard_normal((len(truths), len(rows)))
    means = centre + results @ linalg.solve(within, covariance, assume_a="pos")  # (truths, candidates)
    return before, np.array([tau_b(_places(mean), truth) for mean, truth in zip(means, truths, strict=True)])


def _places(scores: Scores) -> Scores:
    """The order as a ranking has it: of equal scores the first is first, since ties would raise tau-b."""
    return stats.rankdata(scores, method="ordinal").astype(float)


def prospect_of(chosen: Sequence[TrainingOption], now: float, before: Scores, after: Scores) -> Prospect:
    """The prospect from paired taus; ``now`` is what the ranking expects of itself on draws of its own."""
    gain = float((after - before).mean())
    mean = min(now + gain, 1.0)
    low, high = np.quantile(after, [0.05, 0.95])
    return Prospect(tuple(chosen), now, mean, min(float(low), mean), max(float(high), mean))
