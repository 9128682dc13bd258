"""The same seed draws the same architectures, and lists and neighbours have one order: a log can be replayed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import islice
from typing import Any, get_args

import numpy as np
import pytest

from taurank.spaces import Architecture, Distinct, get_space

# Space, its options, and digests of three draws of each kind with the seeds 0, 1 and 2, of the first 50 codes, and of
# the first draw among all codes with its neighbours: as they were when each space had its own code for these.
FIXED: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("darts", {"stem": "imagenet"}, "e216ce48db33", "35f418b96bf3", "2fe68b1557c8"),
    ("darts", {}, "e216ce48db33", "35f418b96bf3", "2fe68b1557c8"),
    ("fbnet", {"variant": "mini"}, "94e6ee1aa933", "5fe901175327", "5fd802505609"),
    ("fbnet", {}, "a72e654601d4", "58a3bbedb62c", "136e9a3135f1"),
    ("mnasnet", {"variant": "mini"}, "eb7ef0f9792e", "6b064eb87241", "44e6056f36f5"),
    ("mnasnet", {}, "37f19b358d87", "21bb9d598a6a", "70b1e9da03d6"),
    ("mnist_blocks", {}, "50d86873c9e4", "4fd46317566a", "bb2beeaef58e"),
    ("nasbench201", {}, "b3ecd06966b1", "3a96f65cf265", "1a3c5e8d2016"),
    ("nasbench_macro", {}, "d963d97316fd", "bde1f0c2eb7c", "d54f60f04692"),
    ("once_for_all", {"variant": "mini"}, "06051b1e4fe5", "556d3a697ef1", "700ec72d0b2c"),
    ("once_for_all", {"variant": "proxylessnas"}, "b4bc2d5d2bfa", "9a72b87eec5b", "444809dcdc4c"),
    ("once_for_all", {}, "03b578a8d628", "268935f3341c", "95e4895d27fc"),
    ("once_for_all_resnet50", {"variant": "mini"}, "e7ad1c8cf41d", "92e573d5c480", "26c2d553cf6b"),
    ("once_for_all_resnet50", {}, "a28b68259316", "cc469ee4e8ea", "411bee81549c"),
    ("pnas", {"blocks": 1}, "02659796ba14", "311aa56a83c3", "1fcf718b91bd"),
    ("pnas", {"blocks": 2}, "91900c0a7848", "311aa56a83c3", "7e89425413e4"),
    ("pnas", {}, "1c6aaee2f2d6", "311aa56a83c3", "73f36435979b"),
    ("proxyless", {"variant": "mini"}, "e7016aa684b8", "ae7f04941d1f", "c7962130de05"),
    ("proxyless", {}, "52bf532acdb2", "dddcea4e1bb3", "4cf109976c88"),
]


def digest(found: Iterable[Architecture]) -> str:
    return hashlib.sha256("\n".join(one.code for one in found).encode()).hexdigest()[:12]


@pytest.mark.parametrize(("name", "options", "drawn", "listed", "near"), FIXED)
def test_draws_lists_and_neighbours_are_fixed(
    name: str, options: dict[str, Any], drawn: str, listed: str, near: str
) -> None:
    space = get_space(name, **options)
    kinds = ("function", "code")
    assert set(kinds) == set(get_args(Distinct))
    samples = {
        (seed, kind): space.sample(3, np.random.default_rng(seed), distinct=kind) for seed in range(3) for kind in kinds
    }
    assert digest(one for sample in samples.values() for one in sample) == drawn
    assert digest(islice(space._enumerate(), 50)) == listed
    first = min(samples[0, "code"] + samples[1, "function"])
    assert digest([first, *space.neighbours(first)]) == near
