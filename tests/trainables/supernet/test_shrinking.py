"""Samplers that leave the worse candidates out, and the estimates behind them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import Ridge

from taurank.trainables.supernet.samplers import GreedySampler, ShrinkingSampler
from taurank.trainables.supernet.samplers.additive import AdditiveModel, CandidateMeans, DetrendedModel
from tests.trainables.supernet.fakes import FakeJudge, cells, names, nine, outcome, play


def rounds(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choices (rounds, 3) among 4, 2 and 3 options, rewards with noise, and the effects (9,)."""
    generator = np.random.default_rng(seed)
    choices = np.column_stack([generator.integers(options, size=count) for options in (4, 2, 3)])
    effects = generator.normal(size=9)
    rewards = 3.0 + effects[choices + np.array([0, 4, 6])].sum(1) + 0.1 * generator.normal(size=count)
    return choices, rewards, effects


def test_the_additive_model_is_ridge_regression_on_one_hot_choices() -> None:
    choices, rewards, _ = rounds(60)
    model = AdditiveModel((4, 2, 3))
    for row, reward in zip(choices, rewards, strict=True):
        model.add(row, reward)
    columns = np.zeros((60, 9))
    columns[np.arange(60)[:, None], choices + np.array([0, 4, 6])] = 1
    reference = Ridge(alpha=1e-3, solver="cholesky").fit(columns, rewards)
    found = np.concatenate([model.effects(decision) for decision in range(3)])
    assert found == pytest.approx(reference.coef_, abs=1e-8)
    assert [model.effects(decision).sum() for decision in range(3)] == pytest.approx([0, 0, 0], abs=1e-9)
    assert model.predict(choices) == pytest.approx(columns @ reference.coef_, abs=1e-8)


def test_an_option_that_was_never_taken_has_no_effect() -> None:
    model = AdditiveModel((3, 2))
    assert model.predict(np.array([[2, 1]])) == pytest.approx([0])
    for choices, reward in (((0, 0), 1.0), ((1, 0), 3.0), ((0, 1), 1.0), ((1, 1), 3.0)):
        model.add(choices, reward)
    assert model.effects(0) == pytest.approx([-1, 1, 0], abs=1e-3)
    assert model.effects(1) == pytest.approx([0, 0], abs=1e-9)


def test_candidate_means_are_differences_from_the_mean_of_all_rounds() -> None:
    means = CandidateMeans(3)
    assert means.predict(np.array([[0], [2]])) == pytest.approx([0, 0])
    for place, reward in ((0, 1.0), (0, 2.0), (1, 6.0)):
        means.add((place,), reward)
    assert means.predict(np.array([[0], [1], [2]])) == pytest.approx([-1.5, 3, 0], rel=1e-3)


def test_a_trend_is_taken_out_even_where_good_options_come_late() -> None:
    """In the second half the best option is drawn most: a plain moving average would hold that against it."""
    generator = np.random.default_rng(0)
    detrended, plain = DetrendedModel(AdditiveModel((3,))), AdditiveModel((3,))
    worth = np.array([0.0, 0.1, 0.2])
    for index in range(2000):
        odds = [1 / 3] * 3 if index < 1000 else [0.05, 0.05, 0.9]
        option = int(generator.choice(3, p=odds))
        reward = worth[option] + index / 2000 + 0.05 * generator.standard_normal()
        detrended.add((option,), reward)
        plain.add((option,), reward)
    assert np.ptp(plain.effects(0)) > 0.3  # taken together with the trend
    assert detrended.model.predict(np.arange(3)[:, None]) == pytest.approx(worth - 0.1, abs=0.02)


def depth_loss(path: str) -> float:
    first, second = map(int, path.split(","))
    return 3 - 0.1 * first - 0.4 * second


def test_candidates_are_dropped_at_shares_of_the_training() -> None:
    groups = play(ShrinkingSampler(nine()), 1200, FakeJudge(loss=depth_loss))
    drawn = [group.paths[0] for group in groups]
    assert stats.chisquare([drawn[:600].count(code) for code in nine().codes]).pvalue > 0.001
    assert set(drawn[600:900]) == {"3,3", "2,3", "1,3", "3,2", "2,2"}
    assert set(drawn[900:]) == {"3,3", "2,3", "1,3"}


def test_scores_are_the_losses_with_their_sign_turned() -> None:
    sampler = ShrinkingSampler(nine())
    assert sampler.scores(["1,1"]) is None
    play(sampler, 1200, FakeJudge(loss=depth_loss))
    expected = np.mean([depth_loss(code) for code in nine().codes]) - np.array([depth_loss(c) for c in nine().codes])
    assert sampler.scores(nine().codes) == pytest.approx(expected, abs=0.02)  # those that were dropped too


