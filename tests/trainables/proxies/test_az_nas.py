"""AZ-NAS: closed forms of its three scores, and the one pass they share."""

import math

import pytest
import torch
from torch import nn

from taurank.spaces import get_space
from taurank.spaces.zoo.torchvision_import import import_torchvision
from taurank.trainables.proxies import ProxyBatch, score_network
from taurank.trainables.proxies.az_nas import entropy, spectral_norm

NAMES = ["az_expressivity", "az_progressivity", "az_trainability"]


class Times(nn.Module):
    """Each channel times a constant; a block, for it holds a module."""

    def __init__(self, *factors):
        super().__init__()
        self.register_buffer("factors", torch.tensor(factors)[:, None, None])
        self.layer = nn.Identity()

    def forward(self, features):
        return self.layer(features) * self.factors


def a_batch(size=8, seed=0, channels=3):
    generator = torch.Generator().manual_seed(seed)
    return ProxyBatch(torch.randn(4, channels, size, size, generator=generator), None, 10)


def network(channels, *blocks):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, channels, 1, bias=False), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
    )


def scores(net, batch=None, seed=0):
    return score_network(net, batch or a_batch(), NAMES, seed=seed)


def test_entropy_of_channels_that_vary_alike_and_apart():
    # Four positions: two channels of equal variance that do not correlate.
    apart = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1]]).reshape(1, 2, 4, 1)
    assert entropy(apart).item() == pytest.approx(math.log(2), abs=1e-7)
    assert entropy(apart + 5).item() == pytest.approx(math.log(2), abs=1e-6)
    together = torch.tensor([[1.0, 1, -1, -1], [2, 2, -2, -2]]).reshape(1, 2, 4, 1)
    assert entropy(together).item() == pytest.approx(0, abs=1e-6)
    # Variances 3 and 1: -(3/4 log 3/4 + 1/4 log 1/4).
    uneven = apart * torch.tensor([math.sqrt(3), 1.0]).reshape(1, 2, 1, 1)
    assert entropy(uneven).item() == pytest.approx(0.5623351446, abs=1e-6)
    assert entropy(torch.zeros(1, 2, 4, 1)).item() == 0


def test_spectral_norm_of_a_block_that_multiplies():
    sign = torch.tensor([1.0, -1, 1, 1]).reshape(1, 1, 2, 2)
    assert spectral_norm(3 * sign, sign).item() == pytest.approx(3)
    assert math.isnan(spectral_norm(sign, sign).item())


def test_positions_that_become_one_count_as_channels():
    # Gradient 1 at each of 4 x 4 positions, sign 1 at each of 2 x 2: four channels of 1, so that the norm is 2.
    assert spectral_norm(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2)).item() == pytest.approx(2)
    # Of 3 x 3 positions, padded to 4 x 4, the four channels are 1, 1/2, 1/2, 1/4.
    assert spectral_norm(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2)).item() == pytest.approx(1.25)


def test_a_block_that_enlarges_or_stretches_has_no_norm():
    assert math.isnan(spectral_norm(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 4, 4)).item())
    assert math.isnan(spectral_norm(torch.ones(1, 1, 4, 2), torch.ones(1, 1, 2, 2)).item())


def test_trainability_of_blocks_that_multiply():
    found = scores(network(1, Times(2.0), Times(0.5), Times(3.0)))["az_trainability"]
    # Spectral norms 2, 1/2 and 3.
    expected = ((2 - 2 - 1 / 2) + (2 - 0.5 - 2) + (2 - 3 - 1 / 3)) / 3
    assert found.value == pytest.approx(expected, abs=1e-5)
    assert found.coverage == 1


def test_a_block_that_hands_on_its_input_is_left_out_of_trainability():
    found = scores(network(1, Times(2.0), Times(1.0), Times(1.0), Times(4.0)))["az_trainability"]
    assert found.value == pytest.approx(((2 - 2 - 1 / 2) + (2 - 4 - 1 / 4)) / 2, abs=1e-5)
    assert found.coverage == 1 / 2
    none = scores(network(1, Times(1.0), Times(1.0), Times(1.0)))
    assert none["az_trainability"].reason == "every block hands on its input unchanged or enlarges it"
    assert none["az_expressivity"].reason == ""


def test_expressivity_adds_up_and_progressivity_is_the_worst_step():
    # Two channels before, after and after; then one is cut off: entropies e, e, 0, 0.
    found = scores(network(2, Times(3.0, 3.0), Times(2.0, 0.0), Times(2.0, 2.0)))
    total, step = found["az_expressivity"].value, found["az_progressivity"].value
    assert 0 < total < 2 * math.log(2)
    assert step == pytest.approx(-total / 2, abs=1e-6)


def test_the_three_share_one_pass_and_the_images_do_not_matter():
    class Counted(nn.Sequential):
        passes = 0

        def forward(self, images):
            Counted.passes += 1
            return super().forward(images)

    net = Counted(*network(2, Times(2.0, 1.0), Times(0.5, 1.0), Times(3.0, 2.0)))
    first = scores(net)
    assert Counted.passes == 2  # the other one reads the spelling of the network
    second = scores(net, a_batch(seed=9))
    assert {name: found.value for name, found in first.items()} == {name: found.value for name, found in second.items()}
    assert scores(net, seed=1)["az_expressivity"].value != first["az_expressivity"].value


def test_more_channels_and_cells_express_more():
    def expressivity(**size):
        space = get_space("nasbench201", **size)
        net = space.build(space.parse("3-13-s3p"), input_shape=(3, 8, 8), classes=10)
        return scores(net)["az_expressivity"].value

    small = expressivity(width=2, cells_per_stage=1)
    assert expressivity(width=4, cells_per_stage=1) > small
    assert expressivity(width=2, cells_per_stage=2) > small


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "vit", "convnext"])
def test_networks_of_other_kinds_are_scored(name):
    models = import_torchvision().models
    torch.manual_seed(0)
    if name == "vit":
        net = models.vision_transformer.VisionTransformer(16, 4, 3, 2, 8, 16)
    elif name == "convnext":
        net = models.ConvNeXt([models.convnext.CNBlockConfig(8, 16, 2), models.convnext.CNBlockConfig(16, None, 1)])
    else:
        net = models.mobilenet_v3_small(num_classes=10)
    for found in scores(net, a_batch(16)).values():
        assert found.reason == ""
        assert math.isfinite(found.value)
        assert found.coverage > 0.5


def test_void_without_three_blocks_and_with_features_that_are_not_finite():
    few = scores(network(1, Times(2.0)))
    assert {found.reason for found in few.values()} == {
        "1 blocks of the network follow one another; at least 3 are needed"
    }
    broken = scores(network(1, Times(2.0), Times(math.inf), Times(2.0)))
    assert {found.reason for found in broken.values()} == {"the features of some blocks are not finite"}
