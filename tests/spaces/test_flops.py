"""One count of FLOPs: by hand, by size and by proxy, whatever kernel a machine would take."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from taurank.spaces import Zoo, measure_size
from taurank.spaces.flops import counted, run_counted
from taurank.trainables.proxies import ProxyBatch, score_network

TOKENS = torch.zeros(1, 16, 16)


class Applied(nn.Module):
    """A function of an input and of weights of the given shapes."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)

    def forward(self, given):
        return self.function(given, *self.weights)


class SelfAttention(nn.MultiheadAttention):
    def forward(self, tokens):
        return super().forward(tokens, tokens, tokens, need_weights=False)[0]


class BilinearOfTwo(nn.Bilinear):
    def forward(self, features):
        return super().forward(features, features)


def split(tokens, projection):
    return functional.linear(tokens, projection).view(1, 16, 3, 2, 8).permute(2, 0, 3, 1, 4)


def joined(heads, projection):
    return functional.linear(heads.transpose(1, 2).reshape(1, 16, 16), projection)


def by_function(tokens, inner, outer):
    first = tokens.transpose(0, 1)
    options = (16, 2, inner, None, None, None, False, 0.0, outer, None)
    return functional.multi_head_attention_forward(first, first, first, *options, training=False)[0]


def by_kernel(tokens, inner, outer):
    return joined(functional.scaled_dot_product_attention(*split(tokens, inner)), outer)


def by_hand(tokens, inner, outer):
    query, key, value = split(tokens, inner)
    return joined((query @ key.transpose(-1, -2)).softmax(-1) @ value, outer)


