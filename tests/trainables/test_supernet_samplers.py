from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from trainables.supernet import (
    EpsilonGreedySampler,
    PathSampler,
    SupernetConfig,
    UniformSampler,
    make_sampler,
)

NINE = 9


def play(sampler: PathSampler, rounds: int, accuracy: Callable[[int], float], seed: int = 0) -> list[int]:
    """Paths drawn when path `p` always has `accuracy(p)` of 100 images right."""
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(rounds):
        path = sampler.draw(generator)
        sampler.feedback(path, round(100 * accuracy(path)), 100)
        drawn.append(path)
    return drawn


def test_uniform_draws_every_path_equally_often() -> None:
    drawn = play(UniformSampler(NINE), 9000, lambda path: path / 10)
    counts = np.bincount(drawn, minlength=NINE)
    assert stats.chisquare(counts).pvalue > 0.001
    pairs = np.histogram2d(drawn[:-1:2], drawn[1::2], bins=NINE)[0]
    assert stats.chisquare(pairs.ravel()).pvalue > 0.001  # and independently of the draw before


def test_uniform_draws_follow_the_generator() -> None:
    assert play(UniformSampler(NINE), 50, float, seed=1) == play(UniformSampler(NINE), 50, float, seed=1)
    assert play(UniformSampler(NINE), 50, float, seed=1) != play(UniformSampler(NINE), 50, float, seed=2)


def test_a_single_path_is_always_drawn() -> None:
    for sampler in (UniformSampler(1), EpsilonGreedySampler(1)):
        assert play(sampler, 200, lambda path: 0.5) == [0] * 200


def test_the_first_hundred_rounds_are_random_and_then_the_leader_has_its_share() -> None:
    rounds = 20_000
    drawn = play(EpsilonGreedySampler(NINE), 100 + rounds, lambda path: 0.9 if path == 4 else 0.5)
    first = np.bincount(drawn[:100], minlength=NINE)
    assert stats.chisquare(first).pvalue > 0.001
    share = np.mean(np.array(drawn[100:]) == 4)
    expected = 0.8 + 0.2 / 9
    sigma = math.sqrt(expected * (1 - expected) / rounds)
    assert abs(share - expected) < 3 * sigma
    others = np.bincount([path for path in drawn[100:] if path != 4], minlength=NINE)[[0, 1, 2, 3, 5, 6, 7, 8]]
    assert stats.chisquare(others).pvalue > 0.001


def test_exactly_the_first_rounds_are_random() -> None:
    # With epsilon 0 every later round is the leader's: path 0, since all have the same accuracy.
    drawn = play(EpsilonGreedySampler(NINE, epsilon=0.0, random_rounds=100), 300, lambda path: 0.5, seed=3)
    assert drawn[100:] == [0] * 200
    assert drawn[99] != 0  # the hundredth round is a random one (with this seed)


def test_no_random_rounds_and_no_epsilon_leave_the_lowest_index() -> None:
    assert play(EpsilonGreedySampler(NINE, epsilon=0.0, random_rounds=0), 50, lambda path: 0.0) == [0] * 50


def test_epsilon_one_is_uniform() -> None:
    drawn = play(EpsilonGreedySampler(NINE, epsilon=1.0, random_rounds=0), 9000, lambda path: float(path == 4))
    assert stats.chisquare(np.bincount(drawn, minlength=NINE)).pvalue > 0.001


def test_the_leader_has_the_highest_accuracy_and_not_the_most_correct() -> None:
    sampler = EpsilonGreedySampler(3)
    sampler.feedback(0, 90, 100)
    sampler.feedback(2, 10, 10)
    assert sampler.leader == 2
    sampler.feedback(2, 0, 10)  # all batches count, not the last one
    assert sampler.leader == 0
    sampler.feedback(2, 80, 80)  # 90 of 100: a tie
    assert sampler.leader == 0


def test_unseen_paths_count_as_nothing_right() -> None:
    sampler = EpsilonGreedySampler(3)
    assert sampler.leader == 0  # all unseen: the lowest index
    sampler.feedback(2, 1, 100)
    assert sampler.leader == 2
    tied = EpsilonGreedySampler(3)
    tied.feedback(2, 0, 100)
    assert tied.leader == 0  # nothing right is a tie with the unseen


def test_the_state_comes_back_through_json() -> None:
    sampler = EpsilonGreedySampler(NINE, random_rounds=20)
    play(sampler, 70, lambda path: 0.1 * path)
    restored = EpsilonGreedySampler(NINE, random_rounds=20)
    restored.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert (restored.rounds, restored.leader) == (70, sampler.leader)
    assert play(restored, 100, lambda path: 0.1 * path, seed=5) == play(sampler, 100, lambda path: 0.1 * path, seed=5)
    assert restored.state_dict() == sampler.state_dict()


def test_uniform_has_no_state() -> None:
    sampler = UniformSampler(NINE)
    assert sampler.state_dict() == {}
    sampler.load_state_dict({})


def test_the_config_names_the_sampler() -> None:
    assert isinstance(make_sampler(SupernetConfig(), paths=5), UniformSampler)
    greedy = make_sampler(SupernetConfig(sampler="epsilon-greedy", epsilon=0.3, random_rounds=7), paths=5)
    assert isinstance(greedy, EpsilonGreedySampler)
    assert (greedy.paths, greedy.epsilon, greedy.random_rounds) == (5, 0.3, 7)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sampler", "greedy"),
        ("epsilon", -0.1),
        ("epsilon", 1.1),
        ("epsilon", math.nan),
        ("random_rounds", -1),
        ("calibration_images", 1),
    ],
)
def test_a_bad_setting_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{field} is {value!r}"):
        SupernetConfig(**{field: value})
