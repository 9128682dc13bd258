from __future__ import annotations

import pytest
import torch
from torch import nn

from taurank.spaces import Architecture, MnistBlocks, NASBench201, Size, SpaceError, measure_size


class OneLayer(MnistBlocks):
    """A space whose networks are the layers that a subclass makes."""

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:  # type: ignore[override]
        return self.make(input_shape[0])

    def make(self, channels: int) -> nn.Module:
        raise NotImplementedError


class Convolution(OneLayer):
    def make(self, channels: int) -> nn.Module:
        return nn.Conv2d(channels, 6, kernel_size=(3, 1), stride=2, groups=2, bias=True)


class Frozen(OneLayer):
    def make(self, channels: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * 7 * 8, 5).requires_grad_(False), nn.Linear(5, 3))


@pytest.fixture
def pair() -> Architecture:
    return Architecture("mnist_blocks", "1,1")


def test_a_convolution_counts_its_multiplications(pair: Architecture) -> None:
    size = measure_size(Convolution(), pair, input_shape=(4, 7, 8), classes=2)
    assert size == Size(parameters=6 * 2 * 3 + 6, flops=(6 * 3 * 4) * (2 * 3), depth=1)


def test_frozen_weights_are_no_parameters_but_cost_time(pair: Architecture) -> None:
    size = measure_size(Frozen(), pair, input_shape=(4, 7, 8), classes=2)
    assert size == Size(parameters=5 * 3 + 3, flops=4 * 7 * 8 * 5 + 5 * 3, depth=2)


def test_dead_edges_have_parameters_but_no_flops() -> None:
    space = NASBench201(width=4, cells_per_stage=1)
    empty = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    plain = measure_size(space, space.parse(empty), input_shape=(3, 8, 8), classes=10)
    dead = measure_size(
        space, space.parse(empty.replace("none~0", "nor_conv_1x1~0", 1)), input_shape=(3, 8, 8), classes=10
    )
    assert dead.flops == plain.flops
    assert dead.parameters - plain.parameters == sum(c * c + 2 * c for c in (4, 8, 16))


def test_no_random_numbers_are_drawn_and_no_weights_made() -> None:
    space = MnistBlocks(reference=True)
    before = torch.get_rng_state()
    measure_size(space, space.parse("3,3"), input_shape=(1, 28, 28), classes=10)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_device() == torch.device("cpu")


def test_a_single_value_per_channel_is_enough() -> None:
    space = NASBench201(width=4, cells_per_stage=1)
    code = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
    assert measure_size(space, space.parse(code), input_shape=(1, 1, 1), classes=2).flops > 0


def test_impossible_tasks_are_refused() -> None:
    space = MnistBlocks(reference=True)
    with pytest.raises(SpaceError, match="28x28"):
        measure_size(space, space.parse("3,3"), input_shape=(1, 8, 8), classes=10)
