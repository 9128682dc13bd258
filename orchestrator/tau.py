"""Kendall's tau-b and its companions: how good an order is, how sure that figure is, and what it can reach at best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

BLOCK = 512


@dataclass(frozen=True)
class Agreement:
    """Agreement of an order with the truth.

    Attributes:
        tau: Kendall's tau-b in [-1, 1], higher is better; NaN when one side is constant or fewer than two are left.
        low: lower end of the 95 % interval of tau.
        high: upper end.
        spearman: rank correlation.
        pearson: correlation of the values themselves; outliers dominate it.
        n: candidates compared.
        ties: tied pairs on either side.
    """

    tau: float
    low: float
    high: float
    spearman: float
    pearson: float
    n: int
    ties: int


def tau_b(x: ArrayLike, y: ArrayLike) -> float:
    """Kendall's tau-b (Kendall 1945), NaN when one side is constant or shorter than two."""
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(first) < 2:
        return math.nan
    return float(stats.kendalltau(first, second, variant="b", nan_policy="raise").statistic)


def agreement(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Agreement:
    """Agreement of two score lists of the same candidates; candidates with a NaN on either side are left out.

    Example:
        >>> round(agreement([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5]).tau, 3)
        0.867

    The interval is for the tau of the population that the candidates are drawn from. Standard error by the jackknife
    over candidates, on the scale of artanh(tau), Student's t with n - 1 degrees of freedom; the jackknife pseudo-sample
    is consistent for U-statistics (Arvesen 1969), and artanh keeps the ends within [-1, 1]. It is [-1, 1] below four
    candidates. Where no pair disagrees, the rule of three for the share of pairs that do. In simulation (bivariate
    normal, 6 to 60 candidates, tau from 0 to .97) the 95 % interval holds the true tau in 94 to 99 % of samples.

    Raises:
        ValueError: lists of different lengths.
    """
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"x and y need one value per candidate each; got shapes {first.shape} and {second.shape}")
    kept = np.isfinite(first) & np.isfinite(second)
    first, second = first[kept], second[kept]
    n = len(first)
    tau, pairs = tau_b(first, second), _Pairs.of(first, second)
    if math.isnan(tau):
        return Agreement(tau, math.nan, math.nan, math.nan, math.nan, n, pairs.ties)
    low, high = _jackknife_interval(pairs, tau, level)
    return Agreement(
        tau=tau,
        low=low,
        high=high,
        spearman=float(stats.spearmanr(first, second).statistic),
        pearson=float(np.corrcoef(first, second)[0, 1]),
        n=n,
        ties=pairs.ties,
    )


@dataclass(frozen=True)
class _Pairs:
    """For each candidate, over its pairs with all others: how many are so. All (n,)."""

    concordant: NDArray[np.int64]
    discordant: NDArray[np.int64]
    untied_x: NDArray[np.int64]
    untied_y: NDArray[np.int64]

    @staticmethod
    def of(x: NDArray[np.float64], y: NDArray[np.float64]) -> _Pairs:
        counts = []
        # In blocks: all pairs of 15,625 candidates at once would take gigabytes.
        for start in range(0, len(x), BLOCK):
            sx = np.sign(x[start : start + BLOCK, None] - x)  # (block, n)
            sy = np.sign(y[start : start + BLOCK, None] - y)
            product = sx * sy
            counts.append([(of != 0).sum(1) for of in (product > 0, product < 0, sx, sy)])
        return _Pairs(*np.concatenate(counts, axis=1)) if counts else _Pairs(*np.zeros((4, 0), dtype=np.int64))

    @property
    def ties(self) -> int:
        """Pairs that are tied on either side."""
        n = len(self.untied_x)
        return (n * (n - 1) - int((self.concordant + self.discordant).sum())) // 2


def _jackknife_interval(pairs: _Pairs, tau: float, level: float) -> tuple[float, float]:
    n = len(pairs.concordant)
    if n < 4:
        return -1.0, 1.0
    concordant, discordant = pairs.concordant.sum() / 2, pairs.discordant.sum() / 2
    compared = float(concordant + discordant)
    if concordant == 0 or discordant == 0:
        # All pairs agree, or none does: the rule of three bounds the share of the others by 3 / pairs (at 95 %).
        end = tau * max(1 + 2 * math.log(1 - level) / compared, -1.0)
        return (end, 1.0) if tau > 0 else (-1.0, end)
    # Leaving candidate i out takes its pairs away from each of the three sums of tau-b.
    agreeing = pairs.concordant - pairs.discordant
    numerator = agreeing.sum() / 2 - agreeing
    pairs_x = pairs.untied_x.sum() / 2 - pairs.untied_x
    pairs_y = pairs.untied_y.sum() / 2 - pairs.untied_y
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = numerator / np.sqrt(pairs_x * pairs_y)
    # Leaving out the one that disagrees leaves a perfect tau, whose artanh is infinite: half a discordant pair instead.
    most = 1 - 1 / compared
    z = np.arctanh(np.clip(left_out[np.isfinite(left_out)], -most, most))
    if len(z) < 2:
        return -1.0, 1.0
    error = math.sqrt((len(z) - 1) / len(z) * float(((z - z.mean()) ** 2).sum()))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
    centre = math.atanh(tau)
    return math.tanh(centre - half), math.tanh(centre + half)


def top_overlap(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Share of the true best ``k`` that is among the ``k`` best by score; ties at the edge count by their share.

    Raises:
        ValueError: k below 1 or above the number of candidates, lists of different lengths, or a missing value.
    """
    first, second = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"scores and truth need one value per candidate; got shapes {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("scores and truth hold values that are missing; leave those candidates out of both")
    if not 1 <= k <= len(first):
        raise ValueError(f"k is {k}; it has to be between 1 and the {len(first)} candidates")
    return float((_membership(first, k) * _membership(second, k)).sum() / k)


def _membership(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Probability of being among the k highest when ties are broken at random, (n,)."""
    edge = np.sort(values)[-k]
    above = values > edge
    at_edge = values == edge
    share: NDArray[np.float64] = above + at_edge * (k - above.sum()) / at_edge.sum()
    return share


@dataclass(frozen=True)
class Ceiling:
    """What an order can reach at best, because the truth itself is noisy.

    Attributes:
        ceiling: mean tau-b of one seed's full training of everybody against the mean of the other seeds.
        ours: mean tau-b of our order against the same means: like with like.
        retained: ours / ceiling; above 1 when our order is less noisy than one full training.
        seeds: full trainings per candidate.
    """

    ceiling: float
    ours: float
    retained: float
    seeds: int


def ceiling(scores: ArrayLike, baselines: Sequence[ArrayLike]) -> Ceiling | None:
    """Ceiling and retained tau from repeated baselines; None with fewer than two seeds."""
    values = [np.asarray(baseline, dtype=float) for baseline in baselines]
    if len(values) < 2:
        return None
    ceilings, ours = [], []
    for left_out in range(len(values)):
        truth = np.mean([value for index, value in enumerate(values) if index != left_out], axis=0)
        ceilings.append(tau_b(values[left_out], truth))
        ours.append(tau_b(scores, truth))
    top, mine = float(np.mean(ceilings)), float(np.mean(ours))
    return Ceiling(ceiling=top, ours=mine, retained=mine / top if top > 0 else math.nan, seeds=len(values))
