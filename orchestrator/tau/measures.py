"""Kendall's tau with a weight on the best, and with a third variable held fixed."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike
from scipy import stats

from taurank.orchestrator.tau.agreement import Coefficient, compared, tau_b
from taurank.orchestrator.tau.pairs import Pairs


def weighted_tau(x: ArrayLike, y: ArrayLike) -> Coefficient:
    """Vigna's tau with additive hyperbolic weights: a swap among the best costs more than one among the worst.

    A pair counts 1 / (r + 1) + 1 / (s + 1), with the places r and s of its two candidates (0 is best); the mean over
    places by x and places by y, so it is symmetric. In [-1, 1], higher is better. Candidates with a NaN on either side
    are ignored; NaN if one side is constant or fewer than two remain (Vigna 2015, "A weighted
    correlation index for rankings with ties"; ``scipy.stats.weightedtau``).

    Raises:
        ValueError: lists of different lengths.
    """
    first, second = compared(x, y)
    ties = Pairs.of(first, second).ties
    if math.isnan(tau_b(first, second)):
        return Coefficient(math.nan, len(first), ties)
    return Coefficient(float(stats.weightedtau(first, second).statistic), len(first), ties)


def partial_tau(x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Coefficient:
    """Kendall's partial tau: agreement of x and y beyond what a third variable such as size explains of both.

    ``(t_xy - t_xz t_yz) / sqrt((1 - t_xz^2) (1 - t_yz^2))`` of tau-b (Kendall 1942). In [-1, 1]; 0: x has no
    information about y beyond z. NaN if x or y has the order of z or its reverse, or one of the three is constant.
    Candidates with a NaN in one of the three are ignored. ``ties`` are those of x and y.

    Raises:
        ValueError: lists of different lengths.
    """
    first, second, third = compared(x, y, z)
    value = partial_of(tau_b(first, second), tau_b(first, third), tau_b(second, third))
    return Coefficient(value, len(first), Pairs.of(first, second).ties)


def partial_of(xy: float, xz: float, yz: float) -> float:
    """Partial tau from the three taus; NaN if it is not defined."""
    # For some lists a tau of 1 is computed as 0.9999999999999999.
    rest = [1 - tau**2 for tau in (xz, yz)]
    if not min(rest) > 1e-12:
        return math.nan
    return (xy - xz * yz) / math.sqrt(rest[0] * rest[1])
