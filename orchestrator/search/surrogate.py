"""The ranker's models of the final score as surrogates: predictions of a full training of each architecture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from threadpoolctl import threadpool_limits

from taurank.orchestrator.ranker import (
    JITTER,
    REGRESSORS,
    GaussianProcess,
    GaussianProcessRegressor,
    Labels,
    align_to_prior,
    cholesky,
    score_targets,
)
from taurank.orchestrator.search.pool import Pool, Results
from taurank.spaces import Architecture

SMALLEST_SD = 1e-6

Values = NDArray[np.float64]


class Surrogate:
    """A regressor of the ranker, fitted to full trainings.

    It predicts ``-log(c - y)`` of the value y, with c a little above the best: that stretches the top, where a search
    has to separate architectures. With free scores its prior is the ranker's order by these.

    Args:
        pool: the architectures to predict.
        results: of trainings; at least two to the end, with different values.
        regressor: ``gaussian-process``, ``extra-trees``, ``boosted-trees`` or ``pairwise``.
        seed: of the regressor.

    Attributes:
        pool: as given.
        mean: predicted target of each architecture of the pool, (architectures,), higher is better.
        sd: its standard deviation.
        trained: whether each was trained to the end, (architectures,).
    """

    def __init__(self, pool: Pool, results: Results, *, regressor: str, seed: int) -> None:
        self.pool = pool
        with threadpool_limits(1, user_api="blas"):
            inputs, labels = pool.inputs(results), pool.labels(results)
            self._labels = labels
            target = align_to_prior(score_targets(labels.values)[1], inputs.prior[labels.rows])
            generator = np.random.default_rng([seed, 2])
            self._regressor = REGRESSORS[regressor](inputs, generator)
            self._regressor.fit(labels.rows, target, labels.noise_factors)
            self.mean, sd = self._regressor.predict()
        self.sd = np.maximum(sd, SMALLEST_SD)
        self._imagined: Imagined | None = None
        self.trained = np.isin(np.arange(len(pool.architectures)), labels.rows)

    @property
    def incumbent(self) -> float:
        """The highest mean of those that were trained to the end: less of a lucky draw than the best value."""
        return float(self.mean[self.trained].max())

    def sd_given(self, others: Sequence[Architecture]) -> Values:
        """Standard deviations as if these had been trained, too, with the values that are predicted of them.

        The means stay. For the Gaussian process only; other regressors return ``sd``.

        Source: the kriging believer of Ginsbourger et al., Kriging Is Well-Suited to Parallelize Optimization (2010).
        """
        new = [place for place in map(self.pool.place.__getitem__, others) if not self.trained[place]]
        if not new or not isinstance(self._regressor, GaussianProcessRegressor):
            return self.sd
        with threadpool_limits(1, user_api="blas"):
            if self._imagined is None or self._imagined.rows != new[: len(self._imagined.rows)]:
                self._imagined = Imagined(self._regressor.process, self._labels.noise_factors, len(self.mean))
            for place in new[len(self._imagined.rows) :]:
                self._imagined.add(place)
        return np.maximum(np.sqrt(np.maximum(self._imagined.variance, 0.0)), SMALLEST_SD)


class Imagined:
    """Posterior variance of a process while further labels are added, whatever their values.

    The rows of ``L^-1 K``, with ``L`` the Cholesky factor of the labels' covariance, are kept: a label more adds one.

    Args:
        process: fitted.
        noise_factors: of its labels, (n,).
        count: architectures that it is over.

    Attributes:
        rows: architectures that were added.
        variance: of the noise-free values, (count,).
    """

    def __init__(self, process: GaussianProcess, noise_factors: Values, count: int) -> None:
        self._process, self._every_row = process, np.arange(count)
        matrix = process.covariance(process.rows, process.rows)
        matrix[np.diag_indices(len(matrix))] += process.noise * noise_factors + JITTER
        factor = cholesky(matrix)
        self._reduced = linalg.solve_triangular(factor, process.covariance(process.rows, self._every_row), lower=True)
        self.rows: list[int] = []
        self.variance: Values = process.prior_variance(self._every_row) - (self._reduced**2).sum(axis=0)

    def add(self, row: int) -> None:
        """One label more, of the usual noise."""
        covariance = self._process.covariance(np.array([row]), self._every_row)[0]
        covariance -= self._reduced[:, row] @ self._reduced
        added = covariance / np.sqrt(max(covariance[row], 0.0) + self._process.noise)
        self._reduced = np.vstack([self._reduced, added])
        self.variance = self.variance - added**2
        self.rows.append(row)


def can_fit(labels: Labels) -> bool:
    """Whether there are full trainings that differ."""
    return len(labels.rows) > 1 and bool(np.ptp(labels.values) > 0)
