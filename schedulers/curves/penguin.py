"""The PENGUIN engine: extrapolates one learning curve and detects when the extrapolation has settled.

The family is ``f(x) = a - b ** (c - x)``, concave and rising towards ``a``. It is fitted anew after every measured
point; training may end once the last few values of ``f(target)`` agree. Accuracies are in percent throughout.

Caveats. The family is monotone: on curves that peak it overshoots, and under a schedule whose accuracy rises at the
end (cosine, step drops) it under-predicts from the early part. A settled prediction may be biased by several points.
Judge its stops; rank by something better than its predictions when there is something better.

Source: the PENGUIN engine of PEng4NN (TPDS 2022) and of A4NN (ICPP 2023).
"""

import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeWarning, curve_fit

Parameters = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Where the search for ``(a, b, c)`` starts and ends.

    Attributes:
        start: first guess.
        lower_bounds: least parameters.
        upper_bounds: greatest parameters.
        max_evaluations: evaluations of the curve after which a fit counts as failed. It cuts off fits that creep along
            a ridge (curves still rising almost linearly). SciPy's own limit for three parameters is 300, which cuts
            off some that the authors' record has; see `benchmarks/curves/penguin_record.py`.

    Raises:
        ValueError: the start is outside the bounds, or no evaluation is allowed.
    """

    start: Parameters = (10.0, 1.001, 100.0)
    lower_bounds: Parameters = (0.5, 1.0, 0.0)
    upper_bounds: Parameters = (200.0, math.inf, math.inf)
    max_evaluations: int = 600

    def __post_init__(self) -> None:
        boxes = zip(self.lower_bounds, self.start, self.upper_bounds, strict=True)
        if not all(low <= value <= high and low < high for low, value, high in boxes):
            raise ValueError(
                f"start must lie between lower_bounds {self.lower_bounds} and upper_bounds {self.upper_bounds}, "
                f"got {self.start}"
            )
        if self.max_evaluations < 1:
            raise ValueError(f"max_evaluations must be at least 1, got {self.max_evaluations!r}")


DEFAULT_FIT = FitSettings()


@dataclass(frozen=True, kw_only=True)
class PenguinConfig:
    """What counts as settled.

    The defaults are those of the published configuration, including three habits of its code that its papers do not
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
        clear_window_at_failure: so does a fit that fails: in A4NN's record its prediction is infinite, and no window
            with one settles. PENGUIN's own code (False) leaves the window as it is.
        saturation: the ``a`` from which a fit counts as stuck at its upper bound.
        fit: settings of the search.
    """

    target: float
    window: int = 3
    tolerance: float = 0.5
    minimum_points: int = 3
    fit_one_point_early: bool = True
    clear_window_at_bound: bool = True
    clear_window_at_failure: bool = True
    saturation: float = 199.99
    fit: FitSettings = DEFAULT_FIT

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
            too few points, the point or the fit was not finite, or the fit was stuck at its bound.
        cleared: True where a fit that failed or was stuck at its bound emptied the window.
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


def fit_curve(x: ArrayLike, y: ArrayLike, settings: FitSettings = DEFAULT_FIT) -> Parameters | None:
    """Fit ``(a, b, c)`` by unweighted least squares (SciPy's bounded trust-region reflective method).

    Two points are enough for an answer, though not for a unique one. The problem has several local optima: another
    SciPy, processor or start may find another one. The published code differentiates numerically; the derivative
    here is exact, which is a quarter faster and finds the same optima (the golden curves to five digits).

    Args:
        x: positions, shape (n,).
        y: accuracies in percent, shape (n,). Points that are not finite are left out.
        settings: where the search starts and ends.

    Returns:
        The parameters, or None when fewer than two points are finite or the search fails.

    Raises:
        ValueError: ``x`` and ``y`` are not two rows of equal length.
    """
    x_all, y_all = _rows(x, y)
    finite = np.isfinite(x_all) & np.isfinite(y_all)
    if finite.sum() < 2:
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # The covariance, which is not used, does not exist for fewer than four points.
        warnings.simplefilter("ignore", OptimizeWarning)
        try:
            fitted, _ = curve_fit(
                _curve,
                x_all[finite],
                y_all[finite],
                p0=settings.start,
                bounds=(settings.lower_bounds, settings.upper_bounds),
                method="trf",
                jac=_jacobian,
                max_nfev=settings.max_evaluations,
            )
        except (RuntimeError, ValueError, np.linalg.LinAlgError):
            return None
    a, b, c = (float(value) for value in fitted)
    return (a, b, c) if math.isfinite(a + b + c) else None


def converge(
    x: ArrayLike, accuracy_percent: ArrayLike, config: PenguinConfig, previous: Convergence | None = None
) -> Convergence:
    """Walk along the curve and stop at the first point where the predictions agree.

    After each point the curve so far is fitted and ``f(target)`` joins the window; a failed fit, or one stuck at its
    bound, empties the window. The predictions have settled when the window is full and all of it lies in (0, 100] and
    within ``tolerance`` of its median. Otherwise the oldest leaves the window.

    Args:
        x: positions in rising order, shape (n,): half epochs or epochs, from 1.
        accuracy_percent: measured accuracies in percent, shape (n,).
        config: what counts as settled.
        previous: the result for a beginning of this very curve under this very config; its fits are not repeated, so
            a curve that grows costs one fit a point.

    Raises:
        ValueError: ``x`` and ``accuracy_percent`` are not two rows of equal length.
    """
    x_all, y_all = _rows(x, accuracy_percent)
    predictions: list[float] = list(previous.predictions) if previous else []
    cleared: list[bool] = list(previous.cleared) if previous else []
    window: list[float] = []
    for i in range(len(x_all)):
        if i == len(predictions):
            prediction, clears = _extrapolate(x_all[: i + 1], y_all[: i + 1], config)
            predictions.append(prediction)
            cleared.append(clears)
        if cleared[i]:
            window.clear()
        elif math.isfinite(predictions[i]):
            window.append(predictions[i])
            if len(window) == config.window:
                if _settled(window, config.tolerance):
                    return Convergence(True, i, predictions[i], tuple(predictions[: i + 1]), tuple(cleared[: i + 1]))
                window.pop(0)
    measured = y_all[np.isfinite(y_all)]
    last = float(measured[-1]) if measured.size else math.nan
    return Convergence(False, None, last, tuple(predictions), tuple(cleared))


def _curve(x: NDArray[np.float64], a: float, b: float, c: float) -> NDArray[np.float64]:
    return np.asarray(a - np.power(b, c - x))


def _jacobian(x: NDArray[np.float64], a: float, b: float, c: float) -> NDArray[np.float64]:
    power = np.power(b, c - x)
    return np.stack([np.ones_like(x), -(c - x) * power / b, -math.log(b) * power], axis=1)  # (n, 3)


def _extrapolate(x: NDArray[np.float64], y: NDArray[np.float64], config: PenguinConfig) -> tuple[float, bool]:
    """Return the prediction from one beginning of a curve (nan for none) and whether it empties the window."""
    if not math.isfinite(y[-1]) or np.isfinite(y).sum() < config.first_fit:
        return math.nan, False
    params = fit_curve(x, y, config.fit)
    if params is None:
        return math.nan, config.clear_window_at_failure
    if config.clear_window_at_bound and params[0] >= config.saturation:
        return math.nan, True
    prediction = float(predict(params, config.target))
    return (prediction, False) if math.isfinite(prediction) else (math.nan, config.clear_window_at_failure)


def _settled(window: Sequence[float], tolerance: float) -> bool:
    middle = statistics.median(window)
    return all(0 < value <= 100 and abs(value - middle) <= tolerance for value in window)


def _rows(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x_all, y_all = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x_all.ndim != 1 or x_all.shape != y_all.shape:
        raise ValueError(f"x and the accuracies must be two rows of equal length, got {x_all.shape} and {y_all.shape}")
    return x_all, y_all
