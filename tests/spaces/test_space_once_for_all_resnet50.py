from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from taurank.spaces import OnceForAllResNet50, SpaceError, get_space, measure_size
from taurank.spaces.once_for_all.resnet50_design import format_code, largest
from taurank.spaces.once_for_all.resnet50_network import Bottleneck

CODE = "r28_w0.5-skip-w1_w1-e0.25-e0.5_w0.5-e0.5"


def imagenet() -> OnceForAllResNet50:
    space = get_space("once_for_all_resnet50")
    assert isinstance(space, OnceForAllResNet50)
    return space


def mini(**options: Any) -> OnceForAllResNet50:
    space = get_space("once_for_all_resnet50", variant="mini", **options)
    assert isinstance(space, OnceForAllResNet50)
    return space


def test_the_space_is_as_large_as_its_decisions_make_it() -> None:
    stage = 3 * (3**2 + 3**3 + 3**4)
    assert imagenet().size == 4 * 2 * 3**2 * stage**3 * 3 * (3**4 + 3**5 + 3**6)
    assert mini().size == 2 * 2 * 2**2 * (2 * (2 + 4)) ** 2


# Those of the source's own implementation, counted with it; the second is ResNet-50-D, as timm has it too.
@pytest.mark.parametrize(
    ("code", "parameters", "flops"),
    [
        (
            "r224_w1-conv-w1_w1-e0.35-e0.35-e0.35-e0.35_w1-e0.35-e0.35-e0.35-e0.35_"
            "w1-e0.35-e0.35-e0.35-e0.35-e0.35-e0.35_w1-e0.35-e0.35-e0.35-e0.35",
            48_105_992,
            7_491_643_904,
        ),
        (
            "r224_w1-conv-w1_w1-e0.25-e0.25-e0.25_w1-e0.25-e0.25-e0.25-e0.25_"
            "w1-e0.25-e0.25-e0.25-e0.25-e0.25-e0.25_w1-e0.25-e0.25-e0.25",
            25_576_264,
            4_328_824_832,
        ),
        (
            "r192_w0.8-skip-w0.65_w0.8-e0.2-e0.35-e0.25_w1-e0.25-e0.25_"
            "w0.65-e0.35-e0.2-e0.2-e0.2-e0.25_w0.8-e0.35-e0.35-e0.2",
            17_409_456,
            1_776_277_568,
        ),
        (
            "r128_w0.65-skip-w0.65_w0.65-e0.2-e0.2_w0.65-e0.2-e0.2_w0.65-e0.2-e0.2-e0.2-e0.2_w0.65-e0.2-e0.2",
            6_539_280,
            315_079_552,
        ),
    ],
)
def test_sizes_are_those_of_the_source(code: str, parameters: int, flops: int) -> None:
    space = imagenet()
    size = measure_size(space, space.parse(code), input_shape=(3, 224, 224), classes=1000)
    assert (size.parameters, size.flops) == (parameters, flops)


def test_decisions_are_blocks_then_stages_stem_and_resolution() -> None:
    space = mini()
    factors, expansions = ("w0.5", "w1"), ("e0.25", "e0.5")
    assert space.decisions == (
        *[expansions] * 4,
        *(factors, ("d1", "d2")) * 2,
        factors,
        ("skip", "conv"),
        factors,
        ("r20", "r28"),
    )
    assert space.choices(space.parse(CODE)) == (0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1)
    code = format_code(largest(space.design))
    assert space.choices(space.parse(code)) == tuple(len(options) - 1 for options in space.decisions)


def test_blocks_that_are_not_kept_do_not_matter() -> None:
    space = mini()
    chosen = {space.choose((0, 1, 1, expansion, 1, 1, 0, 0, 0, 0, 1, 1)).code for expansion in (0, 1)}
    assert chosen == {CODE}


