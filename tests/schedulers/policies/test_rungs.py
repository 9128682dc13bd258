from __future__ import annotations

import pytest

from taurank.schedulers.policies.rungs import default_first_rung, halving_epochs, rung_epochs, survivors


@pytest.mark.parametrize(
    ("points", "first", "factor", "rungs"),
    [
        (range(1, 82), 1, 3, (1, 3, 9, 27, 81)),
        (range(1, 101), 1, 3, (1, 3, 9, 27, 81, 100)),
        (range(1, 101), 100 / 81, 3, (1, 3, 11, 33, 100)),
        (range(1, 101), 100 / 3, 3, (33, 100)),
        (range(1, 13), 1, 2, (1, 2, 4, 8, 12)),
        (range(1, 13), 1, 1.2, (1, 2, 3, 4, 5, 6, 7, 8, 10, 12)),
        (range(3, 91, 3), 1, 3, (3, 9, 27, 81, 90)),
        (range(3, 91, 3), 3, 3, (3, 9, 27, 81, 90)),
        ((1,), 1, 3, (1,)),
        (range(1, 11), 10, 3, (10,)),
    ],
)
def test_rungs(points, first, factor, rungs):
    assert rung_epochs(points, first, factor) == rungs


def test_survivors():
    assert [survivors(81, k, 3) for k in range(5)] == [81, 27, 9, 3, 1]
    assert [survivors(80, k, 3) for k in range(5)] == [80, 26, 8, 2, 1]
    assert [survivors(10, k, 2.5) for k in range(4)] == [10, 4, 1, 1]
    assert survivors(0, 0, 3) == 0


def test_the_example_of_297_epochs():
    assert halving_epochs(81, (1, 3, 9, 27, 81), 3) == 81 + 27 * 2 + 9 * 6 + 3 * 18 + 1 * 54 == 297
    assert halving_epochs(34, (3, 9, 27, 81), 3) == 34 * 3 + 11 * 6 + 3 * 18 + 1 * 54
    assert halving_epochs(7, (81,), 3) == 7 * 81


@pytest.mark.parametrize(
    ("points", "first"), [(range(1, 82), 3), (range(1, 101), 4), (range(1, 13), 1), (range(3, 91, 3), 6), ((5, 20), 5)]
)
def test_nobody_is_judged_by_less_than_a_27th(points, first):
    assert default_first_rung(points) == first
