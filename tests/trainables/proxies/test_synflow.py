import math

import pytest
import torch
from torch import nn

from taurank.trainables.proxies.batch import ProxyBatch
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.synflow import Synflow


def a_batch(channels=3, size=4):
    return ProxyBatch(torch.randn(2, channels, size, size), None, classes=2)


def score(network, batch=None):
    return Synflow().score(Probe(network, batch or a_batch())).value


def two_layers(first, second, *between):
    """A linear network on two pixels with given weights."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False), *between, nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor(first))
        network[-1].weight.copy_(torch.tensor(second))
    return network


PIXELS = ProxyBatch(torch.randn(2, 2, 1, 1), None, classes=2)


def test_two_linear_layers_are_the_sum_over_paths_once_for_each_layer():
    # |W1| 1 = (3, 7), |W2| (3, 7) = (10, 20): R = 30, and each layer's sum of |w dR/dw| is R.
    network = two_layers([[1.0, -2.0], [-3.0, 4.0]], [[1.0, 1.0], [-2.0, 2.0]])
    assert score(network, PIXELS) == pytest.approx(math.log(60))


@pytest.mark.parametrize("unit", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(), nn.LeakyReLU(), nn.Dropout(0.5)])
def test_units_pass_positive_values_on(unit):
    network = two_layers([[1.0, -2.0], [-3.0, 4.0]], [[1.0, 1.0], [-2.0, 2.0]], unit)
    assert score(network, PIXELS) == pytest.approx(math.log(60))


@pytest.mark.parametrize("unit", [nn.GELU(), nn.SiLU(), nn.Hardswish()])
def test_smooth_units_pass_large_values_on_almost_unchanged(unit):
    network = two_layers([[10.0, -20.0], [-30.0, 40.0]], [[1.0, 1.0], [-2.0, 2.0]], unit)
    assert score(network, PIXELS) == pytest.approx(math.log(600), abs=1e-6)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(2), nn.LayerNorm(2), nn.GroupNorm(1, 2), nn.RMSNorm(2)])
def test_normalisations_do_not_act(norm):
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.fill_(5)
    network = two_layers([[1.0, -2.0], [-3.0, 4.0]], [[1.0, 1.0], [-2.0, 2.0]], norm)
    assert score(network, PIXELS) == pytest.approx(math.log(60))


def test_a_unit_that_works_in_place_behind_a_normalisation_leaves_the_residual_alone():
    class Residual(nn.Module):
        def __init__(self, in_place):
            super().__init__()
            self.norm, self.unit = nn.LayerNorm(2), nn.SiLU(inplace=in_place)

        def forward(self, features):
            return features + self.unit(self.norm(features))

    values = [
        score(two_layers([[0.5, -0.5], [-0.5, 0.5]], [[1.0, 1.0], [-1.0, 1.0]], Residual(in_place)), PIXELS)
        for in_place in (False, True)
    ]
    assert values[0] == values[1]


def test_scaling_a_layer_adds_the_log_of_the_scale():
    plain = two_layers([[1.0, -2.0], [-3.0, 4.0]], [[1.0, 1.0], [-2.0, 2.0]])
    scaled = two_layers([[10.0, -20.0], [-30.0, 40.0]], [[1.0, 1.0], [-2.0, 2.0]])
    assert score(scaled, PIXELS) - score(plain, PIXELS) == pytest.approx(math.log(10))


def test_looks_at_the_shape_of_the_images_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    assert score(network, a_batch()) == score(network, a_batch())


def test_leaves_the_working_copy_in_single_precision():
    probe = Probe(two_layers([[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [2.0, 2.0]]), PIXELS)
    Synflow().score(probe)
    assert {parameter.dtype for parameter in probe.fresh().parameters()} == {torch.float32}


def test_attention_is_scored():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 2, stride=2)
            self.place = nn.Parameter(torch.randn(1, 4, 8))
            self.encoder = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True)
            self.head = nn.Linear(8, 2)

        def forward(self, images):
            tokens = self.patches(images).flatten(2).transpose(1, 2) + self.place
            return self.head(self.encoder(tokens).mean(1))

    torch.manual_seed(0)
    found = Synflow().score(Probe(Attention(), a_batch()))
    assert math.isfinite(found.value)
    assert 0.9 < found.coverage < 1  # the embedding of places is no weight of a layer


def test_a_network_without_a_path_is_void():
    with pytest.raises(VoidScoreError, match="no path of weights"):
        score(two_layers([[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]), PIXELS)


def test_a_flow_beyond_the_range_of_numbers_is_void():
    deep = nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in range(9)])
    with torch.no_grad():
        for layer in deep:
            layer.weight.fill_(1e38)
    with pytest.raises(VoidScoreError, match="float64"):
        score(nn.Sequential(nn.Flatten(), deep), ProxyBatch(torch.randn(2, 1, 1, 1), None, classes=1))
