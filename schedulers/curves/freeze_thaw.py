"""A Gaussian process over flattening curves and their asymptotes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from taurank.schedulers.curves.forecast import Forecast
from taurank.schedulers.curves.matrix import CurveMatrix, Floats, standardised
from taurank.schedulers.curves.rising import rising_curves

_BOUNDS = np.log([[0.3, 1.0], [0.003, 5.0], [1e-6, 10.0], [1e-2, 1e3]])  # of (alpha, beta, noise, asymptotes)
_START = np.log([0.8, 0.1, 0.01, 1.0])
_FIT_TRIALS, _FIT_POINTS = 200, 12
"""At most so many trials and points of each, evenly spread over log time, decide on the hyper-parameters."""
_POINTS = 30
"""As many points of a curve, spread likewise, enter its forecast: the best so far knows the others."""
_FEATURE_SHARES = (0.0, 0.3, 0.6, 0.9)
_LEAST_VARIANCE = 1e-12
_RISE_SD = 0.4
"""Least spread of the rise that all have in common, for each doubling still to go and each step seen so far: a few
points do not show how a curve flattens."""
_LEAST_GAP = 0.003
"""Added to what is missing to the limit, so that a perfect value is finite; of the order of one image in 300."""


@dataclass(frozen=True, kw_only=True)
class FreezeThaw:
    """Freeze-thaw Gaussian process on the best value so far.

    Values are taken as ``z = -log(limit - value + .003)``, which is linear in the number of halvings of the error. What
    trials have in common is one curve; trial i departs from it by ``asymptote_i + curve_i(t) + noise``. Curves are
    independent with the covariance ``s2 * beta^alpha / (t + t' + beta)^alpha``, t in shares of the schedule: it decays,
    so a curve may move early and settles later. Asymptotes are normal around one mean; with features, part of their
    variance is shared between similar architectures (squared-exponential kernel on standardised features).
    Hyper-parameters maximise the marginal likelihood pooled over trials; mean and scale have closed forms, and so has
    the forecast. The common curve is forecast in the same way, with the trials as they are.

    Scores are z of the best value at the end. Means are lower by what, in the last quarter of the curves so far, the
    best lay above the value itself (median).

    Caveats. Strong late in training and on smooth curves, weaker than a second signal (training loss) where validation
    is noisy; with less than a fifth of the schedule seen it orders like the best so far. It does not know the schedule.
    Intervals are often too wide, and too narrow where a drop of the learning rate is still to come. alpha is at most 1:
    the beginnings of curves like a larger one, which forecasts their plateaus too soon.

    Source: Swersky, Snoek and Adams, Freeze-Thaw Bayesian Optimization (2014), section 3; the best so far instead of
    the value, since a value under a large learning rate is mostly noise.

    Attributes:
        evaluations: of the marginal likelihood, at most.

    Raises:
        ValueError: no evaluation is allowed.
    """

    evaluations: int = 80

    def __post_init__(self) -> None:
        if self.evaluations < 1:
            raise ValueError(f"evaluations must be at least 1, got {self.evaluations!r}")

    def forecast(self, curves: CurveMatrix) -> Forecast:
        """Forecasts every trial of which anything was measured."""
        rising = rising_curves(curves)
        n = len(rising.values)
        scores, variances, means, sds = (np.full(n, np.nan) for _ in range(4))
        known = np.flatnonzero(np.isfinite(rising.values).any(axis=1))
        if len(known):
            values, t = rising.values[known], rising.times / rising.times[-1]
            values = -np.log(np.maximum(rising.limit - values, 0.0) + _LEAST_GAP)
            best = np.where(np.isfinite(values), np.fmax.accumulate(values, axis=1), np.nan)
            common = _common_curve(best)
            features = None if curves.features is None else standardised(curves.features[known])
            own, own_variance = self._posterior(t, best - common, features)
            rise, rise_variance = self._posterior(t, best, None, of=common[None])
            points = np.flatnonzero(np.isfinite(common))
            unknown = _RISE_SD * -np.log2(t[points[-1]]) / max(len(points) - 1, 1)
            rise_variance = np.maximum(rise_variance, unknown**2)
            scores[known], variances[known] = own + rise, own_variance
            lead, lead_sd = _lead(values, best)
            middle, sd = own + rise - lead, np.sqrt(own_variance + rise_variance + lead_sd**2)
            low, mean, high = (rising.limit + _LEAST_GAP - np.exp(-(middle + side * sd)) for side in (-1, 0, 1))
            means[known], sds[known] = rising.metric(np.minimum(mean, rising.limit), (high - low) / 2)
        return Forecast(scores=scores, variances=variances, means=means, sds=sds)

    def _posterior(
        self, t: Floats, y: Floats, features: Floats | None, of: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Mean and variance of the last point of each trial, or of other curves under the model of these, (trials,)."""
        kernel, mean, scale = self._fit(t, y)
        groups = _Groups.of(t, _thinned(y if of is None else of, _POINTS))
        trial = kernel.solve(groups, t[-1])
        pull = (trial.weights[groups.of_trial] * groups.y).sum(axis=1)  # the curve's evidence for the asymptote
        precision = trial.precision[groups.of_trial]
        prior = _prior_covariance(pull, precision, kernel.asymptotes, mean, scale, features)
        asymptote, asymptote_var = _condition(prior, pull, precision, mean)
        follow = (trial.follow[groups.of_trial] * groups.y).sum(axis=1)
        own = (1 - trial.follow_sum)[groups.of_trial]
        rest = trial.rest[groups.of_trial]
        return asymptote * own + follow, scale * (own**2 * asymptote_var + rest).clip(min=_LEAST_VARIANCE)

    def _fit(self, t: Floats, y: Floats) -> tuple[_Kernel, float, float]:
        """Kernel, mean of the asymptotes and scale of all covariances that make a sample of the trials most likely."""
        rows = np.unique(np.linspace(0, len(y) - 1, _FIT_TRIALS).round().astype(np.int64))
        groups = _Groups.of(t, _thinned(y[rows], _FIT_POINTS))

        def cost(log_parameters: Floats) -> float:
            return _likelihood(_Kernel.of(log_parameters), groups)[0]

        # One step of a factor e in each direction; by default a start at 0 (alpha, asymptotes) would hardly be left.
        simplex = _START + np.concatenate([np.zeros((1, len(_START))), np.eye(len(_START))])
        found = minimize(
            cost,
            _START,
            method="Nelder-Mead",
            bounds=[(float(low), float(high)) for low, high in _BOUNDS],
            options={"maxfev": self.evaluations, "xatol": 0.05, "initial_simplex": simplex},
        )
        kernel = _Kernel.of(found.x)
        _, mean, scale = _likelihood(kernel, groups)
        return kernel, mean, scale


@dataclass(frozen=True, eq=False)
class _Groups:
    """Trials that were measured at the same points share one covariance.

    Attributes:
        t: times of their points, then whatever, (groups, points).
        seen: which of these there are, (groups, points).
        of_trial: group of each trial, (trials,).
        y: (trials, points); 0 where there is no point.
        counts: points of each trial, (trials,).
    """

    t: Floats
    seen: NDArray[np.bool_]
    of_trial: NDArray[np.int64]
    y: Floats
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, t: Floats, y: Floats) -> _Groups:
        patterns, of_trial = np.unique(np.isfinite(y), axis=0, return_inverse=True)
        of_trial = of_trial.reshape(-1)
        counts = patterns.sum(axis=1)
        points = np.argsort(~patterns, axis=1, kind="stable")[:, : counts.max()]  # the missing ones last
        seen = np.take_along_axis(patterns, points, axis=1)
        kept = np.take_along_axis(y, points[of_trial], axis=1)
        return cls(t[points], seen, of_trial, np.where(seen[of_trial], kept, 0.0), counts[of_trial])


