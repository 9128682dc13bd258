"""What every registered proxy keeps to."""

import math

import pytest
import torch
from torch import nn

from taurank.spaces import get_space
from taurank.spaces.zoo.torchvision_import import import_torchvision
from taurank.trainables.proxies import ProxyBatch, describe_proxy, get_proxy, list_proxies, score_network
from taurank.trainables.proxies.description import _read
from taurank.trainables.proxies.proxy import PROXIES

SPACE = get_space("nasbench201", width=4, cells_per_stage=1)
NEEDING_MORE = {name for name in list_proxies() if "thin network" in get_proxy(name).needs}


def a_batch(images=8, size=16, classes=10):
    generator = torch.Generator().manual_seed(3)
    return ProxyBatch(
        torch.randn(images, 3, size, size, generator=generator), torch.arange(images) % (classes // 2), classes
    )


def a_cell(code="3-13-s3p", seed=0):
    torch.manual_seed(seed)
    return SPACE.build(SPACE.parse(code), input_shape=(3, 16, 16), classes=10)


def a_thin(code="3-13-s3p"):
    return lambda: SPACE.thin(SPACE.parse(code), classes=10)


def score(name, network, batch, **options):
    return score_network(network, batch, [name], **options)[name]


@pytest.mark.parametrize("name", list_proxies())
def test_says_what_it_is(name):
    proxy = get_proxy(name)
    assert proxy.direction in (1, -1)
    assert describe_proxy(name).summary
    assert proxy.source
    assert "etter" in (type(proxy).score.__doc__ or "")


@pytest.mark.parametrize("name", list_proxies())
def test_is_described_without_its_code_as_it_describes_itself(name):
    place = PROXIES._places[name]
    assert _read(name, place) == describe_proxy(get_proxy(name).name)


@pytest.mark.parametrize("name", list_proxies())
def test_scores_a_cell_finitely_and_measures_the_time(name):
    found = score(name, a_cell(), a_batch(), thin=a_thin())
    assert found.reason == ""
    assert math.isfinite(found.value)
    assert 0 < found.coverage <= 1
    assert found.seconds > 0


@pytest.mark.parametrize("name", list_proxies())
def test_leaves_network_and_random_numbers_alone(name):
    network = a_cell()
    network.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    random_before = torch.get_rng_state()
    score(name, network, a_batch(), thin=a_thin())
    assert torch.equal(random_before, torch.get_rng_state())
    assert not network.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    for key, value in network.state_dict().items():
        assert torch.equal(before[key], value), key


@pytest.fixture(scope="module")
def together():
    return score_network(a_cell(), a_batch(), list_proxies(), seed=5, thin=a_thin())


@pytest.mark.parametrize("name", list_proxies())
def test_does_not_depend_on_what_ran_before(name, together):
    network, batch = a_cell(), a_batch()
    torch.rand(7)
    alone = score(name, network, batch, seed=5, thin=a_thin())
    assert together[name].value == pytest.approx(alone.value, rel=1e-6)


@pytest.mark.parametrize("name", list_proxies())
def test_a_network_whose_output_knows_nothing_of_the_images_is_void_or_counted(name):
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.zeros(10))

        def forward(self, images):
            return self.logits.expand(len(images), 10)

    found = score(name, Constant(), a_batch())
    if name == "params":
        assert found.value == 10
    else:
        assert math.isnan(found.value)
        assert found.reason
        assert found.coverage == 0


@pytest.mark.parametrize("name", list_proxies())
def test_a_network_that_raises_is_void_with_its_words(name):
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 10)

        def forward(self, images):
            raise RuntimeError("the lights are out")

    if name == "params":
        pytest.skip("counts without running the network")
    found = score(name, Broken(), a_batch())
    assert math.isnan(found.value)
    assert found.reason


@pytest.mark.parametrize("name", list_proxies())
def test_a_torchvision_network_is_scored_or_void_with_a_reason(name):
    torch.manual_seed(0)
    found = score(name, import_torchvision().models.mobilenet_v3_small(num_classes=10), a_batch(images=4, size=32))
    assert math.isfinite(found.value) != bool(found.reason)


@pytest.mark.parametrize("name", [name for name in list_proxies() if "labels" in get_proxy(name).needs])
def test_a_batch_without_labels_is_void_where_they_are_needed(name):
    batch = a_batch()
    found = score(name, a_cell(), ProxyBatch(batch.images, None, batch.classes))
    assert found.reason == "the batch has no labels"


@pytest.mark.parametrize("name", [name for name in list_proxies() if "rectifiers" in get_proxy(name).needs])
def test_a_network_without_rectifiers_is_void_where_they_are_needed(name):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(4 * 14 * 14, 10))
    assert "bend" in score(name, network, a_batch()).reason