def test_neighbours() -> None:
    space = mini()
    assert sorted(str(neighbour) for neighbour in space.neighbours(space.parse(CODE))) == [
        "r20_w0.5-skip-w1_w1-e0.25-e0.5_w0.5-e0.5",
        "r28_w0.5-conv-w1_w1-e0.25-e0.5_w0.5-e0.5",
        "r28_w0.5-skip-w0.5_w1-e0.25-e0.5_w0.5-e0.5",
        "r28_w0.5-skip-w1_w0.5-e0.25-e0.5_w0.5-e0.5",
        "r28_w0.5-skip-w1_w1-e0.25-e0.25_w0.5-e0.5",
        "r28_w0.5-skip-w1_w1-e0.25-e0.5_w0.5-e0.25",
        "r28_w0.5-skip-w1_w1-e0.25-e0.5_w0.5-e0.5-e0.25",
        "r28_w0.5-skip-w1_w1-e0.25-e0.5_w0.5-e0.5-e0.5",
        "r28_w0.5-skip-w1_w1-e0.25-e0.5_w1-e0.5",
        "r28_w0.5-skip-w1_w1-e0.25_w0.5-e0.5",
        "r28_w0.5-skip-w1_w1-e0.5-e0.5_w0.5-e0.5",
        "r28_w1-skip-w1_w1-e0.25-e0.5_w0.5-e0.5",
    ]


def test_a_space_too_large_to_list_is_sampled_uniformly() -> None:
    space = imagenet()
    subnets = [space.subnet(architecture) for architecture in space.sample(400, np.random.default_rng(0))]
    depths = np.array([len(subnet.stages[0].expansions) for subnet in subnets])
    share = 3**4 / (3**2 + 3**3 + 3**4)
    assert abs(np.mean(depths == 4) - share) < 3 * np.sqrt(share * (1 - share) / 400)
    factors = np.array([stage.factor for subnet in subnets for stage in subnet.stages])
    assert abs(np.mean(factors == 0.8) - 1 / 3) < 3 * np.sqrt(2 / 9 / len(factors))
    with pytest.raises(SpaceError, match=r"^count: "):
        space.sample(-1, np.random.default_rng(0))


def test_features() -> None:
    space = mini()
    assert dict(zip(space.feature_names, space.features(space.parse(CODE)), strict=True)) == {
        "resolution": 28,
        "blocks": 3,
        "mean_expansion": pytest.approx(1.25 / 3),
        "stem_first": 0.5,
        "stem_between": 0,
        "stem_last": 1,
        "stage1_width": 1,
        "stage1_depth": 2,
        "stage2_width": 0.5,
        "stage2_depth": 1,
        "stage1_block1_expansion": 0.25,
        "stage1_block2_expansion": 0.5,
        "stage2_block1_expansion": 0.5,
        "stage2_block2_expansion": 0,
    }


def test_layers_are_as_the_code_says() -> None:
    network = mini().build(mini().parse(CODE), input_shape=(1, 28, 28), classes=10)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["first.conv.weight"] == (8, 1, 3, 3)  # half of 32 * 0.5
    assert shapes["last.conv.weight"] == (32, 8, 3, 3)
    assert shapes["stages.0.1.conv.conv.weight"] == (16, 16, 3, 3)
    assert shapes["stages.1.0.shortcut.conv.conv.weight"] == (32, 32, 1, 1)
    assert not any(key.startswith(("between", "stages.1.1", "stages.0.1.shortcut")) for key in shapes)


def test_a_block_adds_its_shortcut() -> None:
    features = torch.rand(2, 8, 7, 7, generator=torch.Generator().manual_seed(0))
    plain = Bottleneck(8, 8, middle=8, stride=1, shortcut=False).eval()
    halved = Bottleneck(8, 16, middle=8, stride=2, shortcut=True).eval()
    with torch.no_grad():
        assert torch.equal(plain(features), torch.relu(features + plain.body(features)))
        pooled = nn.functional.avg_pool2d(features, 2, 2, ceil_mode=True)
        assert isinstance(halved.shortcut, nn.Sequential)
        expected = torch.relu(halved.shortcut.conv(pooled) + halved.body(features))  # type: ignore[operator]
        assert torch.equal(halved(features), expected)
    assert halved(features).shape == (2, 16, 4, 4)
