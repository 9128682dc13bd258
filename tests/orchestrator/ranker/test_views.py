from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from taurank.orchestrator.ranker import make_views, normal_scores
from taurank.orchestrator.ranker.views import reliability
from tests.orchestrator.ranker.tables import FULL, Table


class TestNormalScores:
    def test_closed_form(self):
        expected = stats.norm.ppf([0.5 / 4, 3.5 / 4, 1.5 / 4, 2.5 / 4])
        assert normal_scores(np.array([1.0, 40.0, 2.0, 3.0])) == pytest.approx(expected)

    def test_ties_are_averaged_and_missing_stays_missing(self):
        scores = normal_scores(np.array([5.0, np.nan, 5.0, 9.0]))
        assert scores[0] == scores[2] == pytest.approx(stats.norm.ppf(1 / 3))
        assert math.isnan(scores[1])
        assert scores[3] == pytest.approx(stats.norm.ppf(2.5 / 3))

    @pytest.mark.parametrize("values", [[7.0], [3.0, 3.0, 3.0]])
    def test_without_differences_all_are_in_the_middle(self, values):
        assert normal_scores(np.array(values)) == pytest.approx(np.zeros(len(values)))


class TestViews:
    def test_names_fidelities_and_kinds(self, usual):
        views = make_views(usual.supernet(np.arange(30.0)).frame, usual.codes, full_epochs=FULL)
        found = [(view.name, view.kind, view.fidelity, view.is_accuracy, view.is_short) for view in views]
        assert found == [
            ("flops", "size", 0.0, False, False),
            ("parameters", "size", 0.0, False, False),
            ("training-3", "training", 3 / 40, True, True),
            ("training-40", "training", 1.0, True, False),
            ("supernet:uniform", "supernet", 0.0, False, False),
        ]

    def cut(self, stage: str, last: list[int]):
        """Views of trainings that each reached another epoch of four; the accuracy is higher from one to the next."""
        table = Table(len(last))
        for place, (code, reached) in enumerate(zip(table.codes, last, strict=True)):
            for epoch in range(1, reached + 1):
                table.add(stage, "training", code, epoch, 4, "validation_accuracy", 0.1 * (place + epoch))
                table.add(stage, "training", code, epoch, 4, "train_loss", 1 / (place + epoch))
        return {view.kind: view for view in make_views(table.frame, table.codes, full_epochs=FULL)}

    def test_a_training_that_the_budget_has_cut_is_unknown_beside_whole_ones(self):
        found = self.cut("training-4", [4, 4, 1, 4, 2])
        for view in (found["training"], found["loss"]):
            assert np.isnan(view.order).tolist() == [False, False, True, False, True]
        assert found["training"].order[[0, 1, 3]] == pytest.approx([0.4, 0.5, 0.7])

    def test_one_that_a_policy_has_ended_is_below_those_that_went_on(self):
        (found,) = self.cut("training-4:asha", [4, 4, 1, 4, 2]).values()
        assert np.argsort(found.order).tolist() == [2, 4, 0, 1, 3]

    def test_as_long_as_few_are_whole_all_take_part(self):
        (found,) = self.cut("training-4", [4, 2, 1, 3]).values()
        assert np.isfinite(found.order).all()

    def supernet_view(self, trained_on: dict[int, float]):
        # The second and the third are .2 apart in log-odds, the others 2.
        values = 1 / (1 + np.exp(-np.array([3.0, 1.0, 0.8, -3.0])))
        table, stage = Table(4).supernet(values), "supernet:uniform"
        for code in table.codes:
            table.add(stage, stage, code, 10, 10, "validation_accuracy_sd", 0.01)
        for index, value in trained_on.items():
            for epoch, accuracy in ((1, 1 - value), (2, value)):
                source = f"{stage}:contenders"
                table.add(stage, source, table.codes[index], epoch, 2, "validation_accuracy", accuracy)
        (view,) = make_views(table.frame, table.codes, full_epochs=FULL)
        return values, view

    def test_contenders_are_ranked_again_and_values_stay_measured(self):
        values, view = self.supernet_view({1: 0.6, 2: 0.7})
        assert view.values.tolist() == values.tolist()
        assert view.order.tolist() == values[[0, 2, 1, 3]].tolist()
        assert (view.name, view.kind, view.is_training) == ("supernet:uniform", "supernet", False)

    def test_a_contender_that_failed_keeps_its_place(self):
        values, view = self.supernet_view({1: math.nan, 2: 0.7})
        assert view.order.tolist() == values.tolist()

    def test_a_supernet_has_the_noise_of_its_images(self):
        values, view = self.supernet_view({})
        assert view.sds.tolist() == [0.01] * 4
        assert view.reliability == pytest.approx(1 - 1e-4 / values.var(ddof=1))

    def test_reliability_is_unknown_without_noise_or_differences(self):
        values = np.array([0.1, 0.2, 0.4])
        assert math.isnan(reliability(values, np.array(math.nan)))
        assert math.isnan(reliability(np.full(3, 0.5), np.full(3, 0.1)))
        assert math.isnan(reliability(np.array([0.5]), np.array([0.1])))
        assert reliability(values, np.full(3, 1.0)) == 0.0
        assert reliability(values, np.zeros(3)) == 1.0
        # A candidate without an accuracy does not count.
        some = reliability(np.array([0.1, np.nan, 0.2, 0.4]), np.array([0.05, 9.0, 0.05, 0.05]))
        assert some == pytest.approx(1 - 0.0025 / values.var(ddof=1))

    def test_the_last_epoch_counts(self):
        table = Table(2)
        for epoch, value in ((1, 0.9), (2, 0.3)):
            for code in table.codes:
                table.add("training-2", "training", code, epoch, 2, "validation_accuracy", value)
        (view,) = make_views(table.frame, table.codes, full_epochs=FULL)
        assert view.values.tolist() == [0.3, 0.3]

    def test_where_trials_ended_early_more_epochs_come_first(self):
        table = Table(3)
        for code, epoch, value in zip(table.codes, (1, 9, 9), (0.99, 0.2, 0.1), strict=True):
            table.add("training-9:asha", "training", code, epoch, 9, "validation_accuracy", value)
        ended, until = make_views(table.frame, table.codes, full_epochs=9)
        assert (ended.name, until.name) == ("training-9:asha", "training-9:asha:until")
        assert np.argsort(-until.order).tolist() == [1, 2, 0]
        assert (ended.is_final, until.is_final) == (True, False)
        for view in (ended, until):
            assert view.values == pytest.approx([np.nan, 0.2, 0.1], nan_ok=True)
            assert view.reached == pytest.approx([1 / 9, 1, 1])

    def test_a_prediction_stands_for_the_epochs_that_were_saved(self):
        table = Table(2)
        table.add("s", "training", "c000", 3, 9, "validation_accuracy", 0.3)
        table.add("s", "training", "c000", 3, 9, "predicted_accuracy", 0.8)
        table.add("s", "training", "c001", 9, 9, "validation_accuracy", 0.7)
        (view,) = make_views(table.frame, table.codes, full_epochs=9)
        assert view.values.tolist() == [0.8, 0.7]
        assert view.order.tolist() == [0.8, 0.7]

    def test_the_sd_of_a_prediction_goes_with_it(self):
        table = Table(3)
        for code, epoch in zip(table.codes, (3, 6, 9), strict=True):
            table.add("s", "training", code, epoch, 9, "validation_accuracy", 0.3)
            table.add("s", "training", code, epoch, 9, "predicted_accuracy", 0.8)
        table.add("s", "training", "c000", 3, 9, "predicted_accuracy_sd", 0.1)
        table.add("s", "training", "c001", 3, 9, "predicted_accuracy", 0.7)
        table.add("s", "training", "c001", 3, 9, "predicted_accuracy_sd", 0.2)  # of an earlier prediction
        table.add("s", "training", "c002", 9, 9, "predicted_accuracy_sd", 0.3)  # which was measured in the end
        (view,) = make_views(table.frame, table.codes, full_epochs=9)
        assert view.values.tolist() == [0.8, 0.8, 0.3]
        assert view.sds == pytest.approx([0.1, np.nan, np.nan], nan_ok=True)

    def test_who_waits_without_a_prediction_is_seen_by_its_beginning(self):
        table = Table(3)
        for code, epoch, value in zip(table.codes, (3, 3, 9), (0.3, 0.4, 0.7), strict=True):
            table.add("s", "training", code, epoch, 9, "validation_accuracy", value)
        table.add("s", "training", "c000", 3, 9, "predicted_accuracy", 0.8)
        table.add("s", "training", "c000", 3, 9, "predicted_accuracy_sd", 0.1)
        final, until = make_views(table.frame, table.codes, full_epochs=9)
        assert (final.name, until.name) == ("s", "s:until")
        assert final.values == pytest.approx([0.8, np.nan, 0.7], nan_ok=True)
        assert until.values == pytest.approx([np.nan, np.nan, 0.7], nan_ok=True)
        # Measured beside measured: the second began better, the third has come further.
        assert np.argsort(-until.order).tolist() == [2, 1, 0]
        assert (final.is_final, until.is_final) == (True, False)

    def test_a_failed_trial_has_no_value(self):
        table = Table(3).training(3, [0.5, np.nan, 0.7])
        (view,) = make_views(table.frame, table.codes, full_epochs=FULL)
        assert np.isfinite(view.order).tolist() == [True, False, True]

    def test_nothing(self):
        assert make_views(Table(2).frame, ["c000", "c001"], full_epochs=FULL) == []
