"""The chain of blocks of any network, the layout of their features, and drawing weights anew."""

import pytest
import torch
from torch import nn

from taurank.spaces import get_space
from taurank.spaces.zoo.torchvision_import import import_torchvision
from taurank.trainables.proxies import VoidScoreError
from taurank.trainables.proxies.blocks import chain_of_blocks
from taurank.trainables.proxies.initialisation import initialise
from taurank.trainables.proxies.layout import as_maps

models = import_torchvision().models


class Plus(nn.Module):
    """x + layer(x)."""

    def __init__(self, *layers):
        super().__init__()
        self.layer = nn.Sequential(*layers)

    def forward(self, features):
        return features + self.layer(features)


class Same(nn.Module):
    """Hands on what it is given."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, features):
        return self.layer(features)


class Run(nn.Module):
    """One after the other, without being `nn.Sequential`."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, features):
        for layer in self.layers:
            features = layer(features)
        return features


class Branches(nn.Module):
    """Sum of two paths."""

    def __init__(self, short, long):
        super().__init__()
        self.short, self.long = short, long

    def forward(self, features):
        return self.short(features) + self.long(features)


def block(*before):
    return Plus(*before, nn.Conv2d(4, 4, 3, padding=1))


def network(*layers):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))


def images(size=8, count=2):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def types_of(net, names):
    modules = dict(net.named_modules())
    return [type(modules[name]).__name__ for name in names]


def test_cells_and_residual_blocks_of_nasbench201():
    space = get_space("nasbench201", width=4, cells_per_stage=2)
    chain = chain_of_blocks(space.build(space.parse("3-n1-psn"), input_shape=(3, 16, 16), classes=10), images(16))
    assert chain.names == [
        "stages.0.0", "stages.0.1", "reductions.0", "stages.1.0", "stages.1.1", "reductions.1",
        "stages.2.0", "stages.2.1",
    ]  # fmt: skip
    assert chain.share == 1
    shapes = [tuple(features.shape[1:]) for features in chain.features]
    assert shapes == 3 * [(4, 16, 16)] + 3 * [(8, 8, 8)] + 3 * [(16, 4, 4)]


@pytest.mark.parametrize(
    ("build", "kind", "count"),
    [
        (lambda: models.resnet18(), "BasicBlock", 8),
        (lambda: models.efficientnet_b0(), "MBConv", 16),
        (lambda: models.convnext_tiny(), "CNBlock", 18),
        (lambda: models.vision_transformer.VisionTransformer(32, 8, 4, 2, 16, 32), "EncoderBlock", 4),
    ],
    ids=["resnet18", "efficientnet_b0", "convnext_tiny", "vit"],
)
def test_blocks_of_torchvision_networks(build, kind, count):
    net = build()
    chain = chain_of_blocks(net, images(32))
    assert types_of(net, chain.names) == [kind] * count
    assert len(chain.features) == count + 1
    assert chain.share == 1


def test_blocks_of_swin_keep_their_channels_last():
    net = models.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [4, 4])
    chain = chain_of_blocks(net, images(32))
    assert types_of(net, chain.names) == 2 * ["SwinTransformerBlock"] + ["PatchMerging"] + 2 * ["SwinTransformerBlock"]
    assert [tuple(as_maps(features, images(32)).shape[1:]) for features in chain.features] == 3 * [(8, 8, 8)] + 3 * [
        (16, 4, 4)
    ]


def test_a_stage_is_opened():
    assert chain_of_blocks(network(Run(Run(block(), block()), Run(block()))), images()).names == [
        "1.layers.0.layers.0", "1.layers.0.layers.1", "1.layers.1.layers.0",
    ]  # fmt: skip


def test_a_network_within_a_module_is_opened():
    assert chain_of_blocks(Run(network(block(), block(), block())), images()).names == [
        "layers.0.1", "layers.0.2", "layers.0.3",
    ]  # fmt: skip


def test_layers_between_blocks_do_not_break_the_chain():
    net = network(block(), nn.Conv2d(4, 4, 2, stride=2), block(), nn.ReLU(inplace=True), block())
    assert chain_of_blocks(net, images()).names == ["1", "3", "5"]


def test_of_two_paths_the_one_with_more_blocks_counts():
    inner = Branches(block(), Run(block(), block(), block(), nn.ReLU()))
    chain = chain_of_blocks(network(inner), images())
    assert chain.names == [f"1.long.layers.{index}" for index in range(3)]
    assert chain.share == 3 / 4


