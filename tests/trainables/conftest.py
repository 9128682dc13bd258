"""Images and networks that train in a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from taurank.trainables.data import ImageData, ImageSet, load_dataset, make_splits


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """320 + 200 + 200 digits of 8x8; the arrays are read-only, as those from an object store are."""
    data = make_splits(load_dataset("digits"), seed=0, train=320, validation=200, test=200)

    def frozen(images: ImageSet) -> ImageSet:
        images.images.flags.writeable = False
        images.labels.flags.writeable = False
        return images

    return replace(data, train=frozen(data.train), validation=frozen(data.validation), test=frozen(data.test))


@pytest.fixture(scope="session")
def build_tiny() -> Callable[..., nn.Module]:
    """Makes a network of two convolutions for the digits."""

    def build(dropout: float = 0.0) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(16 * 4 * 4, 10),
        )

    return build
