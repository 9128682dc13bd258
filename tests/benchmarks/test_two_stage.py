from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.search.two_stage import StageScoring, TwoStages, two_stage
from taurank.spaces import Architecture, RestrictedSpace, SearchSpace, get_space

LAYERS, OPERATIONS = 6, 3


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    """Six layers of three operations: 729 architectures."""
    layers = get_space(
        "proxyless", variant="mini", widths=[8, 16, 24, 32, 40, 48], depths=[1] * LAYERS, strides=[2] * LAYERS
    )
    return RestrictedSpace(layers, [["k3e3", "k5e3", "k7e3"]] * LAYERS)


class Accuracy:
    """A sum over the layers and over all pairs of layers, as a fake of training; notes whom it was asked for.

    `interaction` is the spread of the pairs' terms beside that of the layers', which is 1 for the later half and .5 for
    the earlier.
    """

    def __init__(self, space: SearchSpace, seed: int, *, interaction: float) -> None:
        generator = np.random.default_rng(seed)
        scale = np.repeat([0.5, 1.0], LAYERS // 2)[:, None]
        self.space, self.single = space, scale * generator.normal(size=(LAYERS, OPERATIONS))
        self.pairs = interaction * generator.normal(size=(LAYERS, LAYERS, OPERATIONS, OPERATIONS))
        self.asked: list[list[Architecture]] = []

    def of(self, architecture: Architecture) -> float:
        taken = self.space.choices(architecture)
        total = sum(self.single[layer, option] for layer, option in enumerate(taken))
        pairs = [(one, other) for one in range(LAYERS) for other in range(one)]
        total += sum(self.pairs[one, other, taken[one], taken[other]] for one, other in pairs)
        return float(total)

    def all(self) -> dict[Architecture, float]:
        return {one: self.of(one) for one in self.space.enumerate()}

    def __call__(self, stage: RestrictedSpace) -> tuple[object, int]:
        self.asked.append([])

        def score(architectures: Sequence[Architecture]) -> list[float]:
            self.asked[-1] += architectures
            return [self.of(one) for one in architectures]

        return score, 100 // len(self.asked)


def search(accuracy: Accuracy, **options: object) -> TwoStages:
    default = accuracy.space.choose([0] * LAYERS)
    return two_stage(accuracy.space, accuracy, default=default, generator=np.random.default_rng(0), **options)


def regret_and_tau(accuracy: Accuracy, result: TwoStages) -> tuple[float, float]:
    """What the best of all has more, as a share of the range; tau of the additive order with the joint one."""
    joint = accuracy.all()
    values = np.array(list(joint.values()))
    return float((values.max() - accuracy.of(result.best)) / np.ptp(values)), result.tau(joint)


def test_27_and_27_evaluations_find_nearly_the_best_of_729_where_halves_hardly_interact(space: SearchSpace) -> None:
    found = []
    for seed in range(10):
        accuracy = Accuracy(space, seed, interaction=0.02)
        result = search(accuracy)
        assert [len(asked) for asked in accuracy.asked] == [27, 27]
        found.append(regret_and_tau(accuracy, result))
    regrets, taus = np.array(found).T
    assert regrets.max() < 0.01
    assert taus.min() > 0.9


def test_strong_interaction_costs_what_is_stated(space: SearchSpace) -> None:
    """As much in the pairs as in the layers: greedy stages miss the best, and the additive order is a poor one."""
    found = []
    for seed in range(10):
        accuracy = Accuracy(space, seed, interaction=0.5)
        result = search(accuracy)
        found.append(regret_and_tau(accuracy, result))
    regrets, taus = np.array(found).T
    assert regrets.mean() == pytest.approx(0.042, abs=0.001)
    assert regrets.max() == pytest.approx(0.230, abs=0.001)
    assert taus.mean() == pytest.approx(0.549, abs=0.001)


def test_without_interaction_the_additive_order_is_the_joint_one(space: SearchSpace) -> None:
    accuracy = Accuracy(space, 3, interaction=0.0)
    result = search(accuracy)
    joint = accuracy.all()
    assert result.tau(joint) == 1.0
    assert result.best == max(joint, key=joint.__getitem__)
    # The first stage scores suffixes after the default, the second prefixes before the best suffix.
    one = space.choose([1, 2, 0, 2, 1, 0])
    first = accuracy.of(space.choose([0, 0, 0, 2, 1, 0]))
    second = accuracy.of(space.choose([1, 2, 0, *space.choices(result.stages[0].best)[3:]]))
    assert result.additive(one) == pytest.approx(first + second, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_what_violates_the_constraint_is_never_scored_nor_returned(space: SearchSpace, seed: int) -> None:
    accuracy = Accuracy(space, seed, interaction=0.3)
    cost: NDArray[np.float64] = np.cumsum(np.random.default_rng(seed).random((LAYERS, OPERATIONS)), axis=1)

    def milliseconds(architecture: Architecture) -> float:
        return float(sum(cost[layer, option] for layer, option in enumerate(space.choices(architecture))))

    limit = np.quantile([milliseconds(one) for one in space.enumerate()], 0.1)
    result = search(accuracy, feasible=lambda one: milliseconds(one) <= limit)
    assert all(milliseconds(one) <= limit for asked in accuracy.asked for one in asked)
    assert all(milliseconds(one) <= limit for stage in result.stages for one, _ in stage.ranking)
    # The default is the cheapest, so that the second stage has at least what the first has found.
    first, second = result.stages
    assert second.scores[first.best] == first.scores[first.best]
    assert accuracy.of(result.best) >= accuracy.of(first.best)


def test_stages_vary_their_own_decisions_only(space: SearchSpace) -> None:
    result = search(Accuracy(space, 0, interaction=0.1), late=[1, 4])
    suffix = space.choices(result.stages[0].best)
    assert result.late == (1, 4)
    assert [len(stage.ranking) for stage in result.stages] == [9, 81]
    for one, _ in result.stages[0].ranking:
        assert [space.choices(one)[place] for place in (0, 2, 3, 5)] == [0] * 4
    for one, _ in result.stages[1].ranking:
        assert [space.choices(one)[place] for place in (1, 4)] == [suffix[1], suffix[4]]


def test_a_second_stage_that_promises_little_is_left_out(space: SearchSpace) -> None:
    accuracy = Accuracy(space, 5, interaction=0.0)
    whole = search(accuracy)
    scores = [score for _, score in whole.stages[0].ranking]
    assert whole.expected_gain == pytest.approx(max(scores) - np.median(scores))  # as many early as late decisions
    accuracy = Accuracy(space, 5, interaction=0.0)
    alone = search(accuracy, least_gain=whole.expected_gain + 1e-9)
    assert len(alone.stages) == len(accuracy.asked) == 1
    assert alone.best == whole.stages[0].best
    assert alone.additive(space.choose([2, 1, 0, 2, 2, 2])) == accuracy.of(space.choose([0, 0, 0, 2, 2, 2]))
    assert len(search(Accuracy(space, 5, interaction=0.0), least_gain=whole.expected_gain).stages) == 2


def test_the_ledger(space: SearchSpace) -> None:
    result = search(Accuracy(space, 0, interaction=0.0))
    assert result.ledger(200) == [
        ("stage 1", 100, 0.5),
        ("stage 2", 50, 0.25),
        ("both stages", 150, 0.75),
        ("single stage", 200, 1.0),
    ]
    with pytest.raises(ValueError, match="single_steps: 0 is not a positive number"):
        result.ledger(0)


def test_a_large_stage_is_searched_by_evolution() -> None:
    space = get_space("fbnet")
    weights = np.random.default_rng(0).random((22, 9))

    def value(one: Architecture) -> float:
        return float(sum(weights[layer, option] for layer, option in enumerate(space.choices(one))))

    def scoring(stage: RestrictedSpace) -> tuple[object, int]:
        return lambda new: [value(one) for one in new], 1

    result = two_stage(
        space,
        scoring,  # type: ignore[arg-type]
        default=space.choose([0] * 22),
        generator=np.random.default_rng(0),
        feasible=lambda one: space.choices(one)[-1] != 3,
        generations=10,
        population=40,
    )
    assert all(one in stage.space for stage in result.stages for one, _ in stage.ranking)
    assert all(space.choices(one)[-1] != 3 for stage in result.stages for one, _ in stage.ranking)
    drawn = [value(one) for one in space.sample(400, np.random.default_rng(1))]
    assert value(result.best) > max(drawn)


def no_scores(stage: RestrictedSpace) -> tuple[object, int]:
    return lambda new: [math.nan for _ in new], 1


def too_few(stage: RestrictedSpace) -> tuple[object, int]:
    return lambda new: [0.0], 1


@pytest.mark.parametrize(
    ("scoring", "options", "message"),
    [
        (no_scores, {}, "score: all 27 scores of a stage are NaN"),
        (too_few, {}, "score: 1 scores for 27 architectures"),
        (too_few, {"feasible": lambda one: False}, "feasible: none of the 27 architectures of a stage of proxyless is"),
        (too_few, {"late": []}, "late: \\[\\] are not some, but not all of the 6 decisions of proxyless"),
        (too_few, {"late": range(6)}, "are not some, but not all of the 6 decisions"),
        (too_few, {"late": [6]}, "late: \\[6\\] are not some"),
    ],
)
def test_refusals(space: SearchSpace, scoring: StageScoring, options: dict[str, object], message: str) -> None:
    default = space.choose([0] * LAYERS)
    with pytest.raises(ValueError, match=message):
        two_stage(space, scoring, default=default, generator=np.random.default_rng(0), **options)
