from __future__ import annotations

import numpy as np
import pytest

from taurank.orchestrator.ranker.inputs import MIN_SHORT_RUNS, Inputs, make_inputs
from taurank.orchestrator.ranker.short_runs import ShortRuns, complete_short_runs, diverged_ones
from taurank.orchestrator.ranker.views import View, normal_scores

N = 120
NAN = float("nan")


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch):
    monkeypatch.setattr("taurank.orchestrator.ranker.short_runs.TREES", 60)


@pytest.fixture
def inputs() -> Inputs:
    return Inputs(np.random.default_rng(0).standard_normal((N, 6)), np.zeros((N, 0)), (), (), ())


@pytest.fixture
def smooth(inputs) -> np.ndarray:
    """A function of two of six features."""
    return np.tanh(inputs.encoding[:, 1]) + 0.5 * inputs.encoding[:, 4]


def view(values, rows=None, fidelity=0.1, kind="training", name="short") -> View:
    order = np.full(len(values), NAN)
    order[slice(None) if rows is None else rows] = values if rows is None else values[rows]
    return View(name, kind, order, order, fidelity, np.where(np.isfinite(order), fidelity, 0.0), "stage")


def complete(inputs, *views, seed=0) -> list[ShortRuns]:
    return complete_short_runs(inputs, views, np.random.default_rng(seed))


class TestImputability:
    def test_near_one_where_the_encoding_tells(self, inputs, smooth):
        (found,) = complete(inputs, view(smooth))
        assert found.imputability > 0.95

    def test_low_for_noise(self, inputs):
        (found,) = complete(inputs, view(np.random.default_rng(1).standard_normal(N)))
        assert found.imputability < 0.4

    def test_is_that_of_unseen_candidates(self, inputs, smooth):
        (found,) = complete(inputs, view(smooth, rows=np.arange(0, N, 2)))
        unseen = np.corrcoef(found.predicted[1::2], normal_scores(smooth)[1::2])[0, 1]
        assert found.imputability == pytest.approx(unseen, abs=0.05)


class TestCompleted:
    def test_measured_where_there_is_a_measurement(self, inputs, smooth):
        rows = np.arange(0, N, 3)
        (found,) = complete(inputs, view(smooth, rows=rows))
        assert found.rows.tolist() == rows.tolist()
        assert found.measured[rows] == pytest.approx(normal_scores(smooth[rows]))
        others = np.setdiff1d(np.arange(N), rows)
        assert found.measured[others] == pytest.approx(found.predicted[others])

    def test_length_scales_tell_relevant_features(self, inputs, smooth):
        (found,) = complete(inputs, view(smooth))
        assert set(np.argsort(found.scales)[:2]) == {1, 4}
        assert np.log(found.scales).mean() == pytest.approx(0.0, abs=1e-9)

    @pytest.mark.parametrize("count", [1, MIN_SHORT_RUNS - 1])
    def test_too_few_teach_no_model(self, inputs, smooth, count):
        rows = np.arange(count)
        (found,) = complete(inputs, view(smooth, rows=rows))
        assert np.isnan(found.imputability)
        assert found.predicted[count:].tolist() == [0.0] * (N - count)
        assert found.measured[rows] == pytest.approx(normal_scores(smooth[rows]))
        assert (found.scales == 1).all()

    def test_equal_ones_teach_no_model(self, inputs):
        (found,) = complete(inputs, view(np.full(N, 0.1)))
        assert np.isnan(found.imputability)
        assert (found.measured == 0).all()

    def test_without_columns_there_is_nothing_to_predict_from(self, smooth):
        (found,) = complete(Inputs(np.zeros((N, 0)), np.zeros((N, 0)), (), (), ()), view(smooth, rows=np.arange(60)))
        assert found.imputability == 0.0
        assert (found.predicted == 0).all()

    def test_a_longer_one_is_predicted_from_the_shorter_too(self, inputs, smooth):
        noise = np.random.default_rng(2).standard_normal(N)  # of the candidates, and no function of the encoding
        rows = np.arange(0, N, 2)
        long = view(noise, rows=rows, fidelity=0.5, name="long")
        alone = complete(inputs, long)[0]
        first, second = complete(inputs, long, view(noise + 0.05 * smooth, fidelity=0.1))
        assert (first.fidelity, second.fidelity) == (0.1, 0.5)
        assert alone.imputability < 0.5 < 0.9 < second.imputability

    def test_the_loss_is_known_before_the_accuracy(self, inputs, smooth):
        found = complete(inputs, view(smooth), view(smooth, kind="loss", name="loss"))
        assert [short.is_loss for short in found] == [True, False]

    def test_full_trainings_are_no_short_ones(self, inputs, smooth):
        assert complete(inputs, view(smooth, fidelity=1.0)) == []

    def test_the_seed_decides(self, inputs, smooth):
        first, again = (complete(inputs, view(smooth, rows=np.arange(70)), seed=3)[0] for _ in range(2))
        assert (first.predicted == again.predicted).all()


class TestDivergedAmongFew:
    CHEAP = np.linspace(-1.5, 1.5, 12)
    ACCURACIES = np.linspace(0.6, 0.8, 12)

    def found(self, *places: int) -> list[int]:
        accuracies = self.ACCURACIES.copy()
        accuracies[list(places)] = 0.1
        return np.flatnonzero(diverged_ones(accuracies, self.CHEAP)).tolist()

    def test_one_at_chance_that_was_expected_above_the_middle(self):
        assert self.found(9) == [9]

    def test_one_that_was_expected_below_it_stays(self):
        assert self.found(2) == []

    def test_of_two_of_twelve_none_is_taken_out(self):
        assert self.found(8, 10) == []

    def test_two_of_twenty_four_are(self):
        accuracies = np.tile(self.ACCURACIES, 2)
        accuracies[[10, 23]] = 0.1
        assert np.flatnonzero(diverged_ones(accuracies, np.tile(self.CHEAP, 2))).tolist() == [10, 23]

    def test_none_otherwise(self):
        assert self.found() == []
        assert not diverged_ones(np.full(12, 0.5), self.CHEAP).any()
        assert not diverged_ones(np.where(np.arange(12) < 7, self.ACCURACIES, NAN), self.CHEAP).any()

    def test_its_score_is_half_of_that_without_training(self):
        accuracies = self.ACCURACIES.copy()
        accuracies[9] = 0.1
        size = View("flops", "size", self.CHEAP, self.CHEAP, 0.0, np.zeros(12), "size")
        inputs = make_inputs(np.zeros((12, 0)), [size])
        loss = view(accuracies, kind="loss", name="loss")
        found = complete(inputs, view(accuracies), loss)
        for short in found:
            assert short.measured[9] == pytest.approx(normal_scores(self.CHEAP)[9] / 2)
            others = np.delete(np.arange(12), 9)
            assert short.rows.tolist() == others.tolist()
            assert short.measured[others] == pytest.approx(normal_scores(self.ACCURACIES[others]))