@dataclass(frozen=True, eq=False)
class _Solved:
    """Per group: all in units of the common scale.

    Attributes:
        weights: inverse covariance of the points, summed, (groups, points).
        precision: of the asymptote by the curve alone, (groups,).
        log_det: of the covariance of the points, (groups,).
        inverse: (groups, points, points).
        follow: weights of the points in the forecast of the curve, (groups, points).
        follow_sum: their sum, (groups,).
        rest: variance that is left of curve and noise, (groups,).
    """

    weights: Floats
    precision: Floats
    log_det: Floats
    inverse: Floats
    follow: Floats
    follow_sum: Floats
    rest: Floats


@dataclass(frozen=True)
class _Kernel:
    """Covariances in units of the variance of a curve at time 0."""

    alpha: float
    beta: float
    noise: float
    asymptotes: float

    @classmethod
    def of(cls, log_parameters: Floats) -> _Kernel:
        return cls(*(float(value) for value in np.exp(np.clip(log_parameters, *_BOUNDS.T))))

    def solve(self, groups: _Groups, at: float) -> _Solved:
        """Everything that depends on which points were measured only, not on their values; forecasts time ``at``."""
        seen, t = groups.seen, groups.t
        both = seen[:, :, None] & seen[:, None, :]
        covariance = np.where(both, freeze_thaw_kernel(t[:, :, None], t[:, None, :], self.alpha, self.beta), 0.0)
        # A missing point is on its own, with variance 1 and value 0: it changes nothing.
        points = np.arange(seen.shape[1])
        covariance[:, points, points] += np.where(seen, self.noise, 1.0)
        inverse = np.linalg.inv(covariance)  # (groups, points, points)
        weights = (inverse @ seen[:, :, None].astype(np.float64))[:, :, 0] * seen
        ahead = np.where(seen, freeze_thaw_kernel(t, at, self.alpha, self.beta), 0.0)
        follow = (inverse @ ahead[:, :, None])[:, :, 0]
        now = float(freeze_thaw_kernel(at, at, self.alpha, self.beta))
        return _Solved(
            weights=weights,
            precision=weights.sum(axis=1),
            log_det=np.linalg.slogdet(covariance)[1],
            inverse=inverse,
            follow=follow,
            follow_sum=follow.sum(axis=1),
            rest=(now - (follow * ahead).sum(axis=1)).clip(min=0.0) + self.noise,
        )


