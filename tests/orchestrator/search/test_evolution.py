from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from taurank.orchestrator.search.evolution import evolve
from taurank.spaces import Architecture, SearchSpace, get_space

SMALL = {"generations": 8, "population": 20}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return get_space("nasbench_macro")


class Additive:
    """A sum of a random weight for each option taken; notes what it was asked for."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.space = space
        self.weights = [generator.random(len(options)) for options in space.decisions]
        self.asked: list[Architecture] = []

    def value(self, architecture: Architecture) -> float:
        choices = self.space.choices(architecture)
        return float(sum(weights[choice] for weights, choice in zip(self.weights, choices, strict=True)))

    def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
        self.asked += architectures
        return [self.value(architecture) for architecture in architectures]


@pytest.mark.parametrize("seed", range(20))
def test_what_violates_the_constraint_is_never_scored_nor_returned(space: SearchSpace, seed: int) -> None:
    score, cost = Additive(space, seed), Additive(space, 100 + seed)
    limit = np.quantile([cost.value(one) for one in space.enumerate()], 0.05)  # nineteen of twenty are out

    def feasible(architecture: Architecture) -> bool:
        return cost.value(architecture) <= limit

    found = evolve(space, score, generator=np.random.default_rng(seed), feasible=feasible, **SMALL)
    assert all(feasible(architecture) for architecture in score.asked)
    assert [architecture for architecture, _ in found] != []
    assert all(feasible(architecture) for architecture, _ in found)


def test_each_is_canonical_and_judged_and_scored_once_and_the_best_comes_first(space: SearchSpace) -> None:
    score = Additive(space, 0)
    judged: list[Architecture] = []

    def feasible(architecture: Architecture) -> bool:
        judged.append(architecture)
        return True

    found = evolve(space, score, generator=np.random.default_rng(0), feasible=feasible, **SMALL)
    architectures = [architecture for architecture, _ in found]
    assert len(set(score.asked)) == len(score.asked) == len(set(judged)) == len(judged) == len(architectures)
    assert set(architectures) == set(score.asked) == set(judged)
    assert all(space.canonical(architecture) == architecture for architecture in architectures)
    scores = [value for _, value in found]
    assert scores == sorted(scores, reverse=True)
    assert scores == [score.value(architecture) for architecture in architectures]


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_best_that_is_feasible(space: SearchSpace, seed: int) -> None:
    score, cost = Additive(space, seed), Additive(space, 100 + seed)
    canonical = {space.canonical(one) for one in space.enumerate()}
    limit = np.median([cost.value(one) for one in canonical])
    best = max((one for one in canonical if cost.value(one) <= limit), key=score.value)
    found = evolve(
        space,
        score,
        generator=np.random.default_rng(seed),
        feasible=lambda one: cost.value(one) <= limit,
        generations=30,
    )
    assert found[0] == (best, score.value(best))
    assert len(found) < len(canonical) / 2


@pytest.mark.parametrize("seed", range(3))
def test_in_a_large_space_it_beats_as_many_random_ones_by_far(seed: int) -> None:
    space = get_space("once_for_all")
    best = [len(options) - 1 for options in space.decisions]  # 46 decisions: 20 kernels and expansions, depths, r

    def score(architectures: Sequence[Architecture]) -> list[int]:
        # Minus the number of steps from the largest network.
        return [sum(space.choices(architecture)) - sum(best) for architecture in architectures]

    found = evolve(space, score, generator=np.random.default_rng(seed), generations=40)
    drawn = space.sample(len(found), np.random.default_rng(seed))
    assert max(score(drawn)) < -20
    assert found[0] == (space.choose(best), 0)


def test_the_generator_decides(space: SearchSpace) -> None:
    def run(seed: int) -> list[tuple[Architecture, float]]:
        return evolve(space, Additive(space, 0), generator=np.random.default_rng(seed), **SMALL)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_without_generations_it_is_a_random_sample(space: SearchSpace) -> None:
    score = Additive(space, 0)
    found = evolve(space, score, generator=np.random.default_rng(0), generations=0, population=50)
    # All codes alike, so the expected number of blocks is 8 * 2 / 3; the identities last in their stage are canonical.
    blocks = np.mean([8 - architecture.code.count("0") for architecture, _ in found])
    assert blocks == pytest.approx(16 / 3, abs=3 * np.sqrt(8 * 2 / 9 / 50))
    assert 40 < len(found) <= 50


def test_mutants_alone_without_mutation_are_their_parents(space: SearchSpace) -> None:
    options = {"mutants": 1.0, "mutation": 0.0, "population": 20}
    runs = [
        evolve(space, Additive(space, 0), generator=np.random.default_rng(0), generations=generations, **options)
        for generations in (0, 5)
    ]
    assert runs[0] == runs[1]


def test_a_crossing_has_the_options_of_its_parents() -> None:
    space = get_space("once_for_all", depths=[4])  # so that canonical architectures keep all of their options
    runs = []
    for generations in (0, 9):
        score = Additive(space, 0)
        options = {"generations": generations, "population": 3, "parents": 1.0, "mutants": 0.0}
        evolve(space, score, generator=np.random.default_rng(0), **options)
        runs.append(np.array([space.choices(architecture) for architecture in score.asked]))
    first, later = runs[0], runs[1][len(runs[0]) :]
    assert len(later) > len(first)
    assert (later[:, None] == first).any(axis=1).all()


def test_disconnected_cells_are_not_scored() -> None:
    space = get_space("nasbench201")
    score = Additive(space, 0)
    evolve(space, score, generator=np.random.default_rng(0), generations=2, population=100)
    assert all(space.is_live(architecture) for architecture in score.asked)


def test_those_without_a_score_come_last(space: SearchSpace) -> None:
    additive = Additive(space, 0)

    def score(architectures: Sequence[Architecture]) -> list[float]:
        return [np.nan if one.code.startswith("2") else additive.value(one) for one in architectures]

    found = evolve(space, score, generator=np.random.default_rng(0), generations=1, population=50)
    without = [bool(np.isnan(value)) for _, value in found]
    assert 0 < sum(without) < len(without)
    assert without == sorted(without)


def test_a_constraint_that_nothing_meets(space: SearchSpace) -> None:
    message = "feasible: none of 10,000 random architectures of nasbench_macro in a row is; loosen the constraint"
    with pytest.raises(ValueError) as caught:
        evolve(space, Additive(space, 0), generator=np.random.default_rng(0), feasible=lambda one: False)
    assert str(caught.value) == message


def test_a_score_for_each() -> None:
    with pytest.raises(ValueError, match="score: 1 scores for 9 architectures; return one for each"):
        evolve(get_space("mnist_blocks"), lambda ones: [0.0], generator=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 0}, "population: 0 is not a whole number of at least 1"),
        ({"generations": -1}, "generations: -1 is not a whole number of at least 0"),
        ({"parents": 1.5}, r"parents: 1.5 is not in \[0, 1\]"),
        ({"mutants": -0.1}, r"mutants: -0.1 is not in \[0, 1\]"),
        ({"mutation": float("nan")}, r"mutation: nan is not in \[0, 1\]"),
    ],
)
def test_options_out_of_range(space: SearchSpace, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evolve(space, Additive(space, 0), generator=np.random.default_rng(0), **options)  # type: ignore[arg-type]