SHARED = nn.Linear(8, 8)
MADE = {
    # Projections 16 * 16 * 64, scores and sums 2 * 2 * 16 * 16 * 8.
    "attention, module": (SelfAttention(16, 2, batch_first=True), TOKENS, 24_576),
    "attention, function": (Applied(by_function, (48, 16), (16, 16)), TOKENS, 24_576),
    "attention, kernel": (Applied(by_kernel, (48, 16), (16, 16)), TOKENS, 24_576),
    "attention, by hand": (Applied(by_hand, (48, 16), (16, 16)), TOKENS, 24_576),
    "encoder layer": (nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), TOKENS, 40_960),
    "encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2, enable_nested_tensor=False),
        TOKENS,
        81_920,
    ),
    "grouped queries": (
        Applied(lambda x: functional.scaled_dot_product_attention(x, x[:, :2], x[:, :2], enable_gqa=True)),
        torch.zeros(1, 4, 16, 8),
        2 * 4 * 16 * 16 * 8,
    ),
    "LSTM": (nn.LSTM(3, 8, batch_first=True), torch.zeros(1, 64, 3), 64 * 4 * 8 * 11),
    "LSTM, two layers both ways": (
        nn.LSTM(3, 8, num_layers=2, bidirectional=True, batch_first=True),
        torch.zeros(1, 64, 3),
        64 * 2 * 4 * 8 * (11 + 24),
    ),
    "LSTM, projected": (nn.LSTM(3, 8, proj_size=4, batch_first=True), torch.zeros(1, 64, 3), 64 * (32 * 7 + 32)),
    "GRU": (nn.GRU(3, 8, batch_first=True), torch.zeros(1, 64, 3), 64 * 3 * 8 * 11),
    "RNN": (nn.RNN(3, 8, batch_first=True), torch.zeros(1, 64, 3), 64 * 8 * 11),
    "LSTM cell": (nn.LSTMCell(3, 8), torch.zeros(1, 3), 4 * 8 * 11),
    "bilinear": (BilinearOfTwo(192, 192, 10), torch.zeros(1, 192), 368_640),
    "bilinear of maps": (BilinearOfTwo(3, 3, 5), torch.zeros(2, 7, 3), 14 * 3 * 3 * 5),
    "matrix @ vector": (Applied(lambda x, weight: weight @ x[0], (10, 192)), torch.zeros(1, 192), 1_920),
    "vector @ matrix": (Applied(lambda x, weight: x[0] @ weight, (192, 10)), torch.zeros(1, 192), 1_920),
    "vector @ vector": (Applied(lambda x, weight: x[0] @ weight, (192,)), torch.zeros(1, 192), 192),
    "einsum": (Applied(lambda x, w: torch.einsum("bi,oi->bo", x, w), (10, 192)), torch.zeros(1, 192), 1_920),
    "tensordot": (Applied(lambda x, w: torch.tensordot(x, w, ([1], [1])), (10, 192)), torch.zeros(1, 192), 1_920),
    "addmv": (Applied(lambda x, w, b: torch.addmv(b, w, x[0]), (10, 192), (10,)), torch.zeros(1, 192), 1_920),
    "baddbmm": (Applied(lambda x, w: torch.baddbmm(x, x, w), (1, 16, 16)), torch.zeros(1, 16, 16), 4_096),
    "addbmm": (Applied(lambda x, w: torch.addbmm(x[0], x, w), (1, 16, 16)), torch.zeros(1, 16, 16), 4_096),
    "grouped": (nn.Conv2d(8, 16, 3, groups=4, stride=2, padding=1), torch.zeros(1, 8, 8, 8), 16 * 16 * 2 * 9),
    "depthwise": (nn.Conv2d(8, 8, 3, groups=8), torch.zeros(1, 8, 8, 8), 36 * 8 * 9),
    "transposed": (nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1), torch.zeros(1, 8, 8, 8), 64 * 8 * 4 * 16),
    "transposed and grouped": (nn.ConvTranspose2d(8, 16, 4, groups=4, stride=2), torch.zeros(1, 8, 8, 8), 64 * 8 * 64),
    "over time": (Applied(lambda x, w, b: torch.conv_tbc(x, w, b), (3, 4, 6), (6,)), torch.zeros(8, 1, 4), 6 * 6 * 12),
    "shared": (nn.Sequential(SHARED, nn.ReLU(), SHARED), torch.zeros(1, 8), 128),
    "elementwise": (Applied(lambda x, weight: (x * weight).sum(-1), (10, 192)), torch.zeros(10, 192), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_it_counts_what_is_multiplied(name, device):
    network, given, flops = MADE[name]
    with counted() as counter:
        network.eval().requires_grad_(False).to_empty(device=device)(given.to(device))
    assert counter.flops == flops
    assert run_counted(network, given.to(device))[1] == flops


def test_settings_are_as_before():
    assert torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(RuntimeError, match="shapes"):
        run_counted(nn.Linear(3, 3), torch.zeros(1, 4))
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.is_grad_enabled()


class Tokens(nn.Module):
    """16 patches of 2x2 pixels through an encoder layer."""

    def __init__(self, num_classes):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 2, 2)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head = nn.Linear(16, num_classes)

    def forward(self, images):
        return self.head(self.encoder(self.patches(images).flatten(2).transpose(1, 2)).mean(1))


class Pixels(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer, self.head = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, num_classes)

    def forward(self, images):
        return self.head(self.layer(images.flatten(2).transpose(1, 2))[0][:, -1])


@pytest.mark.parametrize(
    ("code", "side", "classes", "flops"),
    [
        ("torchvision:vit_b_32", 64, 4, 434_574_336),
        (f"{__name__}:Tokens", 8, 10, 44_192),
        (f"{__name__}:Pixels", 8, 4, 22_560),
    ],
)
def test_the_size_and_the_proxy_are_one_number(code, side, classes, flops):
    zoo, shape = Zoo(), (3, side, side)
    assert measure_size(zoo, zoo.parse(code), input_shape=shape, classes=classes).flops == flops
    network = zoo.build(zoo.parse(code), input_shape=shape, classes=classes)
    batch = ProxyBatch(torch.randn(2, *shape), torch.arange(2), classes)
    assert score_network(network, batch, ["flops"])["flops"].value == flops
