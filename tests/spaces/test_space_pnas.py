from __future__ import annotations

import numpy as np
import pytest
import torch

from taurank.spaces import PNAS, SpaceError, get_space, measure_size
from taurank.spaces.cells.cells import INPUTS, parse_cell
from taurank.spaces.cells.pnas import OPERATIONS, PUBLISHED, blocks_at

PNASNET = "0mp-0s5_1mp-1s7_1s3-1s5_1mp-4s3_0s3-1sk"
BLOCKS = (
    "[('sep_conv_5x5', 0), ('max_pool_3x3', 0), ('sep_conv_7x7', 1), ('max_pool_3x3', 1), ('sep_conv_5x5', 1), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 4), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 1)]"
)
GENOTYPE = f"PNASNet = Genotype(normal={BLOCKS}, normal_concat=[2,3,4,5,6], reduce={BLOCKS}, reduce_concat=[2,3,4,5,6])"


def small(**options: object) -> PNAS:
    space = get_space("pnas", **{"width": 4, "layers": 3, **options})
    assert isinstance(space, PNAS)
    return space


def test_counts_of_the_paper() -> None:
    space = small()
    first = space.first_level()
    assert len(set(first)) == 136  # of 2 * 2 * 8 * 8 = 256 in order
    assert len(set(space.expand(first[17]))) == 300
    assert [len(blocks_at(place)) for place in range(5)] == [136, 300, 528, 820, 1176]
    assert space.size == 136 * (1 + 300 * (1 + 528 * (1 + 820 * (1 + 1176))))
    assert small(blocks=1).size == 136


def test_as_many_cells_of_two_blocks_as_are_different() -> None:
    """Pairs of blocks that read only the inputs count once for both orders, all others once."""
    space = small(blocks=2)
    functions = {space.canonical(cell) for cell in space.enumerate()}
    assert len(functions) == 136 + 136 * 137 // 2 + 136 * (300 - 136) == 31_756


def test_functions_are_drawn_evenly() -> None:
    """Cells that two codes stand for are not drawn twice as often."""
    drawn = small(blocks=2).sample(1000, np.random.default_rng(0))
    pairs = [parse_cell(cell.code, OPERATIONS)[1] for cell in drawn if "_" in cell.code]
    apart = sum(all(source < INPUTS for source, _ in block) for block in pairs)
    share = (136 * 137 / 2) / (136 * 137 / 2 + 136 * 164)  # .295; of the codes they are .453
    assert abs(apart - share * len(pairs)) < 4.5 * (len(pairs) * share * (1 - share)) ** 0.5


def test_blocks_are_drawn_evenly() -> None:
    drawn = [cell.code for cell in small(blocks=1).sample(68, np.random.default_rng(0), distinct="code")]
    assert len(set(drawn)) == 68
    generator = np.random.default_rng(1)
    seconds = [small(blocks=2).sample(1, generator, distinct="code")[0].code.partition("_")[2] for _ in range(3000)]
    twice = sum(block[:3] == block[4:] for block in seconds)  # 24 of 300 blocks have two equal edges
    assert abs(twice - 3000 * 0.08) < 4.5 * (3000 * 0.08 * 0.92) ** 0.5


def test_children_keep_their_parent() -> None:
    space = small()
    parent = space.parse("0s3-1mp_2sk-2sk")
    children = space.expand(parent)
    assert len(children) == 528
    assert {child.code.rpartition("_")[0] for child in children} == {parent.code}
    assert set(children) < set(space.neighbours(parent))
    assert all(parent in space.neighbours(child) for child in children[:3])


def test_a_full_cell_has_no_children() -> None:
    space = small(blocks=1)
    with pytest.raises(SpaceError, match=r"^architecture: '0s3-1mp' has 1 blocks already, the most there are$"):
        space.expand(space.parse("0s3-1mp"))


def test_genotypes_read_and_write() -> None:
    space = small()
    architecture = space.parse(GENOTYPE)
    assert architecture.code == space.parse("PNASNet_5").code == PNASNET == PUBLISHED["PNASNet_5"]
    assert space.parse(space.genotype(architecture)) == architecture


def test_parameters_and_flops_are_the_published_ones() -> None:
    # timm's pnasnet5large, which its authors' weights fit: counted by the same counter.
    large = get_space("pnas", stem="imagenet", width=216, layers=12, stem_width=96)
    size = measure_size(large, large.parse("PNASNet_5"), input_shape=(3, 331, 331), classes=1000)
    assert (size.parameters, size.flops) == (86_057_668, 24_937_395_792)


@pytest.mark.parametrize(
    ("stem", "input_shape", "classes", "published"),
    [("cifar", (3, 32, 32), 10, (3.2, None)), ("imagenet", (3, 224, 224), 1000, (5.1, 588))],
)
def test_small_networks_have_the_sizes_of_the_paper(
    stem: str, input_shape: tuple[int, int, int], classes: int, published: tuple[float, float | None]
) -> None:
    space = get_space("pnas", stem=stem)
    size = measure_size(space, space.parse("PNASNet_5"), input_shape=input_shape, classes=classes)
    assert round(size.parameters / 1e6, 1) == published[0]
    assert published[1] is None or abs(size.flops / 1e6 - published[1]) < 1


def test_strides_halve_the_map() -> None:
    space = small()
    network = space.build(space.parse("PNASNet_5"), input_shape=(1, 28, 28), classes=10)
    before, previous = network.stem(torch.rand(2, 1, 28, 28))
    shapes = []
    for cell in network.cells:
        before, previous = previous, cell(before, previous)
        shapes.append(tuple(previous.shape[1:]))
    assert shapes == [(20, 28, 28), (40, 14, 14), (80, 7, 7)]


def test_inputs_that_nothing_reads_are_not_computed() -> None:
    space = small()
    network = space.build(space.parse("1s3-1mp"), input_shape=(3, 8, 8), classes=2)
    assert all(list(cell.inputs) == ["1"] for cell in network.cells)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_takes_odd_and_tiny_maps(operation: str) -> None:
    genotype = [(operation, 0), (operation, 1)]
    text = f"Genotype(normal={genotype}, normal_concat=[2], reduce={genotype}, reduce_concat=[2])"
    space = small()
    for shape in ((3, 1, 1), (1, 7, 10)):
        network = space.build(space.parse(text), input_shape=shape, classes=3)
        assert network(torch.rand(2, *shape)).shape == (2, 3)


def test_wrong_codes_and_images_are_explained() -> None:
    with pytest.raises(SpaceError, match=r"^code: '0s3-1s3_0s3-1s3' has 2 blocks, more than 1$"):
        small(blocks=1).parse("0s3-1s3_0s3-1s3")
    with pytest.raises(SpaceError, match=r"^code: the genotype has two cells, .* use darts$"):
        small().parse(GENOTYPE.replace("reduce=[('sep_conv_5x5', 0)", "reduce=[('sep_conv_3x3', 0)"))
    space = get_space("pnas", stem="imagenet", width=4)
    with pytest.raises(SpaceError, match=r"^input_shape: 2x9 images are too small for the stem 'imagenet'"):
        space.build(space.parse("0s3-1s3"), input_shape=(3, 2, 9), classes=2)
