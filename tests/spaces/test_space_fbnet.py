from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from taurank.spaces import FBNet, SpaceError, get_space, measure_size

# The authors' networks: code, channels of the head, published FLOPs in millions.
A = (
    "skip_k3e3-k3e1-skip-skip_k5e6-k3e3-k5e1-k3e3_k5e6-k5e3-k5e1g2-k5e6_k3e6-k5e1g2-k5e3-k3e1g2_k5e6-k5e6-k5e3-k5e6_k5e6",
    1504,
    249,
)
B = (
    "k3e1_k3e6-k5e1-k3e1-k3e1_k5e6-k5e3-k3e6-k5e6_k5e6-k5e1-skip-k5e3_k5e6-k3e1-k5e1-k5e3_k5e6-k5e1-k5e6-k5e6_k3e6",
    1984,
    295,
)
C = (
    "k3e1_k3e6-skip-k3e1-k3e1_k5e6-k5e3-k5e6-k3e6_k5e6-k5e3-k5e6-k5e6_k5e6-k5e6-k5e6-k5e3_k5e6-k5e6-k5e6-k5e6_k3e6",
    1984,
    375,
)

HELP = Path(os.environ.get("TAURANK_DATA", "")) / "help_latency"
RECORDED = "7,8,1,8,4,8,8,8,7,4,1,4,7,3,2,7,3,2,4,2,4,5"


def mini() -> FBNet:
    space = get_space("fbnet", variant="mini")
    assert isinstance(space, FBNet)
    return space


@pytest.mark.parametrize(("code", "head", "millions"), [A, B, C])
def test_flops_are_the_published_ones(code: str, head: int, millions: int) -> None:
    space = get_space("fbnet", head=head)
    size = measure_size(space, space.parse(code), input_shape=(3, 224, 224), classes=1000)
    assert size.flops == pytest.approx(millions * 1e6, rel=0.03)


def test_parameters_are_those_of_other_implementations() -> None:
    space = get_space("fbnet")
    size = measure_size(space, space.parse(C[0]), input_shape=(3, 224, 224), classes=1000)
    assert (size.parameters, size.flops) == (5_572_200, 384_960_160)  # timm's fbnetc_100
    space = get_space("fbnet", head=1504)
    size = measure_size(space, space.parse(A[0]), input_shape=(3, 224, 224), classes=1000)
    assert size.parameters == pytest.approx(4.3e6, rel=0.01)  # the paper's FBNet-A


def test_every_layer_has_nine_candidates() -> None:
    space = get_space("fbnet")
    assert space.size == 9**22
    assert space.decisions == (("k3e1", "k3e1g2", "k3e3", "k3e6", "k5e1", "k5e1g2", "k5e3", "k5e6", "skip"),) * 22


def test_skipped_layers_move_behind_those_of_the_same_shape() -> None:
    space = mini()
    assert space.canonical(space.parse("skip_skip-k3e1")).code == "skip_skip-k3e1"  # the first two change the shape
    long = get_space("fbnet", variant="mini", depths=[1, 4])
    assert long.canonical(long.parse("skip_skip-skip-k3e1-k5e6")).code == "skip_skip-k3e1-k5e6-skip"


def test_a_skipped_layer_that_changes_the_shape_is_a_convolution() -> None:
    network = mini().build(mini().parse("skip_skip-skip"), input_shape=(1, 28, 28), classes=10)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items() if key.endswith("conv.weight")}
    assert shapes["layers.0.conv.weight"] == (16, 8, 1, 1)
    assert shapes["layers.1.conv.weight"] == (24, 16, 1, 1)
    assert isinstance(network.layers[2], nn.Identity)


def test_grouped_convolutions_shuffle_their_channels() -> None:
    space = mini()
    grouped = space.build(space.parse("k3e1g2_k3e1-k3e1"), input_shape=(1, 28, 28), classes=10).layers[0]
    assert grouped.expand.conv.weight.shape == (8, 4, 1, 1)  # type: ignore[union-attr]
    assert grouped.project.conv.weight.shape == (16, 4, 1, 1)  # type: ignore[union-attr]
    channels = torch.arange(8.0).view(1, 8, 1, 1)
    assert grouped.expand.shuffle(channels).flatten().tolist() == [0, 4, 1, 5, 2, 6, 3, 7]  # type: ignore[operator, union-attr]


def test_recorded_networks_are_codes() -> None:
    space = get_space("fbnet")
    architecture = space.parse(RECORDED)
    assert architecture.code == (
        "k5e6_skip-k3e1g2-skip-k5e1_skip-skip-skip-k5e6_k5e1-k3e1g2-k5e1-k5e6_"
        "k3e6-k3e3-k5e6-k3e6_k3e3-k5e1-k3e3-k5e1_k5e1g2"
    )
    assert space.short(architecture) == RECORDED.replace(",", "")
    with pytest.raises(SpaceError, match=r"^code: '7,8' has 2 digits, not 22, one a layer$"):
        space.parse("7,8")


@pytest.mark.skipif(not (HELP / "fbnet_op_names.json").is_file(), reason="needs the recorded data")
def test_the_recorded_list_is_read_with_its_own_names() -> None:
    names = json.loads((HELP / "fbnet_op_names.json").read_text())
    space = get_space("fbnet")
    assert isinstance(space, FBNet)
    assert {int(number): name.replace("_", "") for number, name in names.items()} == dict(enumerate(space.operations))
    recorded = pd.read_parquet(HELP / "fbnet_5000_latency.parquet", columns=["op_idx"])["op_idx"]
    assert len(recorded) == 5000
    for text in recorded:
        architecture = space.parse(text)
        assert [names[number].replace("_", "") for number in text.split(",")] == space.layers(architecture)
