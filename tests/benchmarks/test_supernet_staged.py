from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.search.staged import StagedSupernet, count_steps
from taurank.spaces import RestrictedSpace, SearchSpace, SpaceError, get_space
from taurank.trainables.data import ImageData
from taurank.trainables.supernet import SupernetConfig, make_supernet
from taurank.trainables.training.recipe import Recipe

RECIPE = Recipe(learning_rate=0.05, batch_size=64)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return get_space("fbnet", variant="mini")  # three layers of nine operations


def stage_of(space: SearchSpace, searched: int) -> RestrictedSpace:
    """Two operations in one layer, the first operation in the others."""
    allowed = [
        list(options[:2]) if place == searched else [options[0]] for place, options in enumerate(space.decisions)
    ]
    return RestrictedSpace(space, allowed)


def options_of(state: dict[str, torch.Tensor], layer: int, option: int) -> dict[str, torch.Tensor]:
    prefix = f"network.layers.{layer}.options.{option}."
    return {key: value for key, value in state.items() if key.startswith(prefix) and value.is_floating_point()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def test_a_stage_trains_its_paths_and_hands_its_weights_on(space: SearchSpace, digits: ImageData) -> None:
    supernet = StagedSupernet(space, RECIPE, digits, epochs=(2, 1), seed=3)
    late, early = stage_of(space, 2), stage_of(space, 0)
    score, steps = supernet(late)
    assert steps == 2 * 5  # epochs, batches of 64 of 320 images
    first = supernet.trainings[0]
    assert set(first.paths.codes) == {one.code for one in late.enumerate()}
    assert sum(first.updates.values()) == 10
    assert score(list(late.enumerate())) == [first.score(one.code).accuracy for one in late.enumerate()]

    before = {key: value.clone() for key, value in first.supernet.state_dict().items()}
    _, steps = supernet(early)
    assert steps == 5
    second = supernet.trainings[1]
    after = second.supernet.state_dict()
    assert set(second.paths.codes) == {one.code for one in early.enumerate()}
    # The second stage has gone on from the first, with the other operation of the last layer left as it was.
    assert same(options_of(before, 2, 1), options_of(after, 2, 1))
    assert not same(options_of(before, 2, 0), options_of(after, 2, 0))
    assert not same(options_of(before, 0, 1), options_of(after, 0, 1))
    # What no stage has is as it was made.
    untouched = options_of(before, 1, 4)
    assert untouched != {}
    assert same(untouched, options_of(after, 1, 4))
    with pytest.raises(ValueError, match="epochs: given for 2 stages, but another one is to be trained"):
        supernet(early)


def test_scores_of_a_stage_stay_when_the_next_is_trained(space: SearchSpace, digits: ImageData) -> None:
    supernet = StagedSupernet(space, RECIPE, digits, epochs=(1, 1))
    late = stage_of(space, 2)
    score, _ = supernet(late)
    before = score(list(late.enumerate()))
    supernet(stage_of(space, 0))
    assert score(list(late.enumerate())) == before


def test_a_supernet_of_a_restricted_space_holds_what_is_allowed(space: SearchSpace) -> None:
    whole = make_supernet(space, input_shape=(1, 8, 8), classes=10)
    restricted = RestrictedSpace(space, [["k3e6", "skip"], ["k5e1g2"], ["k3e1", "k5e3", "skip"]])
    small = make_supernet(restricted, input_shape=(1, 8, 8), classes=10)
    held = {tuple(key.split(".")[2:5:2]) for key in small.state_dict() if ".options." in key}
    # The skip of the last layer, which keeps the shape, has no weights.
    assert held == {("0", "0"), ("0", "1"), ("1", "0"), ("2", "0"), ("2", "1")}
    code = "k3e6_k5e1g2-k5e3"
    assert set(small.inherited(code)) == set(whole.inherited(code))
    shapes = [{key: value.shape for key, value in one.inherited(code).items()} for one in (small, whole)]
    assert shapes[0] == shapes[1]
    alone = restricted.build(restricted.parse(code), input_shape=(1, 8, 8), classes=10).eval()
    alone.load_state_dict(small.inherited(code))
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    small.eval().activate(code)
    with torch.no_grad():
        torch.testing.assert_close(small(images), alone(images))


def test_a_supernet_whose_options_cannot_be_left_out() -> None:
    cells = get_space("nasbench201", width=4, cells_per_stage=1)
    restricted = RestrictedSpace(cells, [options[:3] for options in cells.decisions])
    with pytest.raises(SpaceError, match="the supernet of nasbench201 holds all options whatever is allowed"):
        make_supernet(restricted, input_shape=(1, 8, 8), classes=10)


def test_paths_of_a_large_stage_are_drawn(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch, space: SearchSpace
) -> None:
    monkeypatch.setattr("benchmarks.search.staged.PATHS", 12)
    supernet = StagedSupernet(space, RECIPE, digits, epochs=(1,))
    whole = RestrictedSpace(space, space.decisions)
    supernet(whole)
    codes = supernet.trainings[0].paths.codes
    assert len(set(codes)) == 12
    expected = whole.sample(12, np.random.default_rng([0, 0]))
    assert codes == tuple(one.code for one in expected)


def test_steps() -> None:
    assert count_steps(RECIPE.of_length(3), images=320) == 15
    assert count_steps(RECIPE.of_length(3), images=321) == 18


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": ()}, "epochs: \\[\\] are not at least one epoch for each stage"),
        ({"epochs": (2, 0)}, "epochs: \\[2, 0\\] are not"),
        (
            {"epochs": (2, 1), "config": SupernetConfig(split_after=0.5)},
            "split_after is 0.5, but stages hand their weights on",
        ),
    ],
)
def test_refusals(space: SearchSpace, digits: ImageData, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StagedSupernet(space, RECIPE, digits, **options)
