"""Search in two stages: the later decisions with the earlier ones at a default, then the earlier ones with the result.

Each stage has its own, smaller space, so that a supernet of it needs less training than one of the whole space.

Source: Zhang et al., Fast Hardware-Aware Neural Architecture Search (HURRICANE, CVPR workshops 2020, arXiv 1910.11609).
The two stages are described in its abstract; the procedure here is an interpretation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from taurank.orchestrator.search.evolution import Score, evolve
from taurank.orchestrator.tau import tau_b
from taurank.spaces import Architecture, RestrictedSpace, SearchSpace

LISTED = 1_000
"""Stages of at most this many architectures are scored completely; larger ones by an evolutionary search."""


class StageScoring(Protocol):
    """Scores the architectures of a stage, for example with a supernet that is trained for it."""

    def __call__(self, stage: RestrictedSpace) -> tuple[Score, int]:
        """Prepares a stage: its scores, higher is better, and the training steps used."""
        ...


@dataclass(frozen=True)
class Stage:
    """The result of a stage.

    Attributes:
        space: its architectures; the other decisions are fixed.
        ranking: all scored architectures, best first. Scores of different stages cannot be compared.
        steps: of training.
    """

    space: RestrictedSpace
    ranking: tuple[tuple[Architecture, float], ...]
    steps: int

    @property
    def best(self) -> Architecture:
        """The one of the highest score."""
        return self.ranking[0][0]

    @cached_property
    def scores(self) -> dict[Architecture, float]:
        """By architecture."""
        return dict(self.ranking)


@dataclass(frozen=True)
class TwoStages:
    """Both stages, or the first alone.

    Attributes:
        space: of the architectures.
        late: positions of the decisions of the first stage.
        stages: one or two.
        expected_gain: expected gain in score of the second stage.
    """

    space: SearchSpace
    late: tuple[int, ...]
    stages: tuple[Stage, ...]
    expected_gain: float

    @property
    def best(self) -> Architecture:
        """The best architecture of the last stage."""
        return self.stages[-1].best

    @property
    def steps(self) -> int:
        """Of training, of both stages."""
        return sum(stage.steps for stage in self.stages)

    def additive(self, architecture: Architecture) -> float:
        """An approximate score of an architecture from the scores of its halves.

            score of its later decisions after the default + score of its earlier ones before the best later ones

        Its order is correct if the halves do not interact. After one stage it is the first term, which is
        independent of the earlier decisions. NaN if a half was not scored.

        Raises:
            SpaceError: the architecture is not of this space.
        """
        choices = self.space.choices(architecture)
        early = tuple(place for place in range(len(choices)) if place not in self.late)
        total = 0.0
        for stage, searched in zip(self.stages, (self.late, early), strict=False):
            half = list(self.space.choices(stage.best))
            for place in searched:
                half[place] = choices[place]
            total += stage.scores.get(stage.space.canonical(self.space.choose(half)), math.nan)
        return total

    def tau(self, scores: Mapping[Architecture, float]) -> float:
        """Kendall tau-b of `additive` with joint scores, among the architectures that have both; NaN below two.

        Report this figure with any use of the additive order.
        """
        pairs = [(self.additive(architecture), score) for architecture, score in scores.items()]
        both = [pair for pair in pairs if not any(map(math.isnan, pair))]
        return tau_b([ours for ours, _ in both], [joint for _, joint in both]) if len(both) > 1 else math.nan

    def ledger(self, single_steps: int) -> list[tuple[str, int, float]]:
        """Steps of each stage, of both, and of one stage over the whole space; with their share of the latter.

        One minus the share of both is the saving.

        Raises:
            ValueError: `single_steps` is not positive.
        """
        if single_steps < 1:
            raise ValueError(f"single_steps: {single_steps} is not a positive number of steps")
        steps = {f"stage {number}": stage.steps for number, stage in enumerate(self.stages, start=1)}
        steps |= {"both stages": self.steps, "single stage": single_steps}
        return [(name, count, count / single_steps) for name, count in steps.items()]


def two_stage(
    space: SearchSpace,
    scoring: StageScoring,
    *,
    default: Architecture,
    generator: np.random.Generator,
    late: Collection[int] | None = None,
    feasible: Callable[[Architecture], bool] = lambda architecture: True,
    least_gain: float = 0.0,
    **evolution: Any,
) -> TwoStages:
    """Searches the later decisions, then the earlier ones.

    The expected gain of the second stage is estimated from the first: the difference between its best and its median
    score per decision, times the number of earlier decisions. This tends to overestimate, because later layers are
    reported to matter more. If it is below `least_gain`, the second stage is skipped with its training.

    Args:
        space: has fixed decisions; may be restricted.
        scoring: called once for each stage, in order, so that the second can continue from the weights of the first.
        default: the earlier decisions while the later ones are searched; preferably cheap ones, because the result
            has to satisfy the constraint together with them.
        generator: of the evolution in a stage of more than `LISTED` architectures.
        late: positions of the decisions of the first stage; by default the second half.
        feasible: the constraint on whole architectures; those that violate it are neither scored nor returned.
        least_gain: of the score; 0 always runs the second stage.
        **evolution: `generations`, `population` and other arguments of `evolve`.

    Raises:
        ValueError: a stage has no decisions, or no feasible architecture was found; see also `evolve`.
    """
    count = len(space.decisions)
    places = tuple(sorted(range(count // 2, count) if late is None else set(late)))
    if not all(0 <= place < count for place in places) or not 0 < len(places) < count:
        raise ValueError(
            f"late: {list(places)} are not some, but not all of the {count} decisions of {space.name}; name positions "
            f"from 0 to {count - 1}"
        )

    def stage(searched: Collection[int], fixed: Architecture) -> Stage:
        choices = space.choices(fixed)
        allowed = [
            options if place in searched else (options[choice],)
            for place, (options, choice) in enumerate(zip(space.decisions, choices, strict=True))
        ]
        restricted = RestrictedSpace(space, allowed)
        score, steps = scoring(restricted)
        found = _search(restricted, score, generator, feasible, evolution)
        if math.isnan(found[0][1]):
            raise ValueError(f"score: all {len(found):,} scores of a stage are NaN, so that none of them is the best")
        return Stage(restricted, tuple(found), steps)

    first = stage(places, default)
    gain = _expected_gain(first, late=len(places), early=count - len(places))
    if gain < least_gain:
        return TwoStages(space, places, (first,), gain)
    early = [place for place in range(count) if place not in places]
    return TwoStages(space, places, (first, stage(early, first.best)), gain)


def _search(
    space: RestrictedSpace,
    score: Score,
    generator: np.random.Generator,
    feasible: Callable[[Architecture], bool],
    evolution: Mapping[str, Any],
) -> list[tuple[Architecture, float]]:
    if space.size is None or space.size > LISTED:
        return evolve(space, score, generator=generator, feasible=feasible, **evolution)
    distinct = dict.fromkeys(space.canonical(one) for one in space.enumerate())
    left = [one for one in distinct if space.is_live(one) and feasible(one)]
    if not left:
        raise ValueError(
            f"feasible: none of the {len(distinct):,} architectures of a stage of {space.name} is; take a cheaper "
            "default, or loosen the constraint"
        )
    scores = list(map(float, score(left)))
    if len(scores) != len(left):
        raise ValueError(f"score: {len(scores)} scores for {len(left)} architectures; return one for each, in order")
    # Best first; equal ones in the order of the space; those without a score last.
    return sorted(zip(left, scores, strict=True), key=lambda item: (math.isnan(item[1]), -item[1]))


def _expected_gain(stage: Stage, *, late: int, early: int) -> float:
    scores = np.array([score for _, score in stage.ranking])
    return float((np.nanmax(scores) - np.nanmedian(scores)) / late * early)
