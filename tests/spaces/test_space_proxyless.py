from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from taurank.spaces import ProxylessNAS, SpaceError, get_space, measure_size

CODE = "k3e3-id_k5e6-k7e3-id"

# The source's networks for three devices, with their parameters as counted in other people's ports of them.
PUBLISHED = [
    (
        "mobile",
        "k5e3-k3e3-id-id_k7e3-k3e3-k5e3-k5e3_k7e6-k5e3-k5e3-k5e3_k5e6-k5e3-k5e3-k5e3_k7e6-k7e6-k7e3-k7e3_k7e6",
        4_080_512,
    ),
    (
        "cpu",
        "k3e6-k3e3-k3e3-k3e3_k3e6-k3e3-k3e3-k5e3_k3e6-id-id-k3e3_k5e6-k3e3-k3e3-k3e3_k5e6-k5e3-k5e3-k3e3_k5e6",
        4_361_648,
    ),
    (
        "gpu",
        "k5e3-id-id-id_k7e3-id-id-k3e3_k7e6-id-id-k5e3_k5e6-id-k3e3-k5e3_k7e6-k7e6-k7e6-k5e6_k7e6",
        7_119_848,
    ),
]


def mini(**options: Any) -> ProxylessNAS:
    space = get_space("proxyless", variant="mini", **options)
    assert isinstance(space, ProxylessNAS)
    return space


@pytest.mark.parametrize(("variant", "code", "parameters"), PUBLISHED)
def test_sizes_are_the_published_ones(variant: str, code: str, parameters: int) -> None:
    space = get_space("proxyless", variant=variant)
    assert measure_size(space, space.parse(code), input_shape=(3, 224, 224), classes=1000).parameters == parameters


def test_the_network_for_phones_has_the_published_flops() -> None:
    variant, code, _ = PUBLISHED[0]
    space = get_space("proxyless", variant=variant)
    size = measure_size(space, space.parse(code), input_shape=(3, 224, 224), classes=1000)
    assert size.flops == pytest.approx(320e6, rel=0.01)


def test_the_space_is_as_large_as_the_source_makes_it() -> None:
    space = get_space("proxyless")
    assert space.size == 6**6 * 7**15  # six blocks change the shape, so they cannot be left out
    assert isinstance(space, ProxylessNAS)
    assert space.functions == 6**6 * (1 + 6 + 6**2 + 6**3) ** 5


def test_only_blocks_that_keep_the_shape_can_be_left_out() -> None:
    space = mini()
    assert [("id" in allowed) for allowed in space.decisions] == [False, True, False, True, True]
    with pytest.raises(SpaceError, match=r"^code: layer 3 of 'k3e3-id_id-id-id' is 'id'; allowed are k3e3, .*, k7e6$"):
        space.parse("k3e3-id_id-id-id")


def test_a_stage_without_a_change_of_shape_lets_all_its_blocks_go() -> None:
    space = mini(widths=[8, 8], strides=[1, 2])
    assert [("id" in allowed) for allowed in space.decisions] == [True, True, False, True, True]
    assert space.canonical(space.parse("id-k3e3_k5e6-id-k7e3")).code == "k3e3-id_k5e6-k7e3-id"


def test_left_out_blocks_move_to_the_end_of_their_stage() -> None:
    space = mini()
    assert space.canonical(space.parse("k3e3-id_k5e6-id-k7e3")).code == CODE


def test_equal_codes_are_equal_functions() -> None:
    space = mini(depths=[2, 4])
    architecture = space.parse("k3e3-id_k5e6-id-k7e3-k3e6")
    canonical = space.canonical(architecture)
    assert canonical.code == "k3e3-id_k5e6-k7e3-k3e6-id"
    one, other = (space.build(each, input_shape=(3, 16, 16), classes=5).eval() for each in (architecture, canonical))
    other.load_state_dict(dict(zip(other.state_dict(), one.state_dict().values(), strict=True)))
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(one(images), other(images))


def test_digits_are_the_positions_of_the_blocks() -> None:
    space = mini()
    assert space.operations == ("k3e3", "k3e6", "k5e3", "k5e6", "k7e3", "k7e6", "id")
    assert space.parse("06346") == space.parse("0,6,3,4,6") == space.parse(CODE)
    assert space.short(space.parse(CODE)) == "06346"
    assert space.choices(space.parse(CODE)) == (0, 6, 3, 4, 6)


def test_features_count_blocks_wherever_the_identity_stands() -> None:
    space = mini()
    features = dict(zip(space.feature_names, space.features(space.parse("k3e3-id_k5e6-id-k7e3")), strict=True))
    assert sum(features[f"layer{layer}_id"] for layer in (2, 4, 5)) == 2
    kept = {name: features[name] for name in ("depth", "k3e3", "k7e3", "k7e6", "stage1_depth", "stage2_depth")}
    assert kept == {"depth": 3, "k3e3": 1, "k7e3": 1, "k7e6": 0, "stage1_depth": 1, "stage2_depth": 2}
    assert features["layer4_k7e3"] == 1  # the canonical code is k3e3-id_k5e6-k7e3-id


def test_a_space_too_large_to_list_is_sampled_uniformly() -> None:
    space = get_space("proxyless")
    assert isinstance(space, ProxylessNAS)
    count = 300
    drawn = space.sample(count, np.random.default_rng(0))
    assert all(space.canonical(architecture) == architecture for architecture in drawn)
    stages = [stage.split("-") for architecture in drawn for stage in architecture.code.split("_")[:5]]
    depths = np.array([sum(block != "id" for block in stage) for stage in stages])
    share = 6**3 / (1 + 6 + 6**2 + 6**3)
    assert abs(np.mean(depths == 4) - share) < 3 * np.sqrt(share * (1 - share) / len(depths))
    blocks = [block for stage in stages for block in stage if block != "id"]
    counts = np.array([blocks.count(block) for block in space.operations[:-1]])
    assert np.abs(counts - len(blocks) / 6).max() < 3.5 * np.sqrt(len(blocks) * 5 / 36)
    codes = space.sample(count, np.random.default_rng(0), distinct="code")
    moved = [space.canonical(architecture) != architecture for architecture in codes]
    # Four orders of kept and left out blocks are canonical among the eight that three of them have.
    stay = (6**3 + 6**2 + 6 + 1) / 7**3
    share = 1 - stay**5
    assert abs(np.mean(moved) - share) < 3 * np.sqrt(share * (1 - share) / count)
    for wrong in (-1, 1.5, True, space.size):
        with pytest.raises(SpaceError, match=r"^count: "):
            space.sample(wrong, np.random.default_rng(0))  # type: ignore[arg-type]


def test_layers_are_as_the_code_says() -> None:
    network = mini(dropout=0.25).build(mini().parse(CODE), input_shape=(1, 28, 28), classes=10)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["layers.0.depthwise.conv.weight"] == (24, 1, 3, 3)
    assert shapes["layers.2.depthwise.conv.weight"] == (96, 1, 5, 5)
    assert shapes["layers.3.depthwise.conv.weight"] == (72, 1, 7, 7)
    assert not any(key.startswith(("layers.1.", "layers.4.")) for key in shapes)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}
    assert any(isinstance(module, nn.ReLU6) for module in network.modules())
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.25]


def test_the_width_is_rounded_to_multiples_of_eight() -> None:
    skeleton = mini(width=1.3).skeleton
    assert (skeleton.stem, skeleton.widths, skeleton.head) == ((16, 16), (24, 32), 80)
    assert mini(width=1.3).options["widths"] == [16, 24]  # before the factor
