from __future__ import annotations

import pytest

from taurank.trainables.data import ImageData, load_dataset, make_splits


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """320 + 200 + 200 digits of 8x8."""
    return make_splits(load_dataset("digits"), seed=0, train=320, validation=200, test=200)
