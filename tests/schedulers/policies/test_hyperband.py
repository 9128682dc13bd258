from __future__ import annotations

from collections import Counter

import pytest

from taurank.schedulers.policies import Limits
from taurank.schedulers.policies.hyperband import HyperbandPolicy
from taurank.schedulers.policies.rungs import halving_epochs, hyperband_brackets
from taurank.schedulers.policies.simulation import simulate
from taurank.schedulers.policies.standing import drawn_order
from tests.schedulers.synthetic_curves import new_driver, rising, seen, train

TABLE_81 = [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]


def names(trials: int) -> list[str]:
    return [str(trial) for trial in range(trials)]


def sizes(policy: HyperbandPolicy, trials: int, limits: Limits) -> list[tuple[int, int]]:
    return [(len(bracket.trials), bracket.rungs[0]) for bracket in policy.brackets(names(trials), limits)]


@pytest.mark.parametrize(
    ("epochs", "table"),
    [
        (81, TABLE_81),
        (27, [(27, 1), (12, 3), (6, 9), (4, 27)]),
        (200, [(98, 2), (41, 7), (18, 22), (9, 66), (6, 200)]),
        (1, [(1, 1)]),
    ],
)
def test_the_brackets_of_the_formula(epochs, table):
    assert list(hyperband_brackets(epochs)) == table[::-1]
    assert sizes(HyperbandPolicy(), sum(trials for trials, _ in table), Limits(epochs)) == table


def test_rungs_of_the_brackets():
    rungs = [bracket.rungs for bracket in HyperbandPolicy().brackets(names(143), Limits(81))]
    assert rungs == [(1, 3, 9, 27, 81), (3, 9, 27, 81), (9, 27, 81), (27, 81), (81,)]


def test_a_second_band_takes_who_is_left():
    assert sizes(HyperbandPolicy(), 200, Limits(81)) == [*TABLE_81, (57, 1)]


def test_the_cheapest_that_fit():
    # 297 for (81, 1) leave 123; 19 trials from epoch 3 on take 19*3 + 6*6 + 2*18 + 1*54 = 183, from epoch 1 on 103.
    assert sizes(HyperbandPolicy(), 100, Limits(81, 420)) == [(81, 1), (19, 1)]
    assert sizes(HyperbandPolicy(), 100, Limits(81, 480)) == [(81, 1), (19, 3)]


def test_a_large_budget_leaves_out_the_cheapest_brackets():
    spent = []
    for share in (0.06, 0.1, 0.2, 0.4, 1.0):
        brackets = HyperbandPolicy().brackets(names(100), Limits(81, share * 8100))
        spent.append(sum(halving_epochs(len(b.trials), b.rungs, 3) for b in brackets) / 8100)
        assert sum(len(bracket.trials) for bracket in brackets) == 100
        assert spent[-1] <= share
    assert spent == sorted(spent)
    assert spent[2] > 0.12
    assert spent[3] > 0.3
    assert spent[4] == 1.0


@pytest.mark.parametrize("epochs", [25, 50, 81, 90, 100])
def test_three_tenths_of_the_epochs_are_nearly_spent(epochs):
    """Brackets of one kind would leave a quarter of it."""
    budget = 0.3 * 100 * epochs
    brackets = HyperbandPolicy().brackets(names(100), Limits(epochs, budget))
    assert sum(len(bracket.trials) for bracket in brackets) == 100
    assert 0.9 * budget <= sum(halving_epochs(len(b.trials), b.rungs, 3) for b in brackets) <= budget


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize(("trials", "budget"), [(143, 1581), (143, 800), (100, 420), (20, 5000)])
def test_it_costs_what_its_brackets_cost(trials, budget, slots):
    policy, limits = HyperbandPolicy(seed=3), Limits(81, budget, slots)
    done = simulate(policy, limits, rising(trials, 81))
    brackets = policy.brackets(drawn_order(names(trials), 3), limits)
    assert done.epochs == sum(halving_epochs(len(b.trials), b.rungs, 3) for b in brackets) <= budget
    dealt = Counter(trial for bracket in brackets for trial in bracket.trials)
    assert set(dealt.values()) == {1}
    assert {trial for trial, curve in done.curves.items() if curve.epochs} == set(dealt)


def test_dealing_is_random_and_seeded():
    limits = Limits(27)
    first, again, other = (
        {step.trial for step in train(new_driver(HyperbandPolicy(seed=seed), limits, 49), rising(49, 27))[:27]}
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert first != set(names(27))


def test_one_bracket_after_the_other():
    steps = train(new_driver(HyperbandPolicy(), Limits(27), 49), rising(49, 27))
    brackets = HyperbandPolicy().brackets(drawn_order(names(49), 0), Limits(27))
    place = {trial: i for i, bracket in enumerate(brackets) for trial in bracket.trials}
    order = [place[step.trial] for step in steps]
    assert order == sorted(order)


def test_who_is_in_no_bracket_is_not_begun():
    decided = HyperbandPolicy().decide(seen(dict.fromkeys(names(143), ())), Limits(81, 297))
    reasons = Counter(decision.reason for decision in decided.trials.values() if decision.action == "pause")
    assert reasons == {"no further bracket fits the budget": 143 - 81}


def test_a_budget_below_the_cheapest_bracket_is_refused():
    with pytest.raises(ValueError, match=r"budget_epochs 200 is below 276, the price of the cheapest bracket of hyper"):
        HyperbandPolicy().decide(seen(dict.fromkeys(names(143), ())), Limits(81, 200))
