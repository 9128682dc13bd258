"""Fusion of proxies."""

import math

import numpy as np
import pandas as pd
import pytest

from taurank.trainables.proxies import SETS, list_proxies, log_rank_sum


def test_log_ranks_by_hand_with_ties_and_directions():
    scores = pd.DataFrame({"a": [1.0, 2.0, 2.0, 4.0], "b": [1.0, 2.0, 3.0, 4.0]})
    fused = log_rank_sum(scores, {"a": 1, "b": -1})
    expected = [
        math.log(1 / 4) + math.log(4 / 4),
        math.log(2.5 / 4) + math.log(3 / 4),
        math.log(2.5 / 4) + math.log(2 / 4),
        math.log(4 / 4) + math.log(1 / 4),
    ]
    np.testing.assert_allclose(fused, expected)


def test_a_void_score_drops_out_and_nothing_known_stays_unknown():
    scores = pd.DataFrame({"a": [1.0, 2.0, 3.0, math.nan], "b": [math.nan, 10.0, 20.0, math.nan]})
    fused = log_rank_sum(scores, {"a": 1, "b": 1})
    assert fused[0] == pytest.approx(2 * math.log(1 / 3))
    assert fused[1] == pytest.approx(math.log(2 / 3) + math.log(1 / 2))
    assert fused[2] == 0
    assert math.isnan(fused[3])
    with_infinity = log_rank_sum(scores.replace(math.nan, -math.inf), {"a": 1, "b": 1})
    np.testing.assert_array_equal(fused, with_infinity)


def test_only_orders_count_and_candidates_may_come_in_any_order():
    generator = np.random.default_rng(0)
    scores = pd.DataFrame({"a": generator.random(30), "b": generator.random(30)})
    fused = log_rank_sum(scores, {"a": 1, "b": 1})
    bent = pd.DataFrame({"a": np.exp(9 * scores["a"]), "b": scores["b"] ** 3})
    np.testing.assert_allclose(log_rank_sum(bent, {"a": 1, "b": 1}), fused)
    turned = scores.sample(frac=1, random_state=1)
    np.testing.assert_allclose(log_rank_sum(turned, {"a": 1, "b": 1}), fused[turned.index])


def test_the_sets_name_each_proxy_once():
    assert all(len(set(names)) == len(names) for names in SETS.values())
    assert all(name in list_proxies() for names in SETS.values() for name in names)
