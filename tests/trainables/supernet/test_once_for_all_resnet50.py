from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from taurank.spaces import OnceForAllResNet50, get_space
from taurank.spaces.once_for_all.resnet50_design import format_code, largest
from taurank.trainables.supernet import OnceForAllResNet50Supernet

SHAPE = (1, 14, 14)
CLASSES = 10


def make(**options: Any) -> tuple[OnceForAllResNet50, OnceForAllResNet50Supernet]:
    space = get_space("once_for_all_resnet50", **options)
    assert isinstance(space, OnceForAllResNet50)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return space, OnceForAllResNet50Supernet(space, input_shape=SHAPE, classes=CLASSES)


def test_random_candidates_compute_what_they_do_alone() -> None:
    space, supernet = make(variant="mini", resolutions=[10, 12])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in supernet.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=generator)
            elif value.is_floating_point():
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    images = torch.rand(8, *SHAPE, generator=generator)
    supernet.eval()
    for architecture in space.sample(20, np.random.default_rng(0)):
        network = space.build(architecture, input_shape=SHAPE, classes=CLASSES).eval()
        network.load_state_dict(supernet.inherited(architecture.code))
        supernet.activate(architecture.code)
        with torch.no_grad():
            assert torch.allclose(supernet(images), network(images), atol=1e-5), architecture


@pytest.mark.parametrize("variant", ["imagenet", "mini"])
def test_the_supernet_is_the_largest_network(variant: str) -> None:
    with torch.device("meta"):
        space, supernet = make(variant=variant)
        alone = space.build(space.parse(format_code(largest(space.design))), input_shape=SHAPE, classes=CLASSES)
    assert count(supernet) == count(alone)


def test_its_initial_weights_are_those_of_the_largest_network() -> None:
    space, supernet = make(variant="mini")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        alone = space.build(space.parse(format_code(largest(space.design))), input_shape=SHAPE, classes=CLASSES)
    own = supernet.network.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in alone.state_dict().items())


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
