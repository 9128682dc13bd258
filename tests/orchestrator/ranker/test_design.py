from __future__ import annotations

import numpy as np
import pytest

from taurank.orchestrator.ranker.design import Account, Spending, a_optimal, choose
from taurank.orchestrator.ranker.gaussian_process import Block, GaussianProcess


@pytest.fixture
def process() -> GaussianProcess:
    return GaussianProcess([Block(np.random.default_rng(0).standard_normal((40, 3)), "matern", 1.0)], noise=0.1)


@pytest.fixture
def covariance(process) -> np.ndarray:
    return process.covariance(np.arange(40), np.arange(40))


def left_variance(covariance: np.ndarray, noise: float, rows: list[int]) -> float:
    """Sum of posterior variances after labels of ``rows``, from scratch."""
    matrix = covariance[np.ix_(rows, rows)] + noise * np.eye(len(rows))
    return float(np.trace(covariance - covariance[:, rows] @ np.linalg.solve(matrix, covariance[rows])))


class TestAOptimal:
    def test_each_pick_lowers_the_variance_most(self, covariance):
        chosen = a_optimal(covariance, 0.1, 6).tolist()
        gains = (covariance**2).sum(axis=0) / (np.diag(covariance) + 0.1)
        assert chosen[0] == gains.argmax()
        for step, place in enumerate(chosen):
            before = chosen[:step]
            open_ones = [other for other in range(40) if other not in before]
            left = {other: left_variance(covariance, 0.1, [*before, other]) for other in open_ones}
            assert left[place] == pytest.approx(min(left.values()), rel=1e-5)

    def test_never_twice(self, covariance):
        assert sorted(a_optimal(covariance, 0.1, 40).tolist()) == list(range(40))

    def test_taken_ones_are_known_and_not_chosen(self, covariance):
        first = a_optimal(covariance, 0.1, 10)
        taken = np.isin(np.arange(40), first[:4])
        assert set(a_optimal(covariance, 0.1, 6, taken=taken)) == set(first[4:])

    def test_a_duplicate_comes_last(self):
        columns = np.array([[-2.0], [-2.0], [0.0], [2.0]])
        process = GaussianProcess([Block(columns, "matern", 1.0)], noise=0.01)
        chosen = a_optimal(process.covariance(np.arange(4), np.arange(4)), 0.01, 4).tolist()
        assert chosen[-1] in (0, 1)

    def test_leaves_the_covariance_as_it_is(self, covariance):
        before = covariance.copy()
        a_optimal(covariance, 0.1, 5)
        assert (covariance == before).all()

    def test_more_than_there_are(self, covariance):
        with pytest.raises(ValueError, match="count is 3; only 2 candidates are left"):
            a_optimal(covariance[:5, :5], 0.1, 3, taken=np.array([True, True, True, False, False]))


class TestChoose:
    def choose(self, process, candidates, count, taken=(), seed=0, most_of_pool=0.5):
        chosen = choose(
            process,
            candidates,
            0.1,
            count,
            taken=np.array(taken, dtype=np.intp),
            generator=np.random.default_rng(seed),
            most_of_pool=most_of_pool,
        )
        return chosen.tolist()

    def test_of_few_it_is_the_design_and_no_chance(self, process, covariance):
        assert self.choose(process, 40, 7) == a_optimal(covariance, 0.1, 7).tolist()
        assert self.choose(process, 40, 7, seed=1) == self.choose(process, 40, 7)

    def test_no_more_than_are_left(self, process):
        assert sorted(self.choose(process, 40, 100, taken=range(30))) == list(range(30, 40))

    @pytest.mark.parametrize(("count", "most_of_pool"), [(3, 0.5), (50, 0.5), (90, 0.6)])
    def test_of_many_the_rest_is_at_random(self, count, most_of_pool, monkeypatch):
        monkeypatch.setattr("taurank.orchestrator.ranker.design.POOL", 70)
        candidates = 170
        columns = np.random.default_rng(1).standard_normal((candidates, 2))
        process = GaussianProcess([Block(columns, "matern", 1.0)], noise=0.1)
        taken = list(range(0, 40, 2))
        chosen = self.choose(process, candidates, count, taken, most_of_pool=most_of_pool)
        assert len(set(chosen)) == len(chosen) == count
        assert not set(chosen) & set(taken)
        assert chosen == self.choose(process, candidates, count, taken, most_of_pool=most_of_pool)
        designed = min(count, int(most_of_pool * 70))
        again = self.choose(process, candidates, designed, taken, most_of_pool=most_of_pool)
        assert chosen[:designed] == again

    def test_spreads_better_than_chance(self, process, covariance):
        generator = np.random.default_rng(2)
        chances = [left_variance(covariance, 0.1, generator.permutation(40)[:8].tolist()) for _ in range(20)]
        assert left_variance(covariance, 0.1, self.choose(process, 40, 8)) < min(chances)


class TestSpending:
    def test_each_pick_lowers_the_variance_most_for_its_cost(self, covariance):
        costs = np.random.default_rng(1).uniform(0.5, 20.0, 40)
        chosen = a_optimal(covariance, 0.1, 40, account=Account(Spending(costs, 25.0), 40)).tolist()
        assert 0 < costs[chosen].sum() <= 25.0
        for step, place in enumerate(chosen):
            before = chosen[:step]
            open_ones = [other for other in range(40) if other not in before and costs[[*before, other]].sum() <= 25.0]
            start = left_variance(covariance, 0.1, before) if before else float(np.trace(covariance))
            gains = {one: (start - left_variance(covariance, 0.1, [*before, one])) / costs[one] for one in open_ones}
            assert gains[place] == pytest.approx(max(gains.values()), rel=1e-4)
        rest = np.setdiff1d(np.arange(40), chosen)
        assert costs[chosen].sum() + costs[rest].min() > 25.0  # nothing more fits

    def test_equal_costs_change_nothing(self, covariance):
        equal = Account(Spending(np.full(40, 7.0), 7.0 * 12), 40)
        np.testing.assert_array_equal(a_optimal(covariance, 0.1, 40, account=equal), a_optimal(covariance, 0.1, 12))

    def test_workers_share_the_clock(self):
        account = Account(Spending(np.array([4.0, 3.0, 3.0, 2.0, 5.0]), 6.0, workers=2), 5)
        assert [account.pay(place) for place in (0, 1, 2)] == [True, True, True]  # 4 beside 3 + 3
        assert account.affordable.tolist() == [False, False, False, True, False]
        assert account.pay(3)
        assert not account.affordable.any()

    def test_of_many_candidates(self):
        process = GaussianProcess(
            [Block(np.random.default_rng(0).standard_normal((1600, 2)), "matern", 1.0)], noise=0.1
        )
        costs = np.random.default_rng(1).uniform(1.0, 50.0, 1600)
        taken = np.arange(10)
        chosen = choose(
            process,
            1600,
            0.1,
            1600,
            taken=taken,
            generator=np.random.default_rng(2),
            most_of_pool=0.01,
            spending=Spending(costs, 300.0),
        )
        assert len(set(chosen.tolist())) == len(chosen) > 15
        assert costs[chosen].sum() <= 300.0
        assert not set(chosen.tolist()) & set(taken.tolist())
