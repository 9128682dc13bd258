from __future__ import annotations

import pytest
import torch

from taurank.spaces import SpaceError, get_space, measure_size
from taurank.spaces.mobile.nasbench_macro import canonical_code, layer_shapes

# The benchmark's own table, CIFAR-10: code, parameters, FLOPs.
PUBLISHED = [
    ("00011110", 1118378, 31390208),
    ("00100110", 942442, 22669824),
    ("02012100", 890666, 47327744),
    ("10000011", 1203722, 24932864),
    ("11111221", 2181386, 65012224),
    ("12020200", 960266, 50201088),
    ("22222200", 1269610, 79266304),
    ("22222211", 2077034, 92070400),
]


@pytest.mark.parametrize(("code", "parameters", "flops"), PUBLISHED)
def test_sizes_are_the_published_ones(code: str, parameters: int, flops: int) -> None:
    space = get_space("nasbench_macro")
    size = measure_size(space, space.parse(code), input_shape=(3, 32, 32), classes=10)
    assert (size.parameters, size.flops) == (parameters, flops)


def test_as_many_functions_as_the_paper_says() -> None:
    space = get_space("nasbench_macro")
    assert space.size == 6561
    assert len({space.canonical(architecture) for architecture in space.enumerate()}) == 3969


@pytest.mark.parametrize(
    ("code", "canonical"),
    [
        ("00000000", "00000000"),
        ("01012001", "01012010"),
        ("02002102", "02020120"),  # the first layer of a stage stays where it is
        ("20101012", "20110012"),
        ("22222222", "22222222"),
    ],
)
def test_identities_move_to_the_end_of_their_stage(code: str, canonical: str) -> None:
    assert canonical_code(code) == canonical


def test_equal_codes_are_equal_functions() -> None:
    space = get_space("nasbench_macro", width=4, head_width=16)
    code, canonical = "20102102", "20120120"
    assert canonical_code(code) == canonical
    one, other = (
        space.build(space.parse(text), input_shape=(3, 16, 16), classes=5).eval() for text in (code, canonical)
    )
    other.load_state_dict(dict(zip(other.state_dict(), one.state_dict().values(), strict=True)))
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(one(images), other(images))


def test_stages_halve_the_map_and_double_the_channels() -> None:
    assert list(layer_shapes(32)) == [
        (32, 64, 2),
        (64, 64, 1),
        (64, 128, 2),
        (128, 128, 1),
        (128, 128, 1),
        (128, 256, 2),
        (256, 256, 1),
        (256, 256, 1),
    ]


def test_features_count_blocks_wherever_identities_stand() -> None:
    space = get_space("nasbench_macro")
    features = dict(zip(space.feature_names, space.features(space.parse("01002112")), strict=True))
    assert {name: features[name] for name in ("depth", "mb3_k3", "mb6_k5", "stage2_mb6_k5", "stage3_mb3_k3")} == {
        "depth": 5,
        "mb3_k3": 3,
        "mb6_k5": 2,
        "stage2_mb6_k5": 1,
        "stage3_mb3_k3": 2,
    }
    assert features["layer4_mb6_k5"] == 1  # the canonical code is 01020112
    assert features["layer5_identity"] == 1


def test_choices_are_the_digits() -> None:
    space = get_space("nasbench_macro")
    assert space.decisions == (("identity", "mb3_k3", "mb6_k5"),) * 8
    assert space.choices(space.parse("01212210")) == (0, 1, 2, 1, 2, 2, 1, 0)


@pytest.mark.parametrize("option", ["width", "head_width"])
def test_channels_are_positive_whole_numbers(option: str) -> None:
    with pytest.raises(SpaceError, match=rf"^{option}: 0 is not a whole number of at least 1"):
        get_space("nasbench_macro", **{option: 0})
