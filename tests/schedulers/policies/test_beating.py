from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from taurank.schedulers.curves.ensemble import CurveEnsemble
from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.policies import Curve, Limits, make_policy
from taurank.schedulers.policies.beating import BeatingPolicy
from taurank.schedulers.policies.simulation import simulate
from tests.schedulers.synthetic_curves import LastValueModel, apart, rising, seen

NAN = float("nan")
LIMITS = Limits(10)
BEST = Curve("best", tuple(range(1, 11)), (0.8,) * 10, state="finished")


def judged(*values: float, limits: Limits = LIMITS, best: Curve = BEST, **options: object):
    policy = BeatingPolicy(**{"extrapolator": LastValueModel(0.1), **options})  # type: ignore[arg-type]
    running = Curve("judged", tuple(range(1, len(values) + 1)), values, state="running", until=10)
    return policy.decide({"best": best, "judged": running}, limits).trials["judged"]


def test_the_probability_decides():
    threshold = 0.8 + 0.1 * norm.ppf(0.05)
    worse, better = judged(0.1, 0.1, threshold - 1e-3), judged(0.1, 0.1, threshold + 1e-3)
    assert (worse.action, worse.saved_epochs, worse.sd) == ("stop", 7, 0.1)
    assert worse.prediction == pytest.approx(threshold - 1e-3)
    assert worse.reason == "beats the best final 0.8 with probability 0.049, below 0.05"
    assert better.action == "continue"
    assert better.prediction == pytest.approx(threshold + 1e-3)
    assert judged(0.1, 0.1, threshold - 1e-3, probability=0.01).action == "continue"


def test_lower_is_better_for_a_loss():
    limits = Limits(10, metric="loss")
    assert judged(0.9, 0.9, 1.1, limits=limits).action == "stop"
    assert judged(0.9, 0.9, 0.1, limits=limits).action == "continue"


def test_checks_are_at_shares_of_the_schedule():
    assert BeatingPolicy().check_epochs(Limits(10)) == {3, 4, 5, 6, 7, 8, 9}
    assert BeatingPolicy().check_epochs(Limits(200)) == {60, 80, 100, 120, 140, 160, 180}
    assert BeatingPolicy(first_check=0.5, interval=0.25).check_epochs(Limits(90, period=6)) == {48, 72}
    assert BeatingPolicy().check_epochs(Limits(2)) == {1}
    assert judged(0.1, 0.1).action == "continue"
    assert judged(0.1, 0.1, 0.1).action == "stop"


def test_nobody_is_stopped_before_somebody_has_ended():
    unfinished = Curve("best", (1, 2, 3, 4, 5, 6, 7, 8, 9), (0.8,) * 9, state="running", until=10)
    failed = Curve("best", (1, 10), (0.8, NAN), state="failed")
    for best in (unfinished, failed):
        assert judged(0.1, 0.1, 0.1, best=best).action == "continue"


def test_a_forecast_that_knows_nothing_stops_nobody():
    assert judged(0.1, 0.1, 0.1, extrapolator=LastValueModel(NAN)).action == "continue"


def test_the_model_sees_all_curves_in_one_order():
    class Counting:
        def __init__(self) -> None:
            self.seen: list[np.ndarray] = []

        def forecast(self, curves):
            self.seen.append(curves.values)
            return LastValueModel().forecast(curves)

    model = Counting()
    curves = {"best": BEST, **seen({"a": (0.1, 0.2, 0.3), "b": (0.4,), "c": ()})}
    policy = BeatingPolicy(extrapolator=model)
    first = policy.decide(curves, LIMITS)
    assert repr(policy.decide(dict(reversed(curves.items())), LIMITS).trials["a"]) == repr(first.trials["a"])
    assert model.seen[0].shape == (3, 10)
    np.testing.assert_array_equal(model.seen[0], model.seen[1])


class TestWithTheCurveEnsemble:
    def test_the_default(self):
        assert make_policy("beating") == BeatingPolicy("ensemble")
        named = simulate(BeatingPolicy("ensemble"), Limits(20), rising(6, 20))
        given = simulate(BeatingPolicy(CurveEnsemble()), Limits(20), rising(6, 20))
        assert named.steps == given.steps
        assert {trial: c.epochs for trial, c in named.curves.items()} == {t: c.epochs for t, c in given.curves.items()}

    def test_stops_dominated_and_not_dominating_curves(self):
        x = np.arange(1, 41)
        shape = 1 - x**-0.7
        noise = np.random.default_rng(0).normal(0, 0.002, (3, 40))
        values = np.array([0.75, 0.45, 0.92])[:, None] * shape + noise  # middle, dominated, dominating
        seed = next(s for s in range(100) if first_trial(s) == "0")
        done = simulate(BeatingPolicy(seed=seed), Limits(40), CurveMatrix(values, x))
        assert {trial: curve.state for trial, curve in done.curves.items()} == {
            "0": "finished",
            "1": "stopped",
            "2": "finished",
        }
        assert done.curves["1"].last_epoch == 12

    def test_rising_trials_in_rising_order_all_run_to_the_end(self):
        matrix = apart(3, 30)
        seed = next(s for s in range(100) if simulated_order(s) == ["0", "1", "2"])
        done = simulate(BeatingPolicy(seed=seed), Limits(30, metric="score"), matrix)
        assert done.epochs == 90


def simulated_order(seed: int) -> list[str]:
    curves = seen({"0": (), "1": (), "2": ()})
    return [step.trial for step in BeatingPolicy(seed=seed).decide(curves, Limits(30)).next]


def first_trial(seed: int) -> str:
    return simulated_order(seed)[0]
