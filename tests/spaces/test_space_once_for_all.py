from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from taurank.spaces import SpaceError, get_space, measure_size
from taurank.spaces.mobile import MobileBlock, round_channels, squeezed
from taurank.spaces.once_for_all.code import format_code, largest
from taurank.spaces.once_for_all.space import OnceForAll

CODE = "r28_k3e2-k5e3_k3e2"


def mobilenetv3() -> OnceForAll:
    space = get_space("once_for_all")
    assert isinstance(space, OnceForAll)
    return space


def mini(**options: Any) -> OnceForAll:
    space = get_space("once_for_all", variant="mini", **options)
    assert isinstance(space, OnceForAll)
    return space


def test_the_space_is_as_large_as_its_depths_kernels_and_expansions_make_it() -> None:
    assert mobilenetv3().size == 4 * (9**2 + 9**3 + 9**4) ** 5  # of which 2.2e19 networks, at four resolutions
    assert mini().size == 2 * (4 + 4**2) ** 2


# The parameters are those of the source's own implementation, counted with it.
@pytest.mark.parametrize(
    ("resolution", "stage", "parameters", "flops"),
    [
        (224, "k7e6-k7e6-k7e6-k7e6", 7_664_760, 566_170_656),
        (128, "k3e3-k3e3", 3_410_792, 41_476_224),
    ],
)
def test_sizes_of_the_largest_and_the_smallest(resolution: int, stage: str, parameters: int, flops: int) -> None:
    space = mobilenetv3()
    code = "_".join((f"r{resolution}", *[stage] * 5))
    size = measure_size(space, space.parse(code), input_shape=(3, 224, 224), classes=1000)
    assert (size.parameters, size.flops) == (parameters, flops)


# Those of the source's own implementation, counted with it.
@pytest.mark.parametrize(
    ("width", "resolution", "block", "parameters", "flops"),
    [
        (1.0, 224, "k7e6", 5_103_336, 606_590_720),
        (1.0, 128, "k3e3", 2_500_632, 51_200_000),
        (1.3, 224, "k7e6", 7_942_056, 1_004_908_032),
        (1.3, 128, "k3e3", 3_718_832, 87_823_104),
    ],
)
def test_sizes_of_the_proxylessnas_variant(
    width: float, resolution: int, block: str, parameters: int, flops: int
) -> None:
    space = get_space("once_for_all", variant="proxylessnas", width=width)
    depth = 4 if block == "k7e6" else 2
    code = "_".join((f"r{resolution}", *["-".join([block] * depth)] * 5, block))
    size = measure_size(space, space.parse(code), input_shape=(3, 224, 224), classes=1000)
    assert (size.parameters, size.flops) == (parameters, flops)


def test_the_last_stage_of_the_proxylessnas_variant_is_a_single_block() -> None:
    space = get_space("once_for_all", variant="proxylessnas", resolutions=[64])
    assert isinstance(space, OnceForAll)
    assert space.size == (9**2 + 9**3 + 9**4) ** 5 * 9
    assert len(space.decisions) == 2 * 21 + 6 + 1
    assert space.decisions[2 * 21 :] == (("d2", "d3", "d4"),) * 5 + (("d1",), ("r64",))
    code = "_".join(("r64", *["k3e3-k5e4"] * 5, "k7e6"))
    architecture = space.parse(code)
    assert space.choose(space.choices(architecture)) == architecture
    neighbours = [neighbour.code.split("_") for neighbour in space.neighbours(architecture)]
    assert {parts[-1] for parts in neighbours if parts[:-1] == code.split("_")[:-1]} == {
        "k3e6",
        "k5e6",
        "k7e3",
        "k7e4",
    }
    with pytest.raises(SpaceError, match=r"^code: the depth of stage 6 of .* is 2; allowed are 1$"):
        space.parse(f"{code}-k7e6")
    network = space.build(architecture, input_shape=(3, 64, 64), classes=5)
    assert {norm.eps for norm in network.modules() if isinstance(norm, torch.nn.BatchNorm2d)} == {1e-3}
    kinds = {type(module) for module in network.modules()}
    assert torch.nn.ReLU6 in kinds
    assert not kinds & {torch.nn.ReLU, torch.nn.Hardswish}


def test_the_largest_takes_the_last_of_all_options() -> None:
    assert format_code(largest(mini().design)) == "r28_k5e3-k5e3_k5e3-k5e3"
    space = mobilenetv3()
    code = format_code(largest(space.design))
    assert space.choices(space.parse(code)) == tuple(len(options) - 1 for options in space.decisions)


def test_decisions_come_by_block_then_by_stage_and_the_resolution_last() -> None:
    space = mini()
    assert space.decisions == ((("k3", "k5"), ("e2", "e3")) * 4) + (("d1", "d2"),) * 2 + (("r20", "r28"),)
    assert space.kinds == ("kernel", "expansion") * 4 + ("depth",) * 2 + ("resolution",)
    assert space.choices(space.parse("r28_k3e2-k5e3_k5e2")) == (0, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1)


def test_blocks_that_are_not_kept_do_not_matter() -> None:
    space = mini()
    chosen = {space.choose((0, 0, 1, 1, 0, 0, kernel, expansion, 1, 0, 1)) for kernel in (0, 1) for expansion in (0, 1)}
    assert [architecture.code for architecture in chosen] == [CODE]