def freeze_thaw_kernel(t: Floats | float, other: Floats | float, alpha: float, beta: float) -> Floats:
    """Covariance of a curve with itself at times t and t', 1 at 0: ``(beta / (t + t' + beta)) ** alpha``."""
    return np.asarray((beta / (t + other + beta)) ** alpha, dtype=np.float64)


def _likelihood(kernel: _Kernel, groups: _Groups) -> tuple[float, float, float]:
    """Negative log marginal likelihood per point, with the best mean of the asymptotes and scale; both are returned."""
    solved = kernel.solve(groups, 1.0)
    pull = (solved.weights[groups.of_trial] * groups.y).sum(axis=1)
    precision = solved.precision[groups.of_trial]
    shrink = 1 / (1 + kernel.asymptotes * precision)  # integrates the asymptote out
    mean = float((shrink * pull).sum() / (shrink * precision).sum())
    # y' C^-1 y of the curves around the mean, group by group in one product.
    turned = np.einsum("np,npq->nq", groups.y, solved.inverse[groups.of_trial])
    square = (turned * groups.y).sum(axis=1) - 2 * mean * pull + mean**2 * precision
    square = square - kernel.asymptotes * shrink * (pull - mean * precision) ** 2
    total = int(groups.counts.sum())
    scale = max(float(square.sum()) / total, _LEAST_VARIANCE)
    log_det = solved.log_det[groups.of_trial].sum() - np.log(shrink).sum()
    return 0.5 * (math.log(scale) + float(log_det) / total), mean, scale


