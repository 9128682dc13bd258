"""Mixtures of all options: what they compute, what they cost, and what their weights learn."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from taurank.spaces import get_space
from taurank.spaces.nasbench201 import OPERATIONS
from taurank.spaces.nasbench201.code import EDGES
from taurank.trainables.data import Augmentation, ImageData
from taurank.trainables.supernet import Paths, SupernetConfig, SupernetTraining, list_supernets, make_supernet
from taurank.trainables.supernet.layerwise import MixedLayer
from taurank.trainables.supernet.mixing import mixing_work
from taurank.trainables.supernet.nasbench201 import MixedCell
from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.registry import can_mix
from taurank.trainables.supernet.samplers import MixtureSampler, make_sampler
from taurank.trainables.training.recipe import Recipe
from tests.trainables.supernet.fakes import FakeJudge, nine, play

CELLS = get_space("nasbench201", width=4, cells_per_stage=1)
SMALL = {
    "nasbench201": ({"width": 4, "cells_per_stage": 1}, "3-s1-1p3"),
    "nasbench_macro": ({"width": 4, "head_width": 16}, "02101200"),
    "proxyless": ({"variant": "mini"}, "k3e3-k5e6_k5e3-id-k7e3"),
    "fbnet": ({"variant": "mini"}, "k3e1g2_k3e3-skip"),
    "mnist_blocks": ({}, "1,3"),
}


def seeded(name: str, seed: int = 0) -> Supernet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_supernet(get_space(name, **SMALL[name][0]), input_shape=(1, 12, 12), classes=10).eval()


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def decide(weights: Tensor, taken: list[int], mixed: int, edge: int, option: int, compute: object) -> Tensor:
    """One operation an edge, but for a mixture on one of them."""
    assert callable(compute)
    if edge != mixed:
        return compute(taken[edge])  # type: ignore[no-any-return]
    return torch.stack([weights[other] * compute(other) for other in range(len(OPERATIONS))]).sum(0)


@pytest.mark.parametrize("mixed", [3, 4, 5])  # the edges into the output, which is linear in what they bring
def test_a_mixed_edge_is_the_weighted_sum_of_the_cells_with_each_operation(mixed: int) -> None:
    torch.manual_seed(0)
    cell, features = MixedCell(4).eval(), images(2, 4, 6, 6)
    weights = torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15])
    taken = [3, 2, 1, 4, 3, 2]
    names = tuple(OPERATIONS[option] for option in taken)
    found = cell(features, names, (True,) * len(EDGES), partial(decide, weights, taken, mixed))
    alone = []
    for option in range(len(OPERATIONS)):
        one = [*taken[:mixed], option, *taken[mixed + 1 :]]
        alone.append(cell(features, names, (True,) * len(EDGES), lambda edge, _, compute, one=one: compute(one[edge])))
    assert torch.allclose(found, sum(w * output for w, output in zip(weights, alone, strict=True)), atol=1e-6)


def test_a_mixed_layer_is_the_weighted_sum_of_its_operations() -> None:
    network = seeded("proxyless")
    layer = next(one for one in network.network.layers if any(isinstance(o, torch.nn.Identity) for o in one.options))
    assert isinstance(layer, MixedLayer)
    channels = next(o.depthwise[0].in_channels // 3 for o in layer.options if not isinstance(o, torch.nn.Identity))
    features = images(2, channels, 6, 6)
    weights = torch.arange(1.0, 1 + len(layer.options)).softmax(0)

    def mixture(compute: object) -> Tensor:
        assert callable(compute)
        return sum(weight * compute(place) for place, weight in enumerate(weights))  # type: ignore[return-value]

    expected = sum(weight * option(features) for weight, option in zip(weights, layer.options, strict=True))
    assert torch.allclose(layer(features, mixture), expected, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_a_mixture_of_one_option_each_is_that_path(name: str) -> None:
    network, space = seeded(name), get_space(name, **SMALL[name][0])
    path = space.parse(SMALL[name][1])
    network.activate(path.code)
    alone = network(images(3, 1, 12, 12))
    other = Paths.covering(space).codes[0]
    assert other != path.code
    network.activate(other)
    one_hot = [
        torch.nn.functional.one_hot(torch.tensor(taken), len(options)).float()
        for taken, options in zip(space.choices(path), space.decisions, strict=True)
    ]
    with network.weighted(one_hot, Paths.covering(space).allowed):
        assert torch.allclose(network(images(3, 1, 12, 12)), alone, atol=1e-5)
    assert network.gates is network.mixed is None


@pytest.mark.parametrize("name", [name for name in list_supernets() if name not in SMALL])
def test_a_supernet_that_cannot_mix_is_refused_in_one_line(name: str) -> None:
    space = get_space(name)
    assert not can_mix(space)
    expected = rf"^the sampler mixture .* which the supernet of {name} cannot; take gumbel$"
    with pytest.raises(ValueError, match=expected):
        make_sampler("mixture", Paths.covering(space))


def test_the_work_of_a_mixture_is_that_of_its_parts() -> None:
    network = make_supernet(CELLS, input_shape=(1, 8, 8), classes=10).train()
    alone = Paths(CELLS, (CELLS.parse("3-s1-1p3").code,))
    assert mixing_work(network, alone, (1, 8, 8)) == 1.0
    # Operations that compute nothing cost nothing: the mean path has a third of the convolutions of the mixture.
    cheap = Paths(CELLS, tuple(CELLS.parse(code).code for code in ("s-ss-sss", "n-nn-nnn", "p-pp-ppp")))
    assert mixing_work(network, cheap, (1, 8, 8)) == 1.0
    assert 1.5 < mixing_work(network, Paths.covering(CELLS), (1, 8, 8)) < 5
    assert network.training
    # The deepest of the nine networks has all blocks, and is one of nine.
    blocks = seeded("mnist_blocks")
    assert 1 < mixing_work(blocks, nine(), (1, 12, 12)) < 3


RECIPE = Recipe(epochs=2, batch_size=16, learning_rate=0.05, augmentation=Augmentation(crop=1))


def training(paths: Paths, data: ImageData, epochs: int = 2, **options: float) -> SupernetTraining:
    return SupernetTraining(
        lambda: make_supernet(paths.space, input_shape=data.input_shape, classes=10),
        RECIPE.of_length(epochs),
        data,
        paths=paths,
        config=SupernetConfig("mixture", options, calibration_images=32),
        seed=0,
    )


def test_an_epoch_costs_what_its_mixtures_compute(digits: ImageData) -> None:
    one = training(Paths.covering(CELLS), digits)
    one.step_epoch()
    steps = int(one.statistics.updates[0][0])
    assert one.spent == pytest.approx(steps * 2 * one.work * RECIPE.batch_size / len(digits.train), rel=0.05)
    assert 1 <= one.spent < 1 + 2 * one.work * RECIPE.batch_size / len(digits.train)
    assert all((updates == steps).all() for updates in one.statistics.updates)
    assert set(one.updates.values()) == {0}


def test_every_option_gets_a_gradient(digits: ImageData) -> None:
    paths = Paths.covering(CELLS)
    one = training(paths, digits)
    one.step_epoch()
    assert isinstance(one.sampler, MixtureSampler)
    assert one.sampler.logits.grad is not None
    assert bool((one.sampler.logits.grad != 0).all())


def test_only_options_of_the_candidates_are_mixed(digits: ImageData) -> None:
    paths = Paths(CELLS, tuple(CELLS.parse(code).code for code in ("s-ss-3ss", "n-nn-1nn")))
    one = training(paths, digits)
    one.step_epoch()
    assert isinstance(one.sampler, MixtureSampler)
    assert one.sampler.logits.grad is not None
    for decision, allowed in enumerate(paths.allowed):
        moved = one.sampler.logits.grad[decision].nonzero().flatten().tolist()
        assert set(moved) <= set(allowed)
        untouched = one.supernet.network.stages[0][0].edges[decision]["nor_conv_3x3"]  # type: ignore[index, union-attr]
        assert (untouched[1].weight.grad is None) == (OPERATIONS.index("nor_conv_3x3") not in allowed)


class LayerOrNothing(Supernet):
    """The first decision is between nothing and a layer that classifies."""

    can_mix = True

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.taken = torch.nn.Linear(64, 10), 0

    def activate(self, path: str) -> None:
        self.taken = int(path[0]) - 1

    def forward(self, images: Tensor) -> Tensor:
        features = images.flatten(1)
        return self.decided(0, self.taken, lambda option: self.layer(features) * float(option))

    def inherited(self, path: str) -> dict[str, Tensor]:
        return {}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_informative_option_is_preferred_to_one_that_adds_nothing(digits: ImageData, seed: int) -> None:
    """Both levels, for some hundred steps."""
    paths = Paths(nine().space, ("1,1", "2,1"))
    config = SupernetConfig("mixture", {"learning_rate": 0.05})
    one = SupernetTraining(LayerOrNothing, RECIPE.of_length(15), digits, paths=paths, config=config, seed=seed)
    while not one.finished:
        one.step_epoch()
    assert 75 <= one.statistics.updates[0][0] <= 150
    table = one.sampler.option_scores()
    assert table is not None
    assert np.exp(table[0]) == pytest.approx([0, 1, np.nan], abs=0.1, nan_ok=True)
    nothing, layer, other = (float(score) for score in np.asarray(one.sampler.scores(["1,1", "2,1", "3,1"])))
    assert layer > nothing > other == -np.inf


def test_the_path_of_a_step_is_the_most_probable_one_and_weights_are_probabilities() -> None:
    sampler = MixtureSampler(nine(), learning_rate=0.1)
    (*_, last) = play(sampler, 40, FakeJudge(gate_loss=lambda gates: -gates[0][2] - gates[1][0]))
    assert last.paths == ("3,1",)
    assert last.weights is not None
    assert [float(own.sum()) for own in last.weights] == pytest.approx([1, 1])
    assert not any(own.requires_grad for own in last.weights)
