from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from taurank.spaces import (
    Architecture,
    MnistBlocks,
    NASBench201,
    SpaceError,
    get_space,
    list_spaces,
    register_space,
    registry,
)
from taurank.spaces.architecture import draw


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the registry, so that a test may add to it."""
    monkeypatch.setattr(registry, "_SPACES", copy.deepcopy(registry._SPACES))


def test_spaces_are_listed_by_pattern() -> None:
    assert list_spaces() == sorted(list_spaces())
    assert {"mnist_blocks", "nasbench201"} <= set(list_spaces())
    assert "nasbench201" in list_spaces("nas*")
    assert "mnist_blocks" not in list_spaces("nas*")
    assert list_spaces("no such*") == []


def test_options_reach_the_space() -> None:
    assert get_space("nasbench201").options == {"width": 16, "cells_per_stage": 5}
    assert get_space("nasbench201", width=8).options == {"width": 8, "cells_per_stage": 5}
    assert get_space("mnist_blocks", reference=True).options == {"reference": True}
    assert repr(get_space("mnist_blocks", reference=True)) == "get_space('mnist_blocks', reference=True)"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nasbench-201", {}, r"'nasbench-201' is unknown \(did you mean 'nasbench201'\?\); there are .*mnist_blocks"),
        ("zzz", {}, r"'zzz' is unknown; there are"),
        (
            "nasbench201",
            {"widht": 8},
            r"option 'widht' is unknown \(did you mean 'width'\?\); .* width, cells_per_stage",
        ),
        ("mnist_blocks", {"self": 8}, r"option 'self' is unknown"),
        ("nasbench201", {"width": "8"}, r"^width: '8' is not a whole number"),
    ],
)
def test_errors_name_what_is_allowed(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space(name, **options)


@pytest.mark.usefixtures("scratch")
def test_a_name_is_given_once() -> None:
    class Other(MnistBlocks):
        name = "nasbench201"

    with pytest.raises(
        SpaceError, match=r"'nasbench201' of .*Other is taken by taurank.spaces.nasbench201.space.NASBench201"
    ):
        register_space(Other)
    assert type(get_space("nasbench201")) is NASBench201


@pytest.mark.usefixtures("scratch")
def test_a_new_space_is_found() -> None:
    class Other(MnistBlocks):
        name = "other"

    assert register_space(Other) is Other
    assert type(get_space("other")) is Other
    assert "other" in list_spaces()


def test_a_space_without_a_name_is_refused() -> None:
    class Nameless(MnistBlocks):
        name = ""

    with pytest.raises(SpaceError, match="Nameless has no name"):
        register_space(Nameless)


@pytest.mark.parametrize("size", [None, 10**18])
def test_spaces_too_large_to_list_say_so(size: int | None) -> None:
    space = MnistBlocks()
    space.size = size
    with pytest.raises(SpaceError, match=r"^enumerate: mnist_blocks has .* codes, too many to list; use sample"):
        space.enumerate()


def test_architectures_are_values() -> None:
    one, two = Architecture("a", "2"), Architecture("b", "1")
    assert sorted([two, one]) == [one, two]
    assert one == Architecture("a", "2")
    assert hash(one) == hash(Architecture("a", "2"))
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.code = "3"  # type: ignore[misc]


def test_draws_are_uniform() -> None:
    pool = [Architecture("a", str(index)) for index in range(5)]
    generator = np.random.default_rng(0)
    first = [int(draw(pool, 2, generator, "codes")[0].code) for _ in range(5000)]
    counts = np.bincount(first, minlength=5)
    assert np.abs(counts - 1000).max() < 4.5 * (5000 * 0.2 * 0.8) ** 0.5
