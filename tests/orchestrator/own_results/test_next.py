"""What to train next: within the budget, what is informative, and what it does to the expected tau."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import taurank
from taurank.orchestrator.experiment import BudgetError
from taurank.orchestrator.own_results import ResultsError
from taurank.orchestrator.ranker import TrainingOption
from taurank.orchestrator.ranker.prospects import most_informative, result_noise, taus_before_and_after
from tests.orchestrator.own_results.test_ranking_of_results import FULL, SHORT, draw

ARGUMENTS = {"full_epochs": FULL, "metric": "val_loss"}


def test_the_budget_is_kept_and_counts_what_was_trained() -> None:
    rows, _, features = draw(0)
    spent, whole = 10 * FULL + 20 * SHORT, 30 * FULL
    found = taurank.next_trainings(rows, **ARGUMENTS, features=features, budget="1.5x")
    assert found.spent == spent
    assert 0 < found.epochs <= whole / 1.5 - spent
    assert found.epochs == found.to_frame()["epochs"].sum()
    for training in found.trainings:
        assert (training.from_epoch, training.to_epoch, training.epochs) == (SHORT, FULL, FULL - SHORT)
    again = taurank.next_trainings(rows, **ARGUMENTS, features=features, epochs=100, restart=True)
    assert {(one.from_epoch, one.epochs) for one in again.trainings} == {(0, FULL)}
    assert again.epochs == 100


def test_candidates_without_results_get_a_short_training_as_the_others_had() -> None:
    rows, _, features = draw(1)
    known = rows[~rows["net"].isin([f"net-{net}" for net in range(20, 30)])]
    found = taurank.next_trainings(known, **ARGUMENTS, features=features, epochs=60)
    first = [one for one in found.trainings if one.from_epoch == 0]
    assert first
    assert {one.to_epoch for one in first} == {SHORT}
    assert {one.candidate for one in first} <= {f"net-{net}" for net in range(20, 30)}


@pytest.mark.slow
@pytest.mark.parametrize("described", [True, False])
def test_the_tau_afterwards_is_the_tau_that_comes(described: bool) -> None:
    """Forecasts, trains what they say, and compares with full trainings by another seed: the means agree."""
    expected, came, now = [], [], []
    for seed in range(6):
        rows, truth, features = draw(seed)
        options = ARGUMENTS | ({"features": features} if described else {})
        found = taurank.next_trainings(rows, **options, epochs=8 * (FULL - SHORT))
        chosen = [one.candidate for one in found.trainings]
        ended, _, _ = draw(seed, ended=30)
        later = pd.concat([rows[~rows["net"].isin(chosen)], ended[ended["net"].isin(chosen)]])
        order = taurank.rank(later, **options).to_frame().set_index("candidate")["rank"]
        expected.append(found.prospect.after)
        by_another_seed = truth + np.random.default_rng(seed).normal(0, 0.03, len(truth))
        came.append(taurank.kendall_tau(-order, -by_another_seed).tau)
        now.append(found.prospect.now)
    assert len(chosen) == 8
    assert np.mean(expected) > np.mean(now)
    assert abs(np.mean(expected) - np.mean(came)) < 0.12


def test_equal_candidates_do_not_count_as_an_order() -> None:
    """Pairs with equal features have equal scores, which a result of one sets apart: the tau does not fall for it."""
    losses = {net: 0.5 + 0.1 * (net % 6) + 0.01 * net for net in range(12)}
    rows = [
        {"net": f"net-{net}", "epoch": epoch, "val_loss": round(end + 1 / epoch, 4)}
        for net, end in losses.items()
        for epoch in range(1, 21 if net < 3 else 6)
    ]
    sizes = [{"net": f"net-{net}", "depth": net % 6} for net in losses]
    found = taurank.next_trainings(rows, **ARGUMENTS, features=sizes, epochs=15).prospect
    assert found.after > found.now - 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "budget or epochs: give one of the two"),
        ({"budget": "2x", "epochs": 3}, "give one of the two"),
        ({"budget": "10x"}, "budget: 10x is 60 epochs, and the results took 320; the cheapest training takes 14"),
        ({"epochs": 5}, "epochs: 5; the cheapest training takes 14"),
        ({"epochs": 0}, "epochs: 0 trains nothing"),
    ],
)
def test_budgets_that_train_nothing(options: dict[str, object], message: str) -> None:
    rows, _, _ = draw(0)
    with pytest.raises(ResultsError, match=message):
        taurank.next_trainings(rows, **ARGUMENTS, **options)  # type: ignore[arg-type]
    with pytest.raises(BudgetError, match="write 10x"):
        taurank.next_trainings(rows, **ARGUMENTS, budget="much")


def test_nothing_is_left_to_train() -> None:
    rows, _, _ = draw(0, candidates=10)
    with pytest.raises(ResultsError, match="nothing is left to train"):
        taurank.next_trainings(rows, **ARGUMENTS, epochs=100)


def test_the_most_informative_for_its_cost_comes_first() -> None:
    # Candidate 0 stands for 1 and 2; 3 is alone.
    covariance = np.array([[1, 0.9, 0.9, 0], [0.9, 1, 0.9, 0], [0.9, 0.9, 1, 0], [0, 0, 0, 1.0]])
    rows, noises, costs = np.arange(4), np.full(4, 0.1), np.full(4, 10.0)
    assert most_informative(covariance, rows, noises, costs, 20)[1] == 3
    assert most_informative(covariance, rows, noises, np.array([10, 10, 10, 2.0]), 2) == [3]
    assert most_informative(covariance, rows, noises, costs, 9) == []


def test_a_shorter_training_says_less() -> None:
    def noise(fidelity: float) -> float:
        return result_noise(1.0, TrainingOption("a", 0.0, fidelity, 1.0), label_noise=0.03, known=False)

    assert noise(0.05) > noise(0.3) > noise(0.9) > noise(1.0) == 0.03
    continued = result_noise(1.0, TrainingOption("a", 0.3, 0.6, 1.0), label_noise=0.03, known=True)
    assert continued > noise(0.6)


def test_taus_of_independent_normal_scores() -> None:
    """With C = I and exact results of all, the tau is 1; without any, that of an order by chance is 0."""
    generator = np.random.default_rng(0)
    deviations = generator.standard_normal((2200, 12))
    truths, rows = deviations[-200:], np.arange(12)
    before, after = taus_before_and_after(np.zeros(12), deviations, truths, rows, np.zeros(12), generator)
    assert abs(before.mean()) < 0.05
    assert after.mean() > 0.95
    _, half = taus_before_and_after(np.zeros(12), deviations, truths, rows[:6], np.zeros(6), generator)
    assert 0.4 < half.mean() < after.mean()
