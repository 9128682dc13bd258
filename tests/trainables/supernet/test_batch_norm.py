from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from taurank.trainables.supernet import batch_statistics, recalibrate


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3)
        )
        made.train()
        for _ in range(3):  # running statistics of something else
            made(5 + torch.randn(8, 2, 9, 9))
    return made


def batches(*sizes: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(size, 2, 9, 9, generator=generator) * (index + 1) + index for index, size in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [(16,), (8, 8, 8), (20, 7, 3)])
def test_statistics_are_those_of_all_images_together(sizes: tuple[int, ...]) -> None:
    model, data = network(), batches(*sizes)
    recalibrate(model, data)
    with torch.no_grad():
        features = [model[0](batch) for batch in data]
    weights = torch.tensor(sizes) / sum(sizes)
    variances = torch.stack([feature.var((0, 2, 3)) for feature in features])
    assert torch.allclose(model[1].running_mean, torch.cat(features).mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(model[1].running_var, weights @ variances, rtol=1e-4)


def test_what_was_known_before_is_forgotten() -> None:
    first, second = network(), network()
    for layer in (second[1], second[5]):
        layer.running_mean.fill_(1e6)
        layer.running_var.fill_(1e6)
    for model in (first, second):
        recalibrate(model, batches(8, 8))
    for left, right in zip(first.buffers(), second.buffers(), strict=True):
        assert torch.equal(left, right)


def test_a_later_layer_sees_what_an_evaluation_will_show_it() -> None:
    """Dropout is off meanwhile, and nothing is drawn from the global generator."""
    model, (data,) = network(), batches(64)
    state = torch.get_rng_state()
    recalibrate(model, [data])
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        hidden = model[0](data)
        normalised = nn.functional.batch_norm(hidden, None, None, model[1].weight, model[1].bias, training=True)
        features = model[4](normalised.relu())
    assert torch.allclose(model[5].running_mean, features.mean((0, 2, 3)), atol=1e-5)


def test_weights_momentum_and_modes_stay() -> None:
    model = network()
    model[1].momentum = 0.37
    model[5].eval()  # one layer on its own
    before = [weight.detach().clone() for weight in model.parameters()]
    modes = [module.training for module in model.modules()]
    recalibrate(model, batches(8, 8))
    assert all(torch.equal(left, right) for left, right in zip(model.parameters(), before, strict=True))
    assert [module.training for module in model.modules()] == modes == [True] * 6 + [False]
    assert (model[1].momentum, model[5].momentum) == (0.37, 0.1)
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("mode", [True, False])
def test_modes_and_momentum_stay_when_the_forward_raises(mode: bool) -> None:
    model = network().train(mode)
    with pytest.raises(RuntimeError, match="size"):
        recalibrate(model, [torch.zeros(4, 2, 1, 1)])  # smaller than the kernel
    assert all(module.training is mode for module in model.modules())
    assert [model[index].momentum for index in (1, 5)] == [0.1, 0.1]


def test_a_layer_that_is_not_passed_through_is_reset() -> None:
    class Partly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
            self.unused.running_mean.fill_(3.0)

        def forward(self, images: Tensor) -> Tensor:
            out: Tensor = self.used(images)
            return out

    model = Partly()
    recalibrate(model, batches(8))
    assert model.unused.running_mean.tolist() == [0, 0]
    assert model.unused.running_var.tolist() == [1, 1]
    assert model.used.running_mean.abs().min() > 0


def test_no_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="batches is empty"):
        recalibrate(network(), [])


def test_batch_statistics_leave_no_trace() -> None:
    model = network()
    model[1].num_batches_tracked.fill_(7)
    before = [buffer.clone() for buffer in model.buffers()]
    model[0].eval()
    modes = [module.training for module in model.modules()]
    (data,) = batches(16)
    with torch.no_grad(), batch_statistics(model):
        assert not model[2].training  # dropout
        features = model[1](model[0](data))
        model(data)
    normal = model[0](data)
    normal = (normal - normal.mean((0, 2, 3), keepdim=True)) / (
        normal.var((0, 2, 3), keepdim=True, correction=0)
    ).sqrt()
    assert torch.allclose(features, normal, atol=1e-3)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(left, right) for left, right in zip(model.buffers(), before, strict=True))
    assert model[1].momentum == 0.1


def test_batch_statistics_end_with_an_error() -> None:
    model = network()
    with pytest.raises(RuntimeError), batch_statistics(model):
        model(torch.zeros(4, 3, 1, 1))
    assert model.training
    assert model[1].momentum == 0.1
