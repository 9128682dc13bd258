"""MeCo: the smallest eigenvalue of the correlations between channels, and which maps it is summed over."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from taurank.spaces.zoo.torchvision_import import import_torchvision
from taurank.trainables.proxies import Probe, ProxyBatch, score_network
from taurank.trainables.proxies.meco import sum_of_smallest


def a_batch(size=8, images=4):
    generator = torch.Generator().manual_seed(0)
    return ProxyBatch(torch.randn(images, 3, size, size, generator=generator), None, 10)


def network(*layers, channels=4):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
    )


def score(net, batch=None, name="meco", seed=0):
    return score_network(net, batch or a_batch(), [name], seed=seed)[name]


def maps_in(net, batch):
    return [tuple(features.shape) for features in Probe(net, batch, parts={"maps"}).shared.maps]


def test_smallest_eigenvalue_of_two_channels_is_one_minus_their_correlation():
    # Correlations 0, 1/2 and 1.
    apart = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1]])
    half = torch.tensor([[1.0, -1, 0], [1, 0, -1]])
    same = torch.tensor([[1.0, -1, 2], [-2, 2, -4]])
    assert sum_of_smallest([apart]) == pytest.approx(1)
    assert sum_of_smallest([half]) == pytest.approx(0.5)
    assert sum_of_smallest([same]) == pytest.approx(0, abs=1e-7)
    assert sum_of_smallest([apart, half, same], [1.0, 3.0, 5.0]) == pytest.approx(2.5)


def test_scale_shift_and_order_of_the_channels_do_not_matter():
    maps = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))
    changed = (maps * torch.tensor([2.0, -3, 0.1, 1, 7])[:, None] + 4)[[3, 0, 4, 1, 2]]
    assert sum_of_smallest([maps]) > 0.1
    assert sum_of_smallest([changed]) == pytest.approx(sum_of_smallest([maps]), rel=1e-5)


def test_a_constant_channel_gives_zero():
    maps = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    maps[1] = 2.0
    assert sum_of_smallest([maps]) == 0


def test_every_layer_counts_once_whoever_holds_it():
    class Held(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()))

        def forward(self, features):
            return functional.gelu(self.layers(features))

    # Two convolutions, ReLU and GELU; the logits are no map.
    assert maps_in(network(Held()), a_batch()) == [(4, 64)] * 4


def test_normalisation_changes_nothing():
    assert score(network(nn.BatchNorm2d(4))).value == pytest.approx(score(network()).value, rel=1e-6)


def test_a_layer_that_works_in_place_does_not_overwrite_a_map():
    assert score(network(nn.ReLU(inplace=True))).value == score(network(nn.ReLU())).value


def test_tokens_and_channels_that_come_last_are_read_as_such():
    models = import_torchvision().models
    vit = models.vision_transformer.VisionTransformer(16, 4, 1, 2, 8, 24)
    # Patches; attention, two linear layers and GELU of 16 patches and a class token.
    assert maps_in(vit, a_batch(16)) == [(8, 16), (8, 17), (24, 17), (24, 17), (8, 17)]
    convnext = models.ConvNeXt([models.convnext.CNBlockConfig(8, None, 2)])
    # Stem to 4 x 4 positions; twice a depthwise convolution, a linear layer to 32 channels, GELU, a linear layer back.
    assert maps_in(convnext, a_batch(16)) == [(8, 16)] + 2 * [(8, 16), (32, 16), (32, 16), (8, 16)]


def test_coverage_is_the_share_of_maps_with_more_positions_than_channels():
    # 64 positions of 4 channels, then 4 positions of 4: the second adds nothing to `meco`.
    net = network(nn.Conv2d(4, 4, 4, stride=4))
    found = score(net)
    assert found.coverage == 1 / 2
    assert found.value == score(network()).value


def test_only_the_first_image_matters_where_nothing_mixes_images():
    batch = a_batch()
    order = [0, 3, 1, 2]
    shuffled = ProxyBatch(batch.images[order], None, 10)
    net = network(nn.ReLU())
    assert score(net, shuffled).value == pytest.approx(score(net, batch).value, rel=1e-6)
    assert score(net, ProxyBatch(batch.images.flip(0), None, 10)).value != score(net, batch).value


def test_sampled_channels_stand_for_all():
    few = network(nn.ReLU(), channels=8)
    assert score(few, name="meco_opt").value == pytest.approx(score(few).value, rel=1e-9)
    many = network(nn.ReLU(), channels=16)
    assert score(many, name="meco_opt", seed=0).value != score(many, name="meco_opt", seed=1).value
    # The smallest of 16 eigenvalues is at most that of any 8 of the channels.
    assert score(many, name="meco_opt").value > 2 * score(many).value


def test_void_cases():
    narrow = score(network(channels=64), a_batch(8))
    assert narrow.reason == "no feature map has more positions than channels"
    assert math.isfinite(score(network(channels=64), a_batch(8), name="meco_opt").value)
    assert score(network(), a_batch(3), name="meco_opt").reason == ""
    assert score(network(channels=9), a_batch(2), name="meco_opt").reason == (
        "no feature map has more positions than channels are drawn from it (8)"
    )
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 10))
    for name in ("meco", "meco_opt"):
        assert score(flat, name=name).reason == "no layer puts out feature maps of more than one channel and position"
    broken = network()
    with torch.no_grad():
        broken[0].weight.fill_(math.nan)
    assert score(broken).reason == "some feature maps are not finite"
