"""The order of unfinished trainings from their prefixes, weighted by how well prefixes predict later values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from taurank.schedulers.curves.final_values import final_values
from taurank.schedulers.curves.forecast import Forecast
from taurank.schedulers.curves.matrix import CurveMatrix, Floats, standardised
from taurank.schedulers.curves.signals import (
    best_level,
    filled_gaps,
    has_training,
    normal_scores,
    quality,
    recent_level,
    training_signal,
)

Integers = NDArray[np.int64]

PAIR_RATIO = 1.25
"""Prefixes that are compared with their continuation are shorter than the whole one by powers of this."""
HORIZON = 2.0
"""How much further than a prefix its continuation goes."""
FADE = 0.7
"""Weight of a pair of prefix and continuation, per power of ``PAIR_RATIO`` that it lies back."""
HALVES = 2.0
"""Weight of the pairs that are made of every other point, which measure the noise of the validation."""
FEWEST_HALVES = 4
PRIOR_WEIGHT = 3.0
DRIFT_PENALTY = 30.0
"""Against weights that change with time."""
PRIOR = (0.7, 0.0, 0.0)
"""Of best so far, training signal, features; in regressions on what followed, whose coefficients sum to less than 1."""
UNSEEN = {"b": (1.0,), "bt": (0.7, 0.3), "bh": (0.9, 0.1), "bth": (0.6, 0.3, 0.1)}
"""Weights where nothing has followed yet, by which signals there are."""
DECLINE = 0.02
"""Recent values take the place of best so far when they predict later values better by this correlation."""
FEWEST = 8
"""Trials below which nothing is learned."""
DECAY = 0.08
DECAY_TRIALS = 10.0
"""Prior of the exponent by which the correlation with what follows decays, and the trials that it counts for."""
SMALLEST_CORRELATION = 0.05
DOUBT_TRIALS = 3.0
"""Trials that count for the scores at the lowest rung foretelling as much as prefixes show; see ``_doubt``."""
FINAL_NOISE = 0.01
"""Variance of the final result itself, in units of the spread of all trials."""
JOINED = 4.0
"""A rung that this many trials have reached counts half, against where they stood before."""
PENALTIES = np.geomspace(1, 3000, 9)


@dataclass(frozen=True, eq=False)
class LadderFit:
    """What the ladder makes of a set of curves.

    Attributes:
        scores: posterior means in units of the spread of all trials, higher is better, (trials,); nan for a trial
            that has not begun and has no features.
        start: posterior means when all stood at the lowest rung, (trials,).
        variances: posterior variances, (trials,).
        variance_at: of a trial at each point, (points,), not rising.
        weights: by point that trials stand at: of best so far, training signal and features.
    """

    scores: Floats
    start: Floats
    variances: Floats
    variance_at: Floats
    weights: dict[int, Floats]

    def order(self) -> Forecast:
        """The order alone, without final values."""
        unknown = np.full(len(self.scores), np.nan)
        return Forecast(self.scores, self.variances, unknown, unknown)


@dataclass(frozen=True)
class Ladder:
    """Posterior extrapolator of the ORDER of trials that share one schedule, wherever each of them stands.

    Nothing is fitted to single curves: what all trials gain alike to the end cancels in an order. Signals of a prefix
    (best so far, recent training loss, their prediction from the features of the architecture) are ranked among all
    trials that came as far and combined with weights that are learned from the run itself, without any finished trial:

    - prefixes and what followed them: for e < r, the signals at e against the best of the points in (e, min(2e, r)],
      with weights that may drift in log e, so that they hold at r and not only where something has followed;
    - halves: the signals at r, with best so far of every other point, against best so far of the points between. A
      validation whose noise has averaged out needs no second signal, and this shows it without any delay.

    The correlation of score and final score is ``exp(-n) (e / T) ** d``; d and n are learned from the scores along the
    prefixes.
    Where curves turn back, as losses of trials that overfit do, the best so far is no sign of the end: if the recent
    values of prefixes predicted later values better than their best, they take its place (gradually).

    From the lowest rung that trials stand at upwards, the trials that reached the next rung are placed again among
    themselves: their mean stays, and their spread grows by the variance that the epochs between the two rungs reveal.

    Where trials that went further show that the scores at the lowest rung foretold less than prefixes did, the
    variances of all unfinished trials grow: see ``_doubt``.

    Caveats: it cannot foresee a change of order that no trial has reached yet (a drop of the learning rate, a
    plateau that some leave late); its expected tau is a guess until checked against trainings to the end, too high
    early in the schedule. Trials must share schedule and data. On a cyclic schedule, give points of equal phase only.

    Final values (``means``, ``sds``) rest on finished trials where there are some; see ``final_values``.
    """

    def forecast(self, curves: CurveMatrix) -> Forecast:
        """The order, and finals in the metric's unit; see ``final_values``."""
        return self.complete(curves, self.fit(curves))

    def complete(self, curves: CurveMatrix, fit: LadderFit) -> Forecast:
        """The forecast of a fit to these curves."""
        means, sds = final_values(curves, fit.start, fit.scores, fit.variances)
        return Forecast(fit.scores, fit.variances, means, sds)

    def fit(self, curves: CurveMatrix) -> LadderFit:
        """Posterior of all trials, and of the variance that going on would leave."""
        return _Fit(curves).result()