def test_a_loss_that_falls_meanwhile_does_not_matter() -> None:
    falling = iter(np.linspace(3, 0, 4000))
    sampler = ShrinkingSampler(nine(), at=[0.9])
    play(sampler, 1200, FakeJudge(loss=lambda path: depth_loss(path) + next(falling)))
    assert {nine().codes[place] for place in sampler.active} == {"3,3", "2,3", "1,3", "3,2", "2,2"}


def test_without_decisions_candidates_are_kept_by_their_means() -> None:
    sampler = ShrinkingSampler(names(8), at=[0.5], keep=0.25)
    play(sampler, 800, FakeJudge(loss=lambda path: -float(path[1:])))
    assert [names(8).codes[place] for place in sampler.active] == ["n6", "n7"]


def test_losses_that_are_not_finite_are_left_out_and_one_candidate_always_stays() -> None:
    sampler = ShrinkingSampler(nine(), at=[0.1, 0.2, 0.3, 0.4, 0.5], keep=0.01)
    play(sampler, 400, FakeJudge(loss=lambda path: np.inf if path == "1,1" else depth_loss(path)))
    scores = sampler.scores(nine().codes)
    assert scores is not None
    assert np.isfinite(scores).all()
    assert len(sampler.active) == 1


def test_greedy_tries_ten_and_trains_the_five_best_of_them() -> None:
    paths = cells(100)
    rank = {code: float(place) for place, code in enumerate(paths.codes)}
    judge = FakeJudge(loss=rank.__getitem__)
    for group, tried in zip(play(GreedySampler(paths), 50, judge), judge.looked, strict=True):
        assert len(set(tried)) == 10
        assert list(group.paths) == sorted(tried, key=rank.__getitem__)[:5]
        assert group.teacher == "none"


def test_greedy_takes_more_from_its_pool_as_the_training_goes_on() -> None:
    paths = cells(100)
    rank = {code: float(place) for place, code in enumerate(paths.codes)}
    judge = FakeJudge(loss=rank.__getitem__)
    sampler = GreedySampler(paths, pool=20)
    play(sampler, 600, judge)
    good = set(paths.codes[:20])
    assert {paths.codes[place] for place in sampler.pool} == good
    share = [np.mean([path in good for path in tried]) for tried in judge.looked]
    assert np.mean(share[:60]) == pytest.approx(0.2 + 0.8 * 0.04, abs=0.06)
    # From the pool with probability .8 at the end; of the others, taken from the rest, some are of the pool too.
    late = 0.76 + 0.24 * (20 - 7.6) / (100 - 7.6)
    assert np.mean(share[-60:]) == pytest.approx(late, abs=0.04)


def test_greedy_pool_goes_by_the_loss_that_was_judged_last() -> None:
    losses = {"n0": 1.0, "n1": 2.0}
    sampler = GreedySampler(names(2), pool=1)
    judge = FakeJudge(loss=losses.__getitem__)
    play(sampler, 30, judge)
    assert sampler.pool.tolist() == [0]
    losses["n0"] = 3.0
    play(sampler, 30, judge)
    assert sampler.pool.tolist() == [1]


@pytest.mark.parametrize(("count", "tried", "trained"), [(1, 1, 1), (2, 1, 1), (5, 2, 1), (9, 4, 2), (25, 10, 5)])
def test_greedy_with_few_candidates_keeps_the_same_share(count: int, tried: int, trained: int) -> None:
    judge = FakeJudge()
    (group,) = play(GreedySampler(cells(count)), 1, judge)
    assert (len(judge.looked[0]), len(group.paths)) == (tried, trained)


def test_greedy_passes_over_losses_that_are_no_numbers() -> None:
    sampler = GreedySampler(nine(), sampled=4, keep=2)
    judge = FakeJudge(loss=lambda path: float("nan") if path.startswith("1") else depth_loss(path))
    for group, tried in zip(play(sampler, 100, judge), judge.looked, strict=True):
        fine = [path for path in tried if not path.startswith("1")]
        assert set(group.paths) >= set(sorted(fine, key=depth_loss)[:2])
    assert not any(nine().codes[place].startswith("1") for place in sampler.pool)


def test_losses_are_read_when_they_are_needed() -> None:
    sampler = ShrinkingSampler(nine())
    sampler.learn([outcome("1,1", loss=2.0), outcome("3,3", loss=1.0)], FakeJudge())
    assert torch.is_tensor(sampler._unread[0][1])
    assert sampler.state_dict()["rewards"]["level"] == pytest.approx(-1.95)
