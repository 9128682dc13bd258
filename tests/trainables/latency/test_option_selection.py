from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from taurank.spaces import RestrictedSpace, SearchSpace, SpaceError, get_space, measure_size
from taurank.trainables.latency.measure import measure_table
from taurank.trainables.latency.options import every_option, measure_options, select_options
from taurank.trainables.latency.parts import LatencyError, latency_keys, parts_of
from taurank.trainables.latency.table import Conditions, LatencyTable

SHAPE = (1, 28, 28)
TASK = {"input_shape": SHAPE, "classes": 10}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return get_space("proxyless", variant="mini")


@cache
def device(space: SearchSpace, *, slow_kernel: int) -> LatencyTable:
    """A fake device: a part takes as many milliseconds as its kernel's area, and forty times that of one kernel."""
    milliseconds = {}
    for one in every_option(space):
        for part in parts_of(space, one, **TASK):
            areas = {3: 9.0, 5: 25.0, 7: 49.0}
            found = [kernel for kernel in areas if f"({kernel}x{kernel}:" in part.key]
            milliseconds[part.key] = sum(areas[kernel] * (40 if kernel == slow_kernel else 1) for kernel in found)
    return LatencyTable(milliseconds, Conditions("fake", "float32", 1, 1, "2.6.0"))


def test_devices_get_options_of_their_own(space: SearchSpace) -> None:
    kept = {
        slow: select_options(space, device(space, slow_kernel=slow), keep=4, capacity="parameters", **TASK)
        for slow in (3, 7)
    }
    # Every layer has six operations of three kernels; of the slow kernel's two none is kept.
    for slow, options in kept.items():
        assert all(not option.startswith(f"k{slow}") for layer in options for option in layer)
        assert [len([option for option in layer if option != "id"]) for layer in options] == [4] * 5
        assert [layer[-1] == "id" for layer in options] == [False, True, False, True, True]
    assert kept[3] != kept[7]


@pytest.mark.parametrize("keep", [1, 4, 9])
@pytest.mark.parametrize("capacity", ["flops", "parameters"])
def test_the_best_are_kept_and_what_leaves_a_layer_out_besides(space: SearchSpace, keep: int, capacity: str) -> None:
    measured = measure_options(space, device(space, slow_kernel=5), keep=keep, capacity=capacity, **TASK)
    assert [tuple(option.option for option in layer) for layer in measured] == list(space.decisions)
    for layer in measured:
        blocks = [option for option in layer if not option.leaves_out]
        kept = [option.worth for option in blocks if option.kept]
        assert len(kept) == min(keep, 6)
        assert min(kept) >= max((option.worth for option in blocks if not option.kept), default=0.0)
        assert all(option.kept and option.option == "id" for option in layer if option.leaves_out)


def test_capacity_and_latency_are_those_of_the_option_in_its_place(space: SearchSpace) -> None:
    table = device(space, slow_kernel=5)
    measured = measure_options(space, table, **TASK)
    by_parameters = measure_options(space, table, capacity="parameters", **TASK)
    base = [len(options) - 1 for options in space.decisions]

    def of(decision: int, choice: int) -> tuple[int, int, float]:
        one = space.choose([*base[:decision], choice, *base[decision + 1 :]])
        size = measure_size(space, one, **TASK)
        return size.flops, size.parameters, table.total(latency_keys(space, one, **TASK))

    # Networks that differ in one layer differ by what the options say, in all three.
    for decision, layer in enumerate(measured):
        first = of(decision, 0)
        for choice, option in enumerate(layer):
            flops, parameters, milliseconds = of(decision, choice)
            assert flops - first[0] == option.capacity - layer[0].capacity
            weights = by_parameters[decision]
            assert parameters - first[1] == weights[choice].capacity - weights[0].capacity
            assert milliseconds - first[2] == pytest.approx(option.milliseconds - layer[0].milliseconds)
            assert option.worth == (option.capacity / option.milliseconds if option.milliseconds else 0.0)


def test_layers_of_one_shape_get_the_same_options(space: SearchSpace) -> None:
    options = select_options(space, device(space, slow_kernel=7), keep=2, **TASK)
    assert options[3] == options[4]  # both keep 24 channels


def test_equal_ones_in_the_order_of_the_space() -> None:
    space = get_space("nasbench_macro", width=4, head_width=16)
    keys = Counter(key for one in every_option(space) for key in latency_keys(space, one, **TASK))
    free = LatencyTable(dict.fromkeys(keys, 0.0), Conditions("fake", "float32", 1, 1, "2.6.0"))
    # All that computes is of infinite worth where time is free; the first layer of a stage has no identity.
    first, other = ("identity", "mb3_k3"), ("identity", "mb3_k3", "mb6_k5")
    expected = (first, other, first, other, other, first, other, other)
    assert select_options(space, free, keep=2, **TASK) == expected


def test_every_option_of_every_decision_occurs_and_a_table_of_them_has_all_parts(space: SearchSpace) -> None:
    listed = every_option(space)
    for place, options in enumerate(space.decisions):
        assert {space.choices(one)[place] for one in listed} == set(range(len(options)))
    table = measure_table(space, listed, warm_up=0, repeats=1, **TASK)
    for one in space.sample(20, np.random.default_rng(0)):
        assert table.total(latency_keys(space, one, **TASK)) > 0
    restricted = RestrictedSpace(space, select_options(space, table, keep=2, **TASK))
    assert restricted.size == 2 * 3 * 2 * 3 * 3


def test_a_depth_is_kept_open_in_once_for_all() -> None:
    space = get_space("once_for_all", variant="mini")
    table = measure_table(space, every_option(space), warm_up=0, repeats=1, **TASK)
    measured = measure_options(space, table, keep=1, **TASK)
    for decision in (8, 9):
        assert [(option.option, option.leaves_out, option.kept) for option in measured[decision]] == [
            ("d1", True, True),
            ("d2", False, True),
        ]


def test_refusals(space: SearchSpace) -> None:
    table = device(space, slow_kernel=7)
    with pytest.raises(SpaceError, match="keep: 0 is not a whole number of at least 1"):
        select_options(space, table, keep=0, **TASK)
    with pytest.raises(SpaceError, match="capacity: 'size' is unknown; allowed are 'flops', 'parameters'"):
        select_options(space, table, capacity="size", **TASK)  # type: ignore[arg-type]
    with pytest.raises(LatencyError, match="is none of the 0 parts of the table"):
        select_options(space, LatencyTable({}, table.conditions), **TASK)
