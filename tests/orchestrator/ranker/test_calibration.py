from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from taurank.orchestrator.ranker.calibration import (
    DOUBTFUL,
    JOINT,
    _joint,
    _kappa,
    draw_scores,
)
from taurank.orchestrator.ranker.final import FinalScores
from taurank.orchestrator.ranker.gaussian_process import Block, GaussianProcess
from taurank.orchestrator.ranker.regressors import FinalInputs, GaussianProcessRegressor, final_process
from taurank.orchestrator.ranker.views import normal_scores


def inputs(count: int, seed: int = 0) -> FinalInputs:
    generator = np.random.default_rng(seed)
    encoding = generator.standard_normal((count, 2))
    prior = normal_scores(generator.standard_normal(count))
    return FinalInputs(encoding, np.zeros((count, 0)), prior[:, None], prior, encoding)


def draw(final: FinalScores, made: FinalInputs, draws: int = 400, **settings) -> np.ndarray:
    chosen = {
        "reliability": 0.5,
        "truth_seeds": 1,
        "without_evidence": np.zeros(len(final.scores), dtype=bool),
    } | settings
    return draw_scores(final, final_process(made), draws, np.random.default_rng(1), **chosen)


def fitted(made: FinalInputs, truth: np.ndarray, rows: np.ndarray) -> FinalScores:
    regressor = GaussianProcessRegressor(made, np.random.default_rng(0)).fit(rows, truth[rows], np.ones(len(rows)))
    return FinalScores(regressor.predict()[0], regressor, {}, 0.0)


def mean_tau(scores: np.ndarray, drawn: np.ndarray) -> float:
    return float(np.mean([stats.kendalltau(scores, one).statistic for one in drawn]))


class TestWithoutLabels:
    @pytest.mark.parametrize("reliability", [0.1, 0.5, 0.9])
    def test_scores_explain_the_stated_share(self, reliability):
        """The mean tau is that of a normal pair with the correlation sqrt(reliability)."""
        made = inputs(300)
        final = FinalScores(made.prior, None, {}, 1.0)
        expected = 2 / np.pi * np.arcsin(np.sqrt(reliability))
        assert mean_tau(made.prior, draw(final, made, 200, reliability=reliability)) == pytest.approx(
            expected, abs=0.03
        )

    @pytest.mark.parametrize(("count", "low", "high"), [(2, 0.7, 0.95), (3, 0.55, 0.85), (8, 0.4, 0.6)])
    def test_few_candidates_are_not_certain(self, count, low, high):
        made = inputs(count)
        drawn = draw(FinalScores(made.prior, None, {}, 1.0), made, 2000)
        best, worst = made.prior.argmax(), made.prior.argmin()
        assert low < (drawn[:, best] > drawn[:, worst]).mean() or count > 3
        assert (drawn[:, best] > drawn[:, worst]).mean() < 0.99
        assert mean_tau(made.prior, drawn) < high

    def test_one_candidate(self):
        made = inputs(1)
        assert np.isfinite(draw(FinalScores(made.prior, None, {}, 1.0), made)).all()

    def test_nothing_known_nothing_said(self):
        made = inputs(50)
        drawn = draw(FinalScores(np.zeros(50), None, {}, 1.0), made, reliability=0.0)
        assert abs(mean_tau(np.arange(50.0), drawn)) < 0.05

    def test_unheard_ones_may_be_anywhere(self):
        made = inputs(50)
        without_evidence = np.arange(50) == 7
        drawn = draw(
            FinalScores(made.prior, None, {}, 1.0), made, 2000, without_evidence=without_evidence, reliability=0.9
        )
        assert drawn[:, 7].mean() == pytest.approx(0.0, abs=0.1)
        assert drawn[:, 7].std() == pytest.approx(1.0, abs=0.1)


