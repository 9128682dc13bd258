from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from taurank.orchestrator.evidence import Evidence
from taurank.orchestrator.ranker.inputs import make_inputs, share, weight
from taurank.orchestrator.ranker.prior import prior_order
from taurank.orchestrator.ranker.short_runs import complete_short_runs
from taurank.orchestrator.ranker.signal import SETTLED, UNKNOWN, Trainings, Validation, beyond_chance, lead_trainings
from taurank.orchestrator.ranker.views import View, make_views, normal_scores

N, NAN = 60, float("nan")


@pytest.fixture
def quality() -> np.ndarray:
    return np.random.default_rng(0).permutation(stats.norm.ppf((np.arange(N) + 0.5) / N))


def noisy(quality: np.ndarray, sd: float, seed: int) -> np.ndarray:
    return quality + np.random.default_rng(seed).normal(0, sd, len(quality))


def short(accuracies: np.ndarray, *, fidelity: float = 0.1, halfway: np.ndarray | None = None) -> View:
    early = np.array(NAN) if halfway is None else halfway
    reached = np.full(len(accuracies), fidelity)
    return View("short", "training", accuracies, accuracies, fidelity, reached, "short", halfway=early)


def size(values: np.ndarray) -> View:
    return View("flops", "size", values, values, 0.0, np.zeros(len(values)), "size")


def lead(*views: View, validation: Validation = UNKNOWN) -> Trainings:
    inputs = make_inputs(np.zeros((len(views[0].values), 0)), views)
    found = lead_trainings(complete_short_runs(inputs, views, np.random.default_rng(0)), validation)
    assert found is not None
    return found


def prior(*views: View, validation: Validation = UNKNOWN):
    inputs = make_inputs(np.zeros((len(views[0].values), 0)), views)
    shorts = complete_short_runs(inputs, views, np.random.default_rng(0))
    return prior_order(inputs, shorts, np.random.default_rng(1), validation=validation)


class TestBeyondChance:
    @pytest.mark.parametrize(
        ("accuracy", "classes", "found"),
        [(0.1, 10, 0.0), (0.05, 10, 0.0), (0.7, 10, 1.0), (10**-0.8, 10, 0.5), (0.05, 120, 1.0), (0.09, None, 1.0)],
    )
    def test_in_bits_of_the_label(self, accuracy, classes, found):
        assert beyond_chance(np.full(5, accuracy), classes) == pytest.approx(found)

    def test_that_of_the_median(self):
        assert beyond_chance(np.array([0.1, 0.1, 0.9, NAN]), 10) == 0.0


class TestSampling:
    @pytest.mark.parametrize("seed", range(5))
    def test_differences_within_the_noise_of_the_images_hardly_weigh(self, quality, seed):
        noise = short(np.random.default_rng(seed).binomial(400, 0.5, N) / 400)
        found = prior(size(quality), noise, validation=Validation(images=400))
        assert found.weights["size"] == 1.0  # although the noise does not agree with it
        assert found.weights.get("short", 0.0) < 0.5
        assert prior(size(quality), noise).weights["short"] == pytest.approx(weight(share(0.1)))

    def test_nothing_but_noise_is_nothing(self):
        views = [short(np.linspace(0.49, 0.51, N))]
        shorts = complete_short_runs(make_inputs(np.zeros((N, 0)), views), views, np.random.default_rng(0))
        assert lead_trainings(shorts, Validation(images=400)) is None

    def test_larger_ones_keep_their_weight(self, quality):
        found = lead(short(0.5 + 0.1 * quality), validation=Validation(images=10_000))
        noise = np.mean(0.25 - (0.1 * quality) ** 2) / 10_000
        assert found.signal == pytest.approx(1 - noise / np.var(0.1 * quality, ddof=1))
        assert found.judge is not None

    def test_beside_a_training_loss_it_is_averaged_by_their_weights(self, quality):
        accuracies, losses = 0.7 + 0.02 * quality, noisy(quality, 0.3, 1)
        loss = View("short:train_loss", "loss", losses, losses, 0.1, np.full(N, 0.1), "short")
        alone = lead(short(accuracies), validation=Validation(images=1000)).signal
        both = lead(short(accuracies), loss, validation=Validation(images=1000)).signal
        fades = (1 - 0.1) ** 2
        assert 0.3 < alone < 0.7
        assert both == pytest.approx((alone**2 + fades) / (alone + fades))

    def test_unknown_numbers_have_no_effect(self, quality):
        found = lead(short(0.1 + 0.001 * quality))
        assert found.signal == 1.0
        assert found.weight == weight(share(0.1))


