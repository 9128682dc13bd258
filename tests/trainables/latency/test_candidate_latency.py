"""Latencies of many candidates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from taurank.spaces import Architecture, get_space
from taurank.trainables.latency.candidates import (
    PRECISIONS,
    Setting,
    has_fewer_parts,
    measure_whole,
    parts_by_code,
    table_of_parts,
)
from taurank.trainables.latency.parts import LatencyError, threads_set

MACRO = get_space("nasbench_macro")
SETTING = Setting((1, 8, 8), 10)


@pytest.fixture(autouse=True)
def one_thread():
    with threads_set(1):
        yield


def some(count):
    return MACRO.sample(count, np.random.default_rng(0))


class TestWhole:
    @pytest.mark.parametrize("precision", PRECISIONS)
    def test_takes_time_in_every_precision_and_leaves_no_trace(self, precision):
        before = torch.get_rng_state()
        found = measure_whole(MACRO, some(1)[0], Setting((1, 8, 8), 10, precision=precision))
        assert found.reason == ""
        assert 0 < found.low <= found.milliseconds <= found.high
        assert found.seconds > 30 * found.low / 1e3
        assert torch.get_default_dtype() == torch.float32
        assert torch.equal(torch.get_rng_state(), before)

    def test_a_network_that_cannot_be_built_has_a_reason(self):
        found = measure_whole(MACRO, Architecture("nasbench_macro", "nothing"), SETTING)
        assert math.isnan(found.milliseconds)
        assert found.reason == "code: 'nothing' has 7 characters, not 8; the form is '01212210'"

    def test_no_device(self):
        with pytest.raises(LatencyError, match="device: 'cuda:99' is not there"):
            measure_whole(MACRO, some(1)[0], Setting((1, 8, 8), 10, device="cuda:99"))


class TestParts:
    def test_a_table_where_parts_are_shared(self):
        few, many = (parts_by_code(MACRO, some(count), SETTING) for count in (4, 60))
        assert few is not None
        assert many is not None
        # At most 3 blocks in each of 8 places, some of them alike, and the parts that all have.
        assert len({key for keys in many.values() for key in keys}) < 60
        assert not has_fewer_parts(few)
        assert has_fewer_parts(many)

    def test_none_where_networks_have_no_parts(self):
        darts = get_space("darts")
        assert parts_by_code(darts, darts.sample(2, np.random.default_rng(0)), Setting((3, 32, 32), 10)) is None

    def test_a_sum_is_near_the_whole(self):
        asked = some(6)
        parts, table = parts_by_code(MACRO, asked, SETTING), table_of_parts(MACRO, asked, SETTING)
        assert parts is not None
        assert table.conditions == SETTING.conditions()
        # Loose: the machine may be busy. The benchmark says how near it is where it is not.
        for one in asked:
            whole = measure_whole(MACRO, one, SETTING)
            assert 0.2 < table.total(parts[one.code]) / whole.milliseconds < 5


def test_conditions_are_those_of_the_setting():
    found = Setting((1, 8, 8), 10, batch=4, threads=2, precision="bfloat16").conditions()
    assert (found.batch, found.threads, found.precision) == (4, 2, "bfloat16")
    assert str(found).endswith(f", 2 threads, batch 4, bfloat16, PyTorch {torch.__version__}")
    assert ", 1 thread, batch 1, float32" in str(SETTING.conditions())
