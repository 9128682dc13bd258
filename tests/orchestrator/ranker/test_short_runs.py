from __future__ import annotations

import numpy as np
import pytest

from taurank.orchestrator.ranker.inputs import MIN_SHORT_RUNS, Inputs
from taurank.orchestrator.ranker.short_runs import ShortRuns, complete_short_runs
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
