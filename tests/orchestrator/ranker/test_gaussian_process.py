from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, optimize

from taurank.orchestrator.ranker.gaussian_process import (
    CHUNK,
    JITTER,
    PRIOR_WIDTHS,
    Block,
    GaussianProcess,
    cholesky,
    matern,
    squared_distances,
)

N, LABELS = 20, 12
ROWS = np.arange(0, N, 2)[:LABELS]


@pytest.fixture
def process() -> GaussianProcess:
    """All kinds of blocks, with hyper-parameters away from the centre of their priors."""
    generator = np.random.default_rng(0)
    blocks = [
        Block(generator.standard_normal((N, 3)), "matern", 0.3, relevance=True),
        Block(generator.standard_normal((N, 2)), "matern", 0.2, scale_sd=0.5),
        Block(generator.standard_normal((N, 2)), "linear", 0.1),
        Block(np.zeros((N, 0)), "matern", 0.3),
    ]
    made = GaussianProcess(blocks, noise=0.05)
    made.theta = made.theta + generator.normal(0, 0.3, len(made.theta))
    return made


@pytest.fixture
def target() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(len(ROWS))


class TestKernels:
    @pytest.mark.parametrize(
        ("distance", "value"), [(0.0, 1.0), (0.5, 0.82864914241812), (1.0, 0.52399410883182), (2.0, 0.1386602191385)]
    )
    def test_matern(self, distance, value):
        assert matern(np.array([distance**2])) == pytest.approx(value, rel=1e-6)

    def test_distances(self):
        first, second = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [6.0, 8.0], [3.0, 4.0]])
        assert squared_distances(first, second) == pytest.approx(np.array([[0.0, 100.0, 25.0], [25.0, 25.0, 0.0]]))

    def test_a_distance_is_never_negative(self):
        same = np.full((5, 3), 1e8 + 0.1)
        assert squared_distances(same, same).min() >= 0

    def test_length_scale_one_is_neutral(self):
        """The distance is divided by the square root of the number of columns."""
        columns = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
        found = GaussianProcess([Block(columns, "matern", 2.0)], noise=0.1).covariance(np.arange(2), np.arange(2))
        assert found == pytest.approx(2 * np.array([[1, 0.5239941088318203], [0.5239941088318203, 1]]))

    def test_blocks_add_up(self, process):
        everybody = np.arange(N)
        singles = []
        for index, parts in enumerate(process._parts(process.theta)):
            block, log_variance, log_scales = parts
            alone = GaussianProcess([block], noise=1.0)
            alone.theta = np.array([log_variance, *log_scales, 0.0])
            singles.append(alone.covariance(everybody, everybody))
            assert process.length_scales(index) == pytest.approx(np.exp(log_scales))
        assert process.covariance(everybody, everybody) == pytest.approx(np.sum(singles, axis=0))

    def test_variance_is_the_diagonal(self, process):
        everybody = np.arange(N)
        assert process.prior_variance(everybody) == pytest.approx(np.diag(process.covariance(everybody, everybody)))

    def test_blocks_without_columns_are_left_out(self, process):
        assert len(process.blocks) == 3
        assert GaussianProcess([Block(np.zeros((4, 0)), "linear", 1.0)], noise=0.1).blocks == []


class TestPosterior:
    """The textbook's formulas (Rasmussen and Williams 2006, equations 2.25 and 2.26)."""

    @pytest.mark.parametrize("factors", [None, np.linspace(0.5, 3, len(ROWS))])
    def test_mean_variance_and_covariance(self, process, target, factors):
        everybody = np.arange(N)
        process.condition(ROWS, target, noise_factors=factors)
        noise = process.noise * (np.ones(len(ROWS)) if factors is None else factors) + JITTER
        inverse = np.linalg.inv(process.covariance(ROWS, ROWS) + np.diag(noise))
        cross = process.covariance(everybody, ROWS)
        covariance = process.covariance(everybody, everybody) - cross @ inverse @ cross.T
        assert process.mean(everybody) == pytest.approx(cross @ inverse @ target, abs=1e-9)
        assert process.posterior_covariance(everybody, everybody) == pytest.approx(covariance, abs=1e-9)
        assert process.posterior_variance(everybody) == pytest.approx(np.diag(covariance), abs=1e-9)

    def test_many_candidates_come_in_parts(self):
        count = CHUNK + 7
        columns = np.random.default_rng(2).standard_normal((count, 2))
        process = GaussianProcess([Block(columns, "matern", 1.0)], noise=0.1)
        process.condition(np.array([0, 5]), np.array([1.0, -1.0]))
        everybody, some = np.arange(count), np.array([3, CHUNK - 1, CHUNK, CHUNK + 6])
        assert process.mean(everybody)[some] == pytest.approx(process.mean(some))
        assert process.posterior_variance(everybody)[some] == pytest.approx(process.posterior_variance(some))

    @pytest.mark.parametrize("factors", [None, np.linspace(0.5, 3, len(ROWS))])
    def test_left_out_equals_refits(self, process, target, factors):
        mean, variance = process.condition(ROWS, target, noise_factors=factors).left_out()
        noises = process.noise * (np.ones(len(ROWS)) if factors is None else factors)
        for out, row in enumerate(ROWS):
            kept = np.delete(np.arange(len(ROWS)), out)
            process.condition(ROWS[kept], target[kept], noise_factors=None if factors is None else factors[kept])
            assert mean[out] == pytest.approx(process.mean(np.array([row]))[0], abs=1e-8)
            without = process.posterior_variance(np.array([row]))[0] + noises[out] + JITTER
            assert variance[out] == pytest.approx(without, abs=1e-8)


