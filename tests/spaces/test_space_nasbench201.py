from __future__ import annotations

import math
import os
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from taurank.spaces import Size, SpaceError, get_space, measure_size
from taurank.spaces.depth import following
from taurank.spaces.flops import run_counted
from taurank.spaces.nasbench201.code import EDGES, OPERATIONS, format_code, parse_code
from taurank.spaces.nasbench201.graph import (
    canonical_code,
    is_connected,
    live_edges,
    reduced_string,
    remove_dead_edges,
)
from taurank.spaces.nasbench201.network import Cell, MacroNetwork, ResidualBlock, make_operation
from taurank.spaces.nasbench201.space import NASBench201

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
EMPTY = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
CODES = [architecture.code for architecture in NASBench201().enumerate()]


@pytest.fixture(scope="module")
def recorded() -> Path:
    folder = os.environ.get("TAURANK_DATA")
    if not folder:
        pytest.skip("TAURANK_DATA is unset: it names the folder with the recorded trainings")
    return Path(folder) / "nb201"


def cell(*operations: str) -> str:
    """A code from short names in the order of EDGES: n none, s skip, 1 and 3 convolutions, p pool."""
    return format_code([dict(zip("ns13p", OPERATIONS, strict=True))[short] for short in operations])


def edge_values(code: str, value_of_input: float) -> tuple[dict[int, float], float]:
    """What each edge and the output carry, when the operations are functions of one number.

    Skip is the identity; the others are unlike one another, not linear, and map 0 to 0. So two cells have one value
    only if they are the same function of the input, equal terms having equal weights.
    """
    function = {
        "none": lambda value: 0.0,
        "skip_connect": lambda value: value,
        "nor_conv_1x1": lambda value: 1.7 * math.sin(0.9137 * value),
        "nor_conv_3x3": lambda value: 2.3 * math.atan(0.7379 * value),
        "avg_pool_3x3": lambda value: 1.31 * value / (1 + value * value),
    }
    nodes = [value_of_input, 0.0, 0.0, 0.0]
    edges = {}
    for edge, ((source, target), operation) in enumerate(zip(EDGES, parse_code(code), strict=True)):
        edges[edge] = function[operation](nodes[source])
        nodes[target] += edges[edge]
    return edges, nodes[-1]


# The text


def test_all_codes_round_trip() -> None:
    for code in CODES:
        operations = parse_code(code)
        assert len(operations) == 6
        assert format_code(operations) == code


def test_operations_and_edges_are_those_of_the_benchmark() -> None:
    assert OPERATIONS == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert EDGES == ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    assert parse_code(BEST) == (*["nor_conv_3x3"] * 3, "skip_connect", "nor_conv_1x1", "nor_conv_3x3")


