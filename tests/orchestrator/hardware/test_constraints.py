"""Constraints as they are written."""

from __future__ import annotations

import math

import pytest

from taurank.orchestrator.hardware.constraints import Constraint, ConstraintError, read_amount, read_constraint


@pytest.mark.parametrize(
    ("text", "measure", "bound", "at_least"),
    [
        ("params <= 5e6", "parameters", 5e6, False),
        ("parameters<=5M", "parameters", 5e6, False),
        ("  PARAMS  >=  12.5 k ", "parameters", 12_500.0, True),
        ("flops <= 600e6", "flops", 6e8, False),
        ("flops <= 1.2G", "flops", 1.2e9, False),
        ("flops <= 7", "flops", 7.0, False),
        ("latency <= 20ms", "latency", 20.0, False),
        ("latency <= 1.5 s", "latency", 1500.0, False),
        ("latency >= 250us", "latency", 0.25, True),
        ("latency <= 250µs", "latency", 0.25, False),
    ],
)
def test_reads(text, measure, bound, at_least):
    found = read_constraint(text)
    assert (found.measure, found.at_least) == (measure, at_least)
    assert found.bound == pytest.approx(bound, rel=1e-15)
    assert found.text == text.strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a constraint; write 'params <= 5e6', 'flops <= 600M' or 'latency <= 20ms'"),
        ("params 5e6", "is not a constraint; write"),
        ("params <= 5e6 and flops <= 3", "5e6 and flops <= 3 is not an amount above 0; write 5e6 or 5M"),
        ("size <= 3", "size cannot be constrained; use parameters (params), flops or latency"),
        ("params < 3", "< is not a bound; write <= for an upper or >= for a lower bound"),
        ("params == 3", "== is not a bound"),
        ("params = 3", "= is not a bound"),
        ("params <= 5m", "m is not a unit of a count; write k, M or G, such as 5M"),
        ("params <= 5ms", "ms is not a unit of a count"),
        ("params <= ", "nothing is not an amount above 0"),
        ("params <= -5", "-5 is not an amount above 0"),
        ("params <= 0", "0 is not a finite amount above 0"),
        ("params <= 1e400", "1e400 is not a finite amount above 0"),
        ("FLOPs >= .", ". is not an amount above 0"),
        ("params <= nan", "nan is not an amount above 0"),
        ("params <= 5,000", "5,000 is not an amount above 0"),
        ("latency <= 20", "'latency <= 20': the unit is missing; write us, ms or s, such as 20ms"),
        ("latency <= 20min", "min is not a unit of time; write us, ms or s"),
        ("latency <= 20MS", "MS is not a unit of time"),
    ],
)
def test_a_mistake_is_one_line(text, message):
    with pytest.raises(ConstraintError) as caught:
        read_constraint(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bounds_hold_their_own_value():
    most, least = read_constraint("params <= 100"), read_constraint("params >= 100")
    assert [most.allows(value) for value in (99, 100, 101, math.nan)] == [True, True, False, False]
    assert [least.allows(value) for value in (99, 100, 101, math.nan)] == [False, True, True, False]


def test_excess_is_a_share_of_the_bound():
    most, least = read_constraint("latency <= 20ms"), read_constraint("flops >= 2M")
    assert [most.excess(value) for value in (10, 20, 30)] == [0, 0, 0.5]
    assert [least.excess(value) for value in (3e6, 2e6, 5e5)] == [0, 0, 0.75]
    assert most.excess(math.nan) == math.inf


def test_a_violation_is_told_with_its_value():
    assert read_constraint("params <= 5M").violated_by(7_234_112) == "parameters 7,234,112, not params <= 5M"
    assert Constraint("latency", 2.0, False, "latency <= 2ms").violated_by(2.3456) == (
        "latency 2.35 ms, not latency <= 2ms"
    )


def test_an_amount_names_what_it_stands_in():
    assert read_amount("latency", "20ms") == 20
    with pytest.raises(ConstraintError, match=r"^'20': the unit is missing"):
        read_amount("latency", "20")
