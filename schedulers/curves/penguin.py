"""The PENGUIN engine: extrapolates learning curves and detects when an extrapolation has settled.

The family is ``f(x) = a - b ** (c - x)``, concave and rising towards ``a``. It is fitted anew after every measured
point; training may end once the last few values of ``f(target)`` agree. Accuracies are in percent throughout.

Caveats. The family is monotone: on curves that peak it overshoots, and under a schedule whose accuracy rises at the
end (cosine, step drops) it under-predicts from the early part. A settled prediction may be biased by several points.
Judge its stops; rank by something better than its predictions when there is something better.

Source: the PENGUIN engine of PEng4NN (TPDS 2022) and of A4NN (ICPP 2023).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Parameters = tuple[float, float, float]

_LEAST_A, _MOST_A = 0.5, 200.0
"""Bounds of ``a`` in percent. Those of the others are b >= 1 and c >= 0."""
_SLOWEST, _FASTEST = 1e-4, 50.0
"""Rates ``log(b)`` that are tried: over the whole curve, where it is as good as straight, and for a step of x."""
_GRID, _ZOOM, _ZOOMS = 64, 9, 8
"""Rates on the first grid and on each finer one, and how many finer ones; each is four times as fine."""
_EQUAL = 1e-13
"""Share of the squares of a curve below which squared errors are equal."""
_MOST_NUMBERS = 1 << 18
"""Largest array of a pass; it should fit into a cache."""
_BLOCK = 16
"""Curves are padded to a multiple of so many points."""
_INTERPOLATED, _EXACT = 3, 0.01
"""The curve has as many parameters: it passes so many points within so many accuracy points, or does not have their
shape."""


@dataclass(frozen=True, kw_only=True)
class PenguinConfig:
    """What counts as settled.

    The defaults are those of the published configuration, including two habits of its code that its papers do not
    mention; each has a switch here, so that what it does to the result can be measured.

    Attributes:
        target: the ``x`` to extrapolate to: the length of the schedule, in the unit of ``x``.
        window: how many successive predictions have to agree.
        tolerance: how far each of them may lie from their median, in accuracy points.
        minimum_points: nominal number of points of the first fit.
        fit_one_point_early: the published code fits from one point fewer than ``minimum_points`` on: two points for
            three parameters. False begins at ``minimum_points``.
        clear_window_at_bound: a fit whose ``a`` reaches ``saturation`` yields no prediction and empties the window,
            so curves still rising almost linearly wait longer. False treats it like any other fit.
        saturation: the ``a`` from which a fit counts as stuck at its upper bound.
    """

    target: float
    window: int = 3
    tolerance: float = 0.5
    minimum_points: int = 3
    fit_one_point_early: bool = True
    clear_window_at_bound: bool = True
    saturation: float = 199.99

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target) and self.target > 0):
            raise ValueError(f"target must be a finite number above 0, got {self.target!r}")
        if self.window < 1:
            raise ValueError(f"window must be at least 1 prediction, got {self.window!r}")
        if not (math.isfinite(self.tolerance) and self.tolerance > 0):
            raise ValueError(f"tolerance must be a finite number of accuracy points above 0, got {self.tolerance!r}")
        if self.minimum_points < 3:
            raise ValueError(f"minimum_points must be at least 3, one a parameter, got {self.minimum_points!r}")

    @property
    def first_fit(self) -> int:
        """Number of points of the first fit."""
        return self.minimum_points - 1 if self.fit_one_point_early else self.minimum_points


@dataclass(frozen=True)
class Convergence:
    """Where the predictions of one curve settled, if they did.

    Attributes:
        converged: whether the window of predictions came to agree.
        stop_index: position in ``x`` (from 0) of the point at which it did; None when it did not.
        prediction: accuracy at the target in percent: the prediction at ``stop_index``, or the last measured accuracy
            when the predictions never settled; nan when nothing finite was measured.
        predictions: prediction after each point up to ``stop_index`` (or the last), in percent; nan where there were
            too few points, the point was not finite, or the fit was void.
        cleared: True where a void fit emptied the window: one that was stuck at its bound, or that misses one of no
            more points than it has parameters.
    """

    converged: bool
    stop_index: int | None
    prediction: float
    predictions: tuple[float, ...]
    cleared: tuple[bool, ...]


def predict(params: Parameters, x: ArrayLike) -> NDArray[np.float64]:
    """Return ``a - b ** (c - x)`` in percent, in the shape of ``x``; -inf where it overflows."""
    with np.errstate(over="ignore"):
        return _curve(np.asarray(x, dtype=np.float64), *params)


def fit_curve(x: ArrayLike, y: ArrayLike) -> Parameters | None:
    """``fit_curves`` of one curve, x and y of shape (n,); None where fewer than two points are finite.

    Raises:
        ValueError: ``x`` and ``y`` are not two rows of equal length.
    """
    x_all, y_all = _rows(x, y)
    a, b, c = (float(value) for value in fit_curves(x_all[None], y_all[None])[0])
    return None if math.isnan(a) else (a, b, c)


def fit_curves(x: Floats, y: Floats) -> Floats:
    """Fit ``(a, b, c)`` of many curves at once by unweighted least squares within the bounds of the published code.

    With ``b ** (c - x) = A exp(-rate x)`` the curve is linear in ``a`` and ``A``. Their best values for a rate have a
    closed form, so only the rate is searched: on a grid over all rates, then on ever finer ones around the best. The
    published code searches locally (SciPy's trust-region reflective method) and starts with a slow rate. So of several
    local minima the slowest is taken whose ``a`` is at most 100, and the global one if there is none. 99 % of the
    recorded predictions are reproduced (`benchmarks/curves/penguin_record.py`).

    Two points are enough for an answer, though not for a unique one: of rates that fit equally well the slowest is
    taken.

    Args:
        x: positions, (curves, points).
        y: accuracies in percent, (curves, points). Points that are not finite are left out.

    Returns:
        (curves, 3); nan where fewer than two points are finite.
    """
    found = np.full((len(x), 3), np.nan)
    x, y = (np.pad(part, ((0, 0), (0, -part.shape[1] % _BLOCK)), constant_values=np.nan) for part in (x, y))
    known = np.isfinite(x) & np.isfinite(y)
    # Rounding depends on the padding, so a curve is padded alike whatever the others are.
    blocks = -(-np.where(known, np.arange(1, x.shape[1] + 1), 0).max(axis=1, initial=0) // _BLOCK)
    enough = known.sum(axis=1) >= 2
    for count in np.unique(blocks[enough]):
        alike, points = np.flatnonzero(enough & (blocks == count)), int(count) * _BLOCK
        size = max(1, _MOST_NUMBERS // (_GRID * points))
        for rows in np.array_split(alike, -(-len(alike) // size)):
            found[rows] = _fitted(x[rows, :points], y[rows, :points], known[rows, :points])
    return found


def _fitted(x: Floats, y: Floats, known: NDArray[np.bool_]) -> Floats:
    """``fit_curves`` of curves with at least two known points each, in one pass."""
    first = np.where(known, x, np.inf).min(axis=1)
    ahead = np.where(known, x - first[:, None], 0.0)
    y = np.where(known, y, 0.0)
    weights = known.astype(np.float64)
    equal = _EQUAL * np.square(y).sum(axis=1)[:, None]
    slowest = np.log(_SLOWEST / ahead.max(axis=1).clip(min=np.finfo(float).tiny))[:, None]
    step = (math.log(_FASTEST) - slowest) / (_GRID - 1)
    logs = slowest + step * np.arange(_GRID)
    picked, best = np.arange(len(x)), None
    for _ in range(1 + _ZOOMS):
        error, a, scale = _linear_parts(np.exp(logs), first, ahead, y, weights)
        lowest = (error <= error.min(axis=1)[:, None] + equal).argmax(axis=1)
        best = _slowest_valley(error, a, equal, lowest) if best is None else lowest
        log_rate, a, scale = logs[picked, best], a[picked, best], scale[picked, best]
        logs = np.clip(log_rate[:, None] + step * np.linspace(-1, 1, _ZOOM), slowest, math.log(_FASTEST))
        step = step * 2 / (_ZOOM - 1)
    rate = np.exp(log_rate)
    return np.stack([a, np.exp(rate), np.maximum(first + np.log(scale) / rate, 0.0)], axis=1)


def _slowest_valley(error: Floats, a: Floats, equal: Floats, lowest: NDArray[np.intp]) -> NDArray[np.intp]:
    """The first local minimum of each row whose ``a`` is an accuracy, else the lowest error; (curves,) places."""
    valley = (error[:, 1:-1] < error[:, :-2] - equal) & (error[:, 1:-1] <= error[:, 2:]) & (a[:, 1:-1] <= 100)
    return np.where(valley.any(axis=1), 1 + valley.argmax(axis=1), lowest)


def _linear_parts(
    rates: Floats, first: Floats, ahead: Floats, y: Floats, weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Squared error, ``a`` and ``s`` of the best ``a - s exp(-rate (x - first))`` within the bounds.

    Args:
        rates: (curves, rates).
        first: x of the first point, (curves,).
        ahead: x beyond the first, (curves, points).
        y: (curves, points).
        weights: 1 for points that count, else 0, (curves, points).

    Returns:
        (curves, rates) each.
    """
    falls = np.exp(-rates[:, :, None] * ahead[:, None]) * weights[:, None]  # (curves, rates, points)
    count = weights.sum(axis=1)[:, None]
    mean_y = y.sum(axis=1)[:, None] / count
    rest_y = (y - mean_y) * weights
    columns = np.stack([weights, rest_y], axis=2)  # (curves, points, 2)
    sum_f, sum_fy = np.moveaxis(falls @ columns, 2, 0)
    sum_ff = np.einsum("crp,crp->cr", falls, falls)
    mean_f = sum_f / count
    slope = sum_fy / (sum_ff - count * mean_f**2).clip(min=np.finfo(float).tiny)
    least = np.exp(-rates * first[:, None])  # c >= 0
    # The best is inside the bounds, or the best on one of their edges.
    inside = mean_y - slope * mean_f, -slope
    inside = np.clip(inside[0], _LEAST_A, _MOST_A), np.maximum(inside[1], least)
    edges = [inside, (np.clip(mean_y + least * mean_f, _LEAST_A, _MOST_A), least)]
    for bound in (_LEAST_A, _MOST_A):
        edges.append((np.full_like(rates, bound), np.maximum(((bound - mean_y) * sum_f - sum_fy) / sum_ff, least)))
    a, scale = (np.stack(parts) for parts in zip(*edges, strict=True))  # (edges, curves, rates)
    # Against the mean of y, so that errors of good fits are not lost in large sums.
    shift = a - mean_y
    error = np.square(rest_y).sum(axis=1)[:, None] + count * shift**2
    error = error + scale * (scale * sum_ff + 2 * (sum_fy - shift * sum_f))
    which = error.argmin(axis=0)[None]
    return tuple(np.take_along_axis(part, which, axis=0)[0] for part in (error, a, scale))


def converge(
    x: ArrayLike, accuracy_percent: ArrayLike, config: PenguinConfig, previous: Convergence | None = None
) -> Convergence:
    """``converge_all`` of one curve, x and accuracies of shape (n,).

    Raises:
        ValueError: ``x`` and ``accuracy_percent`` are not two rows of equal length.
    """
    return converge_all([(x, accuracy_percent)], config, [previous])[0]


def converge_all(
    curves: Sequence[tuple[ArrayLike, ArrayLike]],
    config: PenguinConfig,
    previous: Sequence[Convergence | None] | None = None,
) -> list[Convergence]:
    """Walk along each curve and stop at the first point where its predictions agree; all fits are made in one pass.

    After each point the curve so far is fitted and ``f(target)`` joins the window; a void fit (see ``Convergence``)
    empties the window. The predictions have settled when the window is full and all of it lies in (0, 100] and within
    ``tolerance`` of its median. Otherwise the oldest leaves the window.

    Args:
        curves: for each its positions in rising order, (n,): half epochs or epochs, from 1; and its measured
            accuracies in percent, (n,).
        config: what counts as settled.
        previous: for each the result for a beginning of this very curve under this very config, or None; its fits are
            not repeated, so a curve that grows costs one fit a point.

    Raises:
        ValueError: positions and accuracies of a curve are not two rows of equal length.
    """
    rows = [_rows(*curve) for curve in curves]
    known = previous or [None] * len(rows)
    predictions = [list(before.predictions) if before else [] for before in known]
    cleared = [list(before.cleared) if before else [] for before in known]
    beginnings = [
        (place, n)
        for place, (x, _) in enumerate(rows)
        for n in range(len(predictions[place]) + 1, len(x) + 1)
        if not (known[place] and known[place].converged)  # type: ignore[union-attr]
    ]
    fitted = _extrapolate([(rows[place][0][:n], rows[place][1][:n]) for place, n in beginnings], config)
    for (place, _), (prediction, clears) in zip(beginnings, fitted, strict=True):
        predictions[place].append(prediction)
        cleared[place].append(clears)
    return [_walk(y, predictions[place], cleared[place], config) for place, (_, y) in enumerate(rows)]


def _walk(y: Floats, predictions: list[float], cleared: list[bool], config: PenguinConfig) -> Convergence:
    """Where the predictions from the beginnings of a curve settle."""
    window: list[float] = []
    for i, (prediction, clears) in enumerate(zip(predictions, cleared, strict=True)):
        if clears:
            window.clear()
        elif math.isfinite(prediction):
            window.append(prediction)
            if len(window) == config.window:
                if _settled(window, config.tolerance):
                    return Convergence(True, i, prediction, tuple(predictions[: i + 1]), tuple(cleared[: i + 1]))
                window.pop(0)
    measured = y[np.isfinite(y)]
    last = float(measured[-1]) if measured.size else math.nan
    return Convergence(False, None, last, tuple(predictions), tuple(cleared))


def _curve(x: Floats | np.float64, a: Floats | float, b: Floats | float, c: Floats | float) -> Floats:
    return np.asarray(a - np.power(b, c - x))


def _extrapolate(beginnings: Sequence[tuple[Floats, Floats]], config: PenguinConfig) -> list[tuple[float, bool]]:
    """Of beginnings of curves: the prediction from each (nan for none), and whether it empties the window."""
    longest = max((len(x) for x, _ in beginnings), default=0)
    x_all, y_all = np.full((2, len(beginnings), longest), np.nan)
    for place, (x, y) in enumerate(beginnings):
        if math.isfinite(y[-1]) and np.isfinite(y).sum() >= config.first_fit:
            x_all[place, : len(x)], y_all[place, : len(y)] = x, y
    a, b, c = fit_curves(x_all, y_all).T[:, :, None]
    with np.errstate(over="ignore"):
        missed = (np.abs(_curve(x_all, a, b, c) - y_all) > _EXACT).any(axis=1)
        predictions = _curve(np.float64(config.target), a, b, c)[:, 0]
    stuck = a[:, 0] >= config.saturation
    void = missed & ~stuck & (np.isfinite(y_all).sum(axis=1) <= _INTERPOLATED)
    void |= config.clear_window_at_bound & stuck
    return list(zip(np.where(void, np.nan, predictions).tolist(), void.tolist(), strict=True))


def _settled(window: Sequence[float], tolerance: float) -> bool:
    middle = statistics.median(window)
    return all(0 < value <= 100 and abs(value - middle) <= tolerance for value in window)


def _rows(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    x_all, y_all = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x_all.ndim != 1 or x_all.shape != y_all.shape:
        raise ValueError(f"x and the accuracies must be two rows of equal length, got {x_all.shape} and {y_all.shape}")
    return x_all, y_all
