"""Batch normalisation in short trainings."""

import pytest
import torch
from torch import nn

from taurank.trainables.data import ImageData
from taurank.trainables.training.recipe import Recipe
from taurank.trainables.training.running_statistics import keep_pace
from taurank.trainables.training.training import Training


@pytest.mark.parametrize(
    ("momentum", "steps", "found"),
    [(0.01, 200, 0.05), (0.01, 20, 0.1), (0.01, 2000, 0.01), (0.1, 5, 0.1), (0.3, 5, 0.3)],
)
def test_a_mean_is_over_a_tenth_of_the_training_at_most(momentum, steps, found):
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2, momentum=momentum)))
    keep_pace(network, steps)
    assert network[1][0].momentum == pytest.approx(found)


def test_a_mean_over_all_batches_stays():
    layer = nn.BatchNorm1d(2, momentum=None)
    keep_pace(layer, 10)
    assert layer.momentum is None


def test_a_network_with_a_slow_mean_is_evaluated_as_it_was_trained(digits: ImageData):
    def build() -> nn.Module:
        norms = (nn.BatchNorm1d(16, momentum=0.0003) for _ in range(3))
        layers = [layer for norm in norms for layer in (nn.LazyLinear(16), norm, nn.ReLU())]
        network = nn.Sequential(nn.Flatten(), *layers, nn.LazyLinear(10))
        network(torch.zeros(2, 1, 8, 8))
        return network

    training = Training(build, Recipe(epochs=4, learning_rate=0.1), digits, seed=0)
    while not training.finished:
        row = training.step_epoch()
    assert row["validation_accuracy"] > row["train_accuracy"] - 0.1