class _Fit:
    def __init__(self, curves: CurveMatrix) -> None:
        self.epochs = curves.epochs.astype(float)
        self.qualities = filled_gaps(quality(curves.values, curves.metric))
        self.counts = curves.counts
        self.training = filled_gaps(curves.training) if has_training(curves) and curves.training is not None else None
        self.features = _usable(curves.features)
        self._columns: dict[int, tuple[Integers, list[Floats]]] = {}
        self._targets: dict[tuple[int, int], Floats] = {}
        self._h: Floats | None = None
        self._decline = 0.0

    def result(self) -> LadderFit:
        trials = len(self.counts)
        rungs = [int(rung) for rung in np.unique(self.counts) if rung > 0]
        scores, variances = np.full(trials, np.nan), np.ones(trials)
        if not rungs:
            return LadderFit(scores, scores, variances, self._variance_at(DECAY, 0.0), {})
        lowest = rungs[0]
        self._decline = self._declined(lowest)
        weights = {lowest: self._weights(lowest)}
        if self.features is not None:
            self._h = self._from_features(lowest, weights[lowest])
            weights[lowest] = self._weights(lowest)
        variance_at = self._variance_at(*self._decay(lowest, weights[lowest]))
        members, signals = self._signals(lowest)
        combined = (
            signals @ weights[lowest] if lowest < len(self.epochs) else normal_scores(self.qualities[members, -1])
        )
        scores[members] = math.sqrt(1 - variance_at[lowest - 1]) * _unit(combined)
        variances[members] = variance_at[lowest - 1]
        if self._h is not None:
            unseen = self.counts == 0
            known = float(np.corrcoef(self._h[members], scores[members])[0, 1]) if np.ptp(self._h[members]) else 0.0
            scores[unseen] = max(known, 0.0) * scores[members].std() * _unit(self._h)[unseen]
        start = scores.copy()
        for rung in rungs[1:]:
            weights[rung] = self._weights(rung)
            self._climb(rung, weights[rung], scores, variances, variance_at)
        variances[self.counts < len(self.epochs)] *= self._doubt(rungs, weights, variance_at)
        return LadderFit(scores, start, variances, variance_at, weights)

    def _climb(self, rung: int, weights: Floats, scores: Floats, variances: Floats, variance_at: Floats) -> None:
        """Places the trials that reached a rung again among themselves."""
        members, signals = self._signals(rung)
        combined, share = signals @ weights, len(members) / (len(members) + JOINED)
        if rung == len(self.epochs) and len(members) > 1:
            # The end is what the order is about: nothing that went before counts any more.
            combined, share = normal_scores(self.qualities[members, -1]), 1.0
        before = scores[members]
        revealed = max(float(variances[members].mean() - variance_at[rung - 1]), 0.0)
        placed = before.mean() + math.sqrt(before.var() + revealed) * _unit(combined)
        scores[members] = (1 - share) * before + share * placed
        variances[members] = variance_at[rung - 1] + (1 - share) * revealed

    def _signals(self, point: int) -> tuple[Integers, Floats]:
        """Trials that reached a point, and their signals there, (members, signals)."""
        if point not in self._columns:
            members = np.flatnonzero(self.counts >= point)
            columns = [self._level(self.qualities[members, :point])]
            if self.training is not None:
                columns.append(normal_scores(training_signal(self.training[members, :point])))
            self._columns[point] = members, columns
        members, columns = self._columns[point]
        if self._h is not None and len(columns) < len(self._names):
            columns.append(normal_scores(self._h[members]))
        return members, np.column_stack(columns)

    def _target(self, start: int, end: int, reached: Integers) -> Floats:
        """Level of the points in (start, end] of these trials."""
        if (start, end) not in self._targets:
            later = self.qualities[reached, start:end]
            self._targets[start, end] = self._mixed(later.max(axis=1), _late(later))
        return self._targets[start, end]

    @property
    def _names(self) -> str:
        return "b" + ("t" if self.training is not None else "") + ("h" if self._h is not None else "")

    def _weights(self, rung: int) -> Floats:
        """Weights of the signals at a rung, sum 1, none negative."""
        members, signals = self._signals(rung)
        width = signals.shape[1]
        unseen = np.array(UNSEEN[self._names])
        if len(members) < FEWEST:
            return unseen
        ridge = np.diag(np.r_[np.full(width, PRIOR_WEIGHT), np.full(width, DRIFT_PENALTY)])
        prior = [PRIOR["bth".index(name)] for name in self._names]
        normal, right = ridge, ridge @ np.r_[prior, np.zeros(width)]
        learned = False
        for start, end in self._pairs(rung):
            reached, before = self._signals(start)
            followed = np.flatnonzero(self.counts[reached] >= end)
            target = self._target(start, end, reached[followed])
            drift = math.log(self.epochs[start - 1] / self.epochs[rung - 1])
            rows = np.hstack([before[followed], drift * before[followed]])
            weight = FADE ** (abs(drift) / math.log(PAIR_RATIO))
            normal = normal + weight * rows.T @ rows
            right = right + weight * rows.T @ target
            learned = True
        if rung >= FEWEST_HALVES:
            prefix = self.qualities[members, :rung]
            for half, other in ((prefix[:, ::2], prefix[:, 1::2]), (prefix[:, 1::2], prefix[:, ::2])):
                rows = np.hstack([self._level(half)[:, None], signals[:, 1:], np.zeros_like(signals)])
                normal = normal + HALVES * rows.T @ rows
                right = right + HALVES * rows.T @ self._level(other)
        if not learned:
            return unseen
        weights = np.maximum(np.linalg.solve(normal, right)[:width], 0.0)
        total = float(weights.sum())
        return weights / total if total > 0 else np.eye(width)[0]

    def _level(self, prefix: Floats) -> Floats:
        """The validation signal of trials with such a prefix: best so far, or recent values where curves decline."""
        return self._mixed(best_level(prefix), recent_level(prefix))

    def _mixed(self, best: Floats, recent: Floats) -> Floats:
        if self._decline == 0:
            return normal_scores(best)
        return (1 - self._decline) * normal_scores(best) + self._decline * normal_scores(recent)

    def _declined(self, rung: int) -> float:
        """How far recent values take the place of best so far, in [0, 1]: by which of them predicted better."""
        lead, total = 0.0, 0.0
        for start, end in self._pairs(rung):
            members = np.flatnonzero(self.counts >= end)
            prefix = self.qualities[members, :start]
            after = normal_scores(_late(self.qualities[members, start:end]))
            best, recent = normal_scores(best_level(prefix)), normal_scores(recent_level(prefix))
            if min(np.ptp(after), np.ptp(best), np.ptp(recent)) == 0:
                continue
            gap = abs(math.log(self.epochs[start - 1] / self.epochs[rung - 1]))
            weight = len(members) * FADE ** (gap / math.log(PAIR_RATIO))
            lead += weight * float(np.corrcoef(recent, after)[0, 1] - np.corrcoef(best, after)[0, 1])
            total += weight
        return min(max(lead / total / DECLINE, 0.0), 1.0) if total else 0.0

    def _pairs(self, rung: int) -> list[tuple[int, int]]:
        """Prefixes up to a rung with the end of what followed, so far as enough trials went there."""
        reached = np.sort(self.counts)[::-1]
        furthest = int(reached[min(FEWEST, len(reached)) - 1])
        starts, start = set(), float(rung)
        while start > 0.5:
            starts.add(max(1, round(start)))
            start /= PAIR_RATIO
        pairs = []
        for start in sorted(starts):
            end = min(furthest, max(start + 1, round(HORIZON * start)))
            if end > start:
                pairs.append((start, end))
        return pairs

    def _from_features(self, rung: int, weights: Floats) -> Floats:
        """The score at a rung predicted from the features of the architectures: left-out ridge regression."""
        assert self.features is not None
        members, signals = self._signals(rung)
        return _left_out_ridge(self.features, members, _unit(signals @ weights))

    def _decay(self, rung: int, weights: Floats) -> tuple[float, float]:
        """How the scores of shorter prefixes correlate with those at a rung: ``exp(-n) (e / r) ** d``, as (d, n).

        Part of what shorter prefixes miss is noise, of which the score at the rung has about half as much.
        """
        members, signals = self._signals(rung)
        now = signals @ weights
        rows, right = [[0.0, math.sqrt(DECAY_TRIALS)]], [math.sqrt(DECAY_TRIALS) * DECAY]
        for start in {start for start, _ in self._pairs(rung)} - {rung}:
            early, before = self._signals(start)
            then = (before @ weights)[np.searchsorted(early, members)]
            if start > rung or np.ptp(then) == 0 or np.ptp(now) == 0:
                continue
            correlation = max(float(np.corrcoef(then, now)[0, 1]), SMALLEST_CORRELATION)
            gap = math.log(self.epochs[rung - 1] / self.epochs[start - 1])
            weight = math.sqrt(len(members) * FADE ** (gap / math.log(PAIR_RATIO)))
            rows.append([weight, weight * gap])
            right.append(weight * -math.log(correlation))
        noise, decay = nnls(np.array(rows), np.array(right))[0]
        return float(decay), float(noise) / 2

    def _doubt(self, rungs: list[int], weights: dict[int, Floats], variance_at: Floats) -> float:
        """Factor, 1 or more, for variances where the scores at the lowest rung foretell less than prefixes show.

        Where a policy stopped most trials early, the others show how the order changed since. They were selected by
        their scores, and among them correlations are lower than among all, which is corrected for.
        """
        lowest = rungs[0]
        members, signals = self._signals(lowest)
        now = signals @ weights[lowest]
        if lowest == len(self.epochs) or np.ptp(now) == 0:
            return 1.0
        known = total = DOUBT_TRIALS
        for later in rungs[1:]:
            ahead, after = self._signals(later)
            before = now[np.searchsorted(members, ahead)]
            if len(ahead) < FEWEST or np.ptp(before) == 0 or np.ptp(after @ weights[later]) == 0:
                continue
            ratio = float(before.std() / now.std())
            inside = float(np.corrcoef(before, after @ weights[later])[0, 1])
            correlation = max(_of_all(inside, ratio), SMALLEST_CORRELATION)
            expected = (1 - variance_at[lowest - 1]) / (1 - variance_at[later - 1])
            weight = len(ahead) * ratio**2
            known += weight * correlation**2 / expected
            total += weight
        # Not below: correlations of few trials are off to both sides.
        share, left = min(known / total, 1.0), float(variance_at[lowest - 1])
        return (1 - share * (1 - left)) / (share * left) if share < 1 else 1.0

    def _variance_at(self, decay: float, noise: float) -> Floats:
        """Variance that is left at each point: ``1 - exp(-2 n) (e / T) ** (2 d)``, and the final result's own."""
        left = 1 - math.exp(-2 * noise) * (self.epochs / self.epochs[-1]) ** (2 * decay)
        left[-1] = 0.0
        return np.asarray(np.clip(left + FINAL_NOISE, FINAL_NOISE, 1.0 - 1e-6))


