"""What `nn.Module` allows is sized, or refused in one line that says the truth."""

import math
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from taurank.spaces import SpaceError, Zoo, measure_size
from taurank.spaces.copies import copy_network
from taurank.trainables.data import Augmentation, ImageData, ImageSet
from taurank.trainables.proxies import ProxyBatch, score_network
from taurank.trainables.training import Recipe, Training


class Plain(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv, self.other, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3), nn.Linear(8, num_classes)

    def features(self, images):
        return functional.relu(self.conv(images))

    def forward(self, images):
        return self.head(self.features(images).mean((2, 3)))


def lazy(num_classes):
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(num_classes))


class ReadsNumbers(Plain):
    def features(self, images):
        return super().features(images) if images.abs().mean().item() > 1e9 else torch.relu(self.other(images))


class LazyAndReads(ReadsNumbers):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.head = nn.LazyLinear(num_classes)


class Nonzero(Plain):
    def forward(self, images):
        return super().forward(images) + len(images.gt(0).nonzero()) * 0.0


class Numpy(Plain):
    def forward(self, images):
        return super().forward(images * float(images.detach().numpy().std() + 1))


class RandomNumbers(Plain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.times = int(torch.randint(1, 3, (1,)).item())

    def features(self, images):
        return sum(super(RandomNumbers, self).features(images) for _ in range(self.times))


class Tied(Plain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.other.weight, self.again = self.conv.weight, self.conv

    def features(self, images):
        return functional.relu(self.conv(images) + self.other(images) + self.again(images))


class Collections(Plain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.listed = nn.ParameterList([nn.Parameter(torch.randn(8, 8)) for _ in range(2)])
        self.named = nn.ParameterDict({"scale": nn.Parameter(torch.ones(8))})
        self.whole = nn.Parameter(torch.arange(8), requires_grad=False)
        self.register_buffer("nothing", None, persistent=False)
        self.register_buffer("passing", torch.ones(8), persistent=False)

    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass

    def forward(self, images):
        features = self.features(images).mean((2, 3)) * self.passing * self.named["scale"]
        for weight in self.listed:
            features = features @ weight
        self.nothing = features.detach()
        return self.head(features)


class Hooked(Plain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.seen = []
        self.conv.register_forward_hook(lambda module, args, output: self.seen.append(output))


class Checkpointed(Plain):
    def features(self, images):
        return torch.utils.checkpoint.checkpoint(super().features, images, use_reentrant=True)


class InPlace(Plain):
    def features(self, images):
        return self.conv(images.mul_(2)).relu_()


class GivenWeight(Plain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.bound = nn.Tanh()

    def features(self, images):
        return functional.relu(functional.conv2d(images, self.bound(self.conv.weight)))


def normed(norm, **options):
    def make(num_classes):
        network = Plain(num_classes)
        norm(network.conv, **options)
        return network

    return make


def scripted(num_classes):
    return torch.jit.script(Plain(num_classes))


def traced(num_classes):
    return torch.jit.trace(Plain(num_classes), torch.randn(1, 3, 8, 8))


old_weight_norm, old_spectral_norm = normed(nn.utils.weight_norm), normed(nn.utils.spectral_norm)
weight_norm, spectral_norm = normed(parametrizations.weight_norm), normed(parametrizations.spectral_norm)
orthogonal = normed(parametrizations.orthogonal)

# Weights, and multiply-accumulates of one convolution on 8x8 images (36 positions) with the head.
ONE, HEAD = 36 * 8 * 27, 32
SIZES = {
    "lazy": (8 * 28 + 16 + 288 * 4 + 4, ONE + 288 * 4),
    "ReadsNumbers": (484, ONE + HEAD),
    "LazyAndReads": (484, ONE + HEAD),
    "Nonzero": (484, ONE + HEAD),
    "Numpy": (484, ONE + HEAD),
    "Tied": (268, 3 * ONE + HEAD),
    "Collections": (484 + 128 + 8, ONE + HEAD + 128),
    "Hooked": (484, ONE + HEAD),
    "Checkpointed": (484, ONE + HEAD),
    "InPlace": (484, ONE + HEAD),
    "GivenWeight": (484, ONE + HEAD),
    "old_weight_norm": (492, ONE + HEAD),
    "weight_norm": (492, ONE + HEAD),
    "old_spectral_norm": (484, ONE + HEAD + 8 * 27 + 8),  # the norm is computed with every image
    "spectral_norm": (484, ONE + HEAD + 8 * 27 + 8),
    "scripted": (484, ONE + HEAD),
    "traced": (484, ONE + HEAD),
}
WITHOUT_OPERATORS = {"scripted", "traced"}


def code(name):
    return f"{__name__}:{name}"


def size_of(name):
    return measure_size(Zoo(), Zoo().parse(code(name)), input_shape=(3, 8, 8), classes=4)


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)

    def images(count):
        pixels = torch.randint(0, 256, (count, 8, 8, 3), generator=generator, dtype=torch.uint8).numpy()
        return ImageSet(pixels, torch.arange(count).remainder(4).numpy())

    return ImageData(images(16), images(8), images(8), ("a", "b", "c", "d"), (127.0,) * 3, (64.0,) * 3)


@pytest.mark.parametrize("name", SIZES)
def test_it_is_sized(name):
    before = torch.get_rng_state()
    found = size_of(name)
    assert (found.parameters, found.flops) == SIZES[name]
    assert Zoo().family(Zoo().parse(code(name))) == ("cnn" if name == "lazy" else "bare_cnn")
    assert torch.equal(torch.get_rng_state(), before)


def test_random_layouts_have_the_same_size_whatever_was_drawn_before():
    sizes = set()
    for seed in range(4):
        torch.manual_seed(seed)
        sizes.add(size_of("RandomNumbers"))
    assert len(sizes) == 1


@pytest.mark.parametrize("name", SIZES)
def test_it_is_trained_and_goes_on_from_its_state(name, data):
    def make():
        return Training(
            lambda: Zoo().build(Zoo().parse(code(name)), input_shape=(3, 8, 8), classes=4),
            Recipe(epochs=2, batch_size=8, augmentation=Augmentation()),
            data,
            seed=0,
        )

    whole, first, second = make(), make(), make()
    whole.step_epoch()
    first.step_epoch()
    second.load_state_dict(first.state_dict())
    assert second.step_epoch()["train_loss"] == whole.step_epoch()["train_loss"]


@pytest.mark.parametrize("name", SIZES)
def test_it_is_scored_with_the_flops_of_its_size(name):
    batch = ProxyBatch(torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4, 4)
    network = Zoo().build(Zoo().parse(code(name)), input_shape=(3, 8, 8), classes=4)
    found = score_network(network, batch, ["params", "flops", "swap"])
    assert (found["params"].value, found["flops"].value) == SIZES[name]
    if name in WITHOUT_OPERATORS:
        assert found["swap"].reason.startswith("the network is TorchScript")
    else:
        assert math.isfinite(found["swap"].value)


class TwoOutputs(Plain):
    def forward(self, images):
        return super().forward(images), images


class NamedOutputs(Plain):
    def forward(self, images):
        return {"logits": super().forward(images)}


class TwoInTraining(Plain):
    def forward(self, images):
        logits = super().forward(images)
        return (logits, logits) if self.training else logits


class Grows(Plain):
    def forward(self, images):
        if not hasattr(self, "late"):
            self.late = nn.Linear(8, 8)
        return self.head(self.late(self.features(images).mean((2, 3))))


class LazyAside(Plain):
    def __init__(self, num_classes):
        super().__init__(num_classes)
        self.aside = nn.LazyLinear(3)


class NoForward(nn.Module):
    def __init__(self, num_classes):
        super().__init__()


class FailsByTheNumbers(Plain):
    def forward(self, images):
        if images.std().item() > 0:
            raise RuntimeError("the images vary")
        return super().forward(images)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("TwoOutputs", "is not a classifier: for one image it returns tuple, not 4 logits; return the logits alone"),
        ("NamedOutputs", "is not a classifier: for one image it returns dict, not 4 logits; return the logits alone"),
        ("TwoInTraining", "is not a classifier: for 2 images it returns tuple in training mode, not 4 logits; return"),
        ("Grows", "makes layers when it is run, which no optimiser knows of"),
        ("LazyAside", "no image reaches the lazy layers aside"),
        ("NoForward", 'missing the required "forward" function'),
        ("FailsByTheNumbers", "cannot take 3x8x8 images: RuntimeError: the images vary"),
    ],
)
def test_it_is_refused_in_one_line(name, reason):
    with pytest.raises(SpaceError) as caught:
        size_of(name)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_copy_of_computed_tensors_is_on_its_own():
    network = old_weight_norm(4)
    network(torch.randn(2, 3, 8, 8))
    copied = copy_network(network)
    with torch.no_grad():
        copied.conv.weight_g.zero_()
    images = torch.randn(2, 3, 8, 8)
    assert not torch.equal(copied(images), network(images))
    assert sys.modules[__name__].Plain is type(network)
