"""Gaussian process regression with one kernel per group of inputs, fitted by maximum a posteriori.

``k(x, x') = sum over blocks of v_b k_b(x_b, x'_b)``, where ``k_b`` is a Matern 5/2 kernel or a dot product, plus noise.
Every hyper-parameter is positive and has a log-normal prior, so that twenty labels do not overfit a hundred
length-scales (Rasmussen and Williams 2006, sections 4.2.1, 5.4 and, for leave-one-out, 5.4.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

JITTER = 1e-8
CHUNK = 2000
"""Rows of a covariance matrix that are made at once."""
PRIOR_WIDTHS = 5.0
"""Hyper-parameters stay within so many prior standard deviations of the prior's centre, on the log scale."""


@dataclass(frozen=True, eq=False)
class Block:
    """A group of inputs with a kernel of its own.

    Attributes:
        columns: inputs of all candidates, (candidates, d); standardised, since length-scale 1 means no rescaling.
        kind: ``matern`` for Matern 5/2 on distances divided by ``sqrt(d)``, ``linear`` for the dot product.
        variance: centre of the prior of the block's variance.
        variance_sd: prior standard deviation of its logarithm.
        relevance: one length-scale per column (automatic relevance determination) or one for all.
        scale_sd: prior standard deviation of the logarithm of a length-scale; the centre is 1.
    """

    columns: Array
    kind: Literal["matern", "linear"]
    variance: float
    variance_sd: float = 1.0
    relevance: bool = False
    scale_sd: float = 0.7

    @property
    def scales(self) -> int:
        """Number of length-scales."""
        if self.kind == "linear":
            return 0
        return self.columns.shape[1] if self.relevance else 1


def matern(squares: Array) -> Array:
    """Matern 5/2 kernel of squared distances."""
    root = np.sqrt(5 * squares)
    kernel: Array = (1 + root + root * root / 3) * np.exp(-root)
    return kernel


def squared_distances(first: Array, second: Array) -> Array:
    """Squared Euclidean distances of the rows, (len(first), len(second))."""
    squares: Array = (first * first).sum(1)[:, None] + (second * second).sum(1) - 2 * first @ second.T
    return np.maximum(squares, 0.0)


def cholesky(matrix: Array) -> Array:
    """Lower Cholesky factor of a covariance matrix.

    A matrix that is singular in floating point (equal inputs, a variance that rounding makes negative) gets a diagonal
    that grows tenfold from ``JITTER`` of its mean diagonal until the factor exists.

    Raises:
        ValueError: an entry is not finite.
    """
    jitter = 0.0
    while True:
        try:
            factor: Array = linalg.cholesky(matrix + jitter * np.eye(len(matrix)) if jitter else matrix, lower=True)
            return factor
        except linalg.LinAlgError:
            jitter = 10 * jitter or JITTER * max(float(np.abs(np.diag(matrix)).mean()), np.finfo(float).tiny)


