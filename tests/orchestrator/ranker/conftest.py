from __future__ import annotations

import numpy as np
import pytest

from tests.orchestrator.ranker.tables import FULL, Table, accuracy, noisy


@pytest.fixture
def quality():
    """True scores of 30 candidates, in no order."""
    return np.random.default_rng(1).permutation(np.linspace(-2, 2, 30))


@pytest.fixture
def usual(quality):
    """Size, short trainings and two full ones."""
    table = Table(30).size(np.exp(noisy(quality, 1, 2))).training(3, accuracy(noisy(quality, 1, 3)))
    return table.training(FULL, {4: 0.9, 17: 0.7, 20: 0.8})
