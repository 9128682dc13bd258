"""What an order can reach at best, because two full trainings do not agree either."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from taurank.orchestrator.tau.agreement import Agreement, agreement, compared
from taurank.orchestrator.tau.pairs import Pairs


@dataclass(frozen=True)
class Ceiling:
    """What an order can reach at best, because the truth itself is noisy.

    Attributes:
        ceiling: mean tau-b of one seed's full training of everybody against the mean of the other seeds.
        ours: mean tau-b of our order against the same means: like with like.
        retained: ours / ceiling; above 1 when our order is less noisy than one full training.
        seeds: full trainings per candidate.
        n: candidates compared.
        ties: pairs tied in our order or in the mean of all seeds.
    """

    ceiling: float
    ours: float
    retained: float
    seeds: int
    n: int
    ties: int


def ceiling(
    scores: ArrayLike,
    baselines: Sequence[ArrayLike],
    *,
    compare: Callable[[ArrayLike, ArrayLike], Agreement] = agreement,
) -> Ceiling | None:
    """Ceiling and retained tau from repeated baselines; None with fewer than two seeds.

    Args:
        scores: of our order, higher is better.
        baselines: one list a seed, of the same candidates.
        compare: how a list is compared with a truth; another one where those with a truth are a sample by design.
    """
    values = [np.asarray(baseline, dtype=float) for baseline in baselines]
    if len(values) < 2:
        return None
    ceilings, ours = [], []
    for left_out in range(len(values)):
        truth = np.mean([value for index, value in enumerate(values) if index != left_out], axis=0)
        ceilings.append(compare(values[left_out], truth).tau)
        ours.append(compare(scores, truth).tau)
    top, mine = float(np.mean(ceilings)), float(np.mean(ours))
    first, second = compared(scores, np.mean(values, axis=0))
    return Ceiling(
        ceiling=top,
        ours=mine,
        retained=mine / top if top > 0 else math.nan,
        seeds=len(values),
        n=len(first),
        ties=Pairs.of(first, second).ties,
    )
