"""Estimates the tau over all candidates from a stratified random sample with a truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from taurank.orchestrator.tau.agreement import Agreement

PER_STRATUM = 4
"""Two suffice for the estimate; four also show its spread, and a failed training does not lose a stratum."""


@dataclass(frozen=True)
class StratifiedSample:
    """Places of an order, drawn at random within strata of neighbouring places.

    Attributes:
        drawn: places, 0 is best, in random order, (n,).
        stratum: the stratum of each, (n,).
        sizes: candidates in each stratum, (strata,).
    """

    drawn: NDArray[np.int64]
    stratum: NDArray[np.int64]
    sizes: NDArray[np.int64]


def stratified_sample(candidates: int, n: int, generator: np.random.Generator) -> StratifiedSample:
    """Draws ``n`` of the places of an order: four at random in each of n / 4 strata of (nearly) the same size.

    If four does not divide n, some strata contribute five, six or seven. The sample is in random order, so that the
    trained part of an interrupted baseline is a valid sample too.

    Raises:
        ValueError: n below 4 or above the number of candidates.
    """
    if not PER_STRATUM <= n <= candidates:
        raise ValueError(f"n is {n}; it has to be between {PER_STRATUM} and the {candidates} candidates")
    strata = n // PER_STRATUM
    taken = np.full(strata, n // strata) + (np.arange(strata) < n % strata)
    ends = np.concatenate([[0], np.cumsum(taken) * candidates // n])
    sizes = np.diff(ends)
    drawn = [
        start + generator.choice(size, count, replace=False)
        for start, size, count in zip(ends, sizes, taken, strict=False)
    ]
    order = generator.permutation(n)
    return StratifiedSample(np.concatenate(drawn)[order], np.repeat(np.arange(strata), taken)[order], sizes)


def estimate_tau(
    scores: ArrayLike, truth: ArrayLike, stratum: ArrayLike, sizes: ArrayLike, *, level: float = 0.95
) -> Agreement:
    """Estimate of the tau-b over all candidates from a stratified sample; no Spearman, no Pearson.

    A stratified sample is spread out, and candidates far apart are easier to order, so its plain tau is too high. Here
    each pair is weighted by the inverse of the probability with which the design draws it (Horvitz and Thompson 1952):
    of m_h drawn from M_h candidates, ``M_g M_h / (m_g m_h)`` across strata and ``M_h (M_h - 1) / (m_h (m_h - 1))``
    within one. The three sums of tau-b are then unbiased.

    The interval is for the tau of these candidates, not of the population they come from. Variance: that of the sum of
    each candidate's pairs within strata, with the finite population correction; at least that of a Poisson count of
    the pairs of the rarer kind. From it a gamma interval for the share of those pairs (Fay and Feuer 1997), which
    is valid for few or no such pairs. In simulation (300 candidates, samples of 20 and 40, tau 0 to .98, 3,000
    samples each) the bias is within .005 and the 95 % interval contains the tau of all in 94 to 99 % of samples.

    Args:
        scores: of all candidates or of the drawn ones, higher is better; pairs with NaN do not count.
        truth: of the same. A drawn one without truth counts as not drawn; strata with a single one are merged.
        stratum: of each drawn candidate; negative for those not drawn.
        sizes: candidates in each stratum.
        level: of the interval.
    """
    x, y = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    of = np.asarray(stratum, dtype=np.int64)
    answered = (of >= 0) & np.isfinite(y)
    x, y = x[answered], y[answered]
    of, total = _joined(of[answered], np.asarray(sizes, dtype=np.int64))
    taken = np.bincount(of, minlength=len(total))
    weights = _pair_weights(of, taken, total)
    usable = np.isfinite(x)
    weights *= np.outer(usable, usable)
    x = np.where(usable, x, 0.0)
    sign_x, sign_y = np.sign(x[:, None] - x), np.sign(y[:, None] - y)  # (n, n)
    signs, untied_x, untied_y = weights * sign_x * sign_y, weights * abs(sign_x), weights * abs(sign_y)
    ties = int(np.triu((sign_x * sign_y == 0) & np.outer(usable, usable), 1).sum())
    n, norm = int(usable.sum()), math.sqrt(untied_x.sum() * untied_y.sum())
    if not norm:
        return Agreement(math.nan, math.nan, math.nan, math.nan, math.nan, n, ties)
    # The ratio of two estimates can pass 1 when there are ties.
    tau = float(np.clip(signs.sum() / norm, -1, 1))
    low, high = -1.0, 1.0
    if n >= PER_STRATUM:
        # Contribution of each candidate to the ratio: its pairs minus tau times its share of the two sums below.
        share_x, share_y = untied_x.sum(1) / untied_x.sum(), untied_y.sum(1) / untied_y.sum()
        added = 2 * (signs.sum(1) / norm - tau * (share_x + share_y) / 2)
        spread = _between_candidates(added, of, taken, total)
        rarer = np.triu(signs < 0 if tau >= 0 else signs > 0)
        counts = 2 * weights / norm  # so that their sum over the pairs of the rarer kind is (1 - |tau|) / 2
        variance = max(spread / 4, float((counts[rarer] ** 2).sum()))
        low, high = _gamma_interval(tau, variance, float(counts.max()), level)
    return Agreement(tau, low, high, math.nan, math.nan, n, ties)


def _joined(of: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Strata with at least two drawn each: others are merged with the next, the last with the previous one."""
    groups = np.zeros(len(sizes), dtype=np.int64)
    taken, group, held = np.bincount(of, minlength=len(sizes)), 0, 0
    for index, count in enumerate(taken):
        groups[index] = group
        held += count
        if held >= 2 and taken[index + 1 :].sum() >= 2:
            group, held = group + 1, 0
    return groups[of], np.bincount(groups, weights=sizes).astype(np.int64)


def _pair_weights(of: NDArray[np.int64], taken: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.float64]:
    """Inverse of the probability that the design draws both, (n, n); 0 on the diagonal."""
    single = (total / np.maximum(taken, 1))[of]
    within = (total * (total - 1) / np.maximum(taken * (taken - 1), 1))[of]
    weights = np.where(of[:, None] == of, within[:, None], np.outer(single, single))
    np.fill_diagonal(weights, 0)
    return weights


def _between_candidates(
    added: NDArray[np.float64], of: NDArray[np.int64], taken: NDArray[np.int64], total: NDArray[np.int64]
) -> float:
    """Variance of a sum over a stratified sample, from the spread within its strata."""
    return float(
        sum(
            (1 - m / M) * m * added[of == index].var(ddof=1)
            for index, (m, M) in enumerate(zip(taken, total, strict=True))
            if m > 1
        )
    )


def _gamma_interval(tau: float, variance: float, largest: float, level: float) -> tuple[float, float]:
    """Interval of tau from a gamma interval for the share of the pairs of the rarer kind, (1 - |tau|) / 2."""
    share, tail = (1 - abs(tau)) / 2, (1 - level) / 2
    fewest = 0.0
    if share > 0 and variance > 0:
        fewest = float(stats.gamma.ppf(tail, share**2 / variance, scale=variance / share))
    # One more pair of the greatest weight could have been of that kind.
    share, variance = share + largest, variance + largest**2
    most = float(stats.gamma.ppf(1 - tail, share**2 / variance, scale=variance / share))
    low, high = max(1 - 2 * most, -1.0), 1 - 2 * fewest
    return (low, high) if tau >= 0 else (-high, -low)
