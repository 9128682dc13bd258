"""The order-settling policy: abreast within the budget, then where it pays; pure, thrifty, and never stuck."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from taurank.schedulers.curves.matrix import CurveMatrix
from taurank.schedulers.policies import Curve, Limits, Policy
from taurank.schedulers.policies.asha import AshaPolicy
from taurank.schedulers.policies.driver import Driver
from taurank.schedulers.policies.order_settling import OrderSettlingPolicy, _wide_sizes
from taurank.schedulers.policies.simulation import simulate
from tests.schedulers.synthetic_curves import apart, new_driver, rising, train

TRIALS, EPOCHS = 40, 50


@pytest.mark.parametrize("budget", [40, 41, 100, 333, 800, 1999, 2000])
@pytest.mark.parametrize("goal", ["order", "top", "best", "tenth"])
@pytest.mark.parametrize("slots", [1, 3])
def test_budget_is_spent_and_never_exceeded(budget: int, goal: str, slots: int) -> None:
    limits = Limits(EPOCHS, budget_epochs=budget, slots=slots)
    result = simulate(OrderSettlingPolicy(goal=goal), limits, rising(TRIALS, EPOCHS))  # type: ignore[arg-type]
    assert result.epochs <= budget
    assert min(curve.last_epoch for curve in result.curves.values()) >= 1
    longest_step = max(step.until for step in result.steps)
    assert result.epochs > budget - longest_step


def test_everybody_stands_abreast_and_what_is_left_takes_some_one_rung_on() -> None:
    limits = Limits(EPOCHS, budget_epochs=10.5 * TRIALS)
    result = simulate(OrderSettlingPolicy(), limits, rising(TRIALS, EPOCHS))
    reached = {curve.last_epoch for curve in result.curves.values()}
    assert reached == {10, 14}


def test_the_reserve_takes_fewer_and_fewer_of_the_best_to_the_end() -> None:
    recorded = apart(TRIALS, EPOCHS)
    result = simulate(OrderSettlingPolicy(goal="best"), Limits(EPOCHS, budget_epochs=400, metric="score"), recorded)
    epochs = np.array([result.curves[str(trial)].last_epoch for trial in range(TRIALS)])
    assert epochs[-1] == EPOCHS
    assert (epochs[:10] == epochs.min()).all()
    assert epochs.min() == 6
    assert (np.diff(epochs) >= 0).all()


@pytest.mark.parametrize(("budget", "last"), [(300, 29), (500, EPOCHS), (800, EPOCHS)])
def test_the_border_of_the_best_tenth_trains_on_as_one(budget: int, last: int) -> None:
    """At least 15 % go up to the last rung that the reserve pays for, the end of the schedule or before it."""
    recorded, limits = apart(TRIALS, EPOCHS), Limits(EPOCHS, budget_epochs=budget, metric="score")
    found = simulate(OrderSettlingPolicy(goal="tenth"), limits, recorded)
    epochs = np.array([found.curves[str(trial)].last_epoch for trial in range(TRIALS)])
    assert (epochs[-6:] >= last).all()
    assert (epochs >= last).sum() < TRIALS / 2


@pytest.mark.parametrize("spare", [0, 5, 30, 77, 400, 1000])
def test_sizes_are_paid_for_and_never_below_the_least(spare: int) -> None:
    prices, least = [2, 3, 4, 6, 9, 5], 4
    sizes = _wide_sizes(prices, spare, least)
    if sizes is None:
        assert spare < least * prices[0]
        return
    assert sum(price * size for price, size in zip(prices, sizes, strict=True)) <= spare
    assert sizes == sorted(sizes, reverse=True)
    assert all(size >= least for size in sizes if size)
    rungs = sum(size > 0 for size in sizes)
    assert rungs == len(prices) or least * sum(prices[: rungs + 1]) > spare


def test_interrupted_anywhere_it_goes_on_with_the_same_steps() -> None:
    recorded, limits, policy = (
        rising(TRIALS, EPOCHS),
        Limits(EPOCHS, budget_epochs=300),
        OrderSettlingPolicy(goal="top"),
    )
    whole = train(new_driver(policy, limits, TRIALS), recorded)
    for reports in (0, 37, 200, 260, 290):
        before = new_driver(policy, limits, TRIALS)
        train(before, recorded, reports=reports)
        after = new_driver(policy, limits, TRIALS)
        after.load(before.curves.values())
        train(after, recorded)
        reached = {trial: curve.last_epoch for trial, curve in after.curves.items()}
        uninterrupted = new_driver(policy, limits, TRIALS)
        train(uninterrupted, recorded)
        assert reached == {trial: curve.last_epoch for trial, curve in uninterrupted.curves.items()}
    assert len(whole) > TRIALS


def test_target_tau_finishes_early_and_says_that_it_is_a_guess() -> None:
    recorded = apart(TRIALS, EPOCHS)
    policy = OrderSettlingPolicy(target_tau=0.7)
    limits = Limits(EPOCHS, metric="score")
    driver = new_driver(policy, limits, TRIALS)
    train(driver, recorded)
    reached = {curve.last_epoch for curve in driver.curves.values()}
    assert max(reached) < EPOCHS
    assert min(reached) >= 0.1 * EPOCHS
    assert driver.latest.phase == "done"
    assert "guess" in driver.latest.reason
    assert "reaches 0.7" in driver.latest.reason
    decision = driver.decisions["0"]
    assert decision.action == "pause"
    assert decision.saved_epochs == EPOCHS - reached.pop()
    assert math.isnan(decision.prediction)  # nobody has finished


def test_predicts_finals_once_three_have_finished() -> None:
    recorded = apart(TRIALS, EPOCHS)
    driver = new_driver(OrderSettlingPolicy(goal="best"), Limits(EPOCHS, budget_epochs=600, metric="score"), TRIALS)
    train(driver, recorded)
    finished = [trial for trial, curve in driver.curves.items() if curve.state == "finished"]
    assert len(finished) >= 3
    error = driver.decisions["20"].prediction - recorded.values[20, -1]
    assert abs(error) < 1.645 * driver.decisions["20"].sd < 0.2
    # The best ones have finished; the others are farther from them than these from each other.
    others = [trial for trial in driver.curves if trial not in finished]
    errors = [driver.decisions[trial].prediction - recorded.values[int(trial), -1] for trial in others]
    assert np.mean([abs(e) < 1.645 * driver.decisions[t].sd for e, t in zip(errors, others, strict=True)]) >= 0.7
    assert driver.decisions[finished[0]].prediction == recorded.values[int(finished[0]), -1]


def test_without_limits_everybody_trains_to_the_end() -> None:
    result = simulate(OrderSettlingPolicy(), Limits(EPOCHS), rising(TRIALS, EPOCHS))
    assert {curve.state for curve in result.curves.values()} == {"finished"}


def test_a_slow_trial_holds_nobody_up() -> None:
    policy, limits = OrderSettlingPolicy(), Limits(EPOCHS, budget_epochs=12 * 10, slots=2)
    driver = new_driver(policy, limits, 10)
    slow = driver.choose()
    assert slow is not None
    recorded = rising(10, EPOCHS)
    train(driver, recorded)
    others = [curve for trial, curve in driver.curves.items() if trial != slow.trial]
    assert min(curve.last_epoch for curve in others) >= slow.until
    assert driver.curves[slow.trial].state == "running"


def test_failed_trials_are_left_out_and_their_epochs_go_to_others() -> None:
    recorded = rising(TRIALS, EPOCHS)
    values = recorded.values.copy()
    values[:10, 2:] = np.nan
    result = simulate(OrderSettlingPolicy(), Limits(EPOCHS, budget_epochs=400), CurveMatrix(values, recorded.epochs))
    states = [result.curves[str(trial)].state for trial in range(TRIALS)]
    assert states[:10] == ["failed"] * 10
    assert min(result.curves[str(trial)].last_epoch for trial in range(10, TRIALS)) > 10
    assert result.epochs <= 400


@pytest.mark.parametrize("trials", [1, 2, 7])
def test_few_trials(trials: int) -> None:
    result = simulate(OrderSettlingPolicy(), Limits(EPOCHS, budget_epochs=5 * trials), rising(trials, EPOCHS))
    assert all(curve.last_epoch == 5 for curve in result.curves.values())


def test_all_fail() -> None:
    recorded = CurveMatrix(np.full((9, EPOCHS), np.inf), np.arange(1, EPOCHS + 1))
    driver = Driver(OrderSettlingPolicy(), Limits(EPOCHS, budget_epochs=90), {str(row): () for row in range(9)})
    for trial in range(9):
        step = driver.choose()
        assert step is not None
        driver.report(step.trial, 1, float(recorded.values[trial, 0]))
    assert driver.choose() is None
    assert driver.latest.phase == "done"


@pytest.mark.parametrize(("epochs", "budget"), [(50, 0.6), (57, 0.579)], ids=["abreast", "by gain"])
def test_a_decision_on_a_thousand_trials_takes_little_longer_than_one_of_asha(epochs: int, budget: float) -> None:
    trials, schedule = 1000, 100
    values = rising(trials, schedule).values
    curves = {
        str(row): Curve(str(row), tuple(range(1, epochs + 1)), tuple(values[row, :epochs].tolist()), state="paused")
        for row in range(trials)
    }
    limits = Limits(schedule, budget_epochs=budget * trials * schedule, slots=8)

    def seconds(policy: Policy) -> float:
        took = []
        for _ in range(3):
            began = time.process_time()
            policy.decide(curves, limits)
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(OrderSettlingPolicy()) < 15 * seconds(AshaPolicy())


def test_a_period_that_does_not_divide_the_schedule() -> None:
    limits = Limits(EPOCHS, budget_epochs=TRIALS * 10, period=4)
    result = simulate(OrderSettlingPolicy(), limits, rising(TRIALS, EPOCHS))
    assert {step.until % 4 for step in result.steps if step.until < EPOCHS} == {0}
    assert result.epochs <= TRIALS * 10


def test_too_small_a_budget_names_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"budget_epochs 39 is below 40, 1 for each of 40 trials"):
        simulate(OrderSettlingPolicy(), Limits(EPOCHS, budget_epochs=39), rising(TRIALS, EPOCHS))


@pytest.mark.parametrize(
    ("options", "named"),
    [({"goal": "all"}, "goal"), ({"target_tau": 1.0}, "target_tau"), ({"min_fraction": 0}, "min_fraction"),
     ({"reserve": 1.0}, "reserve"), ({"seed": -1}, "seed")],
)  # fmt: skip
def test_options_outside_their_range_are_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        OrderSettlingPolicy(**options)  # type: ignore[arg-type]


def test_orders_all_trials_better_than_halving_at_equal_cost() -> None:
    from taurank.schedulers.curves.ladder import Ladder
    from taurank.schedulers.policies.successive_halving import SuccessiveHalvingPolicy

    differences = []
    for seed in range(10):
        recorded = rising(100, EPOCHS, seed=seed)
        limits = Limits(EPOCHS, budget_epochs=0.2 * 100 * EPOCHS)
        taus = [
            kendalltau(Ladder().fit(simulate(policy, limits, recorded).matrix).scores, recorded.values[:, -1]).statistic
            for policy in (OrderSettlingPolicy(), SuccessiveHalvingPolicy())
        ]
        differences.append(taus[0] - taus[1])
    assert np.mean(differences) > 0.05


def test_a_late_report_of_a_paused_trial_changes_only_its_own_curve() -> None:
    policy, limits = OrderSettlingPolicy(), Limits(EPOCHS, budget_epochs=200)
    curves = {str(i): Curve(str(i), (1, 2), (0.1 * i, 0.2 * i), state="paused") for i in range(5)}
    late = replace(curves["3"], epochs=(1, 2, 3), values=(0.3, 0.6, 0.61))
    before, after = policy.decide(curves, limits), policy.decide(curves | {"3": late}, limits)
    assert {s.trial for s in before.next} == {s.trial for s in after.next}