def _prior_covariance(
    pull: Floats, precision: Floats, asymptotes: float, mean: float, scale: float, features: Floats | None
) -> Floats | float:
    """Prior covariance of the asymptotes: one variance, or (trials, trials) where features make the curves likelier."""
    if features is None or features.shape[1] == 0 or len(pull) < 2:
        return asymptotes
    distance = np.square(features).sum(axis=1)
    distance = distance[:, None] + distance - 2 * features @ features.T
    alike = np.exp(-0.5 * distance.clip(min=0.0) / features.shape[1])
    rows = np.unique(np.linspace(0, len(pull) - 1, _FIT_TRIALS).round().astype(np.int64))
    observed = (pull / precision - mean)[rows] / math.sqrt(scale)

    def cost(share: float) -> float:
        some = alike[np.ix_(rows, rows)]
        covariance = asymptotes * (share * some + (1 - share) * np.eye(len(rows))) + np.diag(1 / precision[rows])
        return float(np.linalg.slogdet(covariance)[1] + observed @ np.linalg.solve(covariance, observed))

    share = min(_FEATURE_SHARES, key=cost)
    if share == 0:
        return asymptotes
    return np.asarray(asymptotes * (share * alike + (1 - share) * np.eye(len(pull))))


def _condition(prior: Floats | float, pull: Floats, precision: Floats, mean: float) -> tuple[Floats, Floats]:
    """Posterior mean and variance of the asymptotes, given each curve's own estimate."""
    if isinstance(prior, float):
        variance = 1 / (1 / prior + precision)
        return variance * (mean / prior + pull), variance
    gain = np.linalg.solve(prior + np.diag(1 / precision), prior).T  # (trials, trials)
    return mean + gain @ (pull / precision - mean), np.diag(prior) - (gain * prior).sum(axis=1)


def _thinned(y: Floats, most: int) -> Floats:
    """At most so many points of each trial, evenly spread over log time and with the last one; the rest is nan."""
    counts = np.isfinite(y).sum(axis=1)
    kept = np.full_like(y, np.nan)
    for count in np.unique(counts):
        ranks = np.unique(np.geomspace(1, count, most).round().astype(np.int64))
        rows = np.flatnonzero(counts == count)
        rank = np.cumsum(np.isfinite(y[rows]), axis=1)
        chosen = np.isfinite(y[rows]) & np.isin(rank, ranks)
        kept[rows] = np.where(chosen, y[rows], np.nan)
    return kept


def _common_curve(y: Floats) -> Floats:
    """What trials have in common, (points,): mean increments, of those that have both points, summed up.

    Means of the values themselves would jump where trials end.
    """
    measured = np.isfinite(y)
    running = measured[:, ::-1].cumsum(axis=1)[:, ::-1] > 0  # up to the last point of each
    filled = np.where(running, np.fmax.accumulate(y, axis=1), np.nan)
    steps = np.diff(filled, axis=1)
    both = np.isfinite(steps)
    mean_step = np.where(both, steps, 0.0).sum(axis=0) / np.maximum(both.sum(axis=0), 1)
    begin = y[np.arange(len(y)), measured.argmax(axis=1)].mean()
    return np.where(measured.any(axis=0), np.concatenate([[begin], mean_step]).cumsum(), np.nan)


def _lead(values: Floats, best: Floats) -> tuple[float, float]:
    """By how much the best so far lies above the value: median and spread over the last quarter of each curve."""
    rank = np.cumsum(np.isfinite(values), axis=1)
    late = np.isfinite(values) & (rank > 0.75 * rank[:, -1:])
    lead = (best - values)[late]
    middle = float(np.median(lead))
    return middle, 1.4826 * float(np.median(np.abs(lead - middle)))
