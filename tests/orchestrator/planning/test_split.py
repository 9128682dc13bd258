from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taurank.orchestrator.planning.split import (
    FEW,
    IMPUTABLE,
    LONGEST_SHARE,
    MANY,
    Split,
    more_short_trainings,
    split_budget,
)


class TestMeasuredTable:
    """NAS-Bench-201, 12-of-200 schedules: what was measured to be best."""

    @pytest.mark.parametrize(("units", "shorts", "fulls"), [(99, 412, 74), (49, 285, 31)])
    def test_thousand_candidates(self, units, shorts, fulls):
        found = split_budget(1000, full_epochs=200, budget_epochs=units * 200, schedules=[12, 200])
        assert found == Split(12, False, shorts, fulls)

    def test_a_small_budget_goes_to_short_trainings(self):
        assert split_budget(1000, full_epochs=200, budget_epochs=8 * 200, schedules=[12, 200]).fulls == 0
        assert split_budget(1000, full_epochs=200, budget_epochs=8 * 200, schedules=[12, 200]).shorts == 133

    def test_what_remains_when_all_have_one_goes_to_full_trainings(self):
        found = split_budget(100, full_epochs=200, budget_epochs=20 * 200, schedules=[12, 200])
        assert found == Split(12, False, 100, 14)


