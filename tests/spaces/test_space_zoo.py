from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from taurank.spaces import (
    Architecture,
    ModelOptions,
    Size,
    SpaceError,
    Zoo,
    describe_structure,
    get_space,
    measure_size,
)
from taurank.spaces.model_options import made_with
from taurank.spaces.own_code import import_own
from taurank.spaces.weightless import build_weightless
from taurank.spaces.zoo import timm as timm_source
from taurank.spaces.zoo.source import natural_order

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm, an optional extra, is missing")

OWN = """
from torch import nn

LIMIT = 3

def plain(num_classes, in_channels=3, width=4):
    layers = [nn.Conv2d(in_channels, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)]
    return nn.Sequential(*layers)

class Sized(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        channels, height, width = input_shape
        self.linear = nn.Linear(channels * height * width, classes)

    def forward(self, images):
        return self.linear(images.flatten(1))

def colour(num_classes):
    return plain(num_classes)

def two_outputs(num_classes):
    class Two(nn.Linear):
        def forward(self, images):
            return images, images
    return Two(1, 1)

def headless(num_classes):
    return nn.Conv2d(3, 8, 1)

def number(num_classes):
    return 7

def broken(num_classes):
    raise KeyError("no such layer")

def more(num_classes, depth):
    return plain(num_classes)

def blind():
    return plain(10)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own in the working directory."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return Zoo()


def size_of(zoo: Zoo, code: str, *, shape: tuple[int, int, int] = (3, 224, 224), classes: int = 1000) -> Size:
    return measure_size(zoo, zoo.parse(code), input_shape=shape, classes=classes)


class TestNames:
    def test_patterns_list_in_natural_order(self, zoo: Zoo) -> None:
        found = zoo.match("torchvision:resnet*")
        assert found == [Architecture("zoo", f"torchvision:resnet{depth}") for depth in (18, 34, 50, 101, 152)]
        assert zoo.match("torchvision:resnet18") is None

    def test_natural_order(self) -> None:
        assert sorted(["b10", "b9", "a2x1", "a2"], key=natural_order) == ["a2", "a2x1", "b9", "b10"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "torchvision:resnet81",
                r"^code: torchvision has no model 'resnet81' \(did you mean 'torchvision:resnet18'\?",
            ),
            ("torchvision:", r"^code: 'torchvision:' names no model; write timm:NAME, torchvision:NAME or package"),
            ("resnet18", r"^code: 'resnet18' names no model"),
            ("torchvison:resnet18", r"there is no module 'torchvison'.*\(did you mean torchvision:\?\)$"),
            ("nowhere.at_all:make", r"^code: 'nowhere.at_all:make': there is no module 'nowhere'"),
            ("os:getcwd", r"^code: 'os:getcwd' takes no num_classes"),
            ("os:name", r"^code: 'os:name' is str, not a function"),
            ("os:nope", r"^code: 'os:nope': os has no 'nope'"),
        ],
    )
    def test_a_name_that_is_not_there(self, zoo: Zoo, text: str, message: str) -> None:
        with pytest.raises(SpaceError, match=message) as caught:
            zoo.parse(text)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("pattern", ["torchvision:zz*", "nowhere:*", "*", "torch*:resnet18"])
    def test_a_pattern_of_nothing(self, zoo: Zoo, pattern: str) -> None:
        with pytest.raises(SpaceError, match=r"^code: "):
            zoo.match(pattern)

    @pytest.mark.parametrize("models", ["torchvision:resnet18", [], [1]])
    def test_models_that_are_no_list(self, models: object) -> None:
        with pytest.raises(SpaceError, match=r"^models: "):
            Zoo(models=models)  # type: ignore[arg-type]

    def test_a_zoo_is_what_its_models_say_once_each(self) -> None:
        space = Zoo(models=["torchvision:vgg1?", "torchvision:alexnet", "torchvision:vgg11"])
        assert [one.code[12:] for one in space.enumerate()] == ["vgg11", "vgg13", "vgg16", "vgg19", "alexnet"]
        assert space.size == 5
        with pytest.raises(SpaceError, match=r"^choices: 'torchvision:resnet18' is not among the models of this zoo"):
            space.choices(space.parse("torchvision:resnet18"))

    def test_relatives_are_neighbours(self) -> None:
        space = Zoo(models=["torchvision:vgg11", "torchvision:vgg13_bn", "torchvision:alexnet"])
        assert space.neighbours(space.parse("torchvision:vgg11")) == [Architecture("zoo", "torchvision:vgg13_bn")]
        assert space.neighbours(space.parse("torchvision:alexnet")) == []


class TestTorchvision:
    @pytest.mark.parametrize(
        ("name", "parameters", "gigaflops", "family"),
        [  # as torchvision publishes them with its weights (num_params, _ops)
            ("alexnet", 61_100_840, 0.714, "bare_cnn"),
            ("resnet18", 11_689_512, 1.814, "cnn"),
            ("mobilenet_v2", 3_504_872, 0.301, "cnn"),
            ("regnet_y_400mf", 4_344_144, 0.402, "cnn"),
            ("convnext_tiny", 28_589_128, 4.456, "modern_cnn"),
            ("vit_b_32", 88_224_232, 4.409, "transformer"),
            ("swin_t", 28_288_354, 4.491, "transformer"),
        ],
    )
    def test_sizes_are_the_published_ones(
        self, zoo: Zoo, name: str, parameters: int, gigaflops: float, family: str
    ) -> None:
        size = size_of(zoo, f"torchvision:{name}")
        assert size.parameters == parameters
        assert round(size.flops / 1e9, 3) == gigaflops
        assert zoo.family(Architecture("zoo", f"torchvision:{name}")) == family

    def test_features(self, zoo: Zoo) -> None:
        found = dict(zip(zoo.feature_names, zoo.features(zoo.parse("torchvision:resnet18")), strict=True))
        assert found["log_parameters"] == pytest.approx(math.log10(11_689_512))
        assert (found["layers"], found["convolutions"], found["batch_norms"]) == (21, 20, 20)
        assert (found["depthwise"], found["attentions"], found["other_norms"]) == (0, 0, 0)
        assert found["mean_kernel"] == pytest.approx((7 + 16 * 3) / 17)
        assert found["log_width"] == pytest.approx(3)  # the 1,000 classes
        assert [found[family] for family in ("cnn", "bare_cnn", "modern_cnn", "transformer")] == [1, 0, 0, 0]

    def test_grey_images_are_seen_three_times(self, zoo: Zoo) -> None:
        architecture = zoo.parse("torchvision:squeezenet1_1")
        torch.manual_seed(0)
        network = zoo.build(architecture, input_shape=(1, 32, 32), classes=4).eval()
        grey = torch.rand(2, 1, 32, 32)
        colour = network.network(grey.repeat(1, 3, 1, 1))  # type: ignore[operator]
        assert torch.equal(network(grey), colour)

    def test_other_channels_are_refused(self, zoo: Zoo) -> None:
        with pytest.raises(
            SpaceError, match=r"^input_shape: torchvision:resnet18 takes images of 1 or 3 channels, not 4"
        ):
            size_of(zoo, "torchvision:resnet18", shape=(4, 32, 32))

    def test_a_vision_transformer_is_made_for_the_images(self, zoo: Zoo) -> None:
        tokens = {side: size_of(zoo, "torchvision:vit_b_32", shape=(3, side, side)).parameters for side in (64, 224)}
        assert tokens[224] - tokens[64] == (7 * 7 - 2 * 2) * 768
        with pytest.raises(SpaceError, match=r"^input_shape: torchvision:vit_b_32 takes square images, not 64x32"):
            size_of(zoo, "torchvision:vit_b_32", shape=(3, 64, 32))

    def test_images_that_are_too_small_are_refused_in_one_line(self, zoo: Zoo) -> None:
        with pytest.raises(
            SpaceError, match=r"^input_shape: torchvision:alexnet cannot take 3x32x32 images: "
        ) as caught:
            size_of(zoo, "torchvision:alexnet", shape=(3, 32, 32))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
    def test_one_output_in_training_too(self, zoo: Zoo, name: str) -> None:
        architecture = zoo.parse(f"torchvision:{name}")
        network = build_weightless(lambda: zoo.build(architecture, input_shape=(3, 96, 96), classes=5))
        assert network(torch.empty(2, 3, 96, 96, device="meta")).shape == (2, 5)

    def test_usual_shape(self, zoo: Zoo) -> None:
        assert zoo.usual_shape(zoo.parse("torchvision:inception_v3")) == (3, 299, 299)


class TestOwn:
    def test_a_factory_is_told_what_it_asks_for(self, zoo: Zoo, own: str) -> None:
        plain = size_of(zoo, f"{own}:plain", shape=(2, 8, 8), classes=5)
        assert plain == Size(parameters=(2 * 9 * 4 + 4) + (4 * 5 + 5), flops=2 * 9 * 4 * 36 + 4 * 5, depth=2)
        sized = size_of(zoo, f"{own}:Sized", shape=(2, 8, 6), classes=5)
        assert sized == Size(parameters=2 * 8 * 6 * 5 + 5, flops=2 * 8 * 6 * 5, depth=1)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("LIMIT", r"is int, not a function or a class"),
            ("more", r"needs depth; give it a default"),
            ("blind", r"takes no num_classes; .*\(it has none\)"),
            ("number", r"returns int, not a torch.nn.Module"),
            ("broken", r"^input_shape: own_.*:broken cannot be made for 3x224x224 images: KeyError: 'no such layer'"),
            ("headless", r"is not a classifier: for one image it returns shape \(1, 8, 224, 224\), not 1000 logits"),
            ("two_outputs", r"is not a classifier: for one image it returns tuple, not 1000 logits"),
        ],
    )
    def test_a_factory_that_makes_no_classifier(self, zoo: Zoo, own: str, name: str, message: str) -> None:
        with pytest.raises(SpaceError, match=message) as caught:
            size_of(zoo, f"{own}:{name}")
        assert "\n" not in str(caught.value)

    def test_without_a_parameter_for_channels_it_is_taken_as_made_for_the_images(self, zoo: Zoo, own: str) -> None:
        assert size_of(zoo, f"{own}:colour", shape=(3, 8, 8), classes=2).parameters > 0
        with pytest.raises(SpaceError, match=r":colour cannot take 1x8x8 images: RuntimeError: "):
            size_of(zoo, f"{own}:colour", shape=(1, 8, 8), classes=2)

    def test_a_module_that_fails(self, own: str, tmp_path: Path) -> None:
        (tmp_path / "own_failing.py").write_text("1 / 0\n")
        (tmp_path / "own_lacking.py").write_text("import no_such_package_at_all\n")
        with pytest.raises(
            SpaceError, match=r"own_failing fails when it is imported: ZeroDivisionError: division by zero"
        ):
            import_own("own_failing:make")
        with pytest.raises(SpaceError, match=r"own_lacking needs 'no_such_package_at_all', which is not installed"):
            import_own("own_lacking:make")


@needs_timm
class TestTimm:
    def test_sizes_are_the_published_ones(self, zoo: Zoo) -> None:
        for name, millions, family in (
            ("convnext_atto", 3.70, "modern_cnn"),
            ("vit_tiny_patch16_224", 5.72, "transformer"),
            ("lcnet_050", 1.88, "cnn"),
            ("mixer_b16_224", 59.88, "transformer"),
        ):
            assert round(size_of(zoo, f"timm:{name}").parameters / 1e6, 2) == millions
            assert zoo.family(Architecture("zoo", f"timm:{name}")) == family

    def test_weights_as_inputs_of_layers_can_be_counted(self, zoo: Zoo) -> None:
        assert size_of(zoo, "timm:cait_xxs24_224").parameters == 11_956_264

    def test_any_channels_and_small_images(self, zoo: Zoo) -> None:
        assert size_of(zoo, "timm:vit_tiny_patch16_224", shape=(5, 32, 32), classes=7).flops > 0
        network = zoo.build(zoo.parse("timm:lcnet_035"), input_shape=(1, 32, 32), classes=7)
        assert network(torch.rand(2, 1, 32, 32)).shape == (2, 7)

    def test_patterns(self, zoo: Zoo) -> None:
        found = [one.code for one in zoo.match("timm:convnext_[ap]*o") or []]
        assert found == ["timm:convnext_atto", "timm:convnext_pico"]

    def test_names_of_weights_are_refused(self, zoo: Zoo) -> None:
        with pytest.raises(
            SpaceError, match=r"^code: 'a1_in1k' of 'timm:resnet50.a1_in1k' names trained weights.*timm:resnet50$"
        ):
            zoo.parse("timm:resnet50.a1_in1k")

    def test_names_from_the_net_are_refused(self, zoo: Zoo) -> None:
        with pytest.raises(SpaceError, match=r"^code: timm has no model 'hf-hub:"):
            zoo.parse("timm:hf-hub:timm/resnet50")


def test_without_timm_one_line_says_how_to_get_it(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    timm_source._import_timm.cache_clear()
    monkeypatch.setattr("taurank.spaces.zoo.space.LISTED", {"timm": timm_source.TimmModels()})
    try:
        with pytest.raises(SpaceError, match=r"^code: timm is not installed; pip install 'taurank\[timm\]'$"):
            zoo.match("timm:convnext*")
    finally:
        timm_source._import_timm.cache_clear()


class TestStructure:
    @pytest.mark.parametrize(
        ("layers", "family"),
        [
            ([nn.Conv2d(3, 4, 3)], "bare_cnn"),
            ([nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)], "cnn"),
            (
                [nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4)],
                "modern_cnn",
            ),
            ([nn.Conv2d(3, 4, 4), nn.LayerNorm(4), nn.Linear(4, 4)], "transformer"),
            ([nn.Conv2d(3, 4, 4), *(nn.Linear(4, 4) for _ in range(4))], "transformer"),
            ([nn.Conv2d(3, 4, 5), nn.Conv2d(4, 4, 5), *(nn.Linear(4, 4) for _ in range(3))], "bare_cnn"),
            ([nn.MultiheadAttention(4, 1), nn.MultiheadAttention(4, 1), nn.BatchNorm1d(4)], "transformer"),
        ],
    )
    def test_family(self, layers: list[nn.Module], family: str) -> None:
        assert describe_structure(nn.Sequential(*layers)).family == family

    def test_blocks_with_norm_in_their_name_are_no_normalisation(self) -> None:
        class NormFreeBlock(nn.Sequential):
            pass

        class RmsNormLike(nn.Identity):
            pass

        found = describe_structure(nn.Sequential(NormFreeBlock(nn.Conv2d(3, 4, 3)), RmsNormLike()))
        assert (found.batch_norms, found.other_norms) == (0, 1)

    def test_gates_are_no_attention(self) -> None:
        class ChannelAttn(nn.Linear):
            pass

        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), *(ChannelAttn(4, 4) for _ in range(3)))
        assert describe_structure(network).attentions == 0
        assert describe_structure(network).family == "cnn"


class TestWeightless:
    def test_no_weights_and_no_random_numbers(self) -> None:
        before = torch.get_rng_state()
        network = build_weightless(lambda: nn.Linear(10**7, 10**5))
        assert {weight.device.type for weight in network.parameters()} == {"meta"}
        assert torch.equal(torch.get_rng_state(), before)

    def test_layouts_computed_with_tensors(self) -> None:
        def build() -> nn.Module:
            return nn.Sequential(*(nn.Linear(int(width), 3) for width in torch.linspace(2, 4, 3)))

        network = build_weightless(build)
        assert [weight.shape[1] for name, weight in network.named_parameters() if name.endswith("weight")] == [2, 3, 4]
        assert {weight.device.type for weight in network.parameters()} == {"meta"}

    def test_what_fails_both_times_is_passed_on(self) -> None:
        def build() -> nn.Module:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            build_weightless(build)


def test_the_own_model_of_the_docs(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs/how-to/models.md").read_text(encoding="utf-8")
    (tmp_path / "zoo_doc_nets.py").write_text(text.split("```python\n")[1].split("```")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    parameters = (9 * 32 + 32) + 2 * 32 + (32 * 5 + 5)
    assert size_of(zoo, "zoo_doc_nets:make", shape=(1, 8, 8), classes=5).parameters == parameters


def test_published_accuracies_are_of_imagenet_alone():
    found = Zoo.published()
    assert found["torchvision:resnet50"] == pytest.approx(0.80858)  # V2; V1 has 0.7613
    assert found["torchvision:vit_b_16"] == pytest.approx(0.81072)  # SWAG weights, which saw other images, have 0.85304
    assert found["timm:convnext_tiny"] < 0.83  # .in12k_ft_in1k has 0.842 and .fb_in22k_ft_in1k 0.829
    assert "torchvision:vit_h_14" not in found, "it has SWAG weights alone"
    assert "timm:beit_base_patch16_224" not in found, "all its weights saw ImageNet-22k"
    assert all(0.4 < accuracy < 0.9 for accuracy in found.values())
    assert not any("." in code for code in found), "tags name weights, not models"


def test_published_accuracies_need_no_timm_and_little_room(monkeypatch: pytest.MonkeyPatch):
    def missing() -> None:
        raise SpaceError("code: timm is not installed")

    monkeypatch.setattr(timm_source, "_import_timm", missing)
    timm_source.TimmModels.published.cache_clear()
    assert len(timm_source.TimmModels().published()) > 700
    assert (Path(timm_source.__file__).parent / timm_source.PUBLISHED).stat().st_size < 100_000


@needs_timm
def test_most_models_of_timm_have_a_published_accuracy(zoo: Zoo):
    published = set(Zoo.published())
    models = {architecture.code for architecture in zoo.match("timm:*") or []}
    assert {code for code in published if code.startswith("timm:")} <= models


def dropouts(network: nn.Module) -> list[float]:
    return [module.p for module in network.modules() if isinstance(module, nn.Dropout)]


def paths(network: nn.Module) -> list[float]:
    """Probabilities of the blocks that may be left out, in order."""
    found = [
        getattr(module, "drop_prob", getattr(module, "p", None))
        for module in network.modules()
        if type(module).__name__ in ("DropPath", "StochasticDepth")
    ]
    return [float(probability) for probability in found if probability]


class TestModelOptions:
    """Dropout, stochastic depth and residual branches that begin at zero, where a model has them."""

    def build(self, zoo: Zoo, code: str, **options: Any) -> nn.Module:
        wanted = ModelOptions(**options)
        return zoo.build_with(Architecture("zoo", code), wanted, input_shape=(3, 32, 32), classes=10)

    @pytest.mark.parametrize(
        "code", ["torchvision:mobilenet_v3_small", "torchvision:mnasnet0_5", "torchvision:squeezenet1_1"]
    )
    def test_dropout_of_torchvision(self, zoo: Zoo, code: str) -> None:
        assert dropouts(self.build(zoo, code, dropout=0.35)) == [0.35]
        assert dropouts(self.build(zoo, code)) == dropouts(
            zoo.build(Architecture("zoo", code), input_shape=(3, 32, 32), classes=10)
        )

    def test_stochastic_depth_of_torchvision(self, zoo: Zoo) -> None:
        found = paths(self.build(zoo, "torchvision:efficientnet_b0", drop_path=0.4))
        assert found == sorted(found)
        assert 0.3 < found[-1] < 0.4
        assert paths(self.build(zoo, "torchvision:efficientnet_b0"))[-1] < 0.2  # its own

    @pytest.mark.parametrize(
        "options", [{"drop_path": 0.2}, {"dropout": 0.2, "drop_path": 0.2, "zero_init_last": True}]
    )
    @pytest.mark.parametrize("code", ["torchvision:resnet18", "torchvision:shufflenet_v2_x0_5", "torchvision:swin_t"])
    def test_what_a_model_cannot_do_is_left_out(self, zoo: Zoo, code: str, options: dict[str, Any]) -> None:
        network = self.build(zoo, code, **options)
        with torch.no_grad():
            assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)

    @pytest.mark.parametrize("zero", [False, True])
    def test_branches_that_begin_at_zero(self, zoo: Zoo, zero: bool) -> None:
        network = self.build(zoo, "torchvision:resnet18", zero_init_last=zero, drop_path=0.1)
        last = [module for name, module in network.named_modules() if name.endswith("bn2")]
        assert len(last) == 8
        assert all((module.weight == 0).all().item() is zero for module in last)

    @needs_timm
    def test_timm(self, zoo: Zoo) -> None:
        found = paths(self.build(zoo, "timm:resnet10t", drop_path=0.3, dropout=0.5))
        assert found[-1] == pytest.approx(0.3)
        assert self.build(zoo, "timm:resnet10t", dropout=0.5).drop_rate == 0.5
        assert paths(self.build(zoo, "timm:test_vit", drop_path=0.3))[-1] == pytest.approx(0.3)  # of a fixed size
        assert dropouts(self.build(zoo, "timm:vgg11", drop_path=0.3, dropout=0.25))[-1] == 0.25  # has no drop_path

    def test_a_factory_is_told_what_it_asks_for(
        self, zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "droppable.py").write_text(
            "from torch import nn\n\n"
            "def make(num_classes, dropout=0.1):\n"
            "    return nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(3072, num_classes))\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        assert dropouts(self.build(zoo, "droppable:make", dropout=0.4, drop_path=0.2)) == [0.4]
        assert dropouts(self.build(zoo, "droppable:make")) == [0.1]

    def test_another_mistake_of_a_factory_is_passed_on(self) -> None:
        def create(name: str, dropout: float = 0.0) -> str:
            raise TypeError("unsupported operand")

        with pytest.raises(TypeError, match="unsupported operand"):
            made_with(create, {"name": "x"}, {"dropout": 0.1})

    def test_other_spaces_have_none(self) -> None:
        space = get_space("nasbench201")
        cell = space.sample(1, np.random.default_rng(0))[0]
        network = space.build_with(cell, ModelOptions(dropout=0.9), input_shape=(3, 8, 8), classes=2)
        assert dropouts(network) == []