def test_white_space_does_not_matter() -> None:
    spaced = BEST.replace("+", " + ").replace("|", "| ").replace("~", " ~ ")
    assert NASBench201().parse(spaced).code == BEST


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|none~0|+|none~0|none~1|", "2 nodes .* not 3"),
        (EMPTY.replace("|none~0|none~1|none~2|", "|none~0|none~1|"), "node 3 .* 2 incoming edges, not 3"),
        (EMPTY.replace("|+|none~0|none~1|+", "|+none~0|none~1|+"), "node 2 .* not enclosed"),
        (EMPTY.replace("none~2", "none~1"), "edge 2->3 .* must end in '~2'"),
        (EMPTY.replace("none~2", "none"), "edge 2->3 .* must end in '~2'"),
        (BEST.replace("nor_conv_1x1~1", "conv_1x1~1"), r"edge 1->3 .*'conv_1x1' \(did you mean 'nor_conv_1x1'\?\)"),
        (BEST.replace("nor_conv_1x1", "nor_conv _1x1"), "edge 1->3 .*'nor_conv _1x1'"),
        (BEST.replace("skip_connect", "zero"), "allowed are none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool"),
    ],
)
def test_errors_say_where_and_what(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        NASBench201().parse(text)


def test_format_refuses_what_is_no_cell() -> None:
    with pytest.raises(SpaceError, match="5 given"):
        format_code(["none"] * 5)
    with pytest.raises(SpaceError, match=r"edge 0->1 .*'zero'"):
        format_code(["zero"] * 6)


# Which cells are the same


def test_the_counts() -> None:
    assert len(CODES) == len(set(CODES)) == 15_625
    assert len({canonical_code(code) for code in CODES}) == 5_390
    assert len({remove_dead_edges(code) for code in CODES}) == 9_445
    assert sum(is_connected(code) for code in CODES) == 15_284


def test_members_of_a_class_are_one_function_of_the_input() -> None:
    outputs = defaultdict(list)
    for code in CODES:
        outputs[canonical_code(code)].append(edge_values(code, 0.7310585)[1])
    for values in outputs.values():
        np.testing.assert_allclose(values, values[0], rtol=1e-12, atol=1e-12)


def test_the_key_keeps_some_equal_cells_apart() -> None:
    """Sums are not flattened, as the docstring warns: the 5,390 classes hold 4,930 different functions."""
    values = np.sort([edge_values(code, 0.7310585)[1] for code in CODES])
    assert 1 + np.count_nonzero(np.diff(values) > 1e-11) == 4_930

    # x + conv1(x) + conv3(x), added in another order.
    one, other = cell(*"snss13"), cell(*"ss1n3s")
    assert edge_values(one, 0.7)[1] == pytest.approx(edge_values(other, 0.7)[1], rel=1e-14)
    assert canonical_code(one) != canonical_code(other)


def test_canonical_is_the_cheapest_then_the_first() -> None:
    def weights(code: str) -> int:
        return 9 * code.count("nor_conv_3x3") + code.count("nor_conv_1x1")

    best: dict[str, str] = {}
    for code in CODES:
        key = reduced_string(code)
        if key not in best or weights(code) < weights(best[key]):
            best[key] = code
    assert all(canonical_code(code) == best[reduced_string(code)] for code in CODES)


def test_all_disconnected_cells_are_the_empty_one() -> None:
    disconnected = [code for code in CODES if not is_connected(code)]
    assert len(disconnected) == 341
    assert {canonical_code(code) for code in disconnected} == {EMPTY}
    assert {remove_dead_edges(code) for code in disconnected} == {EMPTY}


@pytest.mark.parametrize(
    ("code", "canonical"),
    [
        (cell(*"3nn3nn"), cell(*"nnn3nn")),  # node 1 leads nowhere
        (cell(*"nn3s3n"), cell(*"nnnsnn")),  # nothing comes to node 1
        (cell(*"3nnnsn"), cell(*"nnn3nn")),  # a skip only passes on
        (cell(*"snn13n"), cell(*"nsn1n3")),  # both are conv1(x) + conv3(x); the second comes first in enumeration
        (cell(*"3nns3n"), cell(*"n3nsn3")),  # conv3(conv3(x)) + x, by way of node 1 or node 2
    ],
)
def test_canonical_examples(code: str, canonical: str) -> None:
    assert canonical_code(code) == canonical


def test_dead_edges_are_removed() -> None:
    assert remove_dead_edges(cell(*"3n1snp")) == cell(*"3n1snp")
    assert remove_dead_edges(cell(*"33nsn1")) == cell(*"n3nsn1")
    assert live_edges(parse_code(cell(*"33nsn1"))) == (False, True, False, True, False, True)


def test_function_sample_holds_every_connected_class_once() -> None:
    space = NASBench201()
    drawn = space.sample(5_389, np.random.default_rng(0))
    assert len(set(drawn)) == 5_389
    assert all(is_connected(architecture.code) for architecture in drawn)
    with pytest.raises(SpaceError, match="5,390 requested, but there are only 5,389 architectures"):
        space.sample(5_390, np.random.default_rng(0))


# Features


def test_features_of_the_best_cell() -> None:
    space = NASBench201()
    features = dict(zip(space.feature_names, space.features(space.parse(BEST)), strict=True))
    # Paths: skip | conv3 conv1 | conv3 conv3 | conv3 conv3 conv3.
    expected = {
        "count_nor_conv_3x3": 4,
        "count_nor_conv_1x1": 1,
        "count_skip_connect": 1,
        "count_avg_pool_3x3": 0,
        "live_edges": 6,
        "edge_13_nor_conv_1x1": 1,
        "edge_13_nor_conv_3x3": 0,
        "paths": 4,
        "path_conv_min": 0,
        "path_conv_max": 3,
        "path_conv_sum": 7,
        "path_conv_3x3_sum": 6,
        "path_pool_max": 0,
        "path_skip_sum": 1,
        "path_length_min": 1,
        "path_length_max": 3,
        "path_length_sum": 8,
        "input_nor_conv_3x3": 2,
        "input_skip_connect": 1,
        "output_nor_conv_1x1": 1,
        "only_skip": 1,
        "only_conv": 3,
        "only_conv_shortest": 2,
        "only_conv_longest": 3,
        "only_conv_3x3": 2,
        "only_skip_conv_1x1": 1,
        "has_identity_path": 1,
        "has_conv_free_path": 1,
    }
    assert {name: features[name] for name in expected} == expected


def test_features_see_live_edges_only() -> None:
    space = NASBench201()
    dead, pruned = (space.features(space.parse(code)) for code in (cell(*"33nsn1"), cell(*"n3nsn1")))
    np.testing.assert_array_equal(dead, pruned)


def test_features_of_a_disconnected_cell_are_those_of_the_empty_one() -> None:
    space = NASBench201()
    features = dict(zip(space.feature_names, space.features(space.parse(cell(*"3nnnn3"))), strict=True))
    assert {name for name, value in features.items() if value} == {f"edge_{s}{t}_none" for s, t in EDGES}


def test_features_separate_all_live_cells() -> None:
    pruned = sorted({remove_dead_edges(code) for code in CODES})
    space = NASBench201()
    assert len({space.features(space.parse(code)).tobytes() for code in pruned[::10]}) == len(pruned[::10])


# The network


def test_pool_does_not_count_the_padding() -> None:
    ones = torch.ones(1, 2, 5, 5)
    torch.testing.assert_close(make_operation("avg_pool_3x3", 2)(ones), ones)


def test_operations_keep_the_shape() -> None:
    features = torch.rand(2, 4, 5, 6)
    for name in OPERATIONS:
        assert make_operation(name, 4)(features).shape == features.shape
    assert not make_operation("none", 4)(features).any()
    assert make_operation("skip_connect", 4)(features) is features
    with pytest.raises(SpaceError, match="'zero' is not an operation"):
        make_operation("zero", 4)


@pytest.mark.parametrize(("size", "half"), [((8, 8), (4, 4)), ((7, 9), (4, 5)), ((1, 2), (1, 1))])
def test_residual_block_halves_any_size(size: tuple[int, int], half: tuple[int, int]) -> None:
    assert ResidualBlock(3, 6).eval()(torch.rand(1, 3, *size)).shape == (1, 6, *half)


def test_only_live_edges_are_computed_but_all_are_held() -> None:
    operations = parse_code(cell(*"33nsn1"))
    module = Cell(operations, 4)
    called = []
    for edge, operation in module.edges.items():
        operation.register_forward_hook(lambda *_, edge=edge: called.append(edge))
    module(torch.rand(2, 4, 5, 5))
    assert sorted(module.edges) == ["0", "1", "3", "5"]
    assert sorted(called) == ["1", "3", "5"]


def test_a_disconnected_cell_gives_zeros() -> None:
    features = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(Cell(parse_code(cell(*"3nnnn3")), 4)(features), torch.zeros_like(features))


def test_a_cell_sums_what_comes_in() -> None:
    features = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(Cell(parse_code(cell(*"ssssss")), 4)(features), 4 * features)


def test_skeleton_hands_context_to_every_cell() -> None:
    class Recorder(nn.Module):
        def forward(self, features: Tensor, path: str) -> Tensor:
            seen.append((features.shape[1], path))
            return features

    seen: list[tuple[int, str]] = []
    network = MacroNetwork(lambda channels: Recorder(), width=4, cells_per_stage=2, channels=3, classes=5)
    assert network(torch.rand(2, 3, 8, 8), "path").shape == (2, 5)
    assert seen == [(channels, "path") for channels in (4, 4, 8, 8, 16, 16)]


def tied_cell(code: str) -> Cell:
    """A cell in eval mode whose weights are those of the function each live edge computes, whatever edge that is."""
    module = Cell(parse_code(code), 4).eval()
    carried, _ = edge_values(code, 0.7310585)
    for edge, live in enumerate(live_edges(parse_code(code))):
        if live:
            generator = torch.Generator().manual_seed(round(1e9 * carried[edge]) % 2**31)
            for weight in module.edges[str(edge)].state_dict().values():
                if weight.is_floating_point():
                    weight.copy_(torch.rand(weight.shape, generator=generator) + 0.1)
    return module


def test_equal_cells_with_tied_weights_give_equal_outputs() -> None:
    classes = defaultdict(list)
    for code in CODES:
        classes[canonical_code(code)].append(code)
    generator = np.random.default_rng(2)
    several = [members for members in classes.values() if len(members) > 1 and is_connected(members[0])]
    features = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    outputs = []
    for index in generator.choice(len(several), size=60, replace=False):
        members = several[index]
        one, other = generator.choice(members, size=2, replace=False)
        outputs.append(tied_cell(one)(features))
        torch.testing.assert_close(outputs[-1], tied_cell(other)(features), rtol=1e-4, atol=1e-4)
    # The comparison means something only if other classes give something else.
    for one, other in pairwise(outputs):
        assert not torch.allclose(one, other, rtol=1e-2, atol=1e-2)


def test_thin_network_is_one_cell_of_one_channel_and_the_classifier() -> None:
    space = NASBench201(width=8, cells_per_stage=3)
    network = space.thin(space.parse(BEST), classes=10)
    # 4 convolutions of 9 weights, one of 1, 5 normalisations of 2; normalisation of 2 and linear layer of 20.
    assert sum(weight.numel() for weight in network.parameters()) == 36 + 1 + 10 + 2 + 20
    assert isinstance(network[0], Cell)


def test_live_cells_are_connected_and_without_dead_edges() -> None:
    space = get_space("nasbench201")
    live = [architecture.code for architecture in space.enumerate() if space.is_live(architecture)]
    assert len(live) == 9444  # with the disconnected cell of no operation at all: 9,445
    assert {remove_dead_edges(code) for code in CODES} - set(live) == {cell(*"nnnnnn")}


def test_a_convolution_of_nothing_adds_nothing() -> None:
    """Even when batch normalisation has learned a shift."""
    features = torch.rand(2, 4, 6, 6)
    module = Cell(parse_code(cell(*"nnns3n")), 4)
    nn.init.ones_(module.edges["4"][2].bias)
    torch.testing.assert_close(module(features), features)


# The published figures


def test_size_of_the_best_cell() -> None:
    space = get_space("nasbench201")
    size = measure_size(space, space.parse(BEST), input_shape=(3, 32, 32), classes=10)
    assert size.parameters == 1_073_466
    assert size.flops == 153_272_960


@pytest.mark.parametrize("side", [8, 7])
def test_summed_sizes_are_those_of_the_networks(side: int) -> None:
    space = NASBench201(width=4, cells_per_stage=2)
    # Disconnected, with dead convolutions, with all operations, and drawn ones.
    cells = [space.parse(code) for code in ("n-nn-nnn", "3-13-nnn", "3-n1-nps", "1-3p-s13")]
    cells += space.sample(16, np.random.default_rng(0), distinct="code")
    for cell in cells:
        network = space.build(cell, input_shape=(3, side, side), classes=10)
        image = torch.randn(1, 3, side, side)
        with following(network, image) as path:
            logits, flops = run_counted(network, image)
        parameters = sum(weight.numel() for weight in network.parameters())
        assert measure_size(space, cell, input_shape=(3, side, side), classes=10) == Size(
            parameters, flops, path.of(logits)
        )


def test_a_size_takes_no_network_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    space = NASBench201(width=5, cells_per_stage=1)
    built = list[str]()
    build = space.build
    monkeypatch.setattr(space, "build", lambda cell, **task: built.append(cell.code) or build(cell, **task))
    for cell in space.sample(200, np.random.default_rng(0)):
        measure_size(space, cell, input_shape=(3, 8, 8), classes=10)
    assert len(built) == len(set(built)) <= 9  # the empty cell, and four operations on live and on dead edges


def test_index_13714_is_the_best_cell(recorded: Path) -> None:
    table = pd.read_parquet(recorded / "nb201_cifar10.parquet", columns=["arch_index", "arch_str"])
    row = table.iloc[13714]
    assert row.arch_index == 13714
    assert row.arch_str == BEST


def test_parameters_agree_with_the_benchmark(recorded: Path) -> None:
    table = pd.read_parquet(recorded / "nb201_cifar10.parquet", columns=["arch_str", "c10_params_M"])
    space = get_space("nasbench201")
    for row in table.sample(20, random_state=0).itertuples():
        size = measure_size(space, space.parse(row.arch_str), input_shape=(3, 32, 32), classes=10)
        assert size.parameters == round(row.c10_params_M * 1e6)


def test_cells_without_dead_edges_are_those_of_the_proxy_table(recorded: Path) -> None:
    table = pd.read_parquet(recorded / "nb201_cifar10_proxies.parquet", columns=["arch_str"])
    assert set(table.arch_str) == {remove_dead_edges(code) for code in CODES}


@pytest.mark.parametrize("options", [{"width": 0}, {"width": 1.5}, {"cells_per_stage": True}])
def test_options_must_be_positive_whole_numbers(options: dict[str, int]) -> None:
    (name,) = options
    with pytest.raises(SpaceError, match=f"^{name}: .* whole number"):
        NASBench201(**options)
