"""The recorders, and the proxies that read the shared pass, against closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from taurank.trainables.proxies import (
    ProxyBatch,
    ProxyError,
    draw_batch,
    get_proxy,
    score_initialisations,
    score_network,
)
from taurank.trainables.proxies.recorders import CodeRecorder, LayerRecorder


def a_batch(images=6, classes=3, shape=(2, 4, 4), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return ProxyBatch(torch.randn(images, *shape, generator=generator), torch.arange(images) % classes, classes)


def linear_of(batch):
    return nn.Sequential(nn.Flatten(), nn.Linear(batch.images[0].numel(), batch.classes, bias=False))


def linear(batch, seed=1):
    torch.manual_seed(seed)
    return linear_of(batch)


def value(name, network, batch, **options):
    found = score_network(network, batch, [name], **options)[name]
    assert found.reason == ""
    return found.value


def loss(network, batch, weight):
    return float(functional.cross_entropy(batch.images.flatten(1).double() @ weight.T, batch.labels))


def gradient_by_differences(network, batch, step=1e-6):
    weight = network[1].weight.detach().double()
    gradient = torch.zeros_like(weight)
    for index in np.ndindex(*weight.shape):
        moved = weight.clone()
        moved[index] += step
        above = loss(network, batch, moved)
        moved[index] -= 2 * step
        gradient[index] = (above - loss(network, batch, moved)) / (2 * step)
    return weight, gradient


def test_gradient_proxies_of_a_linear_model_are_what_finite_differences_give():
    batch = a_batch()
    network = linear(batch)
    weight, gradient = gradient_by_differences(network, batch)
    expected = {
        "snip": (weight * gradient).abs().sum(),
        "plain": (weight * gradient).sum(),
        "grad_norm": gradient.norm(),
        "l2_norm": weight.norm(),
    }
    for name, wanted in expected.items():
        assert value(name, network, batch) == pytest.approx(float(wanted), rel=1e-4), name


def test_fisher_of_a_linear_model():
    batch = a_batch()
    network = linear(batch)
    logits = network(batch.images).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(logits, batch.labels), logits)
    wanted = ((logits.detach() * gradient) ** 2).mean(0).sum() / 2
    assert value("fisher", network, batch) == pytest.approx(float(wanted), rel=1e-5)


def test_fisher_reads_activations_before_an_in_place_unit_overwrites_them():
    batch = a_batch()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.SiLU(), nn.Flatten(), nn.Linear(12, 3))
    in_place = nn.Sequential(network[0], nn.SiLU(inplace=True), network[2], network[3])
    assert value("fisher", in_place, batch) == pytest.approx(value("fisher", network, batch), rel=1e-6)


def test_a_head_that_starts_at_zero_lets_no_gradient_through():
    batch = a_batch()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    nn.init.zeros_(network[3].weight)
    scores = score_network(network, batch, ["snip", "plain", "fisher", "grad_norm"])
    assert scores["snip"].reason == scores["plain"].reason
    assert scores["snip"].reason.startswith("the weights that the loss reaches are all zero")
    assert scores["fisher"].coverage == 0.5
    assert scores["grad_norm"].coverage == pytest.approx(36 / (36 + 54))
    nn.init.zeros_(network[3].bias)
    found = score_network(network, batch, ["fisher"])["fisher"]
    assert found.reason.startswith("every activation or its gradient is zero")


def test_jacob_cov_of_orthogonal_jacobians_is_the_highest_there_is():
    class Orthogonal(nn.Module):
        """Image i has a Jacobian of its own: rows of a Walsh matrix, which are orthogonal and have mean zero."""

        def __init__(self):
            super().__init__()
            two = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
            eight = torch.kron(two, torch.kron(two, two))
            self.weight = nn.Parameter(eight[1:5])  # (images, inputs)

        def forward(self, images):
            return (functional.linear(images.flatten(1), self.weight) * torch.eye(4)).sum(1, keepdim=True).expand(4, 2)

    batch = a_batch(images=4, classes=2, shape=(2, 2, 2))
    k = 1e-5
    wanted = -4 * (math.log(1 + k) + 1 / (1 + k))
    assert value("jacob_cov", Orthogonal(), batch) == pytest.approx(wanted, abs=1e-9)


def test_jacob_cov_of_as_many_images_as_an_image_has_numbers_is_void():
    batch = a_batch(images=8, shape=(2, 2, 2))
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 9), nn.ReLU(), nn.Linear(9, 3))
    reason = score_network(network, batch, ["jacob_cov"])["jacob_cov"].reason
    assert reason.startswith("Jacobians of 8 numbers each cannot all differ in direction for 8 images")


def test_nwot_of_codes_known_by_hand():
    class ByHand(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(4))

        def forward(self, images):
            return functional.linear(functional.relu(images.flatten(1)), self.weight)

    codes = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [-1, -1, 1, -1]])
    batch = ProxyBatch(codes.reshape(3, 1, 2, 2), torch.tensor([0, 1, 2]), 4)
    # Units in the same state: images 1 and 2 share 2, 1 and 3 share 1, 2 and 3 share 3, each all 4 with itself.
    kernel = np.array([[4, 2, 1], [2, 4, 3], [1, 3, 4]], float)
    assert value("nwot", ByHand(), batch) == pytest.approx(math.log(np.linalg.det(kernel)))


class WithBranch(nn.Module):
    def __init__(self, used):
        super().__init__()
        self.used = used
        self.first, self.dead = nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(2, 4, 3)
        self.last = nn.Linear(5 * 16, 3)

    def forward(self, images):
        torch.relu(self.dead(images))  # goes nowhere
        features = functional.relu(self.first(images))
        if self.used:
            features = features + functional.relu(features - 0.3)
        return self.last(features.flatten(1))


def test_nwot_counts_only_units_that_reach_the_output():
    torch.manual_seed(0)
    network, batch = WithBranch(used=False), a_batch()
    seen = []
    with CodeRecorder(lambda code: seen.append(tuple(code.shape))):
        network(batch.images)
    assert seen == [(6, 4, 2, 2), (6, 5, 4, 4)]
    signs = (functional.conv2d(batch.images, network.first.weight, network.first.bias, padding=1) > 0).flatten(1)
    signs = signs.double() * 2 - 1
    kernel = (signs @ signs.T + signs.shape[1]) / 2
    assert value("nwot", network, batch) == pytest.approx(float(torch.logdet(kernel)), rel=1e-6)
    assert value("nwot", WithBranch(used=True), batch) != pytest.approx(float(torch.logdet(kernel)), rel=1e-3)


def test_nwot_does_not_care_for_the_order_of_the_images_nor_for_the_scale_of_weights():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 6, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3))
    batch = a_batch()
    turned = torch.tensor([3, 1, 5, 0, 2, 4])
    permuted = ProxyBatch(batch.images[turned], batch.labels[turned], 3)
    expected = value("nwot", network, batch)
    assert value("nwot", network, permuted) == pytest.approx(expected, abs=1e-6)
    with torch.no_grad():
        network[0].weight *= 7
    assert value("nwot", network, batch) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "unit",
    [
        nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.LeakyReLU(), nn.PReLU(), nn.ELU(), nn.CELU(), nn.SELU(),
        nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.SiLU(inplace=True), nn.Mish(), nn.Hardswish(),
        nn.Hardswish(inplace=True), nn.Softplus(), nn.RReLU(), nn.Hardtanh(),
    ],
    ids=repr,
)  # fmt: skip
def test_every_unit_with_a_bend_is_seen_forward_and_backward(unit):
    features = torch.randn(4, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    wanted = (features > 0).detach()
    forward, backward = [], []
    with CodeRecorder(forward.append):
        output = unit(features * 1.0)
    with CodeRecorder(backward.append, backward=True):
        torch.autograd.grad(output, features, torch.ones_like(output))
    assert len(forward) == len(backward) == 1
    assert torch.equal(forward[0], wanted)
    assert torch.equal(backward[0], wanted)


@pytest.mark.parametrize("gate", [nn.Sigmoid(), nn.Hardsigmoid(), nn.Softmax(dim=1), nn.Tanh()], ids=repr)
def test_gates_are_no_units(gate):
    seen = []
    with CodeRecorder(seen.append):
        gate(torch.randn(4, 7, requires_grad=True)).sum().backward()
    assert seen == []


def test_layers_are_seen_however_they_are_written():
    weight = nn.Parameter(torch.randn(5, 8))
    image, tokens = torch.randn(2, 4, 6, 6), torch.randn(2, 3, 8)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    seen = []
    with LayerRecorder(lambda weights, output: seen.append((len(weights), tuple(output.shape)))):
        nn.Conv2d(4, 3, 3)(image)
        functional.conv2d(image, torch.randn(3, 4, 1, 1))
        nn.ConvTranspose2d(4, 2, 2)(image)
        functional.linear(tokens, weight)
        tokens @ weight.T
        torch.matmul(tokens, weight.T)
        attention(tokens, tokens, tokens, need_weights=False)
        tokens @ torch.randn(8, 2)  # not a layer: no parameter
    assert seen == [
        (1, (2, 3, 4, 4)), (1, (2, 3, 6, 6)), (1, (2, 2, 7, 7)), (1, (2, 3, 5)), (1, (2, 3, 5)), (1, (2, 3, 5)),
        (2, (2, 3, 8)),
    ]  # fmt: skip


def test_equal_images_are_void_where_images_are_told_apart():
    batch = a_batch()
    images = batch.images.clone()
    images[4] = images[1]
    network = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3))
    scores = score_network(network, ProxyBatch(images, batch.labels, 3), ["nwot", "jacob_cov", "snip"])
    assert scores["nwot"].reason == scores["jacob_cov"].reason == "images 1 and 4 of the batch are equal"
    assert scores["snip"].reason == ""


def test_flops_and_parameters_of_a_convolution():
    batch = a_batch(shape=(2, 8, 8))
    network = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 3))
    assert value("params", network, batch) == (2 * 9 + 1) * 6 + (6 * 64 + 1) * 3
    assert value("flops", network, batch) == 64 * 6 * 2 * 9 + 6 * 64 * 3
    assert value("trainable_layers", network, batch) == 2


def test_coverage_is_the_share_of_weights_that_the_loss_reaches():
    network, batch = WithBranch(used=False), a_batch()
    reached, all_weights = 5 * 2 * 9 + 5 * 16 * 3, 5 * 2 * 9 + 5 * 16 * 3 + 4 * 2 * 9
    assert score_network(network, batch, ["snip"])["snip"].coverage == pytest.approx(reached / all_weights)


def test_dropout_is_off_and_batch_norm_is_on():
    torch.manual_seed(0)
    batch = a_batch()
    plain = nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3))
    with_dropout = nn.Sequential(*plain[:4], nn.Dropout(0.9), plain[4])
    assert value("snip", with_dropout, batch) == value("snip", plain, batch)
    plain[1].running_var.fill_(1e6)
    assert value("snip", with_dropout, batch) == value("snip", plain, batch)


def test_initialisations_give_mean_and_spread():
    batch = a_batch()
    network = linear_of(batch)
    single = [value("snip", linear(batch, seed), batch, seed=seed) for seed in (4, 5, 6)]
    found = score_initialisations(lambda: linear_of(batch), batch, ["snip"], seeds=(4, 5, 6))["snip"]
    assert found.value == pytest.approx(np.mean(single))
    assert found.sd == pytest.approx(np.std(single, ddof=1))
    assert math.isnan(score_network(network, batch, ["snip"])["snip"].sd)


def test_logits_that_are_none_are_named():
    network = nn.Conv2d(2, 3, 3)
    found = score_network(network, a_batch(), ["snip", "jacob_cov"])
    assert found["snip"].reason == "the network gives (6, 3, 2, 2) for 6 images, not one row of logits each"


def test_an_unknown_proxy_is_refused_with_the_nearest():
    with pytest.raises(ProxyError, match="unknown proxy 'jacobcov'; did you mean 'jacob_cov'"):
        get_proxy("jacobcov")


def test_a_drawn_batch_holds_different_images_and_is_normalised(digits):
    data = digits
    batch = draw_batch(data, images=16, seed=2)
    assert batch.images.shape == (16, *data.input_shape)
    assert batch.duplicates is None
    assert torch.equal(batch.images, draw_batch(data, images=16, seed=2).images)
    assert not torch.equal(batch.images, draw_batch(data, images=16, seed=3).images)
    with pytest.raises(ValueError, match=r"a batch of 100000 images was asked for; the training part has \d+"):
        draw_batch(data, images=100000, seed=0)