def _of_all(correlation: float, ratio: float) -> float:
    """The correlation among all, from that among those selected by one of the two.

    ``ratio`` is the spread of the selected in it, relative to that of all. Source: Thorndike, Personnel Selection
    (1949), case 2.
    """
    return correlation / math.sqrt(ratio**2 + correlation**2 * (1 - ratio**2))


def _late(later: Floats) -> Floats:
    """Mean of the second half of what followed, (trials, points) -> (trials,)."""
    return np.asarray(later[:, later.shape[1] // 2 :].mean(axis=1))


def _unit(values: Floats) -> Floats:
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))


def _usable(features: Floats | None) -> Floats | None:
    """Standardised features; None where all are constant or some are missing."""
    if features is None or not np.isfinite(features).all():
        return None
    columns = standardised(features)
    return columns if columns.shape[1] else None


def _left_out_ridge(features: Floats, members: Integers, target: Floats) -> Floats:
    """Ridge regression of ``target`` on the features of ``members``; each of them is predicted from the others.

    The penalty is that of least left-out error, in closed form from one decomposition. Returns (trials,).
    """
    inside = features[members]
    centre = inside.mean(axis=0)
    left, singular, right = np.linalg.svd(inside - centre, full_matrices=False)
    projected = left.T @ (target - target.mean())
    best_error, best = math.inf, np.zeros(len(features))
    for penalty in PENALTIES:
        shrunk = singular**2 / (singular**2 + penalty)
        leverage = np.minimum((left**2 * shrunk).sum(axis=1) + 1 / len(members), 0.99)
        residuals = (target - target.mean() - left @ (shrunk * projected)) / (1 - leverage)
        error = float((residuals**2).mean())
        if error < best_error:
            coefficients = right.T @ (singular / (singular**2 + penalty) * projected)
            predicted = target.mean() + (features - centre) @ coefficients
            predicted[members] = target - residuals
            best_error, best = error, predicted
    return best
