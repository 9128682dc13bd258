"""Codes of architectures that nobody meant: an architecture that parses to itself, or one line that says why not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taurank.spaces import SpaceError, get_space, list_spaces
from tests.fuzz.fuzzing import answer, damaged

SPACES = {name: get_space(name) for name in list_spaces()}
DRAWN = {
    name: [one.code for one in space.sample(3, np.random.default_rng(0))]
    for name, space in SPACES.items()
    if not space.foreign
}


def parse(name: str, text: str) -> None:
    space = SPACES[name]
    found = answer(lambda: space.parse(text), SpaceError)
    if found is not None:
        assert space.parse(found.code) == found


SIGNS = """
0 1 2 9 -1 , ; : | + ~ ( ) [ ] ' . - / none~0 nor_conv_3x3~0 Genotype( normal=[ range(2,6) range(0,10**9) ** lambda
__import__('os')
"""
PARTS = st.sampled_from([*SIGNS.split(), "9" * 5000, "1" * 400, "é", "٣", "\x00", "\n", " ", "(" * 300]) | st.text(
    max_size=3
)


@pytest.mark.parametrize("name", sorted(SPACES))
@given(parts=st.lists(PARTS, max_size=12))
def test_any_text(name, parts):
    parse(name, "".join(parts))


@pytest.mark.parametrize("name", sorted(DRAWN))
@given(data=st.data())
def test_a_code_with_a_few_other_characters(name, data):
    code = data.draw(st.sampled_from(DRAWN[name]))
    parse(name, data.draw(damaged(code.encode())).decode(errors="replace"))


GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0)], "
    "normal_concat=range(2, 4), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 0)], reduce_concat=range(2, 4))"
)


@given(text=damaged(GENOTYPE.encode()).map(lambda content: content.decode(errors="replace")))
def test_a_genotype_with_a_few_other_characters(text):
    parse("darts", text)


@pytest.mark.parametrize(
    "text",
    [
        "Genotype(" + "(" * 9_000 + ")" * 900,
        "Genotype(normal=" + "-" * 9_000 + "1)",
        "Genotype(normal=[" + "1+" * 4_000 + "1])",
        "Genotype(normal=range(0, 10**9999))",
        "Genotype(normal=range(-9999999999999999999999, 1))",
        "Genotype(normal=range('a', 'b'))",
        "Genotype(normal=range(1))",
        "Genotype(normal=" + "9" * 5_000 + ")",
        "Genotype(**{})",
        "Genotype(normal=__import__('os').system('true'))",
        "Genotype(normal=f'{1}')",
        "Genotype(normal={1: []})",
        "Genotype(normal=[], normal=[])",
        "x" * 10**6,
    ],
)
@pytest.mark.parametrize("name", sorted(DRAWN))
def test_hostile_codes(name, text):
    assert answer(lambda: SPACES[name].parse(text), SpaceError) is None
