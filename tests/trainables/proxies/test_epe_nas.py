"""EPE-NAS: correlations within classes, for a network whose Jacobians are known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from taurank.trainables.proxies import ProxyBatch, score_network
from taurank.trainables.proxies.epe_nas import EPSILON


class Squares(nn.Module):
    """Logits are sums of squares of the pixels, so that the Jacobian of an image is a multiple of the image."""

    def __init__(self, entries=48, classes=10):
        super().__init__()
        self.layer = nn.Linear(entries, classes)
        nn.init.ones_(self.layer.weight)

    def forward(self, images):
        return self.layer(images.flatten(1) ** 2)


def a_batch(labels, classes=10):
    images = torch.randn(len(labels), 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return ProxyBatch(images, torch.tensor(labels), classes)


def score(net, batch):
    return score_network(net, batch, ["epe_nas"])["epe_nas"]


def by_class(batch, labels):
    """Sum of log(|R| + k) of each of these classes."""
    rows = batch.images.flatten(1).double().numpy()
    chosen = [rows[batch.labels.numpy() == label] for label in labels]
    return np.array([np.log(np.abs(np.corrcoef(of_class)) + EPSILON).sum() for of_class in chosen])


def test_sums_over_the_classes():
    batch = a_batch([3, 7, 3, 7, 3, 7, 3])
    found = score(Squares(), batch)
    assert found.value == pytest.approx(np.abs(by_class(batch, [3, 7])).sum(), rel=1e-4)
    assert found.coverage == 1


def test_images_that_are_alone_in_their_class_are_left_out():
    batch = a_batch([3, 7, 3, 5, 3, 1])
    found = score(Squares(), batch)
    assert found.value == pytest.approx(np.abs(by_class(batch, [3])).sum(), rel=1e-4)
    assert found.coverage == 1 / 2


def test_jacobians_that_are_all_the_same_score_next_to_nothing():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
    # Every correlation is 1: a class of n images adds n^2 log(1 + 1e-5).
    assert score(linear, a_batch([0, 0, 1, 1, 1])).value == pytest.approx(13 * math.log(1 + 1e-5), rel=1e-3)


def test_above_a_hundred_classes_their_differences_count():
    labels = [label for label in range(101) for _ in range(2)]
    batch = a_batch(labels, classes=101)
    mean = by_class(batch, range(101)) / 2
    expected = np.abs(mean[:, None] - mean).sum() / 101
    assert score(Squares(classes=101), batch).value == pytest.approx(expected, rel=1e-3)


def test_neither_the_order_of_the_images_nor_the_names_of_the_classes_matter():
    batch = a_batch([3, 7, 3, 7, 3, 7])
    value = score(Squares(), batch).value
    order = [5, 2, 0, 1, 4, 3]
    assert score(Squares(), ProxyBatch(batch.images[order], batch.labels[order], 10)).value == pytest.approx(value)
    assert score(Squares(), ProxyBatch(batch.images, 9 - batch.labels, 10)).value == pytest.approx(value)


def test_void_cases():
    assert score(Squares(), a_batch([0, 1, 2])).reason == "no class has two images in the batch"
    assert score(Squares(), ProxyBatch(a_batch([0, 0]).images, None, 10)).reason == "the batch has no labels"
    batch = a_batch([0, 0, 1])
    twice = ProxyBatch(batch.images[[0, 0, 1]], batch.labels, 10)
    assert score(Squares(), twice).reason == "images 0 and 1 of the batch are equal"
    blank = ProxyBatch(torch.cat([batch.images[:2], torch.zeros(1, 3, 4, 4)]), batch.labels, 10)
    assert score(Squares(), blank).reason == "the output does not depend on some of the images"