def test_neighbours() -> None:
    space = mini()
    assert sorted(str(neighbour) for neighbour in space.neighbours(space.parse(CODE))) == [
        "r20_k3e2-k5e3_k3e2",
        "r28_k3e2-k3e3_k3e2",
        "r28_k3e2-k5e2_k3e2",
        "r28_k3e2-k5e3_k3e2-k3e2",
        "r28_k3e2-k5e3_k3e2-k3e3",
        "r28_k3e2-k5e3_k3e2-k5e2",
        "r28_k3e2-k5e3_k3e2-k5e3",
        "r28_k3e2-k5e3_k3e3",
        "r28_k3e2-k5e3_k5e2",
        "r28_k3e2_k3e2",
        "r28_k3e3-k5e3_k3e2",
        "r28_k5e2-k5e3_k3e2",
    ]


def test_a_space_too_large_to_list_is_sampled_uniformly() -> None:
    space = mobilenetv3()
    count = 400
    subnets = [space.subnet(architecture) for architecture in space.sample(count, np.random.default_rng(0))]
    depths = [len(stage) for subnet in subnets for stage in subnet.stages]
    share = 9**4 / (9**2 + 9**3 + 9**4)
    assert abs(np.mean(np.array(depths) == 4) - share) < 3 * np.sqrt(share * (1 - share) / len(depths))
    kernels = np.bincount([block[0] for subnet in subnets for stage in subnet.stages for block in stage])[[3, 5, 7]]
    sigma = np.sqrt(kernels.sum() * 2 / 9)
    assert np.abs(kernels - kernels.sum() / 3).max() < 3 * sigma
    for wrong in (-1, 1.5, True, space.size):
        with pytest.raises(SpaceError, match=r"^count: "):
            space.sample(wrong, np.random.default_rng(0))  # type: ignore[arg-type]


def test_features() -> None:
    space = mini()
    features = dict(zip(space.feature_names, space.features(space.parse(CODE)), strict=True))
    assert features == {
        "resolution": 28,
        "blocks": 3,
        "mean_kernel": pytest.approx(11 / 3),
        "mean_expansion": pytest.approx(7 / 3),
        "stage1_depth": 2,
        "stage2_depth": 1,
        "stage1_block1_kernel": 3,
        "stage1_block1_expansion": 2,
        "stage1_block2_kernel": 5,
        "stage1_block2_expansion": 3,
        "stage2_block1_kernel": 3,
        "stage2_block1_expansion": 2,
        "stage2_block2_kernel": 0,
        "stage2_block2_expansion": 0,
    }


def test_a_network_resizes_its_images() -> None:
    space = mini()
    small, large = (
        space.build(space.parse(f"r{resolution}_k3e2_k3e2"), input_shape=(1, 28, 28), classes=10).eval()
        for resolution in (20, 28)
    )
    large.load_state_dict(small.state_dict())
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    resized = torch.nn.functional.interpolate(images, size=(20, 20), mode="bilinear", antialias=True)
    with torch.no_grad():
        assert torch.equal(small(images), small(resized))
        assert not torch.allclose(small(images), large(images))


def test_blocks_are_as_the_code_says() -> None:
    network = mini().build(mini().parse(CODE), input_shape=(1, 28, 28), classes=10)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["stages.0.0.expand.conv.weight"] == (16, 8, 1, 1)
    assert shapes["stages.0.1.expand.conv.weight"] == (48, 16, 1, 1)
    assert shapes["stages.0.1.depthwise.conv.weight"] == (48, 1, 5, 5)
    assert shapes["stages.1.0.depthwise.conv.weight"] == (32, 1, 3, 3)
    assert shapes["stages.1.0.squeeze.reduce.weight"] == (8, 32, 1, 1)
    assert not any(key.startswith(("stages.1.1", "stages.0.0.squeeze")) for key in shapes)


@pytest.mark.parametrize(
    ("channels", "rounded"), [(3, 8), (11.9, 16), (12, 16), (19.2, 24), (28.8, 32), (48, 48), (134.4, 136)]
)
def test_channels_are_multiples_of_eight(channels: float, rounded: int) -> None:
    assert round_channels(channels) == rounded


def test_the_width_of_the_published_wide_space() -> None:
    design = get_space("once_for_all", width=1.2).design  # type: ignore[attr-defined]
    assert (design.stem, design.widths, design.head) == ((24, 24), (32, 48, 96, 136, 192), (1152, 1536))


def test_squeeze_and_excitation_has_a_quarter_of_the_channels() -> None:
    assert [squeezed(channels) for channels in (16, 48, 72, 960)] == [8, 16, 24, 240]


def test_a_block_adds_its_input_where_the_shape_stays() -> None:
    block = MobileBlock(8, 8, middle=16, kernel=5, stride=1, activation="relu", squeeze=True)
    features = torch.rand(2, 8, 7, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block.eval()(features), features + block.body(features))
    for changed in (
        MobileBlock(8, 16, middle=16, kernel=3, stride=1, activation="h_swish"),
        MobileBlock(8, 8, middle=None, kernel=3, stride=2, activation="relu"),
    ):
        assert not changed.residual
        assert torch.equal(changed.eval()(features), changed.body(features))


def test_a_space_of_another_shape() -> None:
    space = mini(
        widths=[8],
        strides=[1],
        activations=["h_swish"],
        squeeze=[True],
        depths=[3],
        kernels=[3, 5, 7],
        resolutions=[12],
    )
    assert space.size == 6**3
    architecture = space.parse("r12_k7e2-k3e3-k5e2")
    network = space.build(architecture, input_shape=(3, 32, 32), classes=4)
    assert network(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))).shape == (2, 4)
    assert network.stages[0][1].depthwise.conv.weight.shape == (24, 1, 3, 3)  # type: ignore[index]
