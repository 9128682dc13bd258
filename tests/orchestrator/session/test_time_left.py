from __future__ import annotations

import pytest

from taurank.orchestrator.session.time_left import time_left


def steady(count: int, seconds: float) -> list[tuple[float, float]]:
    return [(100.0 + seconds * place, 1.0) for place in range(count)]


def test_a_steady_pace_has_no_doubt() -> None:
    found = time_left(steady(17, 3.0), 10.0, of_stage=False)
    assert found is not None
    assert (found.seconds, found.low, found.high) == pytest.approx((30.0, 30.0, 30.0))


def test_a_pace_that_changes_is_doubtful() -> None:
    # Eight epochs of a second, then eight of three: 32 s for 16 epochs.
    times = [float(second) for second in range(9)] + [8.0 + 3 * epoch for epoch in range(1, 9)]
    found = time_left([(time, 1.0) for time in times], 10.0, of_stage=True)
    assert found is not None
    assert (found.seconds, found.low, found.high) == pytest.approx((20.0, 10.0, 30.0))
    assert found.of_stage


def test_epochs_that_come_together_count_together() -> None:
    """Two workers in step take half as long as one."""
    both = [(time, 1.0) for time, _ in steady(9, 2.0) for _ in range(2)]
    found = time_left(both, 10.0, of_stage=False)
    assert found is not None
    assert found.seconds == pytest.approx(10.0, rel=0.07)  # the first of them has no time of its own


@pytest.mark.parametrize("booked", [[], steady(4, 1.0), [(5.0, 1.0)] * 9])
def test_too_little_is_known(booked: list[tuple[float, float]]) -> None:
    assert time_left(booked, 10.0, of_stage=False) is None
