"""Fronts of accuracy against cost."""

from __future__ import annotations

import time

import numpy as np
import pytest

from taurank.orchestrator.hardware.pareto import front, front_probability


def by_definition(scores, cost):
    count = len(cost)
    dominated = np.zeros(count, dtype=bool)
    for one in range(count):
        for other in range(count):
            as_good = scores[other] >= scores[one] and cost[other] <= cost[one]
            dominated[one] |= as_good and (scores[other] > scores[one] or cost[other] < cost[one])
    return ~dominated


def test_a_front_by_hand():
    #  cost   1    2    2    3    4
    #  score  .5   .7   .6   .7   .9: the third costs as much as the second, the fourth is no better than it
    assert front([0.5, 0.7, 0.6, 0.7, 0.9], [1, 2, 2, 3, 4]).tolist() == [True, True, False, False, True]


def test_twins_are_both_on_it():
    assert front([0.5, 0.5, 0.4], [1, 1, 1]).tolist() == [True, True, False]


@pytest.mark.parametrize("seed", range(20))
def test_as_defined_pair_by_pair(seed):
    generator = np.random.default_rng(seed)
    # Few different values, so that all kinds of ties occur.
    scores, cost = generator.integers(0, 6, 25).astype(float), generator.integers(0, 6, 25).astype(float)
    assert front(scores, cost).tolist() == by_definition(scores, cost).tolist()


def test_many_rows_are_judged_one_by_one():
    generator = np.random.default_rng(0)
    scores, cost = generator.standard_normal((7, 30)), generator.integers(1, 9, 30).astype(float)
    found = front(scores, cost)
    assert found.tolist() == [by_definition(row, cost).tolist() for row in scores]
    assert front_probability(scores, cost).tolist() == pytest.approx(found.mean(axis=0).tolist())


def test_monotone_transforms_and_order_change_nothing():
    generator = np.random.default_rng(1)
    scores, cost = generator.standard_normal((50, 40)), generator.uniform(1, 2, 40)
    found = front_probability(scores, cost)
    assert front_probability(np.exp(scores), np.log(cost)).tolist() == found.tolist()
    order = generator.permutation(40)
    assert front_probability(scores[:, order], cost[order]).tolist() == found[order].tolist()


def test_the_cheapest_is_always_on_it_and_certain_orders_are_certain():
    cost = np.array([1.0, 2.0, 3.0])
    assert front_probability(np.tile([3.0, 2.0, 1.0], (9, 1)), cost).tolist() == [1.0, 0.0, 0.0]
    assert front_probability(np.tile([1.0, 2.0, 3.0], (9, 1)), cost).tolist() == [1.0, 1.0, 1.0]
    # The second of two is better in three draws of four.
    assert front_probability([[0, 1], [0, 1], [0, 1], [1, 0]], [1.0, 2.0]).tolist() == [1.0, 0.75]


def test_equally_good_ones_by_chance():
    # n exchangeable candidates of different cost: the k-th cheapest is the best of k with probability 1 / k.
    samples = np.random.default_rng(2).standard_normal((40_000, 6))
    found = front_probability(samples, np.arange(6.0))
    assert found == pytest.approx(1 / np.arange(1, 7), abs=0.01)


def test_without_a_cost_nobody_is_judged_or_judges():
    assert front([0.9, 0.5, 0.4], [np.nan, 1.0, 2.0]).tolist() == [False, True, False]
    found = front_probability([[0.9, 0.5, 0.6]], [np.nan, 1.0, 2.0])
    assert np.isnan(found[0])
    assert found[1:].tolist() == [1.0, 1.0]
    assert front([0.5, np.nan, 0.6], [1.0, 0.5, 2.0]).tolist() == [True, False, True]
    assert front([0.5, 0.6], [np.nan, np.nan]).tolist() == [False, False]
    assert front([], []).tolist() == []


def test_shapes_have_to_fit():
    with pytest.raises(ValueError, match="cost: has shape"):
        front([[1.0, 2.0]], [1.0])


def test_a_whole_space_takes_moments():
    generator = np.random.default_rng(3)
    samples, cost = generator.standard_normal((200, 15_625)), generator.uniform(1, 9, 15_625).round(2)
    started = time.perf_counter()
    found = front_probability(samples, cost)
    assert time.perf_counter() - started < 5
    assert found.sum() == pytest.approx(front(samples, cost).sum() / 200)
