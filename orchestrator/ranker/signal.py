"""What short trainings say: which of them enter the prior order, their weight, and whether they may judge others.

Trainings carry an order only as far as their differences are more than noise. Four things show it without any full
training. A finite number of validation images makes an accuracy p uncertain by ``p (1 - p) / n``. Networks near chance
have learned too little to differ in what they will learn, and where accuracies and training losses of the same
trainings have different orders, neither is that of what will be learned. And where trainings that were cut short have
another order at half of their length than at their end, the order at the end of full training is another one still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taurank.orchestrator.ranker.credit import MIN_SHARED, Judge
from taurank.orchestrator.ranker.gaussian_process import Rows
from taurank.orchestrator.ranker.inputs import filled, share, weight
from taurank.orchestrator.ranker.short_runs import LOSS_FADES, ShortRuns
from taurank.orchestrator.ranker.views import Scores, normal_scores, reliability

SETTLED = 0.5
"""Correlation of the orders at half and at the end of cut trainings from which they count in full."""
UNSETTLED_WEIGHT = 0.5
MOST_EXPLAINED = 0.9
"""Bound of what settling alone shows."""
JUDGING = 0.5
"""Signal that trainings need to judge other sources."""
STARTED, UNDER_WAY = 0.1, 0.3
"""Share of the way from chance, in bits of the label, up to which trainings say nothing and from which they count in
full."""

UNLIKE, ALIKE = 0.3, 0.6
"""Correlation of accuracies with training losses up to which trainings say nothing and from which they count in full.
Measured: about .4 after 33 steps on `digits60`, where neither orders the candidates; .58 to .99 on six lists that
short trainings do order (docs/measurements/real-lists.md)."""


@dataclass(frozen=True)
class Validation:
    """What accuracies are measured on; None where it is unknown, which then has no effect.

    Attributes:
        images: how many.
        classes: how many.
    """

    images: int | None = None
    classes: int | None = None


UNKNOWN = Validation()


@dataclass(frozen=True, eq=False)
class Trainings:
    """The short trainings of the prior order, accuracy and training loss as one source.

    Attributes:
        name: of the view of accuracies.
        scores: normal scores, (candidates,).
        fidelity: share of full training that they are.
        rows: candidates that were trained.
        signal: share of the differences that is not noise, in [0, 1].
        settled: correlation of the order at half of their length with that at their end; NaN where it is unknown or, on
            schedules of their own, means nothing.
    """

    name: str
    scores: Scores
    fidelity: float
    rows: Rows
    signal: float
    settled: float

    @property
    def is_unsettled(self) -> bool:
        """Whether the order is known to be changing still."""
        return self.settled < SETTLED

    @property
    def explained(self) -> float:
        """Share of the variance of the final scores that they are taken to explain.

        A priori it is ``inputs.share``. Trainings that were cut can show more: if twice the length always changes the
        order by as much as the last doubling did, the correlation with the order at the end of full training is
        ``settled ** log2(1 / fidelity)``. Less than the prior share is not concluded from it: orders that change fast
        at first may settle later.
        """
        expected = share(self.fidelity)
        if self.settled > 0 and self.fidelity > 0:
            expected = max(expected, min(self.settled ** (2 * np.log2(1 / self.fidelity)), MOST_EXPLAINED))
        return self.signal * float(expected)

    @property
    def weight(self) -> float:
        """Weight in the sum of the sources."""
        return weight(self.explained) * (UNSETTLED_WEIGHT if self.is_unsettled else 1.0)

    @property
    def judge(self) -> Judge | None:
        """The same as a judge of sources without training; None where they may not be one."""
        return None if self.is_unsettled or self.signal < JUDGING else Judge(self.scores, self.rows)


def lead_trainings(shorts: Sequence[ShortRuns], validation: Validation = UNKNOWN) -> Trainings | None:
    """The trainings of highest fidelity that have a model or cover all candidates; accuracy and training loss summed.

    None where there are none, all came out the same, or their differences are no more than noise.
    """
    if not shorts:
        return None
    known = [short for short in shorts if np.isfinite(short.imputability)] or list(shorts)
    longest = max(short.fidelity for short in known)
    chosen = [short for short in known if short.fidelity == longest]
    lead = next((short for short in chosen if not short.is_loss), chosen[0])
    # The training loss sums over many more images and has no such noise.
    signals = [1.0 if short.is_loss else _sampled(short.values, validation) for short in chosen]
    shares = [signal * _share(short) for signal, short in zip(signals, chosen, strict=True)]
    total = np.sum([part * short.measured for part, short in zip(shares, chosen, strict=True)], axis=0)
    if np.ptp(total) == 0:
        return None
    # The noise of accuracies is in the sum, too.
    signal = float(np.average(signals, weights=shares)) * beyond_chance(lead.values, validation.classes)
    signal *= _alike(chosen, lead.rows)
    return Trainings(lead.name, filled(normal_scores(total)), longest, lead.rows, signal, _settled(chosen, lead.rows))


def beyond_chance(accuracies: Scores, classes: int | None) -> float:
    """How far trainings are beyond chance, from 0 to 1.

    With ``w = log(C p) / log C``, the share of the bits of the label that the median accuracy p is beyond chance for C
    classes, it is ``(w - .1) / .2``, clipped; 1 where C is unknown.
    """
    known = accuracies[np.isfinite(accuracies)]
    if classes is None or classes < 2 or not len(known):
        return 1.0
    way = np.log(max(classes * float(np.median(known)), 1.0)) / np.log(classes)
    return float(np.clip((way - STARTED) / (UNDER_WAY - STARTED), 0.0, 1.0))


def signal_of(accuracies: Scores, validation: Validation) -> float:
    """Share of the differences between short trainings that is information on the candidates, in [0, 1].

    The share that is not the noise of drawing the validation images, times `beyond_chance`.

    Example:
        >>> digits = Validation(images=400, classes=10)
        >>> signal_of(np.array([0.10, 0.10, 0.10, 0.10, 0.11, 0.13, 0.15]), digits)
        0.0
        >>> round(signal_of(np.array([0.14, 0.31, 0.45, 0.49, 0.53, 0.60, 0.69]), digits), 2)
        0.98
    """
    return _sampled(accuracies, validation) * beyond_chance(accuracies, validation.classes)


def _sampled(accuracies: Scores, validation: Validation) -> float:
    """Share of the variance of accuracies that is not the noise of drawing the images; 1 where that is unknown.

    All candidates see the same images, so the noise of a difference is smaller than that: it is a lower bound.
    """
    if validation.images is None:
        return 1.0
    found = reliability(accuracies, np.sqrt(accuracies * (1 - accuracies) / validation.images))
    return 1.0 if np.isnan(found) else found


def _alike(shorts: Sequence[ShortRuns], rows: Rows) -> float:
    """How far accuracies and training losses have the same order, from 0 to 1; 1 where only one of them is known."""
    orders = [short.measured[rows] for short in shorts]
    if len(rows) < MIN_SHARED or {short.is_loss for short in shorts} != {False, True} or not all(map(np.ptp, orders)):
        return 1.0
    correlations = np.corrcoef(orders)
    return float(np.clip((correlations.min() - UNLIKE) / (ALIKE - UNLIKE), 0.0, 1.0))


def _share(short: ShortRuns) -> float:
    return (1 - short.fidelity) ** LOSS_FADES if short.is_loss else 1.0


def _settled(shorts: Sequence[ShortRuns], rows: Rows) -> float:
    """Correlation of the order at half of the length with that at the end; NaN where too few show it."""
    shorts = [short for short in shorts if np.isfinite(short.halfway).any()]
    if not shorts:
        return float("nan")
    early = np.sum([_share(short) * short.halfway[rows] for short in shorts], axis=0)
    late = np.sum([_share(short) * short.measured[rows] for short in shorts], axis=0)
    known = np.isfinite(early)
    orders = normal_scores(early[known]), normal_scores(late[known])
    if known.sum() < MIN_SHARED or any(order.std() == 0 for order in orders):
        return float("nan")
    return float(np.corrcoef(*orders)[0, 1])