class TestFit:
    @pytest.mark.parametrize("factors", [np.ones(len(ROWS)), np.linspace(0.5, 3, len(ROWS))])
    def test_gradient(self, process, target, factors):
        def value(theta):
            return process.objective(theta, ROWS, target, factors)[0]

        found = process.objective(process.theta, ROWS, target, factors)[1]
        assert found == pytest.approx(optimize.approx_fprime(process.theta, value, 1e-6), abs=1e-5, rel=1e-5)

    def test_value_is_the_log_posterior(self, process, target):
        def closed_form(theta):
            process.theta = theta
            matrix = process.covariance(ROWS, ROWS) + (process.noise + JITTER) * np.eye(len(ROWS))
            fit = 0.5 * target @ np.linalg.solve(matrix, target) + 0.5 * np.linalg.slogdet(matrix)[1]
            return fit + 0.5 * (((theta - process._centre) / process._sd) ** 2).sum()

        first, second = process.theta, process.theta + 0.1
        values = [process.objective(theta, ROWS, target, np.ones(len(ROWS)))[0] for theta in (first, second)]
        assert values[1] - values[0] == pytest.approx(closed_form(second) - closed_form(first))

    def test_finds_the_relevant_column(self):
        generator = np.random.default_rng(3)
        columns = generator.standard_normal((150, 4))
        target = np.sin(2 * columns[:, 2]) + generator.normal(0, 0.1, 150)
        process = GaussianProcess([Block(columns, "matern", 0.3, relevance=True)], noise=0.2)
        rows = np.arange(150)
        process.fit(rows, target, iterations=40, search=rows)
        scales = process.length_scales(0)
        assert scales.argmin() == 2
        assert np.delete(scales, 2).min() > 3 * scales[2]
        assert process.noise < 0.05

    def test_few_labels_do_not_leave_the_prior(self):
        columns = np.random.default_rng(4).standard_normal((3, 50))
        process = GaussianProcess([Block(columns, "matern", 0.3, relevance=True)], noise=0.2)
        process.fit(np.arange(3), np.array([1.0, -1.0, 0.5]), iterations=40, search=np.arange(3))
        assert np.abs(np.log(process.length_scales(0))).max() < 0.3

    def test_stays_within_bounds(self):
        """Labels without any noise, on duplicates of candidates, push hyper-parameters as far as they may go."""
        columns = np.repeat(np.linspace(-1, 1, 10), 4)[:, None]
        process = GaussianProcess([Block(columns, "matern", 0.3)], noise=0.2)
        rows = np.arange(40)
        process.fit(rows, columns[:, 0] * 1e3, iterations=100, search=rows)
        assert (np.abs(process.theta - process._centre) <= PRIOR_WIDTHS * process._sd + 1e-9).all()
        assert np.isfinite(process.mean(rows)).all()


class TestDegenerateInputs:
    @given(
        repeats=st.sampled_from([1, 2, 20]),
        input_exponent=st.sampled_from([-300, -100, -8, 0, 8, 100]),
        target_exponent=st.sampled_from([-300, -8, 0, 8, 100]),
        noise=st.sampled_from([1e-300, 1e-12, 0.03]),
        constant=st.booleans(),
        again=st.booleans(),
    )
    @settings(max_examples=40, deadline=None)
    def test_fit_and_predictions_stay_finite(self, repeats, input_exponent, target_exponent, noise, constant, again):
        generator = np.random.default_rng(0)
        columns = np.repeat(generator.standard_normal((20 // repeats, 3)), repeats, axis=0) * 10.0**input_exponent
        blocks = [Block(columns, "matern", 0.3, relevance=True), Block(columns, "linear", 0.1)]
        rows = np.zeros(12, dtype=np.intp) if again else np.arange(12)
        target = (np.ones(12) if constant else generator.standard_normal(12)) * 10.0**target_exponent
        process = GaussianProcess(blocks, noise=noise)
        process.fit(rows, target, iterations=10, search=np.arange(12))
        everybody = np.arange(20)
        for found in (process.mean(everybody), process.posterior_variance(everybody), *process.left_out()):
            assert np.isfinite(found).all()

    def test_a_singular_covariance_is_factorised_with_jitter(self):
        singular = np.full((4, 4), 1e9)
        singular[0, 0] -= 1e-3  # not positive definite
        with pytest.raises(np.linalg.LinAlgError):
            np.linalg.cholesky(singular)
        factor = cholesky(singular)
        assert factor @ factor.T == pytest.approx(singular, rel=1e-5)

    def test_a_regular_covariance_is_factorised_as_it_is(self, process):
        matrix = process.covariance(ROWS, ROWS) + np.eye(len(ROWS))
        assert (cholesky(matrix) == linalg.cholesky(matrix, lower=True)).all()

    def test_an_entry_that_is_not_finite_is_refused(self):
        with pytest.raises(ValueError, match="infs or NaNs"):
            cholesky(np.array([[np.nan]]))