class GaussianProcess:
    """A zero-mean process over a fixed list of candidates; all arguments called ``rows`` are their indices.

    Args:
        blocks: groups of inputs; those without columns are left out.
        noise: centre of the prior of the noise variance.
        noise_sd: prior standard deviation of its logarithm.

    Attributes:
        theta: logarithms of the hyper-parameters: per block its variance and its length-scales, at last the noise.
    """

    def __init__(self, blocks: Sequence[Block], *, noise: float, noise_sd: float = 0.7) -> None:
        self.blocks = [block for block in blocks if block.columns.shape[1]]
        centre, sd = [], []
        for block in self.blocks:
            centre += [np.log(block.variance), *np.zeros(block.scales)]
            sd += [block.variance_sd, *np.full(block.scales, block.scale_sd)]
        self._centre, self._sd = np.array([*centre, np.log(noise)]), np.array([*sd, noise_sd])
        self.theta = self._centre.copy()

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        return float(np.exp(self.theta[-1]))

    def length_scales(self, block: int) -> Array:
        """Length-scales of a block."""
        scales: Array = np.exp(list(self._parts(self.theta))[block][2])
        return scales

    def _parts(self, theta: Array) -> Iterator[tuple[Block, float, Array]]:
        at = 0
        for block in self.blocks:
            yield block, float(theta[at]), theta[at + 1 : at + 1 + block.scales]
            at += 1 + block.scales

    def covariance(self, rows: Rows, others: Rows) -> Array:
        """Prior covariance, (rows, others)."""
        total = np.zeros((len(rows), len(others)))
        for block, log_variance, log_scales in self._parts(self.theta):
            if block.kind == "linear":
                kernel = block.columns[rows] @ block.columns[others].T
            else:
                scaled = _scaled(block, log_scales)
                kernel = matern(squared_distances(scaled[rows], scaled[others]))
            total += np.exp(log_variance) * kernel
        return total

    def fit(
        self, rows: Rows, target: Array, *, noise_factors: Array | None = None, iterations: int, search: Rows
    ) -> GaussianProcess:
        """Hyper-parameters from the labelled candidates at ``search`` (places in ``rows``), then all of them.

        Args:
            rows: labelled candidates, (n,).
            target: their labels, (n,).
            noise_factors: noise variance of each label in units of the common one; by default 1.
            iterations: of L-BFGS.
            search: places that the hyper-parameters are learned from: the cost of it grows with their cube.
        """
        factors = np.ones(len(rows)) if noise_factors is None else noise_factors
        self.theta = optimize.minimize(
            self.objective,
            self._centre,
            args=(rows[search], target[search], factors[search]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(c - PRIOR_WIDTHS * s, c + PRIOR_WIDTHS * s) for c, s in zip(self._centre, self._sd, strict=True)],
            options={"maxiter": iterations},
        ).x
        return self.condition(rows, target, noise_factors=factors)

    def condition(self, rows: Rows, target: Array, *, noise_factors: Array | None = None) -> GaussianProcess:
        """Takes in labels without learning hyper-parameters."""
        factors = np.ones(len(rows)) if noise_factors is None else noise_factors
        matrix = self.covariance(rows, rows)
        matrix[np.diag_indices(len(rows))] += self.noise * factors + JITTER
        self.rows, self.target, self.noise_factors = rows, target, factors
        self._factor = cholesky(matrix)
        self._alpha = linalg.cho_solve((self._factor, True), target)
        return self

    def mean(self, rows: Rows) -> Array:
        """Posterior mean, (rows,)."""
        parts = [self.covariance(rows[at : at + CHUNK], self.rows) @ self._alpha for at in range(0, len(rows), CHUNK)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def posterior_variance(self, rows: Rows) -> Array:
        """Posterior variance of the noise-free values, (rows,)."""
        parts = []
        for at in range(0, len(rows), CHUNK):
            part = rows[at : at + CHUNK]
            reduced = linalg.solve_triangular(self._factor, self.covariance(self.rows, part), lower=True)
            parts.append(self.prior_variance(part) - (reduced * reduced).sum(axis=0))
        return np.concatenate(parts) if parts else np.zeros(0)

    def prior_variance(self, rows: Rows) -> Array:
        """Prior variance, (rows,)."""
        total = np.zeros(len(rows))
        for block, log_variance, _ in self._parts(self.theta):
            own = (block.columns[rows] ** 2).sum(axis=1) if block.kind == "linear" else 1.0
            total += np.exp(log_variance) * own
        return total

    def posterior_covariance(self, rows: Rows, others: Rows) -> Array:
        """Posterior covariance of the noise-free values, (rows, others)."""
        left = linalg.solve_triangular(self._factor, self.covariance(self.rows, rows), lower=True)
        right = linalg.solve_triangular(self._factor, self.covariance(self.rows, others), lower=True)
        reduced: Array = self.covariance(rows, others) - left.T @ right
        return reduced

    def left_out(self) -> tuple[Array, Array]:
        """Mean and variance of each label as the process without it predicts it (noise included), both (n,)."""
        inverse = linalg.cho_solve((self._factor, True), np.eye(len(self.rows)))
        variance = 1 / np.diag(inverse)
        return self.target - self._alpha * variance, variance

    def objective(self, theta: Array, rows: Rows, target: Array, noise_factors: Array) -> tuple[float, Array]:
        """Negative log posterior of the hyper-parameters, up to a constant, and its gradient."""
        n = len(rows)
        kernels: list[Array] = []
        slopes: list[Array | None] = []
        inputs: list[Array] = []
        for block, log_variance, log_scales in self._parts(theta):
            variance = np.exp(log_variance)
            if block.kind == "linear":
                columns = block.columns[rows]
                kernels.append(variance * (columns @ columns.T))
                slopes.append(None)
                inputs.append(columns)
                continue
            scaled = _scaled(block, log_scales)[rows]
            root = np.sqrt(5 * squared_distances(scaled, scaled))
            decay = variance * np.exp(-root)
            kernels.append((1 + root + root * root / 3) * decay)
            slopes.append(-5 / 6 * (1 + root) * decay)  # by the squared distance
            inputs.append(scaled)
        noise = np.exp(theta[-1]) * noise_factors
        matrix = np.sum(kernels, axis=0) if kernels else np.zeros((n, n))
        matrix[np.diag_indices(n)] += noise + JITTER
        try:
            factor = linalg.cholesky(matrix, lower=True, check_finite=False)
        except linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        inverse = linalg.cho_solve((factor, True), np.eye(n), check_finite=False)
        alpha = inverse @ target
        off = (theta - self._centre) / self._sd
        value = 0.5 * target @ alpha + np.log(np.diag(factor)).sum() + 0.5 * off @ off
        if not np.isfinite(value):
            return 1e10, np.zeros_like(theta)
        pull = np.outer(alpha, alpha) - inverse  # twice the gradient of the log likelihood by the matrix
        gradient: list[float] = []
        for (block, _, _), kernel, slope, scaled in zip(self._parts(theta), kernels, slopes, inputs, strict=True):
            gradient.append(0.5 * float((pull * kernel).sum()))
            if slope is not None:
                weights = pull * slope
                apart = (scaled * scaled * weights.sum(1)[:, None]).sum(0) - ((weights @ scaled) * scaled).sum(0)
                by_scale = -2 * apart
                gradient.extend(by_scale if block.relevance else [by_scale.sum()])
        gradient.append(0.5 * float(np.diag(pull) @ noise))
        return float(value), -np.array(gradient) + off / self._sd


def _scaled(block: Block, log_scales: Array) -> Array:
    scaled: Array = block.columns / np.exp(log_scales) / np.sqrt(block.columns.shape[1])
    return scaled
