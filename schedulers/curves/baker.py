"""A regression from the beginning of a curve to its end, learned from trials that have finished."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taurank.schedulers.curves.forecast import Forecast
from taurank.schedulers.curves.matrix import CurveMatrix, Floats
from taurank.schedulers.curves.rising import last_values, rising_curves
from taurank.schedulers.curves.signals import filled_gaps

_FOLDS = 3
_LEAST_SD = 1e-6


@dataclass(frozen=True, kw_only=True)
class BakerSVR:
    """nu-SVR on the curve so far, its first and second differences, its mean and spread, and the features.

    For every length that unfinished trials have come to, a regression is trained on the same beginnings of all finished
    trials; its settings are the best of a random search by 3-fold cross-validation (C and gamma log-uniform in
    [1e-5, 10], nu uniform), whose residuals give the standard deviation. A finished trial keeps its last value.

    Caveats. Finished trials cost as much as they bring: at equal epochs this loses or ties with better use of
    unfinished curves. They should be drawn at random; trained on the best only, it flatters the others. The residuals
    are those of the settings that won the search, a little too small. Every length costs a search of its own.

    Source: Baker, Gupta, Raskar and Naik, Accelerating Neural Architecture Search using Performance Prediction (2017);
    search space and mean and spread as in the ports of it by White et al. (NASLib).

    Attributes:
        finished: trials that have to be finished; with fewer all are scored by their last values, without a forecast.
        searches: settings that are tried for each length.
        seed: of folds and search.

    Raises:
        ValueError: fewer than 6 finished trials are asked for (two a fold), or no settings.
    """

    finished: int = 10
    searches: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        if self.finished < 2 * _FOLDS:
            raise ValueError(f"finished must be at least {2 * _FOLDS}, got {self.finished!r}")
        if self.searches < 1:
            raise ValueError(f"searches must be at least 1, got {self.searches!r}")

    def forecast(self, curves: CurveMatrix) -> Forecast:
        """Forecasts the unfinished trials; scores are the means on the scale of ``rising_curves``."""
        rising = rising_curves(curves)
        values, counts = filled_gaps(rising.values), curves.counts
        scores = last_values(values)
        nothing = np.full(len(scores), np.nan)
        done = np.flatnonzero(counts == values.shape[1])
        if len(done) < self.finished:
            return Forecast(scores=scores, variances=nothing, means=nothing, sds=nothing)
        sds = np.where(counts > 0, _LEAST_SD, np.nan)
        for count in np.setdiff1d(counts, (0, values.shape[1])):
            rows = np.flatnonzero(counts == count)
            inputs = _inputs(values[:, :count], curves.features)
            means, sds[rows] = self._regress(inputs[done], scores[done], inputs[rows])
            scores[rows] = np.minimum(means, rising.limit)
        means, spreads = rising.metric(scores, sds)
        return Forecast(scores=scores, variances=sds**2, means=means, sds=spreads)

    def _regress(self, inputs: Floats, finals: Floats, of: Floats) -> tuple[Floats, float]:
        """Predictions for ``of``, and the root mean square of the residuals in cross-validation."""
        # Imported here: they take a second, and few users of the curve models need them.
        from scipy.stats import loguniform, uniform
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.model_selection import KFold, RandomizedSearchCV, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import NuSVR

        if np.ptp(finals) == 0:
            return np.full(len(of), finals[0]), _LEAST_SD
        settings = {"C": loguniform(1e-5, 10), "gamma": loguniform(1e-5, 10), "nu": uniform(0.01, 0.99)}
        folds = KFold(_FOLDS, shuffle=True, random_state=self.seed)
        search = RandomizedSearchCV(
            TransformedTargetRegressor(make_pipeline(StandardScaler(), NuSVR()), transformer=StandardScaler()),
            {f"regressor__nusvr__{name}": values for name, values in settings.items()},
            n_iter=self.searches,
            cv=folds,
            scoring="neg_mean_squared_error",
            random_state=self.seed,
        ).fit(inputs, finals)
        residuals = finals - cross_val_predict(search.best_estimator_, inputs, finals, cv=folds)
        return np.asarray(search.predict(of), dtype=np.float64), max(float(np.sqrt(np.mean(residuals**2))), _LEAST_SD)


def _inputs(values: Floats, features: Floats | None) -> Floats:
    """Features, curve, first and second differences, mean, spread: (trials, inputs)."""
    middle, spread = values.mean(axis=1, keepdims=True), values.std(axis=1, keepdims=True)
    parts = [values, np.diff(values, axis=1), np.diff(values, n=2, axis=1), middle, spread]
    joined = np.concatenate(parts if features is None else [features, *parts], axis=1)
    return np.asarray(np.nan_to_num(joined))
