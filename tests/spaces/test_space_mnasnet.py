from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from taurank.spaces import MnasNet, SpaceError, get_space, import_torchvision, measure_size
from taurank.spaces.mobile.mnasnet import OPERATIONS
from taurank.spaces.mobile.mnasnet_network import MnasLayer
from taurank.spaces.mobile.shapes import LayerShape

CODE = "sep-k3-se0-none-f1-n1_mb6-k5-se0.25-id-f1-n2"

A1 = (
    "sep-k3-se0-none-f1-n1_mb6-k3-se0-id-f1-n2_mb3-k5-se0.25-id-f1-n3_mb6-k3-se0-id-f1-n4_"
    "mb6-k3-se0.25-id-f1-n2_mb6-k5-se0.25-id-f1-n3_mb6-k3-se0-none-f1-n1"
)
B1 = (
    "sep-k3-se0-none-f1-n1_mb3-k3-se0-id-f1-n3_mb3-k5-se0-id-f1-n3_mb6-k5-se0-id-f1-n3_"
    "mb6-k3-se0-id-f1-n2_mb6-k5-se0-id-f1-n4_mb6-k3-se0-none-f1-n1"
)
B1_WIDTHS = [16, 24, 40, 80, 96, 192, 320]


def mini(**options: Any) -> MnasNet:
    space = get_space("mnasnet", variant="mini", **options)
    assert isinstance(space, MnasNet)
    return space


# Parameters and FLOPs as counted in other people's ports: timm's semnasnet_100 and mnasnet_100.
@pytest.mark.parametrize(
    ("code", "widths", "parameters", "flops"),
    [
        (A1, [16, 24, 40, 80, 112, 160, 320], 3_887_038, 311_579_072),
        (B1, B1_WIDTHS, 4_383_312, 314_415_872),
    ],
)
def test_sizes_are_the_published_ones(code: str, widths: list[int], parameters: int, flops: int) -> None:
    space = get_space("mnasnet", widths=widths)
    size = measure_size(space, space.parse(code), input_shape=(3, 224, 224), classes=1000)
    assert (size.parameters, size.flops) == (parameters, flops)


def test_b1_computes_what_torchvision_makes_of_it() -> None:
    import_torchvision()
    from torchvision.models import mnasnet1_0

    space = get_space("mnasnet", widths=B1_WIDTHS)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = mnasnet1_0(weights=None, num_classes=10).eval()
    ours = space.build(space.parse(B1), input_shape=(3, 64, 64), classes=10).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), rtol=1e-4, atol=1e-7)


def test_a_block_has_432_choices() -> None:
    space = get_space("mnasnet")
    choices = [len(options) for options in space.decisions]
    assert choices[6:12] == [4, 2, 2, 3, 3, 3]
    assert int(np.prod(choices[6:12])) == 432
    assert space.size == 432**5 * 288**2  # the first and the last block have one or two layers


def test_decisions_come_by_block() -> None:
    block = (("conv", "sep", "mb3", "mb6"), ("k3", "k5"), ("se0", "se0.25"), ("none", "pool", "id"))
    assert mini().decisions == (*block, ("f1",), ("n1", "n2")) * 2
    assert mini().choices(mini().parse(CODE)) == (1, 0, 0, 0, 0, 0, 3, 1, 1, 2, 0, 1)


def test_a_skip_without_effect_and_factors_that_round_alike_are_taken_out() -> None:
    space = mini(filters=[0.75, 1, 1.25])
    # 0.75 * 16 and 0.75 * 24 are rounded to 16 and 24, 1.25 * 16 to 24, 1.25 * 24 to 32.
    code = "sep-k3-se0-id-f1-n1_mb6-k5-se0.25-id-f1.25-n2"
    assert space.canonical(space.parse(code)).code == "sep-k3-se0-none-f0.75-n1_mb6-k5-se0.25-id-f1.25-n2"
    wide = [[shape.channels_out for shape in shapes] for shapes in space.shapes(space.parse(code))]
    assert wide == [[16], [32, 32]]


def test_a_skip_in_a_single_layer_that_keeps_the_shape_stays() -> None:
    space = mini(widths=[8, 24], strides=[1, 2])
    code = "sep-k3-se0-pool-f1-n1_conv-k3-se0-none-f1-n1"
    assert space.canonical(space.parse(code)).code == code


def test_layers_have_what_the_block_says() -> None:
    network = mini().build(mini().parse(CODE), input_shape=(1, 28, 28), classes=10)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["layers.0.body.depthwise.conv.weight"] == (8, 1, 3, 3)
    assert "layers.0.body.expand.conv.weight" not in shapes
    assert shapes["layers.1.body.depthwise.conv.weight"] == (96, 1, 5, 5)
    assert shapes["layers.1.body.squeeze.reduce.weight"] == (4, 96, 1, 1)  # a quarter of the input's 16 channels
    assert shapes["layers.2.body.squeeze.reduce.weight"] == (6, 144, 1, 1)
    skips = [layer.skip for layer in network.layers]
    assert skips[:2] == [None, None]  # both change the shape
    assert isinstance(skips[2], nn.Identity)


@pytest.mark.parametrize("operation", ["conv", "sep", "mb3"])
def test_skips_are_added(operation: str) -> None:
    shape = LayerShape(8, 8, 1)
    features = torch.rand(2, 8, 7, 7, generator=torch.Generator().manual_seed(0))
    added = {"none": torch.zeros(()), "id": features, "pool": means_over_neighbours(features)}
    for skip, expected in added.items():
        layer = MnasLayer(shape, expansion=OPERATIONS[operation], kernel=3, squeeze=True, skip=skip).eval()
        with torch.no_grad():
            assert torch.allclose(layer(features) - layer.body(features), expected.expand_as(features), atol=1e-6)
    assert (
        MnasLayer(LayerShape(8, 8, 2), expansion=OPERATIONS[operation], kernel=3, squeeze=False, skip="id").skip is None
    )


def means_over_neighbours(features: torch.Tensor) -> torch.Tensor:
    """Means over 3x3, of the pixels that there are at the edge."""
    ones = torch.ones(8, 1, 3, 3)
    sums, counts = (
        nn.functional.conv2d(maps, ones, padding=1, groups=8) for maps in (features, torch.ones_like(features))
    )
    return sums / counts


def test_features() -> None:
    features = dict(zip(mini().feature_names, mini().features(mini().parse(CODE)), strict=True))
    second = {name.removeprefix("block2_"): value for name, value in features.items() if name.startswith("block2_")}
    assert features["depth"] == 3
    assert second == {
        "conv": 0,
        "sep": 0,
        "mb3": 0,
        "mb6": 1,
        "skip_none": 0,
        "skip_pool": 0,
        "skip_id": 1,
        "kernel": 5,
        "squeeze": 0.25,
        "channels": 24,
        "layers": 2,
    }


def test_a_space_too_large_to_list_is_sampled_among_canonical_codes() -> None:
    space = get_space("mnasnet")
    drawn = space.sample(300, np.random.default_rng(0))
    assert len(set(drawn)) == 300
    assert all(space.canonical(architecture) == architecture for architecture in drawn)
    # In the last block there is one canonical skip for one layer, and there are three for two.
    last = [architecture.code.endswith("n2") for architecture in drawn]
    assert abs(np.mean(last) - 3 / 4) < 3 * np.sqrt(3 / 16 / 300)
    with pytest.raises(SpaceError, match=r"^count: "):
        space.sample(10**18, np.random.default_rng(0))
