"""Proxies that take gradients of their own: grasp, zico, gradsign."""

import math

import pytest
import torch
from torch import nn

from taurank.trainables.proxies.batch import ProxyBatch
from taurank.trainables.proxies.gradsign import GradSign
from taurank.trainables.proxies.grasp import Grasp
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.zico import Zico, steadiness


def pixels(values, labels):
    """Images of one pixel in one channel."""
    images = torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)
    return ProxyBatch(images, torch.tensor(labels), classes=2)


def linear(weights):
    """Two logits, each a weight times the pixel."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor(weights).reshape(2, 1))
    return network


class Attention(nn.Module):
    """Patches, one layer of attention with GELU, mean over tokens."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, activation="gelu", batch_first=True)
        self.head = nn.Linear(8, 10)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        return self.head(self.encoder(tokens).mean(1))


def a_batch(images=6, size=8):
    generator = torch.Generator().manual_seed(1)
    return ProxyBatch(torch.randn(images, 3, size, size, generator=generator), torch.arange(images) % 3, classes=10)


def a_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(256, 10)
    )


def score(proxy, network, batch):
    return proxy.score(Probe(network, batch)).value


def test_grasp_of_a_linear_layer():
    # p = (3/4, 1/4), g = (-1/4, 1/4) x, H g = |x|^2 (diag(p) - p p^T) (-1/4, 1/4) x, with x = 2.
    value = score(Grasp(), linear([math.log(3) / 2, 0.0]), pixels([2.0], [0]))
    assert value == pytest.approx(0.375 * math.log(3), rel=1e-5)


def test_grasp_is_the_hessian_times_the_gradient():
    network, batch = a_network(), a_batch()
    weights = [network[0].weight, network[4].weight]
    sizes = [weight.numel() for weight in weights]

    def loss(flat):
        parts = [part.view_as(weight) for part, weight in zip(flat.split(sizes), weights, strict=True)]
        features = nn.functional.conv2d(batch.images, parts[0], network[0].bias, padding=1)
        features = nn.functional.batch_norm(features, None, None, training=True).relu().flatten(1)
        return nn.functional.cross_entropy(nn.functional.linear(features, parts[1], network[4].bias), batch.labels)

    flat = torch.cat([weight.detach().flatten() for weight in weights])
    gradient = torch.autograd.functional.jacobian(loss, flat)
    _, product = torch.autograd.functional.hvp(loss, flat, gradient)
    assert score(Grasp(), network, batch) == pytest.approx(-float(flat @ product), rel=1e-3)


def test_zico_counts_gradients_of_equal_sign_by_their_distance():
    # W = 0: both gradients of an image x of class 0 are -x/2 and x/2; (1/2 + 3/2) / (3/2 - 1/2) = 2, twice.
    assert score(Zico(), linear([0.0, 0.0]), pixels([1.0, 3.0], [0, 0])) == pytest.approx(math.log(4))


def test_zico_of_opposite_gradients_is_the_log_of_the_number_of_weights():
    assert score(Zico(), linear([0.0, 0.0]), pixels([1.0, 3.0], [0, 1])) == pytest.approx(math.log(2))


def test_zico_leaves_out_the_last_of_an_odd_number():
    assert score(Zico(), linear([0.0, 0.0]), pixels([1.0, 3.0, 50.0], [0, 0, 1])) == pytest.approx(math.log(4))


def test_zico_drops_weights_whose_gradients_are_equal():
    assert float(steadiness(torch.tensor([1.0, 5.0, 0.0]), torch.tensor([3.0, 5.0, 0.0]))) == 2
    assert float(steadiness(torch.tensor([5.0]), torch.tensor([5.0]))) == 0


def test_zico_of_two_equal_halves_is_void():
    with pytest.raises(VoidScoreError, match="no gradient differs"):
        score(Zico(), linear([0.0, 0.0]), pixels([1.0, 1.0], [0, 0]))


def test_zico_of_one_image_is_void():
    with pytest.raises(VoidScoreError, match="no halves"):
        score(Zico(), linear([0.0, 0.0]), pixels([1.0], [0]))


def test_gradsign_of_images_that_agree_is_weights_times_images():
    assert score(GradSign(), linear([0.0, 0.0]), pixels([1.0, 2.0, 5.0], [0, 0, 0])) == 6


def test_gradsign_of_images_that_contradict_each_other_is_zero_but_not_void():
    assert score(GradSign(), linear([0.0, 0.0]), pixels([1.0, 2.0], [0, 1])) == 0


def test_gradsign_of_two_against_one():
    assert score(GradSign(), linear([0.0, 0.0]), pixels([1.0, 2.0, 1.0], [0, 0, 1])) == 2


def test_gradsign_does_not_depend_on_the_order_of_the_images():
    batch, order = a_batch(), torch.tensor([4, 2, 0, 1, 5, 3])
    shuffled = ProxyBatch(batch.images[order], batch.labels[order], batch.classes)
    assert score(GradSign(), a_network(), batch) == score(GradSign(), a_network(), shuffled)


def test_gradsign_is_void_where_batch_normalisation_sees_one_value():
    network = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 10)
    )
    with pytest.raises(VoidScoreError, match="one value per channel"):
        score(GradSign(), network, a_batch())


@pytest.mark.parametrize("proxy", [Grasp(), GradSign()])
def test_a_loss_that_feels_no_weight_is_void(proxy):
    with pytest.raises(VoidScoreError, match="depends on no weight"):
        score(proxy, linear([1.0, 1.0]), pixels([0.0, 0.0], [0, 1]))


@pytest.mark.parametrize("proxy", [Grasp(), Zico(), GradSign()])
def test_attention_without_batch_normalisation_is_read_in_full(proxy):
    torch.manual_seed(0)
    found = proxy.score(Probe(Attention(), a_batch()))
    assert math.isfinite(found.value)
    assert found.coverage == 1


@pytest.mark.parametrize("proxy", [Grasp(), Zico(), GradSign()])
def test_a_branch_that_leads_nowhere_lowers_the_coverage_alone(proxy):
    class Branched(nn.Module):
        def __init__(self, body, dead):
            super().__init__()
            self.body, self.dead = body, dead

        def forward(self, images):
            if self.dead is not None:
                self.dead(images)
            return self.body(images)

    body = a_network()
    alone = proxy.score(Probe(Branched(body, None), a_batch()))
    beside = proxy.score(Probe(Branched(body, nn.Conv2d(3, 8, 3)), a_batch()))
    assert beside.value == pytest.approx(alone.value, rel=1e-6)
    weights = 3 * 4 * 9 + 2560
    assert (alone.coverage, beside.coverage) == (1, pytest.approx(weights / (weights + 3 * 8 * 9)))
