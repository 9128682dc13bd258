"""Searches inside a supernet: its training gives each option a score, and the best sums are proposed."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from taurank.orchestrator.search.searcher import TRIES, Problem, Searcher, SearchError
from taurank.spaces import Architecture


class InsideSupernetSearcher(Searcher):
    """Proposes architectures in descending order of the sum of their options' scores; results change nothing.

    The first is the network that the source ends in: the best option of each decision. The order is exact, however
    large the space (`best_sums`).

    Args:
        problem: what is searched; its space has fixed decisions.
        scores: of the options of each decision, higher is better, as a sampler's ``option_scores`` has them; an option
            whose score is not finite is never proposed. `taurank search` trains the supernet that they come from.
        without: options that are never proposed, by name. DARTS leaves out ``none`` so on its own space.
    """

    name: ClassVar[str]

    def __init__(
        self, problem: Problem, *, scores: Sequence[Sequence[float]] | None = None, without: Sequence[str] = ()
    ) -> None:
        super().__init__(problem)
        decisions = self.space.decisions
        if not decisions:
            raise SearchError(
                f"space: {self.space.name} has no fixed decisions, which {self.name} chooses; take random"
            )
        if scores is None:
            raise SearchError(
                f"scores: {self.name} needs those of the options of a trained supernet; taurank search trains it, or "
                "give those of option_scores() of its sampler"
            )
        known = sorted({option for options in decisions for option in options})
        for option in without:
            if option not in known:
                raise SearchError(
                    f"without: {option!r} is no option of {self.space.name}; there are {', '.join(known)}"
                )
        widths = [len(options) for options in decisions]
        table = [[float(score) for score in own] for own in scores]
        if len(table) != len(widths) or any(len(own) < width for own, width in zip(table, widths, strict=True)):
            raise SearchError(
                f"scores: they are of {len(table)} decisions with {[len(own) for own in table]} options; "
                f"{self.space.name} has {widths}"
            )
        self._scores = [
            [math.nan if option in without else score for option, score in zip(options, own, strict=False)]
            for options, own in zip(decisions, table, strict=True)
        ]
        for decision, own in enumerate(self._scores):
            if not any(map(math.isfinite, own)):
                raise SearchError(f"scores, without: no option with a finite score is left of decision {decision}")
        self._found: dict[Architecture, None] = {}  # canonical, in the order of their best sums
        self._further = best_sums(self._scores)

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        refused = 0
        for canonical in self._best_first():
            if canonical in self._known:
                refused = 0
            elif self._allowed(canonical):
                return canonical
            else:
                refused += 1
            if refused == TRIES:
                break
        constraints = self.problem.constraints
        that_keep = "" if constraints is None else " that keep the constraints"
        if not self._known and constraints is not None:
            nearest = f"; nearest: {constraints.nearest}" if constraints.nearest else ""
            raise SearchError(
                f"constraints: none of the {refused:,} best architectures of {self.space.name} by their scores keeps "
                f"them{nearest}; loosen them"
            )
        if refused < TRIES:
            count = sum(one in self._known for one in self._found)
            self.ended = f"all {count:,} architectures of {self.space.name}{that_keep} have been proposed"
        else:
            self.ended = f"no other architecture of {self.space.name}{that_keep} turned up in {TRIES:,} in a row"
        return None

    def _best_first(self) -> Iterator[Architecture]:
        """Each function once, by its best sum; computed once, and only as far as it is read."""
        yield from tuple(self._found)
        for choices, _ in self._further:
            canonical = self.space.canonical(self.space.choose(choices))
            if canonical not in self._found:
                self._found[canonical] = None
                yield canonical


class GdasSearcher(InsideSupernetSearcher):
    """By the log probabilities of the sampler ``gumbel``, which trains one path a step.

    Source: Dong & Yang, Searching for a Robust Neural Architecture in Four GPU Hours (CVPR 2019, arXiv 1910.04465).
    """

    name = "gdas"


class ManasSearcher(InsideSupernetSearcher):
    """By the option scores of the agents of the sampler ``multi-agent``: a reconstruction, no code was published.

    Source: Carlucci et al., MANAS (arXiv 1909.01051).
    """

    name = "manas"


class DartsSearcher(InsideSupernetSearcher):
    """By the log probabilities of the sampler ``mixture``, which trains all options at once, first order.

    Known to end in skip connections; see the sampler.

    Source: Liu et al., DARTS: Differentiable Architecture Search (ICLR 2019, arXiv 1806.09055).
    """

    name = "darts"


def best_sums(scores: Sequence[Sequence[float]]) -> Iterator[tuple[tuple[int, ...], float]]:
    """All choices of one option of each decision, by position, with their sums, the highest sum first.

    Exact, and in the order of the options where sums are equal. The n-th takes time and memory that grow with n times
    the number of decisions, not with the number of choices. Options whose score is not finite are left out.

    With the options of each decision sorted, every choice but the best has one parent, in which the last decision that
    is not at its best is one place better. A parent's sum is no lower, so a heap of children of those that came has the
    next one on top.

    Example:
        >>> [choices for choices, _ in best_sums([[0.0, 3.0], [1.0, 2.0]])]
        [(1, 1), (1, 0), (0, 1), (0, 0)]

    Args:
        scores: of the options of each decision; one of each at least is finite.
    """
    orders = [_best_first(own) for own in scores]

    def entry(places: tuple[int, ...], last: int) -> tuple[float, tuple[int, ...], int]:
        taken = (own[order[place]] for own, order, place in zip(scores, orders, places, strict=True))
        return -math.fsum(taken), places, last

    waiting = [entry((0,) * len(orders), 0)]
    while waiting:
        negative, places, last = heapq.heappop(waiting)
        yield tuple(order[place] for order, place in zip(orders, places, strict=True)), -negative
        for decision in range(last, len(orders)):
            if places[decision] + 1 < len(orders[decision]):
                child = (*places[:decision], places[decision] + 1, *places[decision + 1 :])
                heapq.heappush(waiting, entry(child, decision))


def _best_first(scores: Sequence[float]) -> list[int]:
    """Options with a finite score."""
    known = [option for option, score in enumerate(scores) if math.isfinite(score)]
    return sorted(known, key=scores.__getitem__, reverse=True)
