"""The uncertainty of an order: draws of the final scores around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from taurank.orchestrator.ranker.final import FinalScores
from taurank.orchestrator.ranker.gaussian_process import CHUNK, Array, GaussianProcess, Rows, cholesky
from taurank.orchestrator.ranker.regressors import LABEL_NOISE
from taurank.orchestrator.ranker.views import Scores

JOINT = 1000
"""Candidates that are drawn jointly; with more, the others are drawn given these."""
CALIBRATED = 2
"""Full trainings, not all with the same result, from which there is something to calibrate on."""
DOUBTFUL = 15
"""Fewer full trainings than this leave the stated certainty doubtful."""
PSEUDO_RESIDUALS, LARGEST_SQUARE = 10.0, 9.0
JITTER = 1e-6


def draw_scores(
    final: FinalScores,
    prior_process: GaussianProcess,
    draws: int,
    generator: np.random.Generator,
    *,
    reliability: float,
    truth_seeds: int,
    without_evidence: NDArray[np.bool_],
    sampling: float = 0.0,
    calibrated: int = CALIBRATED,
) -> Scores:
    """Draws of the results of full training, (draws, candidates), centred on the scores' order.

    ``f = centre + kappa L e + sqrt(noise / truth_seeds + sampling v) e'`` with ``L L'`` the posterior covariance, the
    process's sorted means as centre in the order of the scores, and kappa from the left-out residuals:
    ``kappa^2 = (sum min(z_i^2, 9) + 10) / (n + 10)``, and at least 1 with fewer than ``DOUBTFUL`` labels. ``v`` is the
    variance of ``centre + kappa L e`` over the candidates: what is drawn is measured on a finite number of images.

    Args:
        final: the scores and their process.
        prior_process: stands in while there are fewer than ``calibrated`` labels: the scores times the square root of
            the reliability, and beside them its draws with the variance that is left.
        draws: how many.
        generator: the only randomness.
        reliability: share of the variance of the final scores that the prior order is taken to explain.
        truth_seeds: full trainings per candidate whose mean the truth is; their noise is part of a draw.
        without_evidence: candidates without any evidence, (candidates,): they may be at any rank.
        sampling: variance of an accuracy over draws of the images, in units of that between the candidates.
        calibrated: labels from which the posterior is believed.
    """
    centre, deviations, noise = draw_latent(
        final, prior_process, draws, generator, reliability=reliability, calibrated=calibrated
    )
    count = len(final.scores)
    latent = float((centre + deviations).var(axis=1).mean()) if sampling else 0.0
    own = np.sqrt(noise / truth_seeds + sampling * latent) * generator.standard_normal((draws, count))
    drawn: Scores = centre + deviations + own
    drawn[:, without_evidence] = generator.standard_normal((draws, int(without_evidence.sum())))
    return drawn


def draw_latent(
    final: FinalScores,
    prior_process: GaussianProcess,
    draws: int,
    generator: np.random.Generator,
    *,
    reliability: float,
    calibrated: int = CALIBRATED,
) -> tuple[Scores, Scores, float]:
    """Centre of the draws, (candidates,), deviations from it, (draws, candidates), and the variance of a label's noise.

    The arguments are those of ``draw_scores``.
    """
    count = len(final.scores)
    order = np.argsort(final.scores, kind="stable")
    regressor = final.regressor
    if regressor is None or len(regressor.process.rows) < calibrated:
        deviations = _joint(prior_process.covariance, prior_process.prior_variance, count, draws, generator)
        deviations = np.sqrt(1 - reliability) * _beside(deviations, final.scores, generator)
        centre, noise = np.sqrt(reliability) * final.scores, prior_process.noise
    else:
        process = regressor.process
        deviations = _kappa(process) * _joint(
            process.posterior_covariance, process.posterior_variance, count, draws, generator
        )
        centre, noise = np.empty(count), process.noise
        centre[order] = np.sort(regressor.predict()[0])
        if np.ptp(centre) == 0:
            # Nothing is known of a candidate but its own label, which the scores hold: it is as uncertain as that.
            centre, noise = final.scores, LABEL_NOISE
            label_sds = np.sqrt(noise * process.noise_factors)
            deviations[:, process.rows] = label_sds * generator.standard_normal((draws, len(process.rows)))
    return centre, deviations, noise


def _beside(drawn: Scores, scores: Scores, generator: np.random.Generator) -> Scores:
    """The draws without what moves all alike or along the scores, since neither is an error of the order; variance 1.

    Along the scores they keep as much as in any other direction, or the order of two candidates were certain.
    """

    def scaled(deviations: Scores) -> Scores:
        variance = float((deviations**2).sum(axis=1).mean()) / max(len(scores) - 1, 1)
        unit: Scores = deviations / np.sqrt(max(variance, JITTER))
        return unit

    unit = scaled(drawn - drawn.mean(axis=1, keepdims=True))
    length = float(np.linalg.norm(scores))
    if length == 0:
        return unit
    along = scores / length
    return scaled(unit + np.outer(generator.standard_normal(len(unit)) - unit @ along, along))


def _kappa(process: GaussianProcess) -> float:
    mean, variance = process.left_out()
    squares = (process.target - mean) ** 2 / variance
    total = np.minimum(squares, LARGEST_SQUARE).sum() + PSEUDO_RESIDUALS
    kappa = float(np.sqrt(total / (len(squares) + PSEUDO_RESIDUALS)))
    return kappa if len(squares) >= DOUBTFUL else max(1.0, kappa)


def _joint(
    covariance: Callable[[Rows, Rows], Array],
    variance: Callable[[Rows], Array],
    count: int,
    draws: int,
    generator: np.random.Generator,
) -> Scores:
    """Zero-mean draws with the covariance, (draws, count)."""
    every_row = np.arange(count)
    joint = every_row if count <= JOINT else np.sort(generator.choice(count, JOINT, replace=False))
    matrix = covariance(joint, joint)
    matrix[np.diag_indices(len(joint))] += JITTER * max(float(np.trace(matrix)) / len(joint), JITTER)
    factor = cholesky(matrix)
    white = generator.standard_normal((len(joint), draws))
    drawn = np.empty((count, draws))
    drawn[joint] = factor @ white
    others = np.setdiff1d(every_row, joint)
    for at in range(0, len(others), CHUNK):
        part = others[at : at + CHUNK]
        known = linalg.solve_triangular(factor, covariance(joint, part), lower=True)  # (joint, part)
        left = np.maximum(variance(part) - (known * known).sum(axis=0), 0.0)
        drawn[part] = known.T @ white + np.sqrt(left)[:, None] * generator.standard_normal((len(part), draws))
    return drawn.T