class TestSplit:
    @pytest.mark.parametrize("schedules", [None, [1, 6], [6]])
    def test_full_training_of_all_is_just_that(self, schedules):
        for budget in (48.0, 48.0 - 1e-9, 87.3):
            found = split_budget(8, full_epochs=6, budget_epochs=budget, schedules=schedules, anchors=3)
            assert found == Split(0, False, 0, 8)
        assert split_budget(8, full_epochs=6, budget_epochs=47.0, schedules=schedules).fulls < 8

    @given(
        count=st.integers(1, 20_000),
        units=st.floats(0, 120) | st.floats(0, 20_000),  # of a full training
        full=st.integers(1, 200),
        schedules=st.none() | st.lists(st.integers(1, 200), max_size=3),
        anchors=st.integers(0, 30),
    )
    def test_never_more_than_the_budget(self, count, units, full, schedules, anchors):
        budget = units * full
        found = split_budget(count, full_epochs=full, budget_epochs=budget, schedules=schedules, anchors=anchors)
        assert found.cost(full) <= budget + 1e-6
        assert 0 <= found.shorts <= count
        assert 0 <= found.fulls <= count
        assert (found.short_epochs > 0) == (found.shorts > 0)
        assert found.short_epochs < full
        if found.shorts and not found.cut and schedules is not None:
            assert found.short_epochs in schedules

    @pytest.mark.parametrize("schedules", [[200], []])
    def test_without_a_shorter_schedule_trainings_are_cut(self, schedules):
        found = split_budget(1000, full_epochs=200, budget_epochs=100 * 200, schedules=schedules)
        assert (found.cut, found.short_epochs) == (True, 20)
        assert not split_budget(1000, full_epochs=200, budget_epochs=100 * 200).cut

    def test_of_several_schedules_the_one_nearest_to_what_is_best(self):
        found = split_budget(1000, full_epochs=200, budget_epochs=100 * 200, schedules=[4, 10, 25, 90, 200])
        assert found.short_epochs == 10

    def test_short_ones_get_longer_rather_than_money_be_left(self):
        # 240 epochs for 24: 10 each, but no longer than a fifth.
        found = split_budget(24, full_epochs=40, budget_epochs=240)
        assert found.short_epochs == LONGEST_SHARE * 40

    def test_everybody_gets_one_where_that_takes_a_shorter_one(self):
        # 6 % of 200 epochs are 12, which 10 full trainings buy for 166; 10 epochs for all 200.
        assert split_budget(200, full_epochs=200, budget_epochs=7 * 200) == Split(7, False, 200, 0)

    @pytest.mark.parametrize(
        ("count", "budget", "found"),
        [
            (50, 50 * 4 - 3.1, Split(4, False, 49, 0)),  # a tenth of 40 epochs each, less what proxies cost
            (12, 12 * 4 - 0.8, Split(4, False, 11, 0)),
            (50, 50 * 2 - 3.1, Split(2, False, 48, 0)),
            (50, 50 * 4 - 21, Split(3, False, 50, 0)),  # an epoch more for less than nine in ten
            (8, 8 * 4 - 0.5, Split(3, False, 8, 0)),  # one of eight is too many
        ],
    )
    def test_a_few_candidates_are_spared_so_that_the_others_are_trained_longer(self, count, budget, found):
        assert split_budget(count, full_epochs=40, budget_epochs=budget) == found

    @pytest.mark.parametrize("units", [1, 8.9, 9, 24.9])
    def test_a_small_budget_keeps_no_anchors(self, units):
        assert split_budget(1000, full_epochs=200, budget_epochs=units * 200, schedules=[12, 200]).fulls == 0

    @pytest.mark.parametrize(
        ("count", "speed_up", "found"),
        [
            (100, 10, Split(20, False, 100, 0)),
            (24, 5, Split(40, False, 24, 0)),
            (12, 10, Split(20, False, 12, 0)),
            (24, 3, Split(40, False, 24, 3)),  # what a fifth of each leaves over
        ],
    )
    def test_a_small_budget_makes_all_short_trainings_long(self, count, speed_up, found):
        assert split_budget(count, full_epochs=200, budget_epochs=count * 200 / speed_up) == found

    def test_only_what_short_schedules_leave_over_goes_to_full_trainings(self):
        found = split_budget(100, full_epochs=200, budget_epochs=10 * 200, schedules=[12, 200])
        assert found == Split(12, False, 100, 4)

    @pytest.mark.parametrize(("asked", "kept"), [(1, 1), (3, 3), (50, 10)])
    def test_anchors_are_kept_where_they_are_asked_for(self, asked, kept):
        found = split_budget(100, full_epochs=200, budget_epochs=10 * 200, anchors=asked)
        assert found.fulls == kept
        assert found.short_epochs == (10 - kept) * 2
        assert found.cost(200) <= 10 * 200

    def test_anchors_do_not_change_a_larger_budget(self):
        options = {"full_epochs": 200, "budget_epochs": 30 * 200}
        assert split_budget(300, **options, anchors=5) == split_budget(300, **options)

    @pytest.mark.parametrize(("units", "share"), [(FEW, 0.35), (MANY - 1, 0.35), (MANY + 1, 0.25)])
    def test_shares(self, units, share):
        found = split_budget(100_000, full_epochs=200, budget_epochs=units * 200)
        assert found.shorts * found.short_epochs / (units * 200) == pytest.approx(share, abs=0.0025)

    def test_rounding_takes_no_training_away(self):
        assert split_budget(10, full_epochs=1, budget_epochs=0.1 * 3 * 10).fulls == 3

    def test_a_full_training_of_everybody(self):
        assert split_budget(100, full_epochs=1, budget_epochs=100) == Split(0, False, 0, 100)


class TestMoreShortTrainings:
    SPLIT = Split(12, False, 412, 74)

    def more(self, imputability: float, left: float, split: Split = SPLIT) -> int:
        return more_short_trainings(split, 1000, full_epochs=200, left_epochs=left, imputability=imputability)

    def test_none_where_a_model_predicts_them(self):
        assert self.more(IMPUTABLE, 14800) == self.more(0.99, 14800) == 0

    @pytest.mark.parametrize("imputability", [IMPUTABLE - 0.01, 0.0, -0.5, math.nan])
    def test_everybody_where_none_does(self, imputability):
        assert self.more(imputability, 14800) == 588

    def test_anchors_are_kept(self):
        assert self.more(0.2, 3 * 200 + 12 * 100) == 100
        assert self.more(0.2, 3 * 200 + 11) == 0
        assert self.more(0.2, 100) == 0

    def test_none_where_there_are_none(self):
        assert self.more(0.2, 14800, Split(0, False, 0, 74)) == 0

    @pytest.mark.parametrize("left", [0, 1, 12, 599, 600, 612, 5000.5, 1e6])
    def test_never_more_than_what_is_left(self, left):
        found = self.more(0.0, left)
        assert 0 <= found * 12 <= max(0.0, left - 3 * 200)
