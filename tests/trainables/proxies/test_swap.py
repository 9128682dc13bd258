import math

import pytest
import torch
from torch import nn

from taurank.trainables.proxies.batch import ProxyBatch
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.swap import Swap, size_regularised


def of_rows(rows):
    """Images of one row of pixels."""
    return ProxyBatch(torch.tensor(rows, dtype=torch.float32)[:, None, None, :], None, classes=2)


def one_layer(pixels, units=512, unit=None):
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, units), unit or nn.ReLU(), nn.Linear(units, 2))


def score(network, batch, seed=0):
    probe = Probe(network, batch, seed=seed)
    with probe.seeded():
        return Swap().score(probe).value


def test_a_pixel_that_only_changes_its_sign_has_two_codes():
    assert score(one_layer(1), of_rows([[1.0], [3.0], [-2.0]])) == 2


def test_images_in_directions_of_their_own_have_all_codes():
    assert score(one_layer(3), of_rows(torch.eye(3).tolist())) == 8


@pytest.mark.parametrize("unit", [nn.GELU(), nn.SiLU(), nn.Hardswish()])
def test_other_units_with_a_bend_count_alike(unit):
    assert score(one_layer(3, unit=unit), of_rows(torch.eye(3).tolist())) == 8


def test_biases_are_zero():
    network = one_layer(1)
    with torch.no_grad():
        network[1].bias.fill_(100)
    # An image of zeros is on nowhere: codes (off, off) and (on, off).
    assert score(network, of_rows([[1.0], [0.0]])) == 2


def test_the_weights_of_the_network_do_not_matter_and_the_seed_does():
    batch = ProxyBatch(torch.randn(6, 3, 8, 8), None, classes=2)

    def network(seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))

    assert score(network(0), batch) == score(network(1), batch)
    assert score(network(0), batch) != score(network(0), batch, seed=1)


def test_only_the_first_sixteen_images_count():
    images = torch.randn(20, 3, 8, 8)
    more, first = (ProxyBatch(part, None, classes=2) for part in (images, images[:16]))
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    assert score(network, more) == score(network, first) > 16


def test_equal_images_add_no_codes():
    assert score(one_layer(3), of_rows([*torch.eye(3).tolist(), [1.0, 0.0, 0.0]])) == 8


def test_more_units_have_no_fewer_codes():
    batch = ProxyBatch(torch.randn(8, 1, 2, 2), None, classes=2)
    few, many = (score(one_layer(4, units), batch) for units in (8, 256))
    assert few <= 8 < many <= 2**8


def test_a_network_without_rectifiers_is_void():
    with pytest.raises(VoidScoreError, match="bend"):
        score(one_layer(3, unit=nn.Sigmoid()), of_rows(torch.eye(3).tolist()))


def test_an_output_that_is_not_finite_is_void():
    class Roots(nn.Module):
        def forward(self, features):
            return features.relu() / 0

    with pytest.raises(VoidScoreError, match="not finite"):
        score(one_layer(3, unit=Roots()), of_rows(torch.eye(3).tolist()))


def test_codes_are_counted_once_for_equal_units():
    assert math.log2(score(one_layer(2), of_rows([[1.0, 0.0], [0.0, 1.0]]))) == 2


def test_size_regularised_favours_the_larger_of_equals():
    found = size_regularised([100.0, 100.0, 50.0], [1e6, 2e6, 2e6])
    assert found.tolist() == pytest.approx([100 * math.exp(-0.25), 100, 50])


def test_size_regularised_does_not_depend_on_the_unit_of_size_and_keeps_gaps():
    swap, params = [10.0, math.nan, 30.0], [1.0, 4.0, 2.0]
    found = size_regularised(swap, params)
    assert found.tolist() == pytest.approx(
        size_regularised(swap, [1000 * size for size in params]).tolist(), nan_ok=True
    )
    assert [math.isnan(value) for value in found] == [False, True, False]
