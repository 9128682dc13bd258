from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from taurank.spaces import Architecture, NASBench201, RestrictedSpace, SearchSpace, SpaceError, get_space

SHAPE = (1, 28, 28)


@pytest.fixture(scope="module")
def macro() -> SearchSpace:
    return get_space("nasbench_macro", width=4, head_width=16)


@pytest.fixture(scope="module")
def once_for_all() -> SearchSpace:
    return get_space("once_for_all", variant="mini")


def narrowed(space: SearchSpace, seed: int) -> RestrictedSpace:
    """Some options of each decision, at random."""
    generator = np.random.default_rng(seed)
    allowed = []
    for options in space.decisions:
        kept = generator.permutation(len(options))[: generator.integers(1, len(options) + 1)]
        allowed.append([options[position] for position in kept])
    return RestrictedSpace(space, allowed)


MADE = {
    "fbnet": {"variant": "mini"},
    "nasbench201": {"width": 4, "cells_per_stage": 1},
    "nasbench_macro": {"width": 4, "head_width": 16},
    "once_for_all": {"variant": "mini"},
    "once_for_all_resnet50": {"variant": "mini"},
    "proxyless": {"variant": "mini"},
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_options_can_say_and_nothing_else(name: str, seed: int) -> None:
    space = get_space(name, **MADE[name])
    restricted = narrowed(space, seed)
    # Chosen in the whole space by options that are all allowed.
    kept = [
        [options.index(option) for option in allowed]
        for options, allowed in zip(space.decisions, restricted.decisions, strict=True)
    ]
    expected = {space.choose(choices) for choices in product(*kept)}
    codes = list(restricted.enumerate())
    assert set(codes) == expected
    assert len(codes) == len(expected) == restricted.size
    for one in codes[:50]:
        assert one in restricted
        assert restricted.parse(one.code) == one
        assert restricted.choose(restricted.choices(one)) == one
        assert restricted.canonical(one) in expected
        assert restricted.canonical(restricted.canonical(one)) == restricted.canonical(one)
        near = restricted.neighbours(one)
        assert set(near) == set(space.neighbours(one)) & expected
        assert all(one in restricted.neighbours(other) for other in near[:5])
        np.testing.assert_array_equal(restricted.features(one), space.features(one))


@pytest.mark.parametrize("name", MADE)
def test_samples_stay_within_and_differ_as_functions(name: str) -> None:
    space = get_space(name, **MADE[name])
    restricted = narrowed(space, 1)
    functions = {space.canonical(one) for one in restricted.enumerate() if space.is_live(one)}
    drawn = restricted.sample(len(functions), np.random.default_rng(0))
    assert {space.canonical(one) for one in drawn} == functions
    assert all(one in restricted and restricted.canonical(one) == one for one in drawn)
    again = restricted.sample(len(functions), np.random.default_rng(0))
    assert drawn == again
    with pytest.raises(SpaceError, match="there are only"):
        restricted.sample(len(functions) + 1, np.random.default_rng(0))


def test_canonical_stays_within_where_that_of_the_whole_space_does_not(macro: SearchSpace) -> None:
    # Layer 4 may be left out and layer 5 may not: the whole space moves the block of layer 5 to layer 4.
    rest = [["mb3_k3"]] * 3
    restricted = RestrictedSpace(macro, [*rest, ["identity"], ["mb3_k3", "mb6_k5"], *rest])
    one = restricted.parse("11102111")
    assert macro.canonical(one).code == "11120111"
    assert macro.canonical(one) not in restricted
    assert restricted.canonical(one) == one


def test_a_large_space_is_drawn_uniformly_from_without_listing_it() -> None:
    space = get_space("once_for_all", variant="mini", kernels=[3, 5, 7], expansions=[3, 4, 6], depths=[2, 3, 4])
    allowed = [list(options) for options in space.decisions]
    allowed[-1] = ["r28"]
    restricted = RestrictedSpace(space, allowed)
    assert restricted.size is None
    drawn = restricted.sample(400, np.random.default_rng(0))
    assert len(set(drawn)) == 400
    depths = np.array([[len(stage) for stage in space.subnet(one).stages] for one in drawn])
    # 9**4 of 9**2 + 9**3 + 9**4 codes of a stage keep all blocks: .890; 800 stages, four standard deviations: .044.
    assert abs((depths == 4).mean() - 0.890) < 0.044
    with pytest.raises(SpaceError, match="-1 is not a whole number"):
        restricted.sample(-1, np.random.default_rng(0))


def test_codes_whose_choices_are_one_to_one_are_counted_however_many() -> None:
    space = get_space("proxyless")
    restricted = RestrictedSpace(space, [options[:3] for options in space.decisions])
    assert restricted.size == 3**21
    drawn = restricted.sample(20, np.random.default_rng(0))
    assert {operation for one in drawn for operation in space.layers(one)} == {"k3e3", "k3e6", "k5e3"}


def test_what_makes_no_difference_shuts_nobody_out(once_for_all: SearchSpace) -> None:
    # The second block of the first stage has kernel 5 only, but is not kept.
    allowed = [list(options) for options in once_for_all.decisions]
    allowed[0], allowed[2], allowed[8] = ["k3"], ["k5"], ["d1"]
    restricted = RestrictedSpace(once_for_all, allowed)
    one = restricted.parse("r28_k3e2_k3e2")
    assert restricted.choices(one)[2] == 0
    assert restricted.choose(restricted.choices(one)) == one
    with pytest.raises(SpaceError, match=r"decision 0 is k5; allowed are k3$"):
        restricted.parse("r28_k5e2_k3e2")


def test_networks_and_options_are_those_of_the_whole_space(macro: SearchSpace) -> None:
    restricted = RestrictedSpace(macro, [["mb3_k3"]] * 8)
    (one,) = restricted.enumerate()
    assert one == Architecture("nasbench_macro", "11111111")
    assert restricted.options == macro.options
    network = restricted.build(one, input_shape=SHAPE, classes=10)
    assert type(network) is type(macro.build(one, input_shape=SHAPE, classes=10))
    with pytest.raises(SpaceError, match=r"code: '21111111' is not in the restricted space: decision 0 is mb6_k5"):
        restricted.build(Architecture("nasbench_macro", "21111111"), input_shape=SHAPE, classes=10)


def test_it_can_be_restricted_again(macro: SearchSpace) -> None:
    once = RestrictedSpace(macro, [["mb3_k3", "mb6_k5"]] * 8)
    twice = RestrictedSpace(once, [*[["mb6_k5"]] * 7, ["mb3_k3", "mb6_k5"]])
    assert [one.code for one in twice.enumerate()] == ["22222221", "22222222"]
    with pytest.raises(SpaceError, match="'identity' is not an option of decision 0; there are mb3_k3, mb6_k5"):
        RestrictedSpace(once, [["identity"]] * 8)


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ([["mb3_k3"]] * 7, "allowed: 7 given, but nasbench_macro has 8 decisions; give a list for each"),
        ([[]] * 8, "allowed: \\[\\] for decision 0 is not a list of at least one option"),
        (["mb3_k3"] * 8, "allowed: 'mb3_k3' for decision 0 is not a list"),
        ([["k9"]] * 8, "allowed: 'k9' is not an option of decision 0; there are identity, mb3_k3, mb6_k5"),
    ],
)
def test_refusals(macro: SearchSpace, allowed: list[list[str]], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        RestrictedSpace(macro, allowed)


def test_a_space_without_fixed_decisions() -> None:
    class Undecided(NASBench201):
        decisions = ()

    with pytest.raises(SpaceError, match="base: nasbench201 has no fixed decisions to restrict"):
        RestrictedSpace(Undecided(), [["a"]])
