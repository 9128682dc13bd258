"""Few paths that stand for a whole space."""

from __future__ import annotations

import pytest

from taurank.spaces import RestrictedSpace, get_space
from taurank.trainables.supernet import Paths, list_supernets
from tests.trainables.supernet.fakes import NoDecisions


@pytest.mark.parametrize("name", list_supernets())
def test_they_have_every_option_of_every_decision(name: str) -> None:
    space = get_space(name)
    paths = Paths.covering(space)
    assert [len(own) for own in paths.allowed] == [len(options) for options in space.decisions]
    assert len(paths) <= max(map(len, space.decisions))


def test_of_a_restricted_space_they_have_what_is_allowed() -> None:
    space = RestrictedSpace(get_space("nasbench201"), [("none", "nor_conv_3x3")] * 5 + [("skip_connect",)])
    paths = Paths.covering(space)
    assert paths.allowed == ((0, 1),) * 5 + ((0,),)
    assert all(space.parse(code).code == code for code in paths.codes)


def test_a_space_without_decisions_has_none() -> None:
    with pytest.raises(ValueError, match="names has no fixed decisions; give the candidates by their codes"):
        Paths.covering(NoDecisions())  # type: ignore[arg-type]
