"""The order of the test files, the marks of whole folders, what many of them share, and how many cases are drawn.

Fuzz and property tests draw the same 100 cases each time, in `make test` 25; with
`pytest --hypothesis-profile=explore` 2,000 new ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

import taurank.orchestrator  # noqa: F401  (sets what Ray reads when it is imported)

if TYPE_CHECKING:
    from taurank.trainables.data import ImageData, ImageSet

_COMMON: dict[str, Any] = {
    "deadline": None,  # `tests.fuzz.fuzzing.answer` ends what hangs, which a deadline waits for
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("repeatable", max_examples=100, derandomize=True, **_COMMON)
settings.register_profile("quick", max_examples=25, derandomize=True, **_COMMON)
settings.register_profile("explore", max_examples=2000, **_COMMON)
settings.load_profile("repeatable")

MARKED = {Path(__file__).with_name("fuzz"): "fuzz", Path(__file__).with_name("benchmarks"): "grid"}
HEAVY = ("smoke", "ray", "slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the folders, and puts files with heavy tests first, so that they do not come last and alone."""
    for item in items:
        for folder, mark in MARKED.items():
            if item.path.is_relative_to(folder):
                item.add_marker(mark)
    heavy = {item.path for item in items if any(map(item.get_closest_marker, HEAVY))}
    items.sort(key=lambda item: item.path not in heavy)


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """320 + 200 + 200 digits of 8x8; the arrays are read-only, as those from an object store are."""
    from taurank.trainables.data import load_dataset, make_splits

    data = make_splits(load_dataset("digits"), seed=0, train=320, validation=200, test=200)

    def frozen(images: ImageSet) -> ImageSet:
        images.images.flags.writeable = False
        images.labels.flags.writeable = False
        return images

    return replace(data, train=frozen(data.train), validation=frozen(data.validation), test=frozen(data.test))


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """Ray on two cores, for the tests of a file; not for what starts a Ray itself."""
    from taurank.orchestrator.cluster import connect
    from taurank.orchestrator.experiment import ResourceSpec

    with connect("local", resources=ResourceSpec(cpus=2)):
        yield
