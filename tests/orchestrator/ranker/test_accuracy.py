"""Final accuracies: a candidate's own where it was trained to the end, else predicted if enough others were."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from taurank.orchestrator.ranker.accuracy import (
    FEWEST_ANCHORS,
    SEED_SD,
    FinalAccuracies,
    final_accuracies,
    sampling_noise,
)
from taurank.orchestrator.ranker.views import View

NAN = np.nan
COUNT = 40
MEAN = np.linspace(1.5, -1.5, COUNT)
SPREAD = np.full(COUNT, 0.3)


def view(values, fidelity: float, *, reached=None, sds=NAN) -> View:
    values = np.asarray(values, dtype=float)
    reached = np.where(np.isfinite(values), fidelity, 0.0) if reached is None else np.asarray(reached)
    return View("training", "training", values, values, fidelity, reached, "training", np.array(sds))


def full(known: dict[int, float], count: int = COUNT) -> View:
    values = np.full(count, NAN)
    values[list(known)] = list(known.values())
    return view(values, 1.0)


def finals(*views: View, images: int | None = None) -> FinalAccuracies:
    return final_accuracies(MEAN, SPREAD, views, level=0.9, images=images)


SHORT = view(special.expit(0.5 * MEAN), 0.1)


class TestMeasured:
    def test_carries_what_was_measured(self):
        known = {3: 0.61, 20: 0.93, 30: 1.0, 39: 0.0}
        found = finals(SHORT, full(known), images=100)
        assert found.values[list(known)].tolist() == list(known.values())
        assert found.full_trainings == 4

    @pytest.mark.parametrize("accuracy", [0.0, 1 / 38, 0.5, 37 / 38, 1.0])
    def test_the_interval_holds_it_and_has_a_width(self, accuracy):
        found = finals(full({5: accuracy}), images=38)
        assert found.low[5] <= accuracy <= found.high[5]
        assert found.high[5] - found.low[5] > 0.05

    def test_binomial_noise_of_the_images(self):
        """At .5 on 40 images its sd is .079; another 40 images have the same."""
        found = finals(full({5: 0.5}), images=40)
        half = (found.high[5] - found.low[5]) / 2
        assert half == pytest.approx(1.645 * np.sqrt(2 * 0.25 / 40 + 2 * (0.25 * SEED_SD) ** 2), rel=0.08)

    def test_seed_noise_alone_where_images_are_unknown(self):
        found = finals(full({5: 0.8}))
        assert (found.high[5] - found.low[5]) / 2 == pytest.approx(1.645 * np.sqrt(2) * 0.16 * SEED_SD, rel=0.02)

    def test_seeds_are_averaged_and_tell_their_noise(self):
        alike = finals(full({5: 0.80, 6: 0.7, 7: 0.6}), full({5: 0.82, 6: 0.7, 7: 0.6}))
        apart = finals(full({5: 0.70, 6: 0.5, 7: 0.8}), full({5: 0.92, 6: 0.9, 7: 0.4}))
        assert alike.values[5] == apart.values[5] == pytest.approx(0.81)
        assert apart.high[5] - apart.low[5] > 3 * (alike.high[5] - alike.low[5])

    def test_a_prediction_is_no_measurement(self):
        values = np.full(COUNT, NAN)
        values[:5] = 0.9, 0.8, 0.7, 0.6, 0.5
        early = view(values, 1.0, reached=np.full(COUNT, 0.4), sds=np.full(COUNT, 0.05))
        found = finals(SHORT, early)
        assert found.full_trainings == 5
        assert found.values[0] != 0.9
        assert np.isfinite(found.values).all()

    def test_holds_what_is_measured_next(self):
        """Simulated: 90 % of second seeds on other images, and of the other candidates."""
        generator = np.random.default_rng(0)
        own, others = [], []
        for _ in range(150):
            truth = special.expit(1 + 0.6 * MEAN + generator.normal(0, 0.15, COUNT))

            def measure(truth=truth) -> np.ndarray:
                seeded = special.expit(special.logit(truth) + generator.normal(0, SEED_SD, COUNT))
                return generator.binomial(50, seeded) / 50

            rows = generator.permutation(COUNT)[:6]
            found = finals(SHORT, full(dict(zip(rows, measure()[rows], strict=True))), images=50)
            again = measure()
            inside = (found.low <= again) & (again <= found.high)
            own.append(inside[rows].mean())
            others.append(np.delete(inside, rows).mean())
        assert 0.86 <= np.mean(own) <= 0.96
        assert 0.87 <= np.mean(others) <= 0.99


class TestOthers:
    @pytest.mark.parametrize("labels", range(FEWEST_ANCHORS))
    def test_nothing_is_predicted_from_few(self, labels):
        known = {10 * place: 0.5 for place in range(labels)}
        found = finals(SHORT, full(known), images=100)
        assert np.flatnonzero(np.isfinite(found.values)).tolist() == list(known)
        assert np.flatnonzero(np.isfinite(found.low)).tolist() == list(known)
        assert found.full_trainings == labels

    def test_from_three_all_are(self):
        found = finals(SHORT, full({0: 0.9, 20: 0.8, 39: 0.7}), images=100)
        assert np.isfinite(found.values).all()
        assert ((found.low < found.values) & (found.values < found.high)).all()

    def test_few_images_widen_the_intervals(self):
        known = {0: 0.9, 20: 0.8, 39: 0.7}
        few, many = (finals(SHORT, full(known), images=images) for images in (20, 100_000))
        assert (few.high - few.low).mean() > 1.4 * (many.high - many.low).mean()
        assert many.low == pytest.approx(finals(SHORT, full(known)).low, abs=0.002)


class TestSamplingNoise:
    def test_closed_form(self):
        """Half of 100 images right at a spread of .5 logits: noise .04 of .25."""
        values = special.expit(np.tile([-0.5, 0.5], 20))
        noise = np.mean([1 / (100 * p * (1 - p)) for p in (100 * values + 1) / 102])
        assert sampling_noise([view(values, 0.1)], 100) == pytest.approx(noise / (0.25 - noise))

    def test_nothing_but_noise_is_mostly_noise(self):
        values = np.random.default_rng(0).binomial(12, 0.5, COUNT) / 12
        assert sampling_noise([view(values, 0.1)], 12) > 1

    @pytest.mark.parametrize("values", [np.full(COUNT, 0.4), np.full(COUNT, NAN)])
    def test_finite_without_differences(self, values):
        assert sampling_noise([view(values, 0.1)], 12) == 0.0

    def test_none_where_it_is_unknown(self):
        assert sampling_noise([SHORT], None) == 0.0
        assert sampling_noise([], 12) == 0.0
