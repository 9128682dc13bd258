"""Objectives of accuracy and cost, by their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from taurank.orchestrator.hardware.objectives import (
    KINDS,
    ObjectiveError,
    additive_linear,
    multiplicative_log,
    objective,
    ratio,
    weighted_product,
)


class TestWeightedProduct:
    def test_twice_the_target_costs_five_percent(self):
        # 2 ** -.07 = .95265, the trade-off that the exponent is made for.
        assert weighted_product(1.0, 160.0, 80.0) == pytest.approx(0.952638, abs=1e-6)
        assert weighted_product(0.75, 80.0, 80.0) == 0.75
        assert weighted_product(1.0, 40.0, 80.0) == pytest.approx(1 / 0.952638, abs=2e-6)

    def test_hard_gains_nothing_below_the_target(self):
        hard = weighted_product([0.7, 0.7, 0.7, 0.7], [20.0, 80.0, 160.0, 320.0], 80.0, within=0.0, beyond=-1.0)
        assert hard.tolist() == [0.7, 0.7, 0.35, 0.175]

    def test_the_ratio_with_a_positive_exponent_is_the_same(self):
        cost = np.array([3.0, 10.0, 70.0])
        assert ratio(0.6, cost, 10.0, exponent=0.07) == pytest.approx(weighted_product(0.6, cost, 10.0), rel=1e-14)

    def test_an_exponent_of_the_wrong_sign_is_refused(self):
        with pytest.raises(ObjectiveError, match="reward cost"):
            weighted_product(0.7, 10.0, 10.0, beyond=0.07)
        with pytest.raises(ObjectiveError, match="rewards cost"):
            ratio(0.7, 10.0, 10.0, exponent=-0.1)
        with pytest.raises(ObjectiveError, match="rewards cost"):
            additive_linear(0.7, 10.0, 10.0, weight=-0.1)


class TestLosses:
    def test_fbnet(self):
        # 2 * .2 * ln(e ** 2) ** .6 = .4 * 2 ** .6
        assert multiplicative_log(2.0, math.e**2) == pytest.approx(0.606286627, abs=1e-9)

    def test_proxyless(self):
        # 2 * .2 * (ln 80 / ln 80) ** .3, and of the square of the reference 2 ** .3 as much
        assert multiplicative_log(2.0, 80.0, reference=80.0) == pytest.approx(0.4, rel=1e-14)
        assert multiplicative_log(2.0, 6400.0, reference=80.0) == pytest.approx(0.4 * 1.2311444, abs=1e-7)

    @pytest.mark.parametrize(("latency", "reference"), [(1.0, None), (0.8, None), (5.0, 1.0), ([9.0, 0.2], 20.0)])
    def test_no_logarithm_of_a_millisecond_or_less(self, latency, reference):
        with pytest.raises(ObjectiveError, match=r"above 1 ms; measure larger batches, or use mnasnet-soft$"):
            multiplicative_log(2.0, latency, reference=reference)

    def test_additive(self):
        assert additive_linear([2.0, 2.0, 2.0], [80.0, 40.0, 120.0], 80.0).tolist() == pytest.approx([2.0, 1.95, 2.05])


class TestOneOfThem:
    @pytest.mark.parametrize("kind", KINDS)
    def test_more_accurate_and_cheaper_are_better(self, kind):
        accuracy = np.linspace(0.1, 1.0, 10)
        assert (np.diff(objective(kind, accuracy, np.full(10, 30.0), 20.0)) > 0).all()
        cost = np.geomspace(25.0, 400.0, 10)
        assert (np.diff(objective(kind, np.full(10, 0.8), cost, 20.0)) < 0).all()

    def test_values(self):
        assert objective("mnasnet-soft", 0.9, 40.0, 20.0) == pytest.approx(0.9 * 2**-0.07)
        assert objective("mnasnet-hard", 0.9, 40.0, 20.0) == pytest.approx(0.45)
        assert objective("ratio", 0.9, 40.0, 20.0) == pytest.approx(0.9 * 0.5**0.1)
        assert objective("additive-linear", math.exp(-1), 40.0, 20.0) == pytest.approx(-1.1)
        assert objective("multiplicative-log", math.exp(-1), 400.0, 20.0) == pytest.approx(-0.2 * 2**0.3)

    @pytest.mark.parametrize("kind", KINDS)
    def test_missing_stays_missing(self, kind):
        found = objective(kind, [0.5, math.nan, 0.5], [30.0, 30.0, math.nan], 20.0)
        assert np.isnan(found).tolist() == [False, True, True]

    @pytest.mark.parametrize("kind", ["mnasnet-soft", "mnasnet-hard", "ratio", "additive-linear"])
    @pytest.mark.parametrize(("cost", "target"), [(0.0, 20.0), (-1.0, 20.0), (3.0, 0.0), (3.0, math.nan)])
    def test_no_cost_is_refused(self, kind, cost, target):
        with pytest.raises(ObjectiveError, match="is not above 0"):
            objective(kind, 0.5, cost, target)

    def test_no_accuracy_at_all_is_the_worst_loss(self):
        assert objective("additive-linear", [0.0, 0.5], [20.0, 20.0], 20.0)[0] == -math.inf
