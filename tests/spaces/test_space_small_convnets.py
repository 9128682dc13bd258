from __future__ import annotations

import pytest
import torch

from taurank.spaces import SmallConvnets, SpaceError, measure_size


def test_parameters_in_closed_form():
    space = SmallConvnets()
    for architecture in space.enumerate():
        width, *kernels = space.taken(architecture).values()
        areas = [kernel * kernel for kernel in kernels]
        weights = width * areas[0] + width * width * (areas[1] + areas[2])
        norms, classifier = 3 * 2 * width, 10 * (width + 1)
        size = measure_size(space, architecture, input_shape=(1, 8, 8), classes=10)
        assert (size.parameters, size.depth) == (weights + norms + classifier, 4)


def test_reads_its_short_form():
    space = SmallConvnets()
    assert space.parse(" w8-351 ").code == "width=8,first=3,second=5,third=1"
    assert len({space.short(architecture) for architecture in space.enumerate()}) == space.size == 81
    with pytest.raises(SpaceError, match=r"^code: third of .* is '7'; allowed are 1, 3, 5"):
        space.parse("w8-357")


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 9, 7)])
def test_images_of_any_size(shape):
    space = SmallConvnets()
    network = space.build(space.parse("w4-513"), input_shape=shape, classes=3).eval()
    assert network(torch.randn(2, *shape)).shape == (2, 3)
