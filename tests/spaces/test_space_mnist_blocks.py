from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from taurank.spaces import MnistBlocks, SpaceError, measure_size
from taurank.spaces.mnist_blocks import parse_depths
from taurank.spaces.mnist_blocks_network import BlockClassifier, BlockNetwork

PARAMETERS = {
    "1,1": 66_016,
    "1,2": 103_072,
    "1,3": 140_128,
    "2,1": 75_328,
    "2,2": 112_384,
    "2,3": 149_440,
    "3,1": 84_640,
    "3,2": 121_696,
    "3,3": 158_752,
}


def build(code: str, *, reference: bool = False, seed: int = 0) -> BlockNetwork:
    space = MnistBlocks(reference=reference)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return space.build(space.parse(code), input_shape=(1, 28, 28), classes=10)


@pytest.mark.parametrize("reference", [False, True])
def test_parameter_counts_are_those_of_the_source(reference: bool) -> None:
    space = MnistBlocks(reference=reference)
    counts = {a.code: measure_size(space, a, input_shape=(1, 28, 28), classes=10).parameters for a in space.enumerate()}
    assert counts == PARAMETERS


def test_flops_in_closed_form() -> None:
    space = MnistBlocks()
    start, block1 = 26 * 26 * 9 * 32, 26 * 26 * 9 * 32 * 32
    middle, block2, linear = 12 * 12 * 9 * 32 * 64, 12 * 12 * 9 * 64 * 64, 640
    size = measure_size(space, space.parse("2,3"), input_shape=(1, 28, 28), classes=10)
    assert size.flops == start + 2 * block1 + middle + 3 * block2 + linear


@pytest.mark.parametrize("text", ["2,3", "(2, 3)", " ( 2 ,3 ) ", "2 , 3"])
def test_spellings_of_a_code(text: str) -> None:
    assert parse_depths(text) == (2, 3)
    assert MnistBlocks().parse(text).code == "2,3"


def test_keys_are_the_same_in_every_network() -> None:
    largest = {key: weight.shape for key, weight in build("3,3").state_dict().items()}
    for code in PARAMETERS:
        own = {key: weight.shape for key, weight in build(code).state_dict().items()}
        assert own.items() <= largest.items()


@pytest.mark.parametrize("reference", [False, True])
def test_a_network_is_the_largest_one_cut_short(reference: bool) -> None:
    largest = build("3,3", reference=reference, seed=1).train()
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        largest(images)  # moves the running statistics away from their start
        largest.eval()
        seen = []
        for code in PARAMETERS:
            single = build(code, reference=reference).eval()
            shared = {key: weight for key, weight in largest.state_dict().items() if key in single.state_dict()}
            single.load_state_dict(shared)
            first, second = parse_depths(code)
            cut = copy.deepcopy(largest)
            cut.stage1, cut.stage2 = cut.stage1[:first], cut.stage2[:second]
            seen.append(cut(images))
            torch.testing.assert_close(single(images), seen[-1], rtol=0, atol=0)
    assert all(not torch.allclose(one, other) for one, other in pairwise(seen))


def test_reference_pooling_sees_the_upper_left_window_only() -> None:
    features = torch.rand(2, 64, 12, 12)
    changed = features.clone()
    changed[:, :, 7:, :] = 9
    changed[:, :, :, 7:] = 9
    reference, whole = BlockClassifier(10, reference=True), BlockClassifier(10, reference=False)
    torch.testing.assert_close(reference(features), reference(changed))
    torch.testing.assert_close(reference(features), reference.linear(features[:, :, :7, :7].mean(dim=(2, 3))))
    assert not torch.allclose(whole(features), whole(changed))
    torch.testing.assert_close(whole(features), whole.linear(features.mean(dim=(2, 3))))


def test_reference_initialisation() -> None:
    network = build("3,3", reference=True)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    for layer in convolutions:
        relative = layer.weight.std().item() * layer.in_channels
        assert relative == pytest.approx(1, abs=5 / (2 * layer.weight.numel()) ** 0.5)
        assert layer.bias is not None
        assert not layer.bias.any()
    assert sorted(layer.in_channels for layer in convolutions) == [1, 32, 32, 32, 32, 64, 64, 64]
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 1e-4).all()
    assert network.classifier.linear.weight.std().item() == pytest.approx(0.01, rel=0.15)


def test_default_initialisation_is_not_the_references() -> None:
    first = build("1,1").start[0].weight
    assert first.abs().max() <= 1 / 3  # PyTorch's uniform bound, 1 / sqrt(9 inputs)
    assert build("1,1", reference=True).start[0].weight.abs().max() > 1


def test_outputs_are_logits() -> None:
    logits = build("1,1").eval()(torch.rand(3, 1, 28, 28))
    assert not torch.allclose(logits.exp().sum(dim=1), torch.ones(3), atol=1e-2)


@pytest.mark.parametrize("input_shape", [(1, 27, 28), (3, 32, 32)])
def test_reference_pooling_needs_its_image_size(input_shape: tuple[int, int, int]) -> None:
    space = MnistBlocks(reference=True)
    with pytest.raises(SpaceError, match=r"^input_shape: .* needs 28x28; use reference=False"):
        space.build(space.parse("1,1"), input_shape=input_shape, classes=10)


def test_smallest_images() -> None:
    space = MnistBlocks()
    network = space.build(space.parse("3,3"), input_shape=(2, 5, 5), classes=4).eval()
    assert network(torch.rand(1, 2, 5, 5)).shape == (1, 4)
    with pytest.raises(SpaceError, match=r"^input_shape: 4x9 images are too small; mnist_blocks needs 5x5"):
        space.build(space.parse("3,3"), input_shape=(2, 4, 9), classes=4)


def test_reference_must_be_a_truth_value() -> None:
    with pytest.raises(SpaceError, match=r"^reference: 1 "):
        MnistBlocks(reference=1)  # type: ignore[arg-type]
