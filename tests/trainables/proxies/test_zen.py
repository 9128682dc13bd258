"""Zen-score: what batch normalisation takes away is put back, and only what lies before the last map counts."""

import math

import pytest
import torch
from torch import nn

from taurank.spaces.zoo.torchvision_import import import_torchvision
from taurank.trainables.proxies import ProxyBatch, score_network, zen


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, features):
        return features * self.factor


def a_batch(size=16, seed=0):
    return ProxyBatch(torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(seed)), None, 10)


def network(*layers, head=()):
    torch.manual_seed(0)
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *layers, *pooled, *head, nn.Linear(4, 10))


def score(net, batch=None, seed=0):
    return score_network(net, batch or a_batch(), ["zen"], seed=seed)["zen"]


def test_a_scale_that_batch_normalisation_takes_away_is_put_back():
    plain = score(network(nn.BatchNorm2d(4), nn.ReLU()))
    larger = score(network(Times(7.0), nn.BatchNorm2d(4), nn.ReLU()))
    assert larger.value - plain.value == pytest.approx(math.log(7), abs=1e-3)


def test_a_second_normalisation_of_the_same_features_changes_nothing():
    once = score(network(nn.BatchNorm2d(4), nn.ReLU()))
    twice = score(network(nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.ReLU()))
    assert twice.value == pytest.approx(once.value, abs=1e-3)


def test_the_change_is_summed_over_positions(monkeypatch):
    monkeypatch.setattr(zen, "REPEATS", 1)  # the same weights at both sizes
    net = network(nn.BatchNorm2d(4), nn.ReLU())
    small, large = score(net, a_batch(16)), score(net, a_batch(32))
    assert large.value - small.value == pytest.approx(math.log(4), abs=0.05)


def test_what_lies_behind_the_last_map_does_not_count():
    plain = score(network(nn.BatchNorm2d(4), nn.ReLU()))
    behind = score(network(nn.BatchNorm2d(4), nn.ReLU(), head=[nn.BatchNorm1d(4)]))
    assert behind.value == plain.value
    assert (plain.coverage, behind.coverage) == (1, 1 / 2)


def test_hangs_on_the_seed_and_not_on_the_images_nor_the_weights():
    net = network(nn.BatchNorm2d(4), nn.ReLU())
    first = score(net).value
    assert score(net, a_batch(seed=5)).value == first
    with torch.no_grad():
        net[0].weight.mul_(9)
        net[1].weight.fill_(0)
    assert score(net).value == first
    assert score(net, seed=1).value != first


def test_a_torchvision_network_is_scored_up_to_its_last_map():
    torch.manual_seed(0)
    found = score(import_torchvision().models.mobilenet_v3_small(num_classes=10), a_batch(32))
    assert math.isfinite(found.value)
    assert 0 < found.coverage < 1  # 32 pixels are one position before the last blocks


def test_void_cases():
    assert score(network(nn.ReLU())).reason == "the network has no batch normalisation"
    assert score(network(Times(0.0), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU())).reason == (
        "the last feature map does not depend on the images"
    )
    assert score(network(head=[nn.BatchNorm1d(4)])).reason == (
        "no feature map of more than one position lies behind a batch normalisation"
    )