def test_layers_that_work_in_place_leave_features_as_they_were():
    def chain_with(inplace):
        torch.manual_seed(0)
        net = network(Same(), nn.ReLU(inplace=inplace), block(), block())
        return chain_of_blocks(net.insert(1, Run(nn.ReLU(inplace=inplace), nn.Conv2d(4, 4, 1))), images())

    kept, overwritten = chain_with(inplace=False), chain_with(inplace=True)
    assert kept.names == overwritten.names == ["1", "2", "4", "5"]
    assert (kept.features[0] < 0).any()
    assert (kept.features[2] < 0).any()
    for ours, theirs in zip(kept.features, overwritten.features, strict=True):
        assert torch.equal(ours, theirs)


def test_blocks_that_hand_on_their_input_are_told_apart():
    chain = chain_of_blocks(network(Same(), Same(), block(), Same()), images())
    assert chain.names == ["1", "2", "3", "4"]
    assert torch.equal(chain.features[0], chain.features[2])
    (gradient,) = torch.autograd.grad(chain.features[2].sum(), chain.features[0])
    assert torch.equal(gradient, torch.ones_like(gradient))


def test_the_images_are_no_features():
    chain = chain_of_blocks(nn.Sequential(*(Plus(nn.Conv2d(3, 3, 1)) for _ in range(3)), nn.Flatten()), images())
    assert chain.names == ["0", "1", "2"]
    assert len(chain.features) == 3


def test_fewer_than_three_blocks_are_void():
    with pytest.raises(VoidScoreError, match="2 blocks of the network follow one another; at least 3"):
        chain_of_blocks(network(block(), block()), images())
    with pytest.raises(VoidScoreError, match="0 blocks"):
        chain_of_blocks(network(nn.Conv2d(4, 4, 1), nn.ReLU()), images())


def test_a_dead_cell_breaks_the_chain():
    space = get_space("nasbench201", width=4, cells_per_stage=1)
    with pytest.raises(VoidScoreError, match="1 blocks"):
        chain_of_blocks(space.build(space.parse("n-nn-nnn"), input_shape=(3, 16, 16), classes=10), images(16))


def test_no_hook_stays_behind():
    net = network(block(), block())
    with pytest.raises(VoidScoreError):
        chain_of_blocks(net, images())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("features", "image", "expected"),
    [
        ((2, 96, 16, 16), (32, 32), (2, 96, 16, 16)),
        ((2, 16, 16, 96), (32, 32), (2, 96, 16, 16)),
        ((2, 8, 8, 8), (32, 32), (2, 8, 8, 8)),
        ((2, 1, 1, 96), (32, 32), (2, 96, 1, 1)),
        ((2, 6, 8, 12), (32, 48), (2, 6, 8, 12)),
        ((2, 8, 12, 6), (32, 48), (2, 6, 8, 12)),
        ((2, 5, 7, 3), (32, 32), (2, 5, 7, 3)),
        ((2, 17, 24), (32, 32), (2, 24, 17, 1)),
    ],
)
def test_layout(features, image, expected):
    maps = as_maps(torch.zeros(features), torch.zeros(2, 3, *image))
    assert tuple(maps.shape) == expected


def test_logits_have_no_layout():
    assert as_maps(torch.zeros(2, 10), torch.zeros(2, 3, 8, 8)) is None


def test_initialise_draws_weights_and_leaves_scales_and_tokens():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)
            self.attention, self.prelu = nn.MultiheadAttention(4, 2), nn.PReLU()
            self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.LayerNorm((4, 4)), nn.GroupNorm(2, 4)])
            self.token = nn.Parameter(torch.full((1, 1, 4), 3.0))

    net = Net()
    with torch.no_grad():
        for parameter in net.norms.parameters():
            parameter.fill_(0.5)
    initialise(net, lambda weight: weight.fill_(7.0))
    for weight in (
        net.conv.weight, net.linear.weight, net.attention.in_proj_weight, net.attention.out_proj.weight,
    ):  # fmt: skip
        assert (weight == 7).all()
    for bias in (net.conv.bias, net.linear.bias, net.attention.in_proj_bias, net.attention.out_proj.bias):
        assert (bias == 0).all()
    for norm in net.norms:
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()
    assert net.prelu.weight == 0.25
    assert (net.token == 3).all()
