"""Samplers that draw the better candidates more often: epsilon-greedy, UCB, Thompson."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from taurank.spaces import get_space
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers import (
    EpsilonGreedySampler,
    Group,
    PathSampler,
    ThompsonSampler,
    UcbSampler,
    make_sampler,
)
from tests.trainables.supernet.fakes import FakeJudge, nine, outcome, play

BEST = "2,2"


def best_is_better(path: str) -> float:
    return 0.9 if path == BEST else 0.5


def codes(groups: list[Group]) -> list[str]:
    return [path for group in groups for path in group.paths]


def test_after_the_random_rounds_the_leader_has_its_share() -> None:
    rounds = 20_000
    drawn = codes(play(EpsilonGreedySampler(nine()), 100 + rounds, FakeJudge(best_is_better)))
    first = [drawn[:100].count(code) for code in nine().codes]
    assert stats.chisquare(first).pvalue > 0.001
    share = drawn[100:].count(BEST) / rounds
    expected = 0.8 + 0.2 / 9
    assert abs(share - expected) < 3 * math.sqrt(expected * (1 - expected) / rounds)
    others = [drawn[100:].count(code) for code in nine().codes if code != BEST]
    assert stats.chisquare(others).pvalue > 0.001


def test_exactly_the_first_rounds_are_random() -> None:
    # With epsilon 0 every later round is the leader's: the first path, since all have the same accuracy.
    drawn = codes(play(EpsilonGreedySampler(nine(), epsilon=0.0), 300, FakeJudge(), seed=3))
    assert drawn[100:] == ["1,1"] * 200
    assert drawn[99] != "1,1"  # the hundredth round is a random one (with this seed)


def test_epsilon_one_is_uniform() -> None:
    sampler = EpsilonGreedySampler(nine(), epsilon=1.0, random_rounds=0)
    drawn = codes(play(sampler, 9000, FakeJudge(best_is_better)))
    assert stats.chisquare([drawn.count(code) for code in nine().codes]).pvalue > 0.001


def test_the_leader_has_the_highest_accuracy_and_unseen_paths_count_nothing_right() -> None:
    sampler = EpsilonGreedySampler(nine())
    assert sampler.leader == 0  # all unseen: the first in the list
    sampler.learn([outcome("1,2", 0.0)], FakeJudge())
    assert sampler.leader == 0  # nothing right is a tie with the unseen
    sampler.learn([outcome("1,3", 0.5)], FakeJudge())
    sampler.learn([outcome("2,1", 0.6)], FakeJudge())
    assert sampler.leader == 3
    sampler.learn([outcome("2,1", 0.4)], FakeJudge())  # all batches count, not the last: a tie, and 1,3 comes first
    assert sampler.leader == 2


@pytest.mark.parametrize("name", ["ucb", "thompson"])
def test_each_candidate_has_its_first_turn_in_random_order(name: str) -> None:
    orders = set()
    for seed in range(20):
        drawn = codes(play(make_sampler(name, nine()), 9, FakeJudge(best_is_better), seed))
        assert sorted(drawn) == list(nine().codes)
        orders.add(tuple(drawn))
    assert len(orders) == 20


def test_ucb_is_ucb1_over_images() -> None:
    sampler = UcbSampler(nine(), discount=1.0)
    play(sampler, 9, FakeJudge(lambda path: 0.5))
    sampler.learn([outcome(BEST, 0.7)], FakeJudge())
    bounds = sampler.index(np.random.default_rng(0))
    # 1,000 images, 520 right; the prior adds 2 images to each candidate, .52 of them right.
    others = (50 + 2 * 0.52) / 102 + math.sqrt(2 * math.log(1018) / 102)
    own = (120 + 2 * 0.52) / 202 + math.sqrt(2 * math.log(1018) / 202)
    assert bounds == pytest.approx([others] * 4 + [own] + [others] * 4, rel=1e-12)
    greedy = UcbSampler(nine(), discount=1.0, exploration=0.0)
    greedy.load_state_dict(sampler.state_dict())
    assert greedy.draw(np.random.default_rng(0), FakeJudge(), 0.5).paths == (BEST,)
    assert sampler.draw(np.random.default_rng(0), FakeJudge(), 0.5).paths == ("1,1",)  # seen less: its bound is higher


def test_counts_are_discounted_in_every_round() -> None:
    sampler = ThompsonSampler(nine(), discount=0.5)
    sampler.learn([outcome("1,1", 0.8)], FakeJudge())
    sampler.learn([outcome("1,2", 0.4)], FakeJudge())
    sampler.learn([outcome("1,1", 0.2)], FakeJudge())
    right, wrong = sampler.beliefs()
    # 1,1: 80 / 4 + 20 of 100 / 4 + 100; 1,2: 40 / 2 of 100 / 2; on average 60 of 175.
    average = 60 / 175
    assert right[:3] == pytest.approx([40 + 2 * average, 20 + 2 * average, 2 * average])
    assert (right + wrong)[:3] == pytest.approx([127, 52, 2])
    assert sampler.scores(["1,3", "1,1"]) == pytest.approx([average, (40 + 2 * average) / 127])


def test_thompson_draws_from_its_beliefs() -> None:
    sampler = ThompsonSampler(nine(), discount=1.0)
    play(sampler, 9, FakeJudge(lambda path: 0.5))
    generator = np.random.default_rng(0)
    drawn = np.array([sampler.index(generator)[0] for _ in range(3000)])
    assert stats.kstest(drawn, stats.beta(51, 51).cdf).pvalue > 0.001


def test_a_perfect_candidate_can_be_believed_in() -> None:
    assert len(codes(play(ThompsonSampler(nine()), 50, FakeJudge(lambda path: 1.0)))) == 50
    assert len(codes(play(ThompsonSampler(nine()), 50, FakeJudge(lambda path: 0.0)))) == 50


@pytest.mark.parametrize("name", ["ucb", "thompson"])
def test_there_is_no_opinion_before_the_first_round(name: str) -> None:
    assert make_sampler(name, nine()).scores(["1,1"]) is None


def drifting(generator: np.random.Generator, rounds: int) -> Callable[[str, int], float]:
    """Accuracies that all rise with the training; those that lead early on are the worst in the end."""
    worth = dict(zip(nine().codes, generator.permutation(np.linspace(-0.12, 0.12, 9)), strict=True))

    def accuracy(path: str, index: int) -> float:
        done = index / rounds
        return 0.1 + 0.7 * (1 - math.exp(-4 * done)) + worth[path] * (1.6 * done - 0.6)

    return accuracy


def final_share_and_rank(make: Callable[[Paths], PathSampler], seed: int, rounds: int = 1400) -> tuple[float, float]:
    """How often the best was drawn in the last fifth, and tau of what the sampler thinks with the final order."""
    generator = np.random.default_rng(seed)
    accuracy = drifting(generator, rounds)
    sampler, late = make(nine()), []
    for index in range(rounds):
        (path,) = sampler.draw(generator, FakeJudge(), index / rounds).paths
        noisy = generator.binomial(64, accuracy(path, index)) / 64
        sampler.learn([outcome(path, noisy)], FakeJudge())
        late.append(path)
    final = [accuracy(path, rounds) for path in nine().codes]
    best = nine().codes[int(np.argmax(final))]
    scores = sampler.scores(nine().codes)
    assert scores is not None
    return late[-rounds // 5 :].count(best) / (rounds // 5), float(stats.kendalltau(scores, final)[0])


@pytest.mark.parametrize("sampler", [UcbSampler, ThompsonSampler])
def test_with_drifting_rewards_discounted_means_are_better_than_plain_ones(sampler: type[PathSampler]) -> None:
    discounted = np.mean([final_share_and_rank(sampler, seed) for seed in range(6)], axis=0)
    plain = np.mean([final_share_and_rank(lambda paths: make_plain(sampler, paths), seed) for seed in range(6)], axis=0)
    assert plain[0] < 0.05  # it stays with what led early on
    assert discounted[0] > 1 / 9 + 0.05
    assert discounted[1] > 0.5 > 0 > plain[1]


def make_plain(sampler: type[PathSampler], paths: Paths) -> PathSampler:
    return sampler(paths, discount=1.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["ucb", "thompson"])
def test_where_rewards_stand_still_the_best_is_drawn_most(name: str) -> None:
    paths = Paths(get_space("mnist_blocks"), ("1,1", BEST, "3,3"))
    drawn = codes(play(make_sampler(name, paths, discount=1.0), 2000, FakeJudge(best_is_better)))
    assert drawn.count(BEST) > 1800
