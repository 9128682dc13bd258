from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.spaces import Architecture, MnistBlocks, NASBench201, NASBenchMacro, SearchSpace, Zoo, measure_size
from taurank.spaces.depth import following
from taurank.spaces.nasbench201.code import all_operations, format_code

IMAGE = (3, 8, 8)


def depth_of(network: nn.Module, shape: tuple[int, ...] = IMAGE, device: str = "meta") -> int | None:
    network, image = network.to(device).eval(), torch.zeros(1, *shape, device=device)
    with torch.no_grad(), following(network, image) as path:
        logits = network(image)
    return path.of(logits)


def built(space: SearchSpace, code: str) -> int | None:
    return measure_size(space, space.parse(code), input_shape=IMAGE, classes=10).depth


class Net(nn.Module):
    """Four convolutions of equal shape, and what a subclass makes of them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(4))

    def longer(self, x: Tensor) -> Tensor:
        return self.d(self.c(self.b(x)))


class Sum(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.longer(x)


class Joined(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.longer(x), self.a(x)], dim=1)


class InPlace(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        return x.add_(self.longer(x)).relu_()


class IntoPart(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        x[:, :2] = self.longer(x)[:, :2]
        x[:, 0].zero_()
        return x


class Parts(Net):
    def forward(self, x: Tensor) -> Tensor:
        left, right = self.a(x).chunk(2, dim=2)
        return torch.stack([self.longer(left), right])


class Dead(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.longer(x) * 0.0 + torch.zeros_like(self.longer(x))


class Cleared(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.longer(x).zero_()


class Constant(Net):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(self.longer(x)) + self.d.bias[:, None, None]


class Shared(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.a(self.a(self.a(x))))


class Standardised(Net):
    """Weights are normalised before use, and the filter that blurs has none."""

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.a.weight - self.a.weight.mean()) / self.a.weight.std()
        blurred = functional.conv2d(x, torch.ones(3, 1, 3, 3, device=x.device), groups=3)
        return functional.conv2d(blurred, weight)


class FromImage(Net):
    """Filters computed from the image: a layer for them, and the convolution with them."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Linear(3, 27)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.filters(x.mean(dim=(2, 3))).view(3, 3, 3, 1))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], layers: int) -> None:
        super().__init__()
        self.steps, self.head = kind(3, 8, num_layers=layers, batch_first=True), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.steps(x.flatten(2).transpose(1, 2))[0][:, -1])


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 16, 2, stride=2), nn.Linear(16, 4)
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens.mean(1))


PERCEPTRON = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
PLAIN = nn.Sequential(
    nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(4, 2),
)  # fmt: skip

HAND_COUNTED = [
    (PERCEPTRON, 3),
    (PLAIN, 3),
    (Sum(), 3),
    (Joined(), 3),
    (InPlace(), 4),
    (IntoPart(), 4),
    (Parts(), 4),
    (Dead(), 1),
    (Cleared(), 1),
    (Constant(), 0),
    (Shared(), 4),
    (Standardised(), 1),
    (FromImage(), 2),
    (Recurrent(nn.LSTM, 1), 2),
    (Recurrent(nn.LSTM, 3), 4),
    (Recurrent(nn.GRU, 2), 3),
    (Recurrent(nn.RNN, 1), 2),
    (Tokens(), 1 + 2 * 4 + 1),
    (nn.Sequential(nn.Flatten(), nn.Identity()), 0),
]


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(("network", "layers"), HAND_COUNTED, ids=lambda value: type(value).__name__)
def test_layers_of_the_longest_path(network: nn.Module, layers: int, device: str) -> None:
    fresh = network.to_empty(device=device)
    assert depth_of(fresh, device=device) == layers


@pytest.mark.parametrize(
    ("code", "layers"), [("resnet18", 18), ("resnet50", 50), ("vgg11", 11), ("googlenet", 22), ("densenet121", 121)]
)
def test_named_networks_have_the_depth_of_their_name(code: str, layers: int) -> None:
    space = Zoo()
    size = measure_size(space, space.parse(f"torchvision:{code}"), input_shape=(3, 64, 64), classes=10)
    assert size.depth == layers


@pytest.mark.parametrize(
    ("code", "in_cell"),
    [
        ("3-33-333", 3),
        ("s-nn-snn", 0),
        ("n-n3-snn", 0),  # a convolution behind a dead node
        ("1-s3-n3p", 2),
        ("1-s3-n3s", 2),
        ("3-n3-3nn", 1),  # two convolutions that lead nowhere
    ],
)
def test_cells_of_nasbench201(code: str, in_cell: int) -> None:
    space = NASBench201(width=2, cells_per_stage=2)
    assert built(space, code) == space.depth(space.parse(code)) == 6 + 6 * in_cell


def test_a_disconnected_cell_has_no_depth() -> None:
    space = NASBench201(width=2, cells_per_stage=1)
    assert built(space, "3-33-nnn") == space.depth(space.parse("3-33-nnn")) == 0


@pytest.mark.parametrize(
    "space", [NASBench201(width=2, cells_per_stage=1), NASBenchMacro(width=2, head_width=4)], ids=lambda one: one.name
)
def test_what_a_space_knows_is_what_its_networks_have(space: SearchSpace) -> None:
    drawn = space.sample(25, np.random.default_rng(0), distinct="code")
    known = [space.depth(one) for one in drawn]
    assert known == [measure_size(space, one, input_shape=IMAGE, classes=3).depth for one in drawn]
    assert len(set(known)) > 3


def test_every_cell_has_a_depth() -> None:
    space = NASBench201()
    assert {space.depth(Architecture(space.name, format_code(ops))) for ops in all_operations()} == {0, 6, 21, 36, 51}


def test_a_space_that_needs_a_network_says_so() -> None:
    assert MnistBlocks().depth(Architecture("mnist_blocks", "1,1")) is None


class Opaque(nn.Module):
    """Computes with tensors that have no storage."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(192, 4)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(1).to_sparse()
        return torch.sparse.mm(rows, self.head.weight.t()) + self.head.bias


class Own(MnistBlocks):
    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:  # type: ignore[override]
        return Opaque()


def test_a_depth_that_cannot_be_found_does_no_harm() -> None:
    size = measure_size(Own(), Architecture("mnist_blocks", "1,1"), input_shape=IMAGE, classes=4)
    assert size.depth is None
    assert size.parameters == 192 * 4 + 4
