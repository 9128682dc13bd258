"""Cells of two-input blocks: text, genotype and canonical form."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from taurank.spaces import SpaceError, get_space
from taurank.spaces.cells.cells import ABBREVIATIONS, Cell, canonical_cell, format_cell, make_block, parse_cell
from taurank.spaces.cells.features import cell_features
from taurank.spaces.cells.genotype import format_genotype, is_genotype, parse_genotype
from taurank.spaces.cells.network import layer_widths

OPERATIONS = tuple(ABBREVIATIONS)


def cell(text: str) -> Cell:
    return parse_cell(text, OPERATIONS)


def reordered(original: Cell, order: tuple[int, ...]) -> Cell | None:
    """The cell with block order[k] at place k; None if a block would come before what it reads."""
    names = {0: 0, 1: 1} | {old + 2: new + 2 for new, old in enumerate(order)}
    blocks = []
    for new, old in enumerate(order):
        edges = [(names[source], operation) for source, operation in original[old]]
        if any(source >= new + 2 for source, _ in edges):
            return None
        blocks.append(make_block(*edges))
    return tuple(blocks)


class TestText:
    def test_there_and_back(self) -> None:
        text = "0s3-1s3_0s3-1s5_0sk-3d5_2mp-4ap_1c7-1s7"
        assert format_cell(cell(text)) == text
        assert cell("0sk-2d3_0mp-1mp"[8:]) == (((0, "max_pool_3x3"), (1, "max_pool_3x3")),)

    def test_the_edges_of_a_block_have_no_order(self) -> None:
        assert cell("1sk-0s3") == cell("0s3-1sk") == (((0, "sep_conv_3x3"), (1, "skip_connect")),)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("0s3", r"^code: block 1 of '0s3' is '0s3', not two sources"),
            ("0s3-1sk_", r"^code: block 2 of '0s3-1sk_' is ''"),
            ("0s3-2sk", r"^code: block 1 of '0s3-2sk' reads 2, which is not defined yet; allowed are 0, 1$"),
            ("0s3-1xx", r"^code: block 1 of '0s3-1xx' has the unknown operation 'xx'; allowed are mp \(max_pool_3x3\)"),
        ],
    )
    def test_mistakes_are_explained(self, text: str, message: str) -> None:
        with pytest.raises(SpaceError, match=message):
            cell(text)


class TestCanonical:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1sk-1sk_0mp-0mp", "0mp-0mp_1sk-1sk"),
            ("0sk-1sk_0mp-1mp_2mp-3sk", "0mp-1mp_0sk-1sk_2sk-3mp"),
            # Twins, told apart by what reads them.
            ("0s3-1s3_0s3-1s3_0s3-3sk_1ap-2mp", "0s3-1s3_0s3-1s3_0s3-2sk_1ap-3mp"),
        ],
    )
    def test_by_hand(self, text: str, expected: str) -> None:
        assert format_cell(canonical_cell(cell(text))) == expected

    @pytest.mark.parametrize(("space", "count"), [("darts", 40), ("pnas", 15)])
    def test_all_orders_of_the_blocks_have_the_same(self, space: str, count: int) -> None:
        made = get_space(space)
        several = 0
        for architecture in made.sample(count, np.random.default_rng(1), distinct="code"):
            original = cell(architecture.code.split("+")[0])
            orders = [reordered(original, order) for order in permutations(range(len(original)))]
            same = {one for one in orders if one is not None}
            assert original in same
            assert {canonical_cell(one) for one in same} == {min(same)}
            several += len(same) > 1
        assert several > count / 2


class TestGenotype:
    def test_there_and_back(self) -> None:
        normal, reduce = cell("0s3-1s3_0sk-2d3"), cell("0mp-1ap")
        text = format_genotype(normal, reduce)
        assert text == (
            "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
            "normal_concat=range(2, 4), reduce=[('max_pool_3x3', 0), ('avg_pool_3x3', 1)], reduce_concat=range(2, 3))"
        )
        assert parse_genotype(text, OPERATIONS) == (normal, reduce)
        assert parse_genotype(f"X = {text}\n", OPERATIONS) == (normal, reduce)
        assert parse_genotype(text.replace("range(2, 4)", "[2, 3]"), OPERATIONS) == (normal, reduce)

    @pytest.mark.parametrize(
        "text",
        [
            "Genotype",
            "Genotype(",
            "Genotype()",
            "Genotype(1, 2)",
            "Genotype.load(normal=[])",
            "Genotype(**{'normal': []})",
            "Genotype(normal=__import__('os').getcwd(), normal_concat=[2], reduce=[], reduce_concat=[2])",
            "Genotype(normal=[x for x in (1,)], normal_concat=[2], reduce=[], reduce_concat=[2])",
            "Genotype(normal=" + "(" * 3000 + ")" * 3000 + ")",
            "Genotype(normal=" + "-" * 5000 + "1)",
            "Genotype(normal=" + "[1]," * 5000 + ")",
            "Genotype(normal=range(0, 10**12), normal_concat=[2], reduce=[], reduce_concat=[2])",
            "Genotype(normal=range(0, 1000000000000), normal_concat=[2], reduce=[], reduce_concat=[2])",
            "Genotype(normal=range(1), normal_concat=[2], reduce=[], reduce_concat=[2])",
            "Genotype(normal=range('a', 'b'), normal_concat=[2], reduce=[], reduce_concat=[2])",
            "Genotype(normal=[('skip_connect', 0)], normal_concat=[2], reduce=[], reduce_concat=[2])",
            "Genotype(normal=[('skip_connect', True), ('dil', 0)], normal_concat=0, reduce=0, reduce_concat=0)",
            "Genotype(normal=[('skip_connect', -1), ('skip_connect', 0)], normal_concat=0, reduce=0, reduce_concat=0)",
            "Genotype(normal=[({}, 0), ('skip_connect', 0)], normal_concat=[2], reduce=[], reduce_concat=[])",
            "Genotype(normal=[('skip_connect', 0), 7], normal_concat=[2], reduce=[], reduce_concat=[])",
            "Genotype(normal=[('none', 0), ('skip_connect', 0)], normal_concat=[2], reduce=[], reduce_concat=[])",
            "Genotype(normal=[('skip_connect', 0)] * 2, normal_concat=[2], reduce=0, reduce_concat=0)",
        ],
    )
    def test_any_other_text_gets_one_short_line(self, text: str) -> None:
        assert is_genotype(text)
        with pytest.raises(SpaceError, match=r"^code: ") as caught:
            parse_genotype(text, OPERATIONS)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400

    def test_only_all_blocks_can_be_concatenated(self) -> None:
        block = "[('skip_connect', 0), ('skip_connect', 1)]"
        text = f"Genotype(normal={block}, normal_concat=[2, 3], reduce={block}, reduce_concat=[2])"
        with pytest.raises(
            SpaceError, match=r"^code: normal_concat of the genotype is \[2, 3\]; only all blocks, \[2\]"
        ):
            parse_genotype(text, OPERATIONS)

    def test_what_is_no_genotype(self) -> None:
        assert not any(map(is_genotype, ("", "0s3-1sk", "Genotypes", "import os; Genotype()", "a.Genotype()")))


def test_features_by_hand() -> None:
    features = cell_features(cell("0s3-1sk_2mp-2d5"), OPERATIONS, 3)
    assert {name: value for name, value in features.items() if value and not name[0].isdigit()} == {
        "blocks": 2,
        "count_max_pool_3x3": 1,
        "count_skip_connect": 1,
        "count_sep_conv_3x3": 1,
        "count_dil_conv_5x5": 1,
        "reads_0": 1,
        "reads_1": 1,
        "reads_block": 2,
        "unread": 1,
        "depth_mean": 1.5,
        "depth_max": 2,
        "convolutions_max": 2,
    }
    assert [name for name, value in features.items() if value and name[0].isdigit()] == [
        "2_0_sep_conv_3x3",
        "2_1_skip_connect",
        "3_2_max_pool_3x3",
        "3_2_dil_conv_5x5",
    ]


def test_reductions_stand_at_a_third_and_at_two_thirds() -> None:
    assert [layer for layer, (_, reduces) in enumerate(layer_widths(36, 20)) if reduces] == [6, 13]
    assert [width for width, _ in layer_widths(36, 20)] == [36] * 6 + [72] * 7 + [144] * 7
    assert layer_widths(4, 1) == [(8, True)]
