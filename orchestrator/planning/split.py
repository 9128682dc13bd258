"""How to split a budget between short and full trainings, as measured on recorded trainings.

The figures are in docs/measurements/ranker.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHORT_SHARE = 0.06
"""Length of a short training on a schedule of its own, as a share of a full one: 12 of 200 epochs in NAS-Bench-201."""
CUT_SHARE = 0.1
"""Length of a short training that is the beginning of a full one: its learning rate has not come down yet."""
LONGEST_SHARE = 0.2
"""A short training is not made longer than that to use up a small budget."""
FEW, MANY = 25.0, 60.0
"""Budgets in full trainings: below the first, no full training improves the order; above the second, they pay most."""
SHARE_OF_SOME, SHARE_OF_MANY = 0.35, 0.25
"""Share of the budget for short trainings between FEW and MANY, and above."""
SPARED = 0.1
"""Share of the candidates that get no short training where those of all others are an epoch longer for it. Proxies cost
little, but with them ten times cheaper than 40 epochs is no longer 4 epochs for all; measured on `own_code` of
docs/measurements/real-lists.md."""
ANCHORS = 3
"""Full trainings that are kept for the scale of final accuracies when more candidates get a short training."""
IMPUTABLE = 0.9
"""Below this correlation of short trainings with their predictions every candidate gets a short training."""
ROUNDING = 1e-6
"""So that 10x of 10 x 10 epochs is 10 epochs and not 9.999."""


@dataclass(frozen=True)
class Split:
    """Short and full trainings of a budget.

    Attributes:
        short_epochs: length of a short training; 0 when there is none.
        cut: whether it is the beginning of a full training and not a schedule of its own.
        shorts: how many.
        fulls: full trainings.
    """

    short_epochs: int
    cut: bool
    shorts: int
    fulls: int

    def cost(self, full_epochs: int) -> int:
        """Epochs of all of it."""
        return self.shorts * self.short_epochs + self.fulls * full_epochs


def split_budget(
    candidates: int,
    *,
    full_epochs: int,
    budget_epochs: float,
    schedules: Sequence[int] | None = None,
    anchors: int = 0,
) -> Split:
    """Splits a budget; never spends more than it.

    A budget of full training of all candidates goes to just that.

    A budget below ``FEW`` goes to short trainings of all candidates, as long as it allows and up to ``LONGEST_SHARE``.
    The few full trainings that it pays for would not improve the order, and longer short trainings do. What short
    trainings cannot take up, because only certain lengths are possible, goes to full ones.

    Args:
        candidates: how many there are.
        full_epochs: length of a full training.
        budget_epochs: what all trainings together may cost.
        schedules: lengths that a training can have with a schedule of its own; None for any. Where none is shorter than
            full training, a short training is the beginning of one.
        anchors: full trainings to keep of a budget below ``FEW``, for accuracies; as many as it pays for.
    """
    units = (budget_epochs + ROUNDING) / full_epochs
    if units >= candidates:
        return Split(0, False, 0, candidates)
    own = None if schedules is None else [length for length in schedules if 0 < length < full_epochs]
    cut = own == []
    anchors = min(anchors, candidates, math.floor(units)) if units < FEW else 0
    wanted = (CUT_SHARE if cut else SHORT_SHARE) * full_epochs
    if units < FEW:
        wanted = min(max(wanted, (units - anchors) / candidates * full_epochs), LONGEST_SHARE * full_epochs)
    short = _length(wanted, own or None, full_epochs)
    if short >= full_epochs:
        return Split(0, False, 0, min(candidates, math.floor(units)))
    share = SHARE_OF_MANY if units > MANY else SHARE_OF_SOME if units >= FEW else 1.0
    for_shorts = share * units * full_epochs if share < 1 else budget_epochs + ROUNDING - anchors * full_epochs
    if share == 1.0 and (schedules is None or cut):
        # Nearly every candidate gets one where a shorter one suffices for that.
        short = min(short, max(1, math.floor(for_shorts / math.ceil((1 - SPARED) * candidates))))
    shorts = min(candidates, math.floor(for_shorts / short))
    fulls = math.floor((budget_epochs + ROUNDING - shorts * short) / full_epochs)
    return Split(short if shorts else 0, cut, shorts, min(candidates, fulls))


def more_short_trainings(
    split: Split, candidates: int, *, full_epochs: int, left_epochs: float, imputability: float
) -> int:
    """How many more short trainings fit into what is left after the first ones.

    Where a model predicts them from the architecture, none. Where it does not (or could not be made, NaN), as many as
    there are candidates without one, except for the price of the anchors.
    """
    if imputability >= IMPUTABLE or not split.shorts:
        return 0
    left = left_epochs - min(ANCHORS, split.fulls) * full_epochs
    return max(0, min(candidates - split.shorts, math.floor((left + ROUNDING) / split.short_epochs)))


def _length(wanted: float, own: Sequence[int] | None, full_epochs: int) -> int:
    if own is None:
        return min(max(1, round(wanted)), full_epochs)
    return min(own, key=lambda length: (abs(math.log(length / wanted)), length))
