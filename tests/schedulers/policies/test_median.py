from __future__ import annotations

import numpy as np
import pytest

from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.policies import Curve, Limits
from taurank.schedulers.policies.median import MedianPolicy
from taurank.schedulers.policies.simulation import simulate
from tests.schedulers.synthetic_curves import apart, rising, seen

NAN = float("nan")
LIMITS = Limits(10)


def judged(last: tuple[float, ...], others: list[tuple[float, ...]], limits: Limits = LIMITS, **options: int):
    curves = seen({f"other{i}": row for i, row in enumerate(others)})
    curves["judged"] = Curve("judged", tuple(range(1, len(last) + 1)), last, state="running", until=10)
    return MedianPolicy(**options).decide(curves, limits).trials["judged"]


def reference(values: np.ndarray, first: int, minimum: int, order: list[int]) -> list[int]:
    """One worker: the epochs that each trial trains, by the rule as it is written."""
    reached = [0] * len(values)
    for trial in order:
        for epoch in range(1, values.shape[1] + 1):
            reached[trial] = epoch
            others = [i for i in range(len(values)) if i != trial and reached[i] >= epoch]
            if epoch < first or len(others) < minimum:
                continue
            means = [values[i, first - 1 : epoch].mean() for i in others]
            if values[trial, :epoch].max() < np.median(means):
                break
    return reached


@pytest.mark.parametrize("seed", range(5))
def test_one_worker_follows_the_rule(seed):
    matrix = rising(25, 30, seed=seed, noise=0.03)
    done = simulate(MedianPolicy(seed=seed), Limits(30), matrix)
    order = list(dict.fromkeys(int(step.trial) for step in done.steps))
    expected = reference(matrix.values, 3, 3, order)
    assert [curve.last_epoch for curve in done.curves.values()] == expected
    assert min(expected) < 30


@pytest.mark.parametrize(("trials", "stopped"), [(3, 0), (4, 1)])
def test_two_others_never_stop(trials, stopped):
    # Drawn so that the worst comes last.
    matrix = apart(trials, 20)
    seed = next(
        s
        for s in range(100)
        if simulate(MedianPolicy(seed=s), Limits(20, metric="score"), matrix).steps[-1].trial == "0"
    )
    done = simulate(MedianPolicy(seed=seed), Limits(20, metric="score"), matrix)
    assert sum(curve.state == "stopped" for curve in done.curves.values()) == stopped


def test_worse_than_the_median_of_the_running_means():
    others = [(0.6, 0.8), (0.7, 0.9), (0.4, 0.4), (0.9, 0.9)]  # means .7, .8, .4, .9
    worse = judged((0.1, 0.74), others)
    assert (worse.action, worse.saved_epochs) == ("stop", 8)
    assert worse.reason == "best 0.74 is worse than 0.75, the median of the running means of 4 others at epoch 2"
    assert judged((0.1, 0.76), others).action == "continue"


@pytest.mark.parametrize(
    ("own", "others"),
    [
        ((0.9, 0.1), [(0.8, 0.8)] * 3),  # the best value counts and not the last
        ((0.5, 0.5), [(0.5, 0.5)] * 3),  # equal is not worse
        ((0.1, 0.1), [(0.5, 0.5), (0.5, 0.5), (0.5,)]),  # only trials of as many epochs count
    ],
)
def test_what_is_not_worse_continues(own, others):
    assert judged(own, others).action == "continue"


def test_means_begin_with_the_first_epoch_of_judgement():
    others = [(0.0, 0.6, 0.6)] * 3  # mean .4 from the first epoch on, .6 from the second
    assert judged((0.5, 0.5, 0.5), others, first_epoch=1).action == "continue"
    assert judged((0.5, 0.5, 0.5), others, first_epoch=2).action == "stop"
    assert judged((0.7, 0.5, 0.5), others, first_epoch=2).action == "continue"


def test_nobody_is_judged_before_a_tenth_of_the_schedule():
    others = [tuple(np.full(4, 0.9))] * 3
    limits = Limits(40)
    assert judged((0.1, 0.1, 0.1), others, limits).action == "continue"
    assert judged((0.1, 0.1, 0.1, 0.1), others, limits).action == "stop"


def test_under_a_cyclic_rate_only_equal_phases_count():
    others = [(0.2, 0.6)] * 3
    limits = Limits(10, period=2)
    assert judged((0.1, 0.5), others, limits).action == "stop"
    assert judged((0.1, 0.5), others).action == "continue"
    assert judged((0.9, 0.5), others, limits).action == "stop"
    assert judged((0.1, 0.7, 0.1), others, limits).action == "continue"


def test_a_waiting_trial_is_judged_too():
    curves = seen({**{f"other{i}": (0.9,) for i in range(3)}, "bad": (0.1,)})
    assert MedianPolicy().decide(curves, LIMITS).trials["bad"].action == "stop"


def test_those_that_failed_count_as_long_as_they_lived():
    others = [(0.5, 0.5), (0.5, 0.5), (0.5, 0.5, NAN)]
    assert judged((0.1, 0.1), others).action == "stop"
    assert judged((0.1, 0.1, 0.1), others).action == "continue"


def test_a_first_epoch_beyond_the_schedule_is_refused():
    with pytest.raises(ValueError, match=r"^first_epoch must be at most the schedule of 10 epochs, got 11$"):
        MedianPolicy(first_epoch=11).decide(seen({"a": ()}), LIMITS)


def test_a_stop_gives_its_epochs_to_the_next():
    matrix = CurveMatrix(np.linspace(0.9, 0.1, 30)[:, None] * np.ones((30, 10)), np.arange(1, 11))
    done = simulate(MedianPolicy(), Limits(10, 100), matrix)
    assert 90 < done.epochs <= 100
    assert sum(bool(curve.epochs) for curve in done.curves.values()) > 10
