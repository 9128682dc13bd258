"""The same network in two spellings has the same score in every proxy."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from taurank.trainables.proxies import ProxyBatch, list_proxies, score_network
from taurank.trainables.proxies.recorders import CodeRecorder
from taurank.trainables.proxies.spelling import OneSpelling, as_unit, read_spelling


class Spelled(nn.Module):
    """Three residual blocks, with units, dropout and normalisation as they are given."""

    def __init__(self, unit=None, *, drop=None, norm=None):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(unit or nn.ReLU(), drop, norm) for _ in range(3)))
        self.head = nn.Linear(8, 4)

    def forward(self, images):
        return self.head(self.blocks(self.stem(images)).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, unit, drop, norm):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.unit, self.drop, self.normalise = unit, drop, norm

    def forward(self, features):
        change = self.conv(features)
        change = self.norm(change) if self.normalise is None else self.normalise(self, change)
        change = self.unit(change)
        return features + (change if self.drop is None else self.drop(self, change))


def scores(make):
    torch.manual_seed(0)
    network = make()
    generator = torch.Generator().manual_seed(1)
    batch = ProxyBatch(torch.randn(8, 3, 8, 8, generator=generator), torch.arange(8) % 4, 4)
    return score_network(network, batch, [name for name in list_proxies() if name != "linear_regions"])


def assert_alike(found, wanted):
    for name, score in wanted.items():
        assert found[name].reason == score.reason, name
        assert math.isnan(score.value) or found[name].value == pytest.approx(score.value, rel=1e-5), name
        assert found[name].coverage == pytest.approx(score.coverage), name


def by_root(x):
    return x * (x + 3).clamp(0, 6).div(6)


UNITS = {
    "relu": (nn.ReLU(), [
        functional.relu, torch.relu, lambda x: x.relu(), lambda x: functional.relu_(x.clone()),
        lambda x: x.clamp(min=0), lambda x: torch.clamp_min(x, 0.0), lambda x: x.clone().clamp_(min=0),
        lambda x: torch.maximum(x, torch.zeros_like(x)), lambda x: torch.max(x, torch.tensor(0.0)),
        lambda x: torch.maximum(x, torch.zeros(x.shape)), lambda x: x * (x > 0),
        lambda x: torch.where(x > 0, x, 0.0), lambda x: (x + x.abs()) / 2, lambda x: x.masked_fill(x < 0, 0),
        lambda x: functional.threshold(x, 0.0, 0.0),
    ]),
    "relu6": (nn.ReLU6(), [
        functional.relu6, lambda x: x.clamp(0, 6), lambda x: functional.hardtanh(x, 0.0, 6.0),
        lambda x: functional.relu(x).clamp(max=6), lambda x: torch.minimum(functional.relu(x), torch.tensor(6.0)),
    ]),
    "hardswish": (nn.Hardswish(), [
        functional.hardswish, lambda x: x * functional.relu6(x + 3) / 6,
        lambda x: x * functional.relu6(3 + x) * (1 / 6),
        lambda x: x * (functional.relu6(x + 3, inplace=True) / 6), lambda x: x * functional.hardsigmoid(x), by_root,
        lambda x: x.mul(nn.ReLU6()(x + 3.0)).mul(1 / 6),
    ]),
    "silu": (nn.SiLU(), [
        functional.silu, lambda x: x * x.sigmoid(), lambda x: x * torch.sigmoid(x), lambda x: x / (1 + (-x).exp()),
        lambda x: torch.mul(x, functional.sigmoid(x)), nn.SiLU(inplace=True),
    ]),
    "gelu": (nn.GELU(), [functional.gelu, lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))]),
    "gelu tanh": (nn.GELU(approximate="tanh"), [
        lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        lambda x: x * 0.5 * (1.0 + torch.tanh(0.7978845608 * (x + 0.044715 * torch.pow(x, 3)))),
    ]),
    "mish": (nn.Mish(), [lambda x: x * torch.tanh(functional.softplus(x)), lambda x: x * (1 + x.exp()).log().tanh()]),
    "softplus": (nn.Softplus(), [
        lambda x: (1 + x.exp()).log(), lambda x: functional.relu(x) + (-x.abs()).exp().log1p(),
    ]),
    "leaky": (nn.LeakyReLU(0.1), [lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: torch.maximum(x, x * 0.1)]),
    "elu": (nn.ELU(), [lambda x: torch.where(x > 0, x, x.exp() - 1), lambda x: torch.where(x > 0, x, torch.expm1(x))]),
    "hardtanh": (nn.Hardtanh(), [lambda x: x.clamp(-1, 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_by_hand_is_the_unit(name):
    own, spellings = UNITS[name]
    wanted = scores(lambda: Spelled(own))
    assert wanted["nwot"].reason == wanted["jacob_cov"].reason == ""
    for spelling in spellings:
        assert_alike(scores(lambda spelling=spelling: Spelled(spelling)), wanted)


def drop_path(features, p, training):
    if not training:
        return features
    return features * torch.rand(len(features), 1, 1, 1).gt(p) / (1 - p)


@pytest.mark.parametrize(
    "drop",
    [
        lambda block, x: functional.dropout(x, 0.5, block.training),
        lambda block, x: functional.dropout(x, 0.5),
        lambda block, x: functional.dropout2d(x, 0.5, training=block.training),
        lambda block, x: torch.dropout(x, 0.5, block.training),
        lambda block, x: functional.alpha_dropout(x, 0.5, True),
        lambda block, x: nn.Dropout(0.5)(x),
        lambda block, x: drop_path(x, 0.5, block.training),
    ],
)
def test_noise_is_off_however_it_is_written(drop):
    assert_alike(scores(lambda: Spelled(drop=drop)), scores(Spelled))


@pytest.mark.parametrize(
    "norm",
    [
        lambda block, x: functional.batch_norm(
            x, block.norm.running_mean, block.norm.running_var, block.norm.weight, block.norm.bias, block.training
        ),
        lambda block, x: functional.batch_norm(x, None, None, block.norm.weight, block.norm.bias, training=True),
        lambda block, x: torch.batch_norm(
            x, block.norm.weight, block.norm.bias, None, None, block.training or True, 0.1, 1e-5, True
        ),
    ],
)
def test_batch_normalisation_uses_the_batch_however_it_is_written(norm):
    assert_alike(scores(lambda: Spelled(norm=norm)), scores(Spelled))


@pytest.mark.parametrize(
    "product",
    [
        lambda x, weight: x @ weight.T,
        lambda x, weight: x.matmul(weight.t()),
        lambda x, weight: torch.einsum("bi,oi->bo", x, weight),
        lambda x, weight: torch.tensordot(x, weight, ([1], [1])),
        lambda x, weight: torch.mm(x, weight.T),
        lambda x, weight: torch.inner(x, weight),
    ],
)
def test_a_linear_layer_is_one_however_it_is_written(product):
    class Linears(nn.Module):
        def __init__(self, product):
            super().__init__()
            self.first, self.twice = nn.Linear(192, 12, bias=False), nn.Linear(12, 12, bias=False)
            self.last, self.product = nn.Linear(12, 4, bias=False), product

        def forward(self, images):
            features = functional.relu(self.product(images.flatten(1), self.first.weight))
            for _ in range(2):
                features = functional.relu(self.product(features, self.twice.weight))
            return self.product(features, self.last.weight)

    wanted = scores(lambda: Linears(functional.linear))
    assert wanted["trainable_layers"].value == 3
    found = scores(lambda: Linears(product))
    # It reads only where a weight enters an operator as it is.
    del found["vkdnw"], wanted["vkdnw"]
    assert_alike(found, wanted)


def test_gates_and_bends_elsewhere_are_no_units():
    grid = torch.linspace(-30, 30, 2401, dtype=torch.float64)
    for gate in (torch.sigmoid, functional.hardsigmoid, torch.tanh, lambda x: x, lambda x: 2 * x, lambda x: 0 * x,
                 lambda x: functional.relu(x - 1), lambda x: x + functional.relu(x), torch.abs):  # fmt: skip
        assert as_unit(gate(grid)) is None


def test_a_unit_with_weights_keeps_them():
    slope = nn.Parameter(torch.tensor(0.25))
    features = torch.randn(4, 5)
    assert read_spelling(lambda: torch.where(features > 0, features, slope * features)) == {}
    assert len(read_spelling(lambda: torch.where(features > 0, features, 0.25 * features))) > 0


def test_what_is_read_elsewhere_stays_visible():
    """The ReLU of x - 0 is used twice: alone, and within another unit."""

    def forward(features):
        rectified = functional.relu(features + 0.0)
        return rectified.sum() + torch.minimum(rectified, torch.tensor(6.0)).sum()

    features = torch.randn(4, 5)
    seen = []
    spelling = read_spelling(lambda: forward(features))
    with CodeRecorder(seen.append), OneSpelling(spelling):
        forward(features)
    assert len(seen) == 2


def test_a_checkpoint_changes_nothing_or_is_void():
    class Checkpointed(Spelled):
        def forward(self, images):
            features = self.stem(images)
            for block in self.blocks:
                features = torch.utils.checkpoint.checkpoint(block, features, use_reentrant=False)
            return self.head(features.mean((2, 3)))

    found, wanted = scores(Checkpointed), scores(Spelled)
    assert "checkpoints compute their features again" in found.pop("vkdnw").reason
    del wanted["vkdnw"]
    assert_alike(found, wanted)


def test_a_network_that_changes_its_images_changes_no_others():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))

        def forward(self, images):
            return self.layers(images.mul_(2))

    torch.manual_seed(0)
    batch = ProxyBatch(torch.randn(4, 3, 8, 8), torch.arange(4), 4)
    before = batch.images.clone()
    found = score_network(InPlace(), batch, ["jacob_cov", "snip", "flops", "nwot", "swap"])
    assert torch.equal(batch.images, before)
    assert all(score.reason == "" for score in found.values())
