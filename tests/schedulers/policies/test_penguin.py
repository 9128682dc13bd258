from __future__ import annotations

import math

import numpy as np
import pytest

from taurank.schedulers.curves import PenguinConfig, converge, penguin
from taurank.schedulers.policies import Curve, Decision, Limits
from taurank.schedulers.policies.penguin import PenguinPolicy
from tests.schedulers.synthetic_curves import seen

NAN = math.nan
LIMITS = Limits(40)
# Half-epoch accuracies in percent and the epoch and prediction at which the published engine settles.
GOLDEN = [
    ("9.68 14.91 17.29 19.5 20.97 22.67 23.36 24.2 25.14 24.96", 8, 25.712059),
    (
        "2.176113 3.299595 5.55668 6.649798 6.710526 8.846154 10.242915 8.997976 11.59919 13.54251 "
        "12.307692 15.506073 14.02834 15.708502 15.455466 16.234818 17.054656 16.730769 16.639676 14.716599",
        17,
        22.819695,
    ),
    ("1.024549 0.983972 1.136133 1.065125 1.054981 1.024549 1.146277 1.156421", 6, 1.18876),
]
SETTLING = tuple(map(float, GOLDEN[0][0].split()))


def fractions(percent: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value / 100 for value in percent)


CURVES = seen(
    {
        "settling": fractions(SETTLING),
        "young": fractions(SETTLING[:5]),
        "flat": (0.1,) * 6,
        "diverged": (0.2, 0.3, NAN),
        "new": (),
    }
)


def decide(values: tuple[float, ...], limits: Limits = LIMITS, **options: float) -> Decision:
    return PenguinPolicy(**options).decide(seen({"a": values}), limits).trials["a"]  # type: ignore[arg-type]


class TestPenguinPolicy:
    @pytest.mark.parametrize(("percents", "epoch", "prediction"), GOLDEN)
    def test_golden_curves(self, percents, epoch, prediction):
        percent = tuple(map(float, percents.split()))
        policy = PenguinPolicy()
        for n in range(1, epoch):
            assert policy.decide(seen({"a": fractions(percent[:n])}), LIMITS).trials["a"].action == "continue"
        decision = policy.decide(seen({"a": fractions(percent[:epoch])}), LIMITS).trials["a"]
        assert decision.action == "stop"
        assert decision.reason == f"the last 3 predictions agree within 0.5 points at epoch {epoch}"
        assert decision.prediction == pytest.approx(prediction / 100, abs=2e-4)
        assert decision.saved_epochs == 40 - epoch

    def test_goes_on_with_the_latest_extrapolation(self):
        decision = PenguinPolicy().decide(CURVES, LIMITS).trials["young"]
        assert decision.action == "continue"
        assert decision.prediction == pytest.approx(0.23075, abs=2e-4)
        decision = decide(fractions(SETTLING[:6]))
        assert decision.action == "continue"
        assert decision.prediction == pytest.approx(0.24917, abs=2e-4)

    def test_an_extrapolation_outside_0_to_1_is_none(self):
        decision = decide(fractions(SETTLING[:2]))  # 102 %
        assert decision.action == "continue"
        assert math.isnan(decision.prediction)

    @pytest.mark.parametrize("last", [NAN, math.inf, -math.inf])
    def test_a_value_that_is_not_finite_stops(self, last):
        decision = decide((0.2, last))
        assert (decision.action, decision.reason) == ("stop", "not finite at epoch 2")
        assert math.isnan(decision.prediction)

    def test_a_hole_that_heals_goes_on(self):
        assert decide((0.2, NAN, 0.3)).action == "continue"

    def test_the_end_of_the_schedule_is_measured(self):
        decision = decide(fractions(SETTLING), Limits(10))
        assert (decision.action, decision.reason) == ("stop", "end of schedule")
        assert (decision.prediction, decision.saved_epochs) == (SETTLING[-1] / 100, 0)

    def test_settings_reach_the_engine(self):
        assert decide(fractions(SETTLING), window=5).action == "continue"
        assert PenguinPolicy(tolerance_points=50, minimum_points=5).config(40) == PenguinConfig(
            target=40, tolerance=50, minimum_points=5
        )

    def test_under_a_cyclic_rate_only_equal_phases_are_fitted(self):
        # Between the points of the golden curve lie others, out of phase.
        values = tuple(v for value in fractions(SETTLING) for v in (0.01, value))
        limits = Limits(80, period=2)
        found = converge(range(2, 22, 2), SETTLING, PenguinConfig(target=80))
        decision = decide(values, limits)
        assert found.stop_index is not None
        assert decision.action == "stop"
        assert decision.prediction == pytest.approx(found.prediction / 100)
        assert decide(values, Limits(80)).prediction != pytest.approx(found.prediction / 100)


