"""Kendall's tau-b and its companions: how good an order is, how sure that figure is, and what it can reach at best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


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

    The interval is for the tau of the population that the candidates are drawn from. Standard error by the jackknife
    over candidates, on the scale of artanh(tau), Student's t with n - 1 degrees of freedom; the jackknife pseudo-sample
    is consistent for U-statistics (Arvesen 1969), and artanh keeps the ends within [-1, 1].

    Raises:
        ValueError: lists of different lengths.
    """
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"x and y need one value per candidate each; got shapes {first.shape} and {second.shape}")
    kept = np.isfinite(first) & np.isfinite(second)
    first, second = first[kept], second[kept]
    n = len(first)
    tau = tau_b(first, second)
    if math.isnan(tau):
        return Agreement(tau, math.nan, math.nan, math.nan, math.nan, n, _tied_pairs(first, second))
    low, high = _jackknife_interval(first, second, tau, level)
    return Agreement(
        tau=tau,
        low=low,
        high=high,
        spearman=float(stats.spearmanr(first, second).statistic),
        pearson=float(np.corrcoef(first, second)[0, 1]),
        n=n,
        ties=_tied_pairs(first, second),
    )


def _signs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(values[:, None] - values[None, :])  # (n, n)


def _tied_pairs(x: NDArray[np.float64], y: NDArray[np.float64]) -> int:
    n = len(x)
    tied = (_signs(x) == 0) | (_signs(y) == 0)
    return int((tied.sum() - n) // 2) if n else 0


def _jackknife_interval(
    x: NDArray[np.float64], y: NDArray[np.float64], tau: float, level: float
) -> tuple[float, float]:
    n = len(x)
    if n < 4:
        return -1.0, 1.0
    if abs(tau) >= 1 - 1e-12:
        # No disagreement among the pairs: the rule of three bounds their discordant share by 3 / pairs.
        end = max(1 - 2 * 3 / (n * (n - 1) / 2), -1.0)
        return (end, 1.0) if tau > 0 else (-1.0, -end)
    sx, sy = _signs(x), _signs(y)
    product, untied_x, untied_y = sx * sy, sx != 0, sy != 0
    # Leaving candidate i out takes its row and its column away from each of the three sums.
    numerator = product.sum() - 2 * product.sum(1)
    pairs_x = untied_x.sum() - 2 * untied_x.sum(1)
    pairs_y = untied_y.sum() - 2 * untied_y.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = numerator / np.sqrt(pairs_x * pairs_y)
    z = np.arctanh(np.clip(left_out[np.isfinite(left_out)], -1 + 1e-9, 1 - 1e-9))
    if len(z) < 2:
        return -1.0, 1.0
    error = math.sqrt((len(z) - 1) / len(z) * float(((z - z.mean()) ** 2).sum()))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
    centre = math.atanh(tau)
    return math.tanh(centre - half), math.tanh(centre + half)


def top_overlap(scores: ArrayLike, truth: ArrayLike, k: int) -> float:
    """Share of the true best ``k`` that is among the ``k`` best by score; ties at the edge count by their share.

    Raises:
        ValueError: k below 1 or above the number of candidates.
    """
    first, second = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
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