class TestWithLabels:
    def test_covers_and_does_not_promise_too_much(self):
        """Truths drawn from the process itself: 90 % intervals of ranks hold 87 to 93 % of them."""
        inside, expected, reached = [], [], []
        for seed in range(20):
            made = inputs(120, seed)
            generator = np.random.default_rng(100 + seed)
            process = final_process(made)
            everybody = np.arange(120)
            matrix = process.covariance(everybody, everybody) + 1e-8 * np.eye(120)
            smooth = 0.85 * made.prior + np.linalg.cholesky(matrix) @ generator.standard_normal(120)
            labels, truth = (smooth + np.sqrt(0.03) * generator.standard_normal(120) for _ in range(2))
            final = fitted(made, labels, generator.permutation(120)[:40])
            drawn = draw(final, made, 200)
            low, high = np.quantile(stats.rankdata(drawn, axis=1), [0.05, 0.95], axis=0)
            true_rank = stats.rankdata(truth)
            inside.append(((low <= true_rank) & (true_rank <= high)).mean())
            expected.append(mean_tau(final.scores, drawn))
            reached.append(stats.kendalltau(final.scores, truth).statistic)
        assert 0.87 <= np.mean(inside) <= 0.93
        assert np.mean(expected) == pytest.approx(np.mean(reached), abs=0.02)

    def test_a_truth_of_several_seeds_is_less_noisy(self):
        made = inputs(60)
        final = fitted(made, made.encoding[:, 0], np.arange(0, 60, 2))
        one, four = (draw(final, made, 2000, truth_seeds=seeds).var(axis=0).mean() for seeds in (1, 4))
        noise = final.regressor.process.noise
        assert one - four == pytest.approx(0.75 * noise, rel=0.2)

    def test_centred_on_the_order_of_the_scores(self):
        """Others than the process may have had a say in the order: its means are dealt out in that order."""
        made = inputs(60)
        final = fitted(made, made.encoding[:, 0], np.arange(0, 60, 2))
        blended = np.random.default_rng(2).permutation(60).astype(float)
        drawn = draw(FinalScores(blended, final.regressor, {}, 0.0), made, 4000)
        assert stats.spearmanr(drawn.mean(axis=0), blended).statistic > 0.99
        assert np.sort(drawn.mean(axis=0)) == pytest.approx(np.sort(final.scores), abs=0.1)


class TestFewImages:
    @pytest.mark.parametrize("labels", [0, 40])
    def test_their_noise_is_in_the_units_of_the_candidates(self, labels):
        """As much noise as signal: the mean tau falls to that of a pair with half of the variance in common."""
        made = inputs(120)
        final = FinalScores(made.prior, None, {}, 1.0)
        if labels:
            final = fitted(made, made.prior, np.arange(0, 120, 120 // labels))
        sure = {"reliability": 0.999}
        drawn = draw(final, made, sampling=1.0, **sure)
        assert drawn.var(axis=1).mean() == pytest.approx(2 * draw(final, made, **sure).var(axis=1).mean(), rel=0.1)
        assert mean_tau(final.scores, drawn) == pytest.approx(0.5, abs=0.05)


class TestKappa:
    def process(self, count: int, scale: float) -> GaussianProcess:
        columns = np.random.default_rng(0).standard_normal((count, 2))
        process = GaussianProcess([Block(columns, "matern", 0.3)], noise=0.2)
        return process.condition(np.arange(count), scale * np.random.default_rng(1).standard_normal(count))

    def test_few_labels_do_not_make_it_surer(self):
        assert _kappa(self.process(DOUBTFUL - 1, 0.01)) == 1.0
        assert _kappa(self.process(DOUBTFUL, 0.01)) < 0.7

    def test_is_bounded(self):
        assert 1.5 < _kappa(self.process(40, 1e6)) < 3


class TestJoint:
    def test_has_the_covariance(self):
        process = GaussianProcess([Block(np.random.default_rng(0).standard_normal((6, 2)), "matern", 1.0)], noise=0.1)
        everybody = np.arange(6)
        drawn = _joint(process.covariance, process.prior_variance, 6, 40_000, np.random.default_rng(1))
        assert np.cov(drawn.T) == pytest.approx(process.covariance(everybody, everybody), abs=0.03)

    def test_many_candidates_too(self, monkeypatch):
        """Those that are not drawn jointly are drawn given the others, each with its own variance."""
        monkeypatch.setattr("taurank.orchestrator.ranker.calibration.JOINT", 30)
        columns = np.random.default_rng(0).standard_normal((40, 1))
        process = GaussianProcess([Block(columns, "matern", 1.0)], noise=0.1)
        everybody = np.arange(40)
        drawn = _joint(process.covariance, process.prior_variance, 40, 20_000, np.random.default_rng(1))
        assert np.cov(drawn.T) == pytest.approx(process.covariance(everybody, everybody), abs=0.06)
        assert JOINT == 1000
