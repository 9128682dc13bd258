"""Forecasts between replayed cells, for known and unknown spaces, and corrected by a run."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from typing import get_args

import pytest

from taurank.orchestrator.planning.forecast import ERROR, Forecast, ForecastError, budget_for, forecast, update
from taurank.orchestrator.planning.replayed_taus import (
    ReplayedTau,
    Setting,
    shipped_replays,
    summarise_cell,
)
from taurank.orchestrator.ranker import Certainty


def cell(
    n: int, budget: float, tau: float, *, setting: Setting | None = None, proxies: int = 0, draws: int = 5
) -> ReplayedTau:
    """A cell whose draws differ by .02 and whose ceiling is .9."""
    place = astuple(setting or CELL_LIST)
    return ReplayedTau(*place, proxies, n, budget, draws, tau, 0.02, tau / 0.9, 0.02, 0.9, n, 0, 1 / budget)


CELL_LIST, BLOCK_LIST, UNKNOWN = (
    Setting("cells", "pictures", 100),
    Setting("blocks", "pictures", 100),
    Setting("", "", 9),
)


CELLS = (cell(100, 5, 0.8), cell(100, 10, 0.7), cell(100, 20, 0.6), cell(400, 5, 0.86), cell(400, 20, 0.74))
OTHERS = (cell(100, 5, 0.5, setting=BLOCK_LIST), cell(100, 20, 0.4, setting=BLOCK_LIST))


def at(candidates: int, budget: float, *, setting: Setting = CELL_LIST) -> Forecast:
    return forecast(setting, candidates, budget, replays=CELLS + OTHERS)


class TestBetweenCells:
    @pytest.mark.parametrize("row", CELLS, ids=lambda row: f"{row.n}-{row.budget:g}x")
    def test_at_a_cell_it_is_the_cell(self, row: ReplayedTau) -> None:
        found = at(row.n, row.budget)
        assert found.tau == pytest.approx(row.tau, abs=1e-12)
        assert found.retained == pytest.approx(row.retained, abs=1e-12)
        assert found.near == (row,)
        assert found.basis == "replays of cells on pictures"

    def test_interval_at_a_cell_is_that_of_the_draws(self) -> None:
        # Student's t of 4 degrees of freedom, and the mean of five draws is uncertain too.
        found = at(100, 10)
        half = 2.1318468 * 0.02 * math.sqrt(1.2)
        assert (found.low, found.high) == pytest.approx((0.7 - half, 0.7 + half))

    def test_fewer_draws_make_it_wider(self) -> None:
        two, many = (forecast(CELL_LIST, 100, 5, replays=[cell(100, 5, 0.5, draws=draws)]) for draws in (2, 1000))
        assert two.high - 0.5 == pytest.approx(6.3137515 * 0.02 * math.sqrt(1.5))
        assert many.high - 0.5 == pytest.approx(1.645 * 0.02, rel=2e-3)

    def test_half_way_in_the_logarithm_is_the_mean(self) -> None:
        assert at(100, math.sqrt(50)).tau == pytest.approx(0.75)
        # 200 candidates at 10x are worth 20 trainings: the best of 100 (5x), the least of 400 (20x).
        assert at(200, 10).tau == pytest.approx((0.8 + 0.74) / 2)

    def test_the_interval_is_wider_between_cells(self) -> None:
        between, measured = at(100, math.sqrt(50)), at(100, 10)
        assert between.high - between.low > 1.5 * (measured.high - measured.low)

    def test_more_budget_never_predicts_less(self) -> None:
        for candidates in (20, 100, 150, 399, 400, 5000):
            taus = [at(candidates, 100 * 0.95**step).tau for step in range(90)]
            assert taus == sorted(taus)
            assert taus[-1] > taus[0]

    def test_cells_that_fall_are_pooled_by_their_draws(self) -> None:
        rows = [cell(100, 10, 0.7, draws=6), cell(100, 5, 0.6, draws=2)]
        assert forecast(CELL_LIST, 100, 10, replays=rows).tau == pytest.approx(0.675)
        assert forecast(CELL_LIST, 100, 5, replays=rows).tau == pytest.approx(0.675)

    def test_full_training_reaches_the_ceiling(self) -> None:
        for candidates in (40, 100, 200, 400):
            assert at(candidates, 1).tau == pytest.approx(0.9)
            assert at(candidates, 1).retained == pytest.approx(1.0)

    def test_on_the_way_to_full_training(self) -> None:
        found = at(100, math.sqrt(5))
        assert found.tau == pytest.approx((0.8 + 0.9) / 2)
        assert found.basis.endswith("2.236x lies between 5x and full training, which retains all")


class TestOutsideOfTheGrid:
    def test_fewer_candidates_keep_their_share_of_the_cost(self) -> None:
        found = at(25, 10)
        assert found.tau == pytest.approx(0.7)
        assert found.basis.endswith("; 25 candidates taken as 100, the fewest replayed")
        # Tau of a quarter as many varies twice as much.
        assert (found.high - found.low) / (at(100, 10).high - at(100, 10).low) == pytest.approx(2.0)

    def test_more_candidates_keep_their_full_trainings(self) -> None:
        found = at(4000, 50)
        assert found.tau == pytest.approx(at(400, 5).tau)
        assert "4,000 candidates taken as 400, the most replayed, with as many full trainings" in found.basis

    def test_smaller_budgets_are_the_smallest(self) -> None:
        found = at(100, 1000)
        assert found.tau == pytest.approx(0.6)
        assert found.basis.endswith("1000x taken as 20x, the cheapest replayed")


class TestSpaces:
    def test_an_unknown_one_gets_the_mean_and_a_wider_interval(self) -> None:
        found, known = at(100, 5, setting=UNKNOWN), at(100, 5)
        assert found.tau == pytest.approx((0.8 + 0.5) / 2)
        # Two spaces: t of one degree of freedom is 6.31, and their sd .212; tau ends at 1.
        within, between = 2.1318468**2 * 0.02**2 * 1.2, 6.3137515**2 * 0.045 * 1.5
        assert found.low == pytest.approx(0.65 - math.sqrt(within + between))
        assert found.high == 1.0
        assert known.high - known.low < 0.1
        assert known.is_informative
        assert not found.is_informative
        assert found.basis == "replays of blocks on pictures, cells on pictures; none of this space and length"

    @pytest.mark.parametrize("length", [40, 250])
    def test_a_known_space_of_another_length_is_unknown(self, length: int) -> None:
        assert at(100, 5, setting=replace(CELL_LIST, full_epochs=length)) == at(100, 5, setting=UNKNOWN)

    def test_other_images_widen_it_as_tables_of_a_space_differ(self) -> None:
        alike = [Setting("blocks", data, 100) for data in ("digits", "letters", "pictures")]
        rows = [cell(100, 5, tau, setting=setting) for setting, tau in zip(alike, (0.48, 0.5, 0.52), strict=True)]
        found = forecast(replace(CELL_LIST, data="letters", full_epochs=150), 100, 5, replays=[*CELLS, *rows])
        # Three tables of blocks: sd .02, two degrees of freedom; a single one of cells.
        within, between = 2.1318468**2 * 0.02**2 * 1.2, 2.9199856**2 * 0.02**2 * 2
        assert (found.tau, found.high) == pytest.approx((0.8, 0.8 + math.sqrt(within + between)))
        assert found.basis == "replays of cells on pictures; other images than those of this list"

    def test_other_images_without_several_of_a_space_widen_it_as_spaces_differ(self) -> None:
        found = at(100, 5, setting=replace(CELL_LIST, data="letters"))
        assert found.tau == pytest.approx(0.8)
        assert found.high - found.low > at(100, 5, setting=UNKNOWN).high - at(100, 5, setting=UNKNOWN).low

    def test_a_space_counts_once_however_many_tables_it_has(self) -> None:
        more = [replace(row, data="letters") for row in CELLS]
        assert forecast(UNKNOWN, 100, 5, replays=[*CELLS, *more, *OTHERS]).tau == pytest.approx((0.8 + 0.5) / 2)

    def test_three_tables_leave_an_interval(self) -> None:
        rows = [
            cell(100, 5, tau, setting=Setting(name, "pictures", 100))
            for name, tau in (("a", 0.68), ("b", 0.70), ("c", 0.72))
        ]
        found = forecast(UNKNOWN, 100, 5, replays=rows)
        within, between = 2.1318468**2 * 0.02**2 * 1.2, 2.9199856**2 * 0.02**2 * 4 / 3
        assert found.tau == pytest.approx(0.70)
        assert found.high - found.tau == pytest.approx(math.sqrt(within + between))
        assert found.tau - found.low == pytest.approx(found.high - found.tau)

    def test_one_table_says_nothing_about_another_space(self) -> None:
        found = forecast(UNKNOWN, 100, 5, replays=CELLS)
        assert (found.tau, found.low, found.high) == (pytest.approx(0.8), -1.0, 1.0)

    def test_proxies_are_those_asked_for_where_both_are_measured(self) -> None:
        rows = [cell(100, 5, 0.6), cell(100, 5, 0.7, proxies=13)]
        assert forecast(CELL_LIST, 100, 5, replays=rows).tau == 0.6
        assert forecast(CELL_LIST, 100, 5, proxies=True, replays=rows).tau == 0.7
        assert forecast(CELL_LIST, 100, 5, proxies=True, replays=rows[:1]).tau == 0.6

    def test_clamping_is_said_once(self) -> None:
        assert at(400, 20, setting=UNKNOWN).basis.count("400 candidates taken as 100") == 1


class TestBudgetFor:
    @pytest.mark.parametrize("tau", [0.75, 0.8, 0.85, 0.899])
    @pytest.mark.parametrize("candidates", [40, 100, 200])
    def test_inverts_the_forecast(self, candidates: int, tau: float) -> None:
        found = budget_for(CELL_LIST, candidates, tau, replays=CELLS)
        assert found is not None
        assert found == forecast(CELL_LIST, candidates, found.budget, replays=CELLS)
        assert found.tau >= tau
        assert forecast(CELL_LIST, candidates, found.budget + 0.11, replays=CELLS).tau < tau

    def test_none_beyond_the_ceiling(self) -> None:
        assert budget_for(CELL_LIST, 100, 0.91, replays=CELLS) is None

    def test_the_cheapest_replayed_where_anything_will_do(self) -> None:
        found = budget_for(CELL_LIST, 100, 0.1, replays=CELLS)
        assert found is not None
        assert found.budget == 20.0

    def test_a_measured_tau_costs_what_it_cost(self) -> None:
        found = budget_for(CELL_LIST, 100, 0.7, replays=CELLS)
        assert found is not None
        assert found.budget == 10.0


class TestUpdate:
    now, end = at(100, 20), at(100, 5)

    def corrected(self, certainty: Certainty, expected: float, end: Forecast | None = None) -> Forecast:
        return update(
            self.now,
            end or self.end,
            expected_tau=expected,
            interval=(expected - 0.03, expected + 0.03),
            certainty=certainty,
        )

    def test_without_an_expectation_nothing_changes(self) -> None:
        assert self.corrected("calibrated", math.nan) is self.end

    @pytest.mark.parametrize("certainty", get_args(Certainty))
    def test_moves_by_its_share_of_the_difference(self, certainty: Certainty) -> None:
        found = self.corrected(certainty, 0.4)
        theirs = (math.atanh(self.end.high) - math.atanh(self.end.low)) / 2
        ours = math.hypot((math.atanh(0.43) - math.atanh(0.37)) / 2, ERROR)
        weight = theirs**2 / (theirs**2 + ours**2)
        moved = math.atanh(found.tau) - math.atanh(0.8)
        assert moved == pytest.approx(weight * (math.atanh(0.4) - math.atanh(0.6)))
        assert found.retained == pytest.approx(found.tau / 0.9)
        assert found.low < found.tau < found.high
        assert f"{certainty} ranking" in found.basis

    def test_of_an_unknown_list_the_ranking_decides(self) -> None:
        wide = at(100, 5, setting=UNKNOWN)
        found = update(wide, wide, expected_tau=0.3, interval=(0.2, 0.4), certainty="uncalibrated")
        assert found.tau == pytest.approx(0.3, abs=0.05)
        assert found.is_informative

    def test_as_expected_changes_the_interval_only(self) -> None:
        found = self.corrected("calibrated", 0.6)
        assert found.tau == pytest.approx(0.8)
        assert found.high - found.low < self.end.high - self.end.low

    def test_stays_within_one(self) -> None:
        found = update(self.now, self.end, expected_tau=1.0, interval=(1.0, 1.0), certainty="calibrated")
        assert 0.8 < found.tau <= 1.0
        assert found.high <= 1.0


class TestMistakes:
    def test_one_candidate(self) -> None:
        with pytest.raises(ForecastError, match="candidates: 1 have no order"):
            at(1, 10)

    @pytest.mark.parametrize("budget", [0.5, -3.0, math.nan, math.inf])
    def test_a_budget_that_is_none(self, budget: float) -> None:
        with pytest.raises(ForecastError, match="is not how many times cheaper"):
            at(100, budget)

    def test_nothing_replayed(self) -> None:
        with pytest.raises(ForecastError, match="nothing was replayed"):
            forecast(CELL_LIST, 100, 10, replays=())


def test_a_cell_is_the_mean_of_its_draws() -> None:
    draw = {"n": 30, "budget": 4.0, "tau": 0.5, "retained": 0.6, "ceiling": 0.8, "shorts": 30, "fulls": 2, "cost": 0.2}
    found = summarise_cell([draw, draw | {"tau": 0.7, "fulls": 4}], CELL_LIST, proxies=2)
    assert found.tau == pytest.approx(0.6)
    assert found.tau_sd == pytest.approx(math.sqrt(0.02))
    assert (found.fulls, found.retained_sd, found.draws, found.units) == (3, 0, 2, 7.5)
    with pytest.raises(ValueError, match="draws: 1 given"):
        summarise_cell([draw], CELL_LIST, proxies=2)


class TestShippedReplays:
    def test_are_what_they_say(self) -> None:
        rows = shipped_replays()
        assert {"nasbench201", "spikenas", "naap440"} <= {row.space for row in rows}
        for row in rows:
            assert row.draws >= 2
            assert -0.1 < row.tau < row.ceiling + 0.1 <= 1.1  # three short trainings of 300 order nothing
            assert row.cost <= 1 / row.budget + 1e-5
            assert row.tau_sd >= 0
        assert len({(row.setting, row.proxies, row.n, row.budget) for row in rows}) == len(rows)

    def test_every_list_can_be_asked(self) -> None:
        for setting in {row.setting for row in shipped_replays()}:
            found = forecast(setting, 30, 7.0)
            assert found.is_informative
            assert found.low < found.tau < found.high

    def test_a_list_of_ones_own_is_less_certain(self) -> None:
        found = forecast(UNKNOWN, 60, 10)
        for setting in {row.setting for row in shipped_replays()}:
            known = forecast(setting, 60, 10)
            assert known.high - known.low < found.high - found.low


def test_more_candidates_for_the_same_share_do_not_predict_less() -> None:
    # Twice the candidates buy twice the trainings.
    steady = [replace(row, tau=0.5 + 0.1 * math.log(row.units), retained=0.5) for row in CELLS]
    taus = [forecast(CELL_LIST, n, 10, replays=steady).tau for n in (100, 150, 200, 300)]
    assert taus == sorted(taus)
