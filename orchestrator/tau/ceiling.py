"""The ceiling of tau: two full trainings do not agree perfectly either."""

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
    """The highest tau that can be expected, because the truth itself is noisy.

    Attributes:
        ceiling: mean tau-b of one seed's full training of all candidates against the mean of the other seeds.
        ours: mean tau-b of the ranking against the same means, for a fair comparison.
        retained: ours / ceiling; above 1 if the ranking is less noisy than one full training.
        seeds: full trainings per candidate.
        n: candidates compared.
        ties: pairs tied in the ranking or in the mean of all seeds.
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
        scores: of the ranking, higher is better.
        baselines: one list per seed, of the same candidates.
        compare: comparison of a list with a truth; a weighted one for a sampled baseline.
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
