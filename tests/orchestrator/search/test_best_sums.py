"""The order of sums of scores, against all of them sorted."""

from __future__ import annotations

import math
from itertools import islice, product

import numpy as np
import pytest

from taurank.orchestrator.search.inside_supernet import best_sums


@pytest.mark.parametrize("widths", [(1,), (4,), (2, 3), (3, 1, 4), (2, 2, 2, 2), (5, 4, 3, 2)])
def test_it_is_the_order_of_all_sums(widths: tuple[int, ...]) -> None:
    generator = np.random.default_rng(sum(widths))
    scores = [generator.normal(size=width).tolist() for width in widths]
    found = list(best_sums(scores))
    everything = product(*map(range, widths))
    expected = sorted(everything, key=lambda taken: -math.fsum(scores[at][one] for at, one in enumerate(taken)))
    assert [choices for choices, _ in found] == expected
    for choices, total in found:
        assert total == pytest.approx(sum(scores[at][one] for at, one in enumerate(choices)))


def test_with_many_ties_everything_comes_once_and_sums_never_rise() -> None:
    scores = [[0.0, 1.0, 0.0], [1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    found = list(best_sums(scores))
    assert sorted(choices for choices, _ in found) == list(product(range(3), range(2), range(4)))
    sums = [total for _, total in found]
    assert sums == sorted(sums, reverse=True)
    assert found == list(best_sums(scores))


def test_options_without_a_finite_score_are_left_out() -> None:
    found = [choices for choices, _ in best_sums([[math.nan, 1.0, 2.0], [-math.inf, 0.0]])]
    assert found == [(2, 1), (1, 1)]


def test_a_space_of_ten_to_the_19_is_no_burden() -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(21, 8)).tolist()
    found = list(islice(best_sums(scores), 2_000))
    assert found[0][0] == tuple(int(np.argmax(own)) for own in scores)
    assert len({choices for choices, _ in found}) == 2_000
    assert [total for _, total in found] == sorted((total for _, total in found), reverse=True)
    gaps = [sorted(own)[-1] - sorted(own)[-2] for own in scores]
    assert found[0][1] - found[1][1] == pytest.approx(min(gaps))
