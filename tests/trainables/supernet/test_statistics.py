from __future__ import annotations

import numpy as np
import pytest

from taurank.spaces import get_space
from taurank.trainables.supernet import Paths
from taurank.trainables.supernet.statistics import WINDOW, OptionStatistics

SPACE = get_space("mnist_blocks")
NINE = Paths(SPACE, tuple(architecture.code for architecture in SPACE.enumerate()))


def drawn(count: int, *, noise: float, trend: float = 0.0, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Losses of which the depth of stage 1 explains a variance of .06, that of stage 2 one of .015."""
    generator = np.random.default_rng(seed)
    choices = generator.integers(3, size=(count, 2))
    losses = 0.3 * choices[:, 0] + 0.15 * choices[:, 1] + noise * generator.standard_normal(count)
    return [NINE.code(pair) for pair in choices], losses - trend * np.arange(count)


def test_impact_is_the_variance_that_a_decision_explains() -> None:
    statistics = OptionStatistics(NINE)
    statistics.add(*drawn(20_000, noise=0.1))
    # The variance of 0, 1, 2 is 2/3; a loss is part of the mean that is taken out of it.
    own = (1 - 1 / WINDOW) ** 2
    assert statistics.impact == pytest.approx([0.09 * 2 / 3 * own, 0.0225 * 2 / 3 * own], rel=0.05)


def test_a_falling_loss_is_taken_out() -> None:
    statistics = OptionStatistics(NINE)
    for epoch in range(4):
        statistics.add(*drawn(2_000, noise=0.1, trend=0.01, seed=epoch))
    assert statistics.impact == pytest.approx([0.06, 0.015], rel=0.15)


def test_updates_are_counted_by_option() -> None:
    statistics = OptionStatistics(NINE)
    statistics.add(["1,1", "1,3", "2,3"], np.zeros(3))
    assert [row.tolist() for row in statistics.updates] == [[2, 1, 0], [1, 0, 2]]
    assert statistics.updates_of("1,3") == 2.0
    assert statistics.updates_of("3,2") == 0.0
    assert OptionStatistics(NINE).impact.tolist() == [0.0, 0.0]


def test_state_goes_round() -> None:
    first, second = OptionStatistics(NINE), OptionStatistics(NINE)
    first.add(*drawn(200, noise=0.1))
    second.load_state_dict(first.state_dict())
    for statistics in (first, second):
        statistics.add(*drawn(200, noise=0.1, seed=1))
    assert second.impact.tolist() == first.impact.tolist()
    assert second.updates_of("2,2") == first.updates_of("2,2") > 0
