"""What every registered space must keep. A new space needs one line in SPACES and DECISIONS, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from taurank.spaces import Architecture, SearchSpace, SpaceError, get_space, list_spaces, measure_size
from taurank.spaces.mnist_blocks import parse_depths
from taurank.spaces.nasbench201 import parse_code

# Options that keep the networks small.
SPACES: dict[str, dict[str, Any]] = {
    "darts": {"width": 4, "layers": 3},
    "mnist_blocks": {},
    "nasbench201": {"width": 4, "cells_per_stage": 1},
    "fbnet": {"variant": "mini"},
    "mnasnet": {"variant": "mini"},
    "nasbench_macro": {"width": 4, "head_width": 16},
    "once_for_all": {"variant": "mini"},
    "once_for_all_resnet50": {"variant": "mini"},
    "pnas": {"blocks": 3, "width": 4, "layers": 3},
    "proxyless": {"variant": "mini"},
    "small_convnets": {},
    "zoo": {
        "models": [
            "torchvision:shufflenet_v2_x[01]*",
            "torchvision:mnasnet0*",
            "torchvision:mobilenet_v3*",
            "torchvision:regnet_?_400mf",
        ]
    },
}


def split_subnet(code: str) -> list[str]:
    """Resolution, then the two blocks of each stage, "" for one that is not kept."""
    resolution, *stages = code.split("_")
    return [resolution, *(block for stage in stages for block in [*stage.split("-"), ""][:2])]


def split_resnet(code: str) -> list[str]:
    """Resolution, the three of the stem, then width and two blocks of each stage, "" for one that is not kept."""
    resolution, stem, *stages = code.split("_")
    return [resolution, *stem.split("-"), *(part for stage in stages for part in [*stage.split("-"), ""][:3])]


def split_layers(code: str) -> list[str]:
    """Entries that are joined by - and _."""
    return code.replace("_", "-").split("-")


def split_darts(code: str) -> list[str]:
    """Of each node its pair of sources and both operations."""
    blocks = [block for cell in code.split("+") for block in cell.split("_")]
    return [part for block in blocks for part in (block[0] + block[4], block[1:3], block[5:7])]


def split_blocks(code: str) -> list[str]:
    """Three blocks, "" for one that is not there."""
    return [*code.split("_"), "", ""][:3]


# How a code splits into its decisions.
DECISIONS: dict[str, Callable[[str], Sequence[Hashable]]] = {
    "darts": split_darts,
    "mnist_blocks": parse_depths,
    "nasbench201": parse_code,
    "fbnet": split_layers,
    "mnasnet": split_layers,
    "nasbench_macro": tuple,
    "once_for_all": split_subnet,
    "once_for_all_resnet50": split_resnet,
    "pnas": split_blocks,
    "proxyless": split_layers,
    "small_convnets": lambda code: code.split(","),
    "zoo": lambda code: [code],
}


@pytest.fixture(params=list_spaces(), scope="module")
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return get_space(request.param, **SPACES[request.param])


@pytest.fixture(scope="module")
def architectures(space: SearchSpace) -> list[Architecture]:
    return space.sample(8, np.random.default_rng(11), distinct="code")


def test_the_same_space_can_be_made_again_from_name_and_options(space: SearchSpace) -> None:
    again = get_space(space.name, **space.options)
    assert type(again) is type(space)
    assert again.options == space.options
    assert json.loads(json.dumps(space.options)) == space.options  # so that they survive a file
    assert set(SPACES[space.name]) <= set(space.options)


def test_short_names_read_back_and_tell_architectures_apart(
    space: SearchSpace, architectures: list[Architecture]
) -> None:
    names = [space.short(architecture) for architecture in architectures]
    assert [space.parse(name) for name in names] == architectures
    assert len(set(names)) == len(architectures)


def test_codes_round_trip(space: SearchSpace, architectures: list[Architecture]) -> None:
    for architecture in architectures:
        assert architecture.space == space.name
        assert str(architecture) == architecture.code
        assert space.parse(architecture.code) == architecture
        assert space.parse(f"  {architecture.code}\n") == architecture


def test_a_text_that_is_no_code_is_refused(space: SearchSpace) -> None:
    for text in ("", " ", "nonsense", "|", ",", "1,2,3,4", "||+||+||"):
        with pytest.raises(SpaceError, match=r"^code: "):
            space.parse(text)


def test_enumeration_lists_as_many_codes_as_the_size_says(space: SearchSpace) -> None:
    if space.size is None or space.size > 100_000:
        pytest.skip(f"{space.name} is not listed here")
    listed = list(space.enumerate())
    assert len(listed) == space.size
    assert len(set(listed)) == space.size
    assert listed == list(space.enumerate())


def test_samples_are_distinct_live_and_repeatable(space: SearchSpace) -> None:
    generator = np.random.default_rng(5)
    drawn = space.sample(8, generator)
    assert drawn == space.sample(8, np.random.default_rng(5))
    assert drawn != space.sample(8, np.random.default_rng(6))
    assert drawn != space.sample(8, generator)  # drawing advances the generator
    assert len({space.canonical(architecture) for architecture in drawn}) == 8
    for architecture in drawn:
        assert space.canonical(architecture) == architecture
        assert space.is_live(architecture)
        assert depends_on_input(space, architecture)


def test_code_samples_are_distinct(space: SearchSpace) -> None:
    drawn = space.sample(8, np.random.default_rng(5), distinct="code")
    assert len(set(drawn)) == 8
    assert drawn == space.sample(8, np.random.default_rng(5), distinct="code")


def test_samples_that_do_not_exist_are_refused(space: SearchSpace) -> None:
    generator = np.random.default_rng(0)
    assert space.sample(0, generator) == []
    with pytest.raises(SpaceError, match=r"^count: -1 "):
        space.sample(-1, generator)
    with pytest.raises(SpaceError, match=r"^distinct: 'kind' .*'code', 'function'"):
        space.sample(1, generator, distinct="kind")  # type: ignore[arg-type]
    if space.size is not None:
        if space.size <= 100_000:
            assert len(space.sample(space.size, generator, distinct="code")) == space.size
        message = r"^count: .* (requested, but there are only|is not a whole number of 0 to)"
        with pytest.raises(SpaceError, match=message):
            space.sample(space.size + 1, generator, distinct="code")
        with pytest.raises(SpaceError, match=message):
            space.sample(space.size + 1, generator)


def test_canonical_is_idempotent(space: SearchSpace, architectures: list[Architecture]) -> None:
    for architecture in architectures:
        once = space.canonical(architecture)
        assert space.canonical(once) == once


def test_choices_tell_architectures_apart_and_lead_back(space: SearchSpace, architectures: list[Architecture]) -> None:
    taken = [space.choices(architecture) for architecture in architectures]
    assert len(set(taken)) == len(architectures)
    assert [space.choose(choices) for choices in taken] == architectures
    for choices in taken:
        assert all(0 <= choice < len(options) for choice, options in zip(choices, space.decisions, strict=True))
    for wrong in (taken[0][1:], (*taken[0], 0), (-1, *taken[0][1:]), (*taken[0][:-1], len(space.decisions[-1]))):
        with pytest.raises(SpaceError, match=r"^choices: "):
            space.choose(wrong)


def test_every_choice_is_an_architecture(space: SearchSpace) -> None:
    generator = np.random.default_rng(2)
    for _ in range(8):
        chosen = space.choose([int(generator.integers(len(options))) for options in space.decisions])
        assert space.parse(chosen.code) == chosen
        assert space.choose(space.choices(chosen)) == chosen


def test_neighbours_differ_in_one_decision_and_know_each_other(
    space: SearchSpace, architectures: list[Architecture]
) -> None:
    decisions = DECISIONS[space.name]
    for architecture in architectures:
        neighbours = space.neighbours(architecture)
        assert neighbours
        assert len(set(neighbours)) == len(neighbours)
        here = decisions(architecture.code)
        for neighbour in neighbours:
            there = decisions(neighbour.code)
            assert sum(a != b for a, b in zip(here, there, strict=True)) == 1
            assert architecture in space.neighbours(neighbour)


def test_features_are_named_finite_and_tell_architectures_apart(
    space: SearchSpace, architectures: list[Architecture]
) -> None:
    names = space.feature_names
    assert len(set(names)) == len(names)
    rows = [space.features(architecture) for architecture in architectures]
    for row in rows:
        assert row.shape == (len(names),)
        assert row.dtype == np.float64
        assert np.isfinite(row).all()
    assert len({row.tobytes() for row in rows}) == len(
        {space.canonical(architecture) for architecture in architectures}
    )


@pytest.mark.parametrize(("input_shape", "classes"), [((1, 28, 28), 10), ((3, 9, 8), 7)])
def test_networks_give_one_row_of_logits_per_image(
    space: SearchSpace, architectures: list[Architecture], input_shape: tuple[int, int, int], classes: int
) -> None:
    for architecture in architectures[:3]:
        network = seeded_build(space, architecture, input_shape, classes)
        logits = network(torch.rand(2, *input_shape, generator=torch.Generator().manual_seed(0)))
        assert logits.shape == (2, classes)
        assert torch.isfinite(logits).all()
        logits.sum().backward()
        assert all(torch.isfinite(w.grad).all() for w in network.parameters() if w.grad is not None)


def test_weights_depend_on_the_seed_alone(space: SearchSpace, architectures: list[Architecture]) -> None:
    one, same, other = (seeded_build(space, architectures[0], (1, 8, 8), 10, seed=seed) for seed in (1, 1, 2))
    differs = []
    for key, weight in one.state_dict().items():
        assert torch.equal(weight, same.state_dict()[key])
        differs.append(not torch.equal(weight, other.state_dict()[key]))
    assert any(differs)


def test_thin_networks_take_small_crops_of_one_channel(space: SearchSpace, architectures: list[Architecture]) -> None:
    for architecture in architectures[:3]:
        torch.manual_seed(0)
        network = space.thin(architecture, classes=7)
        if network is None:
            pytest.skip(f"{space.name} has no thin networks")
        assert network(torch.rand(4, 1, 3, 3)).shape == (4, 7)
        assert sum(weight.numel() for weight in network.parameters()) < 10_000
    with pytest.raises(SpaceError, match=r"^classes: 0 "):
        space.thin(architectures[0], classes=0)


def test_tasks_that_make_no_sense_are_refused(space: SearchSpace, architectures: list[Architecture]) -> None:
    tasks: list[tuple[Any, int, str]] = [
        ((1, 28), 10, r"^input_shape: .* 2 entries"),
        ((1, 0, 28), 10, r"^input_shape: height: 0 "),
        ((1.0, 28, 28), 10, r"^input_shape: channels: 1.0 "),
        ((1, 28, 28), 0, r"^classes: 0 "),
    ]
    for input_shape, classes, message in tasks:
        with pytest.raises(SpaceError, match=message):
            space.build(architectures[0], input_shape=input_shape, classes=classes)


def test_architectures_of_another_space_are_refused(space: SearchSpace) -> None:
    stranger = Architecture("elsewhere", "1,1")
    for method in (
        space.canonical,
        space.choices,
        space.is_live,
        space.neighbours,
        space.features,
        lambda a: space.build(a, input_shape=(1, 8, 8), classes=2),
        lambda a: space.thin(a, classes=2),
    ):
        with pytest.raises(SpaceError, match=r"^architecture: '1,1' is of space 'elsewhere'"):
            method(stranger)


def test_size_agrees_with_the_network(space: SearchSpace, architectures: list[Architecture]) -> None:
    for architecture in architectures[:2]:
        size = measure_size(space, architecture, input_shape=(1, 12, 12), classes=10)
        network = seeded_build(space, architecture, (1, 12, 12), 10)
        assert size.parameters == sum(weight.numel() for weight in network.parameters())
        assert size.flops > 0


def seeded_build(
    space: SearchSpace, architecture: Architecture, input_shape: tuple[int, int, int], classes: int, seed: int = 0
) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return space.build(architecture, input_shape=input_shape, classes=classes)


def depends_on_input(space: SearchSpace, architecture: Architecture) -> bool:
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    logits = seeded_build(space, architecture, (1, 8, 8), 10).eval()(images)
    return not torch.equal(logits[0], logits[1])
