"""Kendall's tau-b with its interval, and related correlations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from taurank.orchestrator.tau.pairs import Pairs


class AgreementError(ValueError):
    """Lists that cannot be compared; one line."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of an order with the truth.

    Attributes:
        tau: Kendall's tau-b in [-1, 1], higher is better; NaN if one side is constant or fewer than two candidates have
            both values.
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


@dataclass(frozen=True)
class Coefficient:
    """One measure of agreement.

    Attributes:
        value: the measure; NaN where it is not defined.
        n: candidates compared.
        ties: tied pairs on either side.
    """

    value: float
    n: int
    ties: int


def tau_b(x: ArrayLike, y: ArrayLike) -> float:
    """Kendall's tau-b (Kendall 1945), NaN when one side is constant or shorter than two."""
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(first) < 2:
        return math.nan
    return float(stats.kendalltau(first, second, variant="b", nan_policy="raise").statistic)


def agreement(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Agreement:
    """Agreement of two score lists of the same candidates; candidates with a NaN on either side are ignored.

    Example:
        >>> round(agreement([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5]).tau, 3)
        0.867

    The interval is for the tau of the population that the candidates are drawn from. Standard error by the jackknife
    over candidates, on the scale of artanh(tau), Student's t with n - 1 degrees of freedom; the jackknife pseudo-sample
    is consistent for U-statistics (Arvesen 1969), and artanh keeps the ends within [-1, 1]. It is [-1, 1] below four
    candidates. If no pair disagrees, the rule of three bounds the share of discordant pairs. In simulation (bivariate
    normal, 6 to 60 candidates, tau from 0 to .97) the 95 % interval contains the true tau in 94 to 99 % of samples.

    Raises:
        AgreementError: lists of different lengths.
    """
    first, second = compared(x, y)
    tau, pairs = tau_b(first, second), Pairs.of(first, second)
    low, high = _jackknife_interval(pairs, tau, level) if math.isfinite(tau) else (math.nan, math.nan)
    return described(first, second, tau, (low, high), pairs)


def compared(*lists: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """The score lists without the candidates that lack a finite value in one of them.

    Raises:
        AgreementError: lists of different lengths.
    """
    values = [np.asarray(one, dtype=float) for one in lists]
    shapes = [one.shape for one in values]
    if len(set(shapes)) > 1 or values[0].ndim != 1:
        names = " and ".join(["x", "y", "z"][: len(values)])
        raise AgreementError(f"{names} need one value per candidate each; got shapes {' and '.join(map(str, shapes))}")
    kept = np.all([np.isfinite(one) for one in values], axis=0)
    return tuple(one[kept] for one in values)


def described(
    x: NDArray[np.float64], y: NDArray[np.float64], tau: float, ends: tuple[float, float], pairs: Pairs
) -> Agreement:
    """Tau and its interval with the other correlations; all NaN without a tau."""
    if math.isnan(tau):
        return Agreement(tau, math.nan, math.nan, math.nan, math.nan, len(x), pairs.ties)
    return Agreement(
        tau=tau,
        low=ends[0],
        high=ends[1],
        spearman=float(stats.spearmanr(x, y).statistic),
        pearson=float(np.corrcoef(x, y)[0, 1]),
        n=len(x),
        ties=pairs.ties,
    )


def unresolved_interval(pairs: Pairs, tau: float, level: float) -> tuple[float, float] | None:
    """The interval for samples without a spread of tau; None if there is a spread.

    Below four candidates it is [-1, 1]. If all pairs agree, or none does, the rule of three bounds the share of the
    others by 3 / pairs (at 95 %).
    """
    if len(pairs.agreeing) < 4:
        return -1.0, 1.0
    if pairs.concordant and pairs.discordant:
        return None
    end = tau * max(1 + 2 * math.log(1 - level) / (pairs.concordant + pairs.discordant), -1.0)
    return (end, 1.0) if tau > 0 else (-1.0, end)


def _jackknife_interval(pairs: Pairs, tau: float, level: float) -> tuple[float, float]:
    unresolved = unresolved_interval(pairs, tau, level)
    if unresolved is not None:
        return unresolved
    # Removing candidate i removes its pairs from each of the three sums of tau-b.
    numerator = pairs.agreeing.sum() / 2 - pairs.agreeing
    pairs_x = pairs.untied_x.sum() / 2 - pairs.untied_x
    pairs_y = pairs.untied_y.sum() / 2 - pairs.untied_y
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = numerator / np.sqrt(pairs_x * pairs_y)
    # Removing the only discordant pair gives tau 1, whose artanh is infinite: count half a discordant pair instead.
    most = 1 - 1 / (pairs.concordant + pairs.discordant)
    z = np.arctanh(np.clip(left_out[np.isfinite(left_out)], -most, most))
    if len(z) < 2:
        return -1.0, 1.0
    error = math.sqrt((len(z) - 1) / len(z) * float(((z - z.mean()) ** 2).sum()))
    half = float(stats.t.ppf(0.5 + level / 2, len(pairs.agreeing) - 1)) * error
    centre = math.atanh(tau)
    return math.tanh(centre - half), math.tanh(centre + half)