class TestAlike:
    """Accuracies and training losses of the same trainings."""

    def signal(self, quality: np.ndarray, correlation: float) -> float:
        accuracies = normal_scores(noisy(quality, 1, 1))
        other = normal_scores(noisy(quality, 1, 2))
        other -= (other @ accuracies) / (accuracies @ accuracies) * accuracies
        losses = correlation * accuracies / accuracies.std() + np.sqrt(1 - correlation**2) * other / other.std()
        loss = View("short:train_loss", "loss", losses, losses, 0.1, np.full(N, 0.1), "short")
        return lead(short(0.7 + 0.05 * accuracies), loss).signal

    def test_orders_that_have_nothing_in_common_say_nothing(self, quality):
        assert self.signal(quality, 0.2) == 0.0
        assert 0.3 < self.signal(quality, 0.45) < 0.7
        assert self.signal(quality, 0.7) == 1.0

    def test_such_trainings_leave_the_order_to_the_other_sources(self, quality):
        flops = noisy(quality, 1, 3)
        accuracies, losses = 0.3 - 0.05 * normal_scores(flops), np.random.default_rng(4).normal(size=N)
        loss = View("short:train_loss", "loss", losses, losses, 0.1, np.full(N, 0.1), "short")
        found = prior(size(flops), short(accuracies), loss)
        assert np.array_equal(np.argsort(found.scores), np.argsort(flops))


class TestNearChance:
    """Sixty networks, 22 steps each: accuracies of 10 to 21 % where chance is 10 %, on 400 images."""

    def views(self, quality: np.ndarray, seed: int) -> tuple[View, View]:
        true = 0.1 + 0.055 * stats.norm.cdf(noisy(-0.3 * quality, 1, seed + 100))
        seen = np.random.default_rng(seed).binomial(400, true) / 400
        return size(noisy(quality, 1.5, seed + 200)), short(seen, fidelity=2 / 30)

    def test_the_order_is_that_of_the_other_sources(self, quality):
        gains = []
        for seed in range(10):
            views = self.views(quality, seed)
            known = prior(*views, validation=Validation(400, 10))
            assert known.weights["size"] == 1.0
            assert known.weights.get("short", 0.0) < 0.25
            taus = [stats.kendalltau(scores, quality).statistic for scores in (known.scores, views[0].values)]
            gains.append(taus[0] - taus[1])
        assert np.mean(gains) > -0.03

    def test_unknown_images_leave_it_to_the_trainings(self, quality):
        taus = [stats.kendalltau(prior(*self.views(quality, seed)).scores, quality).statistic for seed in range(10)]
        sizes = [stats.kendalltau(self.views(quality, seed)[0].values, quality).statistic for seed in range(10)]
        assert np.mean(taus) < np.mean(sizes) - 0.1


class TestSettled:
    def test_order_at_half_beside_that_at_the_end(self, quality):
        early = noisy(quality, 1, 3)
        found = lead(short(quality, halfway=early))
        assert found.settled == pytest.approx(np.corrcoef(normal_scores(early), quality)[0, 1])

    def test_unsettled_ones_weigh_half_and_judge_nothing(self, quality):
        other = noisy(np.zeros(N), 1, 2)
        found = lead(short(quality, halfway=other))
        assert found.settled < SETTLED
        assert found.weight == weight(share(0.1)) / 2
        order = prior(size(-quality), short(quality, halfway=other))
        assert order.weights == {"size": 1.0, "short": pytest.approx(weight(share(0.1)) / 2)}

    def test_no_effect_where_nothing_is_known_of_half(self, quality):
        found = lead(short(quality))
        assert np.isnan(found.settled)
        assert found.weight == weight(share(0.1))
        assert found.judge is not None

    def test_an_order_that_stays_counts_for_more(self, quality):
        settled = short(quality, fidelity=0.25, halfway=noisy(quality, 0.1, 4))
        found = lead(settled)
        assert found.settled > 0.99
        assert found.explained == pytest.approx(min(found.settled**4, 0.9))  # two doublings
        assert 4 < found.weight / weight(share(0.25)) * 2 < 8

    def test_an_order_that_changes_is_not_below_what_is_expected(self, quality):
        found = lead(short(quality, fidelity=0.1, halfway=noisy(quality, 1, 4)))
        assert SETTLED < found.settled < 0.8
        assert found.weight == weight(share(0.1))


class TestHalfway:
    def rows(self, schedule: int, epochs: list[int], *, missing: int = -1) -> pd.DataFrame:
        rows = [
            Evidence("s", f"s/{code}", code, "training", epoch, schedule, 0, metric, value + epoch / 100, 1.0, 1.0)
            for place, code in enumerate("abc")
            for epoch in epochs
            if (place, epoch) != (0, missing)
            for metric, value in (("validation_accuracy", 0.1 * place), ("train_loss", 2.0 + place))
        ]
        return pd.DataFrame(rows)

    def views(self, *args, **options) -> list[View]:
        return make_views(self.rows(*args, **options), list("abc"), full_epochs=100)

    def test_nearest_epoch_of_cut_trainings(self):
        accuracy, loss = self.views(100, [1, 4, 6, 9])
        assert accuracy.halfway == pytest.approx([0.04, 0.14, 0.24])
        assert loss.halfway == pytest.approx([-2.04, -3.04, -4.04])

    def test_an_epoch_that_one_lacks_is_not_used(self):
        assert self.views(100, [1, 4, 9], missing=4)[0].halfway == pytest.approx([0.01, 0.11, 0.21])

    def test_none_where_nothing_came_before(self):
        assert np.isnan(self.views(100, [9])[0].halfway).all()

    def test_none_on_a_schedule_of_its_own(self):
        assert np.isnan(self.views(9, [1, 4, 9])[0].halfway).all()
