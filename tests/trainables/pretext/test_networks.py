"""Heads on the networks of every space: shapes, gradients, and what is said where a task makes no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from taurank.spaces import Architecture, SearchSpace, get_space, list_spaces, measure_size
from taurank.trainables.pretext import Draws, PretextError, get_task, list_tasks

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
    "zoo": {"models": ["torchvision:shufflenet_v2_x0_5", "torchvision:mobilenet_v3_small"]},
}
SHAPE = 3, 32, 32


def make(task: str, space: SearchSpace, architecture: Architecture, shape: tuple[int, int, int] = SHAPE) -> nn.Module:
    return get_task(task).make_network(
        lambda shape, classes: space.build(architecture, input_shape=shape, classes=classes), shape
    )


def model(task: str, name: str, shape: tuple[int, int, int] = (3, 64, 64)) -> nn.Module:
    space = get_space("zoo", models=[f"torchvision:{name}"])
    return make(task, space, space.parse(f"torchvision:{name}"), shape)


@pytest.mark.parametrize("task", list_tasks())
@pytest.mark.parametrize("name", list_spaces())
def test_every_space_can_be_asked(task: str, name: str) -> None:
    torch.manual_seed(0)
    space = get_space(name, **SPACES[name])
    side = 64 if name == "zoo" else 32
    (architecture,) = space.sample(1, np.random.default_rng(3))
    network = make(task, space, architecture, (3, side, side))
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    draws = Draws(np.random.default_rng(0), True, (120.0,) * 3, (60.0,) * 3)
    inputs, targets = get_task(task).make_batch(images, draws)
    logits = network(inputs)
    assert (
        logits.shape
        == {
            "rotation": (8, 4),
            "jigsaw": (2, 24),
            "colorization": (2, 262, side, side),
        }[task]
    )
    functional.cross_entropy(logits, targets).backward()
    # The question teaches the candidate, from its first layer on.
    first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
    assert first.weight.grad is not None
    assert first.weight.grad.abs().sum() > 0


class TestJigsaw:
    def test_one_network_sees_all_tiles(self) -> None:
        space = get_space("nasbench201", **SPACES["nasbench201"])
        (architecture,) = space.sample(1, np.random.default_rng(0))
        network = make("jigsaw", space, architecture).eval()
        tiles = torch.randn(8, 3, 12, 12)
        with torch.no_grad():
            both, second = network(tiles), network(tiles[4:])
        assert torch.allclose(both[1:], second, atol=1e-5)

    def test_its_head_takes_the_place_of_the_classifier(self) -> None:
        space = get_space("nasbench201", **SPACES["nasbench201"])
        (architecture,) = space.sample(1, np.random.default_rng(0))
        size = measure_size(space, architecture, input_shape=SHAPE, classes=10).parameters
        network = make("jigsaw", space, architecture)
        parameters = sum(weight.numel() for weight in network.parameters())
        assert parameters == size - (16 * 10 + 10) + (4 * 16 * 24 + 24)

    def test_no_linear_layer_at_the_end(self) -> None:
        with pytest.raises(
            PretextError, match=r"^jigsaw: this network does not end in a linear layer; choose rotation$"
        ):
            model("jigsaw", "squeezenet1_1")

    def test_tiles_that_are_too_small_for_the_network(self) -> None:
        with pytest.raises(PretextError, match=r"^jigsaw: this network cannot take inputs of 3x24x24: RuntimeError"):
            model("jigsaw", "densenet121")

    def test_a_network_that_is_a_linear_layer(self) -> None:
        class Flat(nn.Linear):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                return super().forward(images.flatten(1))

        network = get_task("jigsaw").make_network(lambda shape, classes: nn.Sequential(Flat(48, classes)), (3, 12, 12))
        assert network(torch.randn(4, 48)).shape == (1, 24)


class TestColorization:
    def test_the_map_is_the_last_one_before_the_mean(self) -> None:
        space = get_space("nasbench201", **SPACES["nasbench201"])
        (architecture,) = space.sample(1, np.random.default_rng(0))
        network = make("colorization", space, architecture).eval()
        body, head = network.get_submodule("body"), network.get_submodule("head")
        light = torch.randn(2, 1, 32, 32)
        maps: list[torch.Tensor] = []
        body.get_submodule("head.activation").register_forward_hook(lambda part, given, made: maps.append(made))
        with torch.no_grad():
            found = network(light)
            wanted = functional.interpolate(head(maps[0]), size=(32, 32), mode="bilinear", align_corners=True)
        assert maps[0].shape == (2, 16, 8, 8)
        assert torch.equal(found, wanted)

    def test_the_classifier_is_not_trained(self) -> None:
        space = get_space("nasbench201", **SPACES["nasbench201"])
        (architecture,) = space.sample(1, np.random.default_rng(0))
        network = make("colorization", space, architecture)
        network(torch.randn(2, 1, 32, 32)).sum().backward()
        assert [name for name, weight in network.named_parameters() if weight.grad is None] == [
            "body.head.linear.weight",
            "body.head.linear.bias",
        ]

    @pytest.mark.parametrize(
        ("name", "side", "said"),
        [
            ("vit_b_32", 64, "this network is a transformer, which has no feature map; choose rotation"),
            ("squeezenet1_1", 64, "this network does not end in a linear layer; choose rotation"),
            (
                "mobilenet_v3_small",
                32,
                "for images of 32 x 32 the last map of this network is a single pixel; take larger",
            ),
        ],
    )
    def test_networks_without_a_map(self, name: str, side: int, said: str) -> None:
        with pytest.raises(PretextError, match=f"^colorization: {said}"):
            model("colorization", name, (3, side, side))


def test_looking_for_the_place_changes_nothing() -> None:
    space = get_space("nasbench201", **SPACES["nasbench201"])
    (architecture,) = space.sample(1, np.random.default_rng(0))
    torch.manual_seed(5)
    plain = space.build(architecture, input_shape=(1, 32, 32), classes=2)
    torch.manual_seed(5)
    body = make("colorization", space, architecture).get_submodule("body")
    theirs = body.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in plain.state_dict().items())
    assert body.training
    assert all(part.training for part in body.modules())
