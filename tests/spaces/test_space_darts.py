from __future__ import annotations

import numpy as np
import pytest
import torch

from taurank.spaces import DARTS, SpaceError, get_space, measure_size
from taurank.spaces.cells.cells import canonical_cell
from taurank.spaces.cells.darts import PUBLISHED
from taurank.spaces.cells.network import FactorizedReduction

V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
PDARTS = (
    "PDARTS = Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0),('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3',0), ('dil_conv_5x5', 4)], normal_concat=range(2, 6), "
    "reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), ('max_pool_3x3', 0), "
    "('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=range(2, 6))"
)


@pytest.fixture
def space() -> DARTS:
    made = get_space("darts", width=4, layers=3)
    assert isinstance(made, DARTS)
    return made


def test_as_many_codes_as_the_paper_says(space: DARTS) -> None:
    # 1 * 3 * 6 * 10 pairs of sources, seven operations on each of eight edges; two cells: "about 10^18".
    assert space.size == (180 * 7**8) ** 2
    assert np.prod([len(options) for options in space.decisions], dtype=object) == space.size


@pytest.mark.parametrize(("text", "name"), [(V2, "DARTS_V2"), (PDARTS, "PDARTS")])
def test_genotypes_read_and_write(space: DARTS, text: str, name: str) -> None:
    architecture = space.parse(text)
    assert architecture.code == PUBLISHED[name]
    assert architecture == space.parse(f" {name} ")
    assert space.parse(space.genotype(architecture)) == architecture


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_names_are_codes_in_their_normal_spelling(space: DARTS, name: str) -> None:
    assert space.parse(name).code == PUBLISHED[name]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("DARTS_V2", 3_349_342),  # README of the source: 3.349 M
        ("PDARTS", 3_433_798),  # issue 7 of its repository
    ],
)
def test_parameters_are_the_published_ones_on_cifar(name: str, parameters: int) -> None:
    space = get_space("darts")
    assert measure_size(space, space.parse(name), input_shape=(3, 32, 32), classes=10).parameters == parameters


def test_parameters_are_the_published_ones_on_imagenet() -> None:
    space = get_space("darts", stem="imagenet")
    size = measure_size(space, space.parse("DARTS_V2"), input_shape=(3, 224, 224), classes=1000)
    assert round(size.parameters / 1e6, 3) == 4.719  # README of the source


def test_equal_codes_are_equal_functions(space: DARTS) -> None:
    """The networks of a code and of its canonical form agree once the weights are permuted as the nodes are."""
    original = space.parse("0s3-1mp_1s5-0sk_2d3-1ap_0d5-3s3+1s5-0sk_0mp-1ap_2s3-0d3_1sk-3d5")
    canonical = space.canonical(original)
    one, other = (space.build(code, input_shape=(3, 13, 13), classes=5).eval() for code in (original, canonical))
    weights = {}
    moved: dict[int, list[int]] = {}  # by layer: the place of each block of the canonical cell in the original one
    for layer, reduces in enumerate((False, True, True)):
        old, new = space.cells(original)[reduces], space.cells(canonical)[reduces]
        assert canonical_cell(old) == new != old
        names = {0: 0, 1: 1}
        moved[layer] = []
        for place, block in enumerate(new):  # all blocks of these cells differ, so that each is found again
            renamed = [tuple(sorted((names.get(s, s), op) for s, op in block)), place]
            found = next(number for number, there in enumerate(old) if there == renamed[0])
            names[place + 2] = found + 2
            moved[layer].append(found)
            for position, (source, operation) in enumerate(block):
                edge = old[found].index((names[source], operation))
                for key, weight in one.cells[layer].edges[2 * found + edge].state_dict().items():
                    weights[f"cells.{layer}.edges.{2 * place + position}.{key}"] = weight
    for key, weight in one.state_dict().items():
        if ".edges." in key:
            continue
        reader = 3 if key.startswith("classifier") else int(key.split(".")[1]) if key.startswith("cells") else None
        read = None
        if reader is not None:
            read = reader - 1 if key.startswith("classifier") else reader - 2 + int(key.split(".")[3])
        if read is not None and read >= 0 and key.endswith("weight") and weight.dim() > 1:
            blocks = weight.chunk(4, dim=1)
            weight = torch.cat([blocks[place] for place in moved[read]], dim=1)
        weights[key] = weight
    other.load_state_dict(weights)
    images = torch.rand(2, 3, 13, 13, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(one(images), other(images), rtol=1e-4, atol=1e-5)


def test_neighbours_are_128(space: DARTS) -> None:
    assert len(set(space.neighbours(space.parse("DARTS_V2")))) == 128


@pytest.mark.parametrize("size", [(1, 1), (5, 2), (7, 7), (8, 8)])
def test_factorised_reduction_takes_every_size(size: tuple[int, int]) -> None:
    reduction = FactorizedReduction(3, 5)
    output = reduction(torch.rand(2, 3, *size))
    assert output.shape == (2, 5, (size[0] + 1) // 2, (size[1] + 1) // 2)


def test_imagenet_stem_takes_small_images() -> None:
    space = get_space("darts", stem="imagenet", width=4, layers=3)
    network = space.build(space.parse("DARTS_V1"), input_shape=(1, 9, 20), classes=3)
    assert network(torch.rand(2, 1, 9, 20)).shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DARTS_V3", r"^code: 'DARTS_V3' is not a normal and a reduction cell separated by '\+'; .*DARTS_V1, DARTS_V2"),
        ("0s3-1s3+0s3-1s3", r"^code: the cell '0s3-1s3' has 1 blocks, not 4$"),
        (PUBLISHED["DARTS_V2"].replace("0sk-2d3", "2sk-2d3"), r"^code: the block '2d3-2sk' of .* reads 2 twice"),
        (PUBLISHED["DARTS_V2"].replace("2d3", "2s7"), r"^code: block 4 of .* has the unknown operation 's7'"),
        (V2.replace("('dil_conv_3x3', 2)", "('none', 2)"), r"^code: entry 8 of normal of the genotype has .* 'none'"),
    ],
)
def test_wrong_codes_are_explained(space: DARTS, text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        space.parse(text)