class TestOtherMetrics:
    RISING = tuple(0.8 - 0.5 * math.exp(-epoch / 3) for epoch in range(1, 16))

    def stops(self, values: tuple[float, ...], metric: str) -> tuple[int, float]:
        """Points until it stops, and the prediction there."""
        policy = PenguinPolicy()
        for n in range(1, len(values) + 1):
            decision = policy.decide(seen({"a": values[:n]}), Limits(40, metric=metric)).trials["a"]
            if decision.action == "stop":
                return n, decision.prediction
        return len(values), math.nan

    def test_an_error_is_what_an_accuracy_lacks(self):
        percent = tuple(map(float, GOLDEN[0][0].split()))
        points, prediction = self.stops(tuple(1 - value for value in fractions(percent)), "error")
        assert (points, prediction) == (8, pytest.approx(1 - 0.25712059, abs=2e-4))

    @pytest.mark.parametrize("scale", [2.0**-20, 1.0, 2.0**20])
    @pytest.mark.parametrize("offset", [0.0, -300.0])
    def test_any_number_is_predicted_on_its_own_scale(self, scale, offset):
        """Curves that differ in zero and unit alone (by powers of two, which are exact) stop at the same point."""
        points, prediction = self.stops(tuple(scale * (value + offset) for value in self.RISING), "score")
        plain_points, plain = self.stops(self.RISING, "score")
        assert points == plain_points < len(self.RISING)
        assert prediction / scale - offset == pytest.approx(plain, abs=1e-6)
        assert plain == pytest.approx(0.8, abs=0.01)

    def test_a_loss_is_a_score_turned_round(self):
        points, prediction = self.stops(self.RISING, "score")
        assert self.stops(tuple(-value for value in self.RISING), "loss") == (points, -prediction)
        found = self.stops(tuple(math.exp(-value) for value in self.RISING), "perplexity")
        assert found == (points, pytest.approx(math.exp(-prediction)))

    @pytest.mark.parametrize("metric", ["loss", "perplexity", "score"])
    def test_a_flat_curve_settles(self, metric):
        assert self.stops((5.0,) * 8, metric) == (4, pytest.approx(5.0, rel=1e-5))

    def test_a_value_that_is_no_perplexity_is_passed_over(self):
        assert decide((3.0, -1.0), Limits(40, metric="perplexity")).action == "continue"


class TestPurity:
    def test_another_schedule_is_decided_anew(self):
        policy = PenguinPolicy()
        policy.decide(CURVES, LIMITS)
        for limits in (Limits(60), Limits(60, period=2), Limits(40)):
            assert repr(policy.decide(CURVES, limits)) == repr(PenguinPolicy().decide(CURVES, limits))

    def test_other_trials_do_not_matter(self):
        assert repr(decide(fractions(SETTLING))) == repr(PenguinPolicy().decide(CURVES, LIMITS).trials["settling"])

    def test_a_growing_curve_is_decided_as_a_fresh_one(self):
        policy = PenguinPolicy()
        for n in range(1, 11):
            grown = seen({"a": fractions(SETTLING[:n])})
            assert repr(policy.decide(grown, LIMITS)) == repr(PenguinPolicy().decide(grown, LIMITS))

    def test_a_curve_that_is_rewritten_is_decided_anew(self):
        policy = PenguinPolicy()
        policy.decide(seen({"a": fractions(SETTLING)}), LIMITS)
        rewritten = seen({"a": (0.1,) * 6})
        assert repr(policy.decide(rewritten, LIMITS)) == repr(PenguinPolicy().decide(rewritten, LIMITS))

    def test_one_fit_for_each_new_epoch(self, monkeypatch):
        fits = []
        real = penguin.fit_curves
        monkeypatch.setattr(penguin, "fit_curves", lambda x, y: fits.extend(np.isfinite(y).any(axis=1)) or real(x, y))
        policy = PenguinPolicy()
        for n in range(1, 8):
            for state in ("running", "paused"):
                policy.decide({"a": Curve("a", tuple(range(1, n + 1)), SETTLING[:n], state=state)}, LIMITS)
        assert sum(fits) == 6  # none after the first epoch
