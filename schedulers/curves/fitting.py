"""Fits a family to all curves at once: rates on a grid, then damped Gauss-Newton steps, the rest in closed form.

Level and gain are the least-squares solution for given rates (variable projection), so the search has at most two
dimensions. The grid is common to all curves, which makes it a few matrix products; the steps are those of
Levenberg and Marquardt with a derivative by differences, for all curves side by side.

Source: Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
separate (SIAM J. Numer. Anal. 1973).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taurank.schedulers.curves.families import Family
from taurank.schedulers.curves.matrix import Floats

_STEP = 1e-5
"""Of the derivative by differences, on the scale of the search (logarithms, mostly)."""
_LONGEST_MOVE = 1.5
"""Of a rate in one step, on that scale."""


@dataclass(frozen=True, eq=False)
class CurveFits:
    """One family fitted to many curves.

    Attributes:
        parameters: in the order of the family, (trials, parameters); nan where nothing was fitted. Of a flat curve
            some may be infinite.
        residuals: weighted sum of squared residuals, (trials,).
        at_end: value of the fitted curve at the end of the schedule, (trials,).
        fitted: False where there were fewer points than parameters, (trials,).
    """

    parameters: Floats
    residuals: Floats
    at_end: Floats
    fitted: NDArray[np.bool_]


def fit_family(
    family: Family, x: Floats, y: Floats, *, limit: float = 1.0, weights: Floats | None = None, steps: int = 15
) -> CurveFits:
    """Least squares, with a curve that does not fall and does not exceed ``limit`` at the last ``x``.

    Args:
        family: what to fit.
        x: epochs, rising, (points,); the last is the end of the schedule, measured or not.
        y: rising curves, see ``rising_curves``, (trials, points); what is not finite is left out.
        limit: greatest value at the end of the schedule.
        weights: of the points, 0 or more, (trials, points); None weighs all alike.
        steps: number of Gauss-Newton steps after the grid.

    Raises:
        ValueError: shapes that do not fit.
    """
    if y.ndim != 2 or x.shape != y.shape[1:] or (weights is not None and weights.shape != y.shape):
        raise ValueError(
            f"y must be (trials, points) with an epoch a point and weights of its shape, got {y.shape}, {x.shape} and "
            f"{None if weights is None else weights.shape}"
        )
    seen = np.isfinite(y)
    w = np.where(seen, 1.0 if weights is None else weights, 0.0)
    fitted = ((w > 0) & seen).sum(axis=1) >= len(family.parameters)
    problem = _Problem(family, x, np.where(seen, y, 0.0), w, limit)
    with np.errstate(all="ignore"):
        searched = problem.refined(problem.best_guesses(), steps)
        level, gain, residuals = problem.solve(searched)
        rates = [rate.value(column) for rate, column in zip(family.rates, searched.T, strict=True)]
        parameters = np.stack(np.broadcast_arrays(*family.assemble(level, gain, *rates)), axis=1)
        at_end = level + gain * family.shape_at(x[-1:], searched)[:, 0]
    return CurveFits(
        parameters=np.where(fitted[:, None], parameters, np.nan),
        residuals=np.where(fitted, np.square(residuals).sum(axis=1), np.nan),
        at_end=np.where(fitted, at_end, np.nan),
        fitted=fitted,
    )


@dataclass(frozen=True, eq=False)
class _Problem:
    """All curves and one family; points that are missing have weight 0."""

    family: Family
    x: Floats  # (points,)
    y: Floats  # (trials, points)
    w: Floats  # (trials, points)
    limit: float

    def best_guesses(self) -> Floats:
        """Of each trial the first guess of the rates with the least squared residual, (trials, rates)."""
        guesses = self.family.first_guesses(self.x[-1])
        shapes = self.family.shape_at(self.x, guesses)  # (guesses, points)
        ends = shapes[:, -1]
        h = (shapes - ends[:, None]).T if self.family.has_level else shapes.T  # (points, guesses)
        wy = self.w * self.y
        sums = _Sums(
            w=self.w.sum(axis=1)[:, None],
            y=wy.sum(axis=1)[:, None],
            yy=(wy * self.y).sum(axis=1)[:, None],
            h=self.w @ h,
            hh=self.w @ h**2,
            hy=wy @ h,
        )
        error = sums.error(*sums.solve(self.family, ends, self.limit))
        return np.asarray(guesses[np.where(np.isfinite(error), error, np.inf).argmin(axis=1)])

    def solve(self, searched: Floats) -> tuple[Floats, Floats, Floats]:
        """Best level and gain for given rates, (trials,) each, and the weighted residuals, (trials, points)."""
        shapes = self.family.shape_at(self.x, searched)  # (trials, points)
        ends = shapes[:, -1]
        h = shapes - ends[:, None] if self.family.has_level else shapes
        wy, wh = self.w * self.y, self.w * h
        sums = _Sums(
            w=self.w.sum(axis=1),
            y=wy.sum(axis=1),
            yy=(wy * self.y).sum(axis=1),
            h=wh.sum(axis=1),
            hh=(wh * h).sum(axis=1),
            hy=(wh * self.y).sum(axis=1),
        )
        end, gain = sums.solve(self.family, ends, self.limit)
        residuals = np.sqrt(self.w) * (self.y - end[:, None] - gain[:, None] * h)
        return (end - gain * ends if self.family.has_level else end), gain, residuals

    def refined(self, searched: Floats, steps: int) -> Floats:
        """Levenberg-Marquardt on the rates of all trials, (trials, rates)."""
        if not self.family.rates:
            return searched
        low, high = np.array([rate.box(self.x[-1]) for rate in self.family.rates]).T
        ahead = _STEP * np.eye(len(low))
        residuals = self.solve(searched)[2]
        error = np.square(residuals).sum(axis=1)
        damping = np.full(len(searched), 0.01)
        for _ in range(steps):
            slopes = np.stack([(self.solve(searched + step)[2] - residuals) / _STEP for step in ahead], axis=1)
            curvature = slopes @ slopes.transpose(0, 2, 1)  # (trials, rates, rates)
            gradient = (slopes @ residuals[:, :, None])[:, :, 0]
            tried = np.clip(searched - _damped(curvature, gradient, damping), low, high)
            tried_residuals = self.solve(tried)[2]
            tried_error = np.square(tried_residuals).sum(axis=1)
            better = tried_error < error  # never where it is not finite
            searched = np.where(better[:, None], tried, searched)
            residuals = np.where(better[:, None], tried_residuals, residuals)
            error = np.where(better, tried_error, error)
            damping = np.clip(np.where(better, damping / 5, damping * 8), 1e-9, 1e9)
        return searched


class _Sums(NamedTuple):
    """Weighted sums over the points; ``h`` is the shape, 0 at the end of the schedule where there is a level."""

    w: Floats
    y: Floats
    yy: Floats
    h: Floats
    hh: Floats
    hy: Floats

    def solve(self, family: Family, ends: Floats, limit: float) -> tuple[Floats, Floats]:
        """Best value at the end and gain with ``end <= limit`` and ``gain >= 0``; the end is 0 without a level."""
        if not family.has_level:
            return np.zeros_like(self.hy), np.clip(self.hy / self.hh, 0.0, limit / ends)
        if not family.has_gain:
            return np.minimum((self.y - self.h) / self.w, limit), np.ones_like(self.h)
        gain = (self.w * self.hy - self.h * self.y) / (self.w * self.hh - self.h**2)
        end = (self.y - gain * self.h) / self.w
        inside = (gain >= 0) & (end <= limit)  # False for nan
        # Outside, the best is on an edge: flat, or at the limit.
        flat = np.minimum(self.y / self.w, limit) + np.zeros_like(self.h)
        capped = np.maximum((self.hy - limit * self.h) / self.hh, 0.0)
        none = np.zeros_like(self.h)
        full = np.full_like(self.h, limit)
        use_capped = self.error(full, capped) < self.error(flat, none)
        return (
            np.where(inside, end, np.where(use_capped, full, flat)),
            np.where(inside, gain, np.where(use_capped, capped, none)),
        )

    def error(self, end: Floats, gain: Floats) -> Floats:
        """Weighted squared residual."""
        explained = 2 * (end * self.y + gain * self.hy) - end**2 * self.w - 2 * end * gain * self.h
        return np.asarray(self.yy - explained + gain**2 * self.hh)


def _damped(curvature: Floats, gradient: Floats, damping: Floats) -> Floats:
    """Solves ``(curvature + damping * its diagonal) move = gradient`` for one or two rates; 0 where it is singular."""
    diagonal = np.diagonal(curvature, axis1=1, axis2=2) * (1 + damping[:, None])
    if gradient.shape[1] == 1:
        move = gradient / diagonal
    else:
        cross = curvature[:, 0, 1]
        determinant = diagonal[:, 0] * diagonal[:, 1] - cross**2
        move = (gradient * diagonal[:, ::-1] - gradient[:, ::-1] * cross[:, None]) / determinant[:, None]
    return np.clip(np.where(np.isfinite(move), move, 0.0), -_LONGEST_MOVE, _LONGEST_MOVE)
