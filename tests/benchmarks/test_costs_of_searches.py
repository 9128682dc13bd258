from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from benchmarks.search.search_pnas_cost import Truth
from benchmarks.supernets.ofa_targets import expected_best


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_expected_best_is_the_mean_over_all_draws(count: int) -> None:
    validation, test = np.array([0.5, 0.9, 0.1, 0.7]), np.array([0.6, 0.7, 0.2, 0.8])
    drawn = [test[list(places)][validation[list(places)].argmax()] for places in combinations(range(4), count)]
    assert expected_best(validation, test, count) == pytest.approx(np.mean(drawn))


def test_random_search_is_expected_to_cost_the_mean_over_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy, seconds = (
        dict(zip("abcde", (1, 3, 2, 3, 0), strict=True)),
        dict(zip("abcde", (1, 2, 3, 4, 5), strict=True)),
    )
    truth = Truth("made up", 0, accuracy, seconds)

    class Cell:
        def __init__(self, code: str) -> None:
            self.code = code

    monkeypatch.setattr("benchmarks.search.search_pnas_cost.listed", lambda space: list(map(Cell, accuracy)))
    orders = [truth.cost(order, 3) for order in permutations(accuracy)]
    found = truth.random_cost(3)
    assert found["trainings"] == pytest.approx(np.mean([each["trainings"] for each in orders]), abs=1e-3)
    assert found["seconds"] == pytest.approx(np.mean([each["seconds"] for each in orders]), abs=0.05)
    assert all(each["reached"] for each in orders)
    assert truth.cost("ace", 3) == {"trainings": 3, "seconds": 9.0, "reached": False}
