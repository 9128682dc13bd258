from __future__ import annotations

import math
import pickle

import pytest

from schedulers.curves import PenguinConfig, converge
from schedulers.policies import Curve, Decision, PenguinPolicy

NAN = math.nan
# Half-epoch accuracies in percent that settle after the eighth (see the golden tests of the engine).
SETTLING = (9.68, 14.91, 17.29, 19.5, 20.97, 22.67, 23.36, 24.2, 25.14, 24.96)


def curve(trial: str, values: tuple[float, ...]) -> Curve:
    return Curve(trial, tuple(range(1, len(values) + 1)), values)


def fractions(percent: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value / 100 for value in percent)


CURVES = {
    "settling": curve("settling", fractions(SETTLING)),
    "young": curve("young", fractions(SETTLING[:5])),
    "flat": curve("flat", (0.1,) * 6),
    "diverged": curve("diverged", (0.2, 0.3, NAN)),
    "new": Curve("new"),
}


class TestRecords:
    def test_a_curve_has_one_value_an_epoch(self):
        with pytest.raises(ValueError, match="trial 'a' must be of equal length, got 2 and 1"):
            Curve("a", (1, 2), (0.5,))

    @pytest.mark.parametrize("epochs", [(2, 1), (1, 1)])
    def test_epochs_rise(self, epochs):
        with pytest.raises(ValueError, match="must rise"):
            Curve("a", epochs, (0.5, 0.6))

    def test_an_unknown_action_is_refused(self):
        with pytest.raises(ValueError, match="continue, pause, stop, got 'CONTINUE'"):
            Decision("CONTINUE", "", NAN)  # type: ignore[arg-type]


class TestPenguinPolicy:
    def test_stops_where_the_engine_settles(self):
        decision = PenguinPolicy(40).decide(CURVES)["settling"]
        found = converge(range(1, 11), SETTLING, PenguinConfig(target=40))
        assert decision.action == "stop"
        assert decision.reason == "the last 3 predictions agree within 0.5 points at epoch 8"
        assert (
            decision.prediction == pytest.approx(found.prediction / 100, abs=1e-6) == pytest.approx(0.257121, abs=2e-4)
        )

    def test_goes_on_with_the_latest_extrapolation(self):
        decision = PenguinPolicy(40).decide(CURVES)["young"]
        assert decision.action == "continue"
        assert math.isnan(decision.prediction)  # the fit of five points fails
        decision = PenguinPolicy(40).decide({"a": curve("a", fractions(SETTLING[:6]))})["a"]
        assert decision.action == "continue"
        assert decision.prediction == pytest.approx(0.24917, abs=2e-4)

    def test_an_extrapolation_outside_0_to_1_is_none(self):
        decision = PenguinPolicy(40).decide({"a": curve("a", fractions(SETTLING[:2]))})["a"]  # 102 %
        assert decision.action == "continue"
        assert math.isnan(decision.prediction)

    @pytest.mark.parametrize("last", [NAN, math.inf, -math.inf])
    def test_a_value_that_is_not_finite_stops(self, last):
        decision = PenguinPolicy(40).decide({"a": curve("a", (0.2, last))})["a"]
        assert (decision.action, decision.reason) == ("stop", "non-finite")
        assert math.isnan(decision.prediction)

    def test_a_hole_that_heals_goes_on(self):
        assert PenguinPolicy(40).decide({"a": curve("a", (0.2, NAN, 0.3))})["a"].action == "continue"

    def test_the_end_of_the_schedule_is_measured(self):
        decision = PenguinPolicy(10).decide(CURVES)["settling"]
        assert decision == Decision("stop", "end of schedule", SETTLING[-1] / 100)

    def test_nothing_measured_yet(self):
        decision = PenguinPolicy(40).decide(CURVES)["new"]
        assert decision.action == "continue"
        assert math.isnan(decision.prediction)

    def test_settings_reach_the_engine(self):
        assert PenguinPolicy(40, window=5).decide(CURVES)["settling"].action == "continue"
        assert PenguinPolicy(40, tolerance_points=50, minimum_points=5).config == PenguinConfig(
            target=40, tolerance=50, minimum_points=5
        )

    @pytest.mark.parametrize(
        "setting", [{"schedule_epochs": 0}, {"window": 0}, {"tolerance_points": 0.0}, {"minimum_points": 2}]
    )
    def test_bad_settings_are_named(self, setting):
        with pytest.raises(ValueError, match=rf"^{next(iter(setting))} must"):
            PenguinPolicy(**{"schedule_epochs": 40, **setting})

    def test_no_trials(self):
        assert PenguinPolicy(40).decide({}) == {}


class TestPurity:
    def test_the_same_curves_give_the_same_decisions(self):
        policy = PenguinPolicy(40)
        first = policy.decide(CURVES)
        assert repr(policy.decide(CURVES)) == repr(first) == repr(PenguinPolicy(40).decide(CURVES))

    def test_permuted_trials_give_the_same_decisions(self):
        forth = PenguinPolicy(40).decide(CURVES)
        back = PenguinPolicy(40).decide(dict(reversed(CURVES.items())))
        assert list(back) == list(reversed(forth))
        assert {name: repr(back[name]) for name in forth} == {name: repr(forth[name]) for name in forth}

    def test_other_trials_do_not_matter(self):
        alone = PenguinPolicy(40).decide({"settling": CURVES["settling"]})
        assert alone["settling"] == PenguinPolicy(40).decide(CURVES)["settling"]

    def test_a_growing_curve_is_decided_as_a_fresh_one(self):
        policy = PenguinPolicy(40)
        for n in range(1, 11):
            grown = {"a": curve("a", fractions(SETTLING[:n]))}
            assert repr(policy.decide(grown)) == repr(PenguinPolicy(40).decide(grown))

    def test_a_curve_that_is_rewritten_is_decided_anew(self):
        policy = PenguinPolicy(40)
        policy.decide({"a": curve("a", fractions(SETTLING))})
        rewritten = {"a": curve("a", (0.1,) * 6)}
        assert policy.decide(rewritten) == PenguinPolicy(40).decide(rewritten)

    def test_one_fit_for_each_new_epoch(self, monkeypatch):
        fits = []
        monkeypatch.setattr("schedulers.curves.penguin.fit_curve", lambda *_: fits.append(1))
        policy = PenguinPolicy(40)
        for n in range(1, 8):
            policy.decide({"a": curve("a", (0.1,) * n)})
            policy.decide({"a": curve("a", (0.1,) * n)})
        assert len(fits) == 6  # none after the first epoch

    def test_pickles(self):
        policy = PenguinPolicy(40)
        before = policy.decide(CURVES)
        copy = pickle.loads(pickle.dumps(policy))
        assert copy == policy
        assert repr(copy.decide(CURVES)) == repr(before)
