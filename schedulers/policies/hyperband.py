"""Hyperband: several successive halvings that begin at different rungs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

from taurank.schedulers.policies.options import require_integer, require_number
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits, Step
from taurank.schedulers.policies.rungs import halving_epochs, hyperband_brackets, rung_epochs
from taurank.schedulers.policies.standing import affordable, answer, drawn_order, ending, free_slots, has_ended, waiting
from taurank.schedulers.policies.successive_halving import halve

_Kind = tuple[int, tuple[int, ...]]
"""Size and rungs of a bracket."""


@dataclass(frozen=True)
class Bracket:
    """One successive halving.

    Attributes:
        trials: names of its trials, in the order in which they train.
        rungs: epochs at which they are compared, rising up to the end of the schedule.
    """

    trials: tuple[str, ...]
    rungs: tuple[int, ...]


@dataclass(frozen=True)
class HyperbandPolicy:
    """Deals the trials to brackets at random and halves each bracket for itself.

    A bracket with few trials begins at a late rung, one with many at an early one, so no single first rung has to be
    chosen. The brackets are those of ``hyperband_brackets``, cheapest a trial first, dealt while they fit the budget
    and over again while trials are left; the last may hold fewer. Where a budget allows all trials to be dealt, those
    neighbouring ones of the brackets are taken that spend the most of it, and before them as many of the next dearer
    bracket as it allows. One bracket trains after the other; a later one fills slots that an earlier one leaves idle.

    Caveats: it looks for the best trial, not for the order. Trials of different brackets are compared with different
    others and stopped at different epochs, so it orders all of them worse than one halving does. Under a small budget
    the costly brackets are not dealt, and trials that no bracket fits are not begun.

    Example:
        >>> from taurank.schedulers.policies import Limits
        >>> brackets = HyperbandPolicy().brackets([str(i) for i in range(143)], Limits(81))
        >>> [(len(bracket.trials), bracket.rungs[0]) for bracket in brackets]
        [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]

    Attributes:
        reduction_factor: one trial in so many is promoted from a rung.
        seed: of the dealing, and of the order in which equal ones are preferred.

    Source: Li et al. 2018 (arXiv 1603.06560), algorithm 1.
    """

    judges_running: ClassVar[bool] = False

    reduction_factor: float = 3
    seed: int = 0

    def __post_init__(self) -> None:
        require_number("reduction_factor", self.reduction_factor, above=1)
        require_integer("seed", self.seed, at_least=0)

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        Raises:
            ValueError: the budget is below the cheapest bracket.
        """
        brackets = self.brackets(drawn_order(curves, self.seed), limits)
        decisions: dict[str, Decision] = {}
        wanted: list[Step] = []
        for bracket in brackets:
            members = [curves[trial] for trial in bracket.trials]
            halved, steps = halve(members, bracket.rungs, self.reduction_factor, limits)
            decisions |= halved
            wanted += steps
        for trial in curves.keys() - decisions.keys():
            ended = has_ended(curves[trial], limits)
            undealt = waiting(curves[trial], limits, "no further bracket fits the budget")
            decisions[trial] = ending(curves[trial], limits) if ended else undealt
        steps_now = affordable(wanted, curves, limits)
        for trial in {step.trial for step in wanted} - {step.trial for step in steps_now}:
            decisions[trial] = waiting(curves[trial], limits, "the budget has no room for its next rung")
        done = "the budget is spent before the last rung" if wanted else "the last rung of every bracket is decided"
        # Only so many as can start: asked again, an earlier bracket comes before a later one.
        return answer(
            decisions,
            steps_now[: free_slots(curves, limits)],
            curves,
            doing=f"halving {len(brackets)} brackets",
            done=done,
        )

    def brackets(self, trials: Sequence[str], limits: Limits) -> tuple[Bracket, ...]:
        """The trials dealt to brackets in the order given; those that fit no bracket within the budget are left out.

        Raises:
            ValueError: the budget is below the cheapest bracket.
        """
        end, factor = limits.schedule_epochs, self.reduction_factor
        sizes = [size for size, _ in hyperband_brackets(end, factor)]
        band = [
            (size, rung_epochs(limits.cut_points, end / factor**s, factor))
            for s, size in reversed(list(enumerate(sizes)))
        ]
        dealt = self._deal(trials, (), band, limits)
        if trials and not dealt:
            prices = [halving_epochs(min(size, len(trials)), rungs, factor) for size, rungs in band]
            raise ValueError(
                f"budget_epochs {limits.budget_epochs:g} is below {min(prices)}, the price of the cheapest bracket of "
                f"hyperband for {len(trials)} trials; raise it or take a policy such as uniform"
            )
        if math.isinf(limits.budget_epochs):
            return dealt
        deals = [
            (self._deal(trials, (), band[first:last], limits), first, last)
            for first, last in combinations(range(len(band) + 1), 2)
        ]
        complete = [deal for deal in deals if _size(deal[0]) == len(trials)]
        if not complete:
            return dealt
        best, first, last = max(complete, key=lambda deal: self._price(deal[0]))
        dearer = band[min(last, len(band) - 1)]
        for count in range(1, len(trials) // dearer[0] + 1):
            found = self._deal(trials, (dearer,) * count, band[first:last], limits)
            if _size(found) == len(trials) and self._price(found) > self._price(best):
                best = found
        return best

    def _deal(
        self, trials: Sequence[str], once: Sequence[_Kind], band: Sequence[_Kind], limits: Limits
    ) -> tuple[Bracket, ...]:
        """The trials dealt to brackets: some kinds once, then a band over and over while they fit the budget."""
        dealt: list[Bracket] = []
        left, spent, fitted = list(trials), 0, True
        kinds: Sequence[_Kind] = (*once, *band)
        while left and fitted:
            fitted = False
            for size, rungs in kinds:
                price = halving_epochs(min(size, len(left)), rungs, self.reduction_factor)
                if left and spent + price <= limits.budget_epochs:
                    dealt.append(Bracket(tuple(left[:size]), rungs))
                    left, spent, fitted = left[size:], spent + price, True
            kinds = band
        return tuple(dealt)

    def _price(self, brackets: Sequence[Bracket]) -> int:
        return sum(halving_epochs(len(bracket.trials), bracket.rungs, self.reduction_factor) for bracket in brackets)


def _size(brackets: Sequence[Bracket]) -> int:
    return sum(len(bracket.trials) for bracket in brackets)
