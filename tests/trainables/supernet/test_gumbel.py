"""The Gumbel sampler: what it draws, the gradients of its logits, and what it learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional

from taurank.spaces import get_space
from taurank.trainables.supernet import Supernet, make_supernet
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers import GumbelSampler, Outcome
from tests.trainables.supernet.fakes import IMAGES, FakeJudge, cells, nine, play

LOGITS = torch.tensor([[1.0, 0.0, -1.0], [0.3, 0.2, 0.9]])


def sampler_with(logits: Tensor) -> GumbelSampler:
    sampler = GumbelSampler(nine())
    with torch.no_grad():
        sampler.logits.copy_(logits)
    return sampler


@pytest.mark.parametrize("temperature", [10.0, 0.1])
def test_options_are_drawn_with_the_probabilities_of_the_softmax_whatever_the_temperature(temperature: float) -> None:
    sampler, generator = sampler_with(LOGITS), np.random.default_rng(0)
    drawn = np.array([sampler.sample(generator, temperature)[0] for _ in range(20_000)])
    expected = 20_000 * LOGITS.double().softmax(1).numpy()
    for decision in (0, 1):
        counts = np.bincount(drawn[:, decision], minlength=3)
        assert stats.chisquare(counts, expected[decision]).pvalue > 0.001


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_gates_are_one_hot_in_value(temperature: float) -> None:
    sampler, generator = sampler_with(LOGITS), np.random.default_rng(0)
    for _ in range(50):
        choices, gates = sampler.sample(generator, temperature)
        for choice, gate in zip(choices, gates, strict=True):
            assert torch.allclose(gate, functional.one_hot(torch.tensor(choice), 3).float(), atol=1e-6)


@pytest.mark.parametrize("temperature", [5.0, 0.5])
def test_the_gradient_is_that_of_the_softmax_at_the_same_noise(temperature: float) -> None:
    """Against finite differences of p contracted with what each option's weight would do to the loss."""
    upstream = torch.tensor([[0.7, -1.2, 0.4], [2.0, 0.1, -0.5]], dtype=torch.float64)
    sampler = sampler_with(LOGITS)
    _, gates = sampler.sample(np.random.default_rng(3), temperature)
    torch.stack([(gate * row).sum() for gate, row in zip(gates, upstream.float(), strict=True)]).sum().backward()
    assert sampler.logits.grad is not None

    noise = -np.log(np.random.default_rng(3).exponential(size=(2, 3)))

    def contracted(logits: np.ndarray) -> float:
        log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        powers = np.exp((log_softmax + noise) / temperature)
        return float((powers / powers.sum(1, keepdims=True) * upstream.numpy()).sum())

    for place in np.ndindex(2, 3):
        up, down = LOGITS.double().numpy().copy(), LOGITS.double().numpy().copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        difference = (contracted(up) - contracted(down)) / 2e-5
        assert sampler.logits.grad[place].item() == pytest.approx(difference, rel=1e-3, abs=1e-6)
        assert sampler.logits.grad[place].item() != 0  # those that were not drawn, too


def test_through_a_supernet_every_allowed_option_gets_a_gradient_and_no_other() -> None:
    space = get_space("nasbench201", width=4, cells_per_stage=1)
    paths = Paths(space, tuple(space.parse(code).code for code in ("3-s1-1p3", "1-3s-3s1")))
    network: Supernet = make_supernet(space, input_shape=(1, 8, 8), classes=10)
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    class NetworkJudge(FakeJudge):
        def backpropagate(self, path: str, gates: Sequence[Tensor]) -> Outcome:
            network.activate(path)
            network.gates = gates
            loss = functional.cross_entropy(network(images), torch.arange(8))
            loss.backward()  # type: ignore[no-untyped-call]
            network.gates = None
            return Outcome(path, loss.detach(), torch.tensor(0), IMAGES)

    sampler = GumbelSampler(paths)
    play(sampler, 1, NetworkJudge())
    assert sampler.logits.grad is not None
    for decision, allowed in enumerate(paths.allowed):
        moved = sampler.logits.grad[decision].nonzero().flatten().tolist()
        assert moved == list(allowed)


def test_a_useful_option_is_preferred_to_one_that_adds_nothing() -> None:
    """One decision between a layer and nothing; the loss falls by as much of the layer as there is."""
    paths = Paths(get_space("mnist_blocks"), ("1,1", "2,1"))
    judge = FakeJudge(gate_loss=lambda gates: 1.0 - gates[0][1] + 0.0 * gates[1].sum())
    sampler = GumbelSampler(paths, learning_rate=0.05)
    play(sampler, 100, judge)
    probability = sampler.logits[0, :2].softmax(0)[1].item()
    assert probability > 0.9
    scores = sampler.scores(["1,1", "2,1", "3,1"])
    assert scores[1] > scores[0] > scores[2] == -np.inf  # no candidate has three blocks
    assert np.isfinite(scores[:2]).all()


def test_scores_are_sums_of_log_probabilities() -> None:
    table = LOGITS.double().log_softmax(1).numpy()
    scores = sampler_with(LOGITS).scores(["1,1", "2,3", "3,2"])
    assert scores == pytest.approx([table[0, 0] + table[1, 0], table[0, 1] + table[1, 2], table[0, 2] + table[1, 1]])


def test_each_step_judges_one_path_and_trains_another() -> None:
    judge = FakeJudge()
    groups = play(GumbelSampler(cells(300)), 50, judge)
    trained = [path for group in groups for path in group.paths]
    assert len(trained) == len(judge.backpropagated) == 50
    assert sum(left == right for left, right in zip(trained, judge.backpropagated, strict=True)) < 5
    assert GumbelSampler.judging_share == 0.5


def test_the_temperature_falls_from_10_to_a_tenth() -> None:
    class Noted(GumbelSampler):
        temperatures: list[float]

        def sample(self, generator: np.random.Generator, temperature: float) -> tuple[list[int], list[Tensor]]:
            self.temperatures.append(temperature)
            return super().sample(generator, temperature)

    sampler = Noted(nine())
    sampler.temperatures = []
    for progress in (0.0, 0.5, 1.0):
        sampler.draw(np.random.default_rng(0), FakeJudge(), progress)
    assert sampler.temperatures == pytest.approx([10, 10, 5.05, 5.05, 0.1, 0.1])


def test_a_gradient_that_is_not_finite_leaves_the_logits_as_they_are() -> None:
    sampler = GumbelSampler(nine())
    before = sampler.logits.detach().clone()
    play(sampler, 3, FakeJudge(gate_loss=lambda gates: gates[0].sum() * torch.inf))
    assert torch.equal(sampler.logits, before)
    play(sampler, 1, FakeJudge())
    assert not torch.equal(sampler.logits, before)


def test_the_first_logits_follow_the_seed() -> None:
    first, second, third = (GumbelSampler(cells(20), seed=seed).logits for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert 0 < first.abs().max() < 0.01
