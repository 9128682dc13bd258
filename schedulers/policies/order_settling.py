"""Spend the epochs where they settle the order: all trials to one epoch, then those with the largest expected gain."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import ClassVar, Literal, get_args

import numpy as np

from taurank.schedulers.curves import FEWEST, FEWEST_FINISHED, CurveMatrix, Ladder, LadderFit
from taurank.schedulers.policies.gain import tau_gains
from taurank.schedulers.policies.options import require_integer, require_number
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits, Step, curve_matrix, used_epochs
from taurank.schedulers.policies.standing import affordable, drawn_order, ending, has_ended, waiting

Goal = Literal["order", "top", "best", "tenth"]

RUNG_RATIO = 1.4
BATCH_SHARE = 0.04
"""Of the trials, sent on before the model is asked again."""
HORIZONS = (1, 2, 3, 5, 8)
"""Rungs ahead, and the end, of which the best gain an epoch counts."""
TENTH_MARGIN = 0.15
"""Share of the trials that goes to the last rung that the reserve of ``tenth`` pays for: its order among itself does
not matter, but its border does."""
RESERVES: dict[Goal, float] = {"order": 0.0, "top": 0.15, "best": 0.4, "tenth": 0.7}
"""Share of the budget kept for the predicted top, by goal."""


@dataclass(frozen=True)
class _Situation:
    """What the policy works with while it decides once."""

    curves: Mapping[str, Curve]
    limits: Limits
    alive: tuple[str, ...]
    rungs: tuple[int, ...]

    @cached_property
    def place(self) -> dict[str, int]:
        return {trial: row for row, trial in enumerate(self.alive)}

    @cached_property
    def matrix(self) -> CurveMatrix:
        return curve_matrix({trial: self.curves[trial] for trial in self.alive}, self.limits)

    @cached_property
    def fit(self) -> LadderFit:
        return Ladder().fit(self.matrix)

    def finals(self) -> tuple[list[float], list[float]]:
        """Predicted final values and their standard deviations, (alive,); NaN while too few trainings have finished.

        Before that the level of all finals is a guess, which must not be taken for evidence.
        """
        if (self.matrix.counts == len(self.matrix.epochs)).sum() < FEWEST_FINISHED:
            return [math.nan] * len(self.alive), [math.nan] * len(self.alive)
        forecast = Ladder().complete(self.matrix, self.fit)
        return forecast.means.tolist(), forecast.sds.tolist()


@dataclass(frozen=True)
class OrderSettlingPolicy:
    """Freeze-thaw for the order of all trials: a trial is paused, never stopped, and can be resumed later.

    1. All trials train to the same epoch, the furthest that the budget allows for all. With ``target_tau`` in rungs,
       each 1.4 times as far as the one before, so that it can finish early.
    2. What is left goes to those trials at the lowest rung with the largest expected gain in tau per epoch:
       ``sum over j of G(|s_i - s_j|, ...) / epochs``, see ``gain.tau_gains``. Near-ties that not even
       the end would settle gain nothing and are left alone.
    3. With the goals ``top``, ``best`` and ``tenth`` a share of the budget is kept for the predicted top: the trials of
       best ``score + sd / 2``, least advanced first, one rung at a time, fewer from rung to rung. With ``tenth`` at
       least 15 % of all go up to the last rung that is paid for, which may be before the end of the schedule.

    Once three trainings have finished it predicts the finals of the others.

    It is done when the budget is spent, when ``target_tau`` is expected at two successive rungs, or when no further
    epoch would change the expected tau.

    Caveats: up to a third of the epochs, equal epochs for all give the best order of all trials; for the best trial
    alone the goal ``best`` does better. The expected tau is a guess until complete trainings have checked it, and the
    reason says so. It cannot foresee a change of order that no trial has shown yet.

    Source: of this project; freeze-thaw is the idea of Swersky, Snoek and Adams 2014 (arXiv 1406.3896).

    Example:
        >>> trials = {name: Curve(name) for name in "abc"}
        >>> answer = OrderSettlingPolicy().decide(trials, Limits(20, budget_epochs=18))
        >>> sorted((step.trial, step.until) for step in answer.next)
        [('a', 6), ('b', 6), ('c', 6)]

    Attributes:
        goal: ``order`` of all trials, ``top`` for the order of the best tenth too, ``best`` for the best one,
            ``tenth`` for which ones the best tenth are, at a lower tau of all.
        target_tau: expected tau at which to finish; None to spend the budget.
        min_fraction: share of the schedule that every trial trains at least before that.
        reserve: share of the budget for the predicted top; None for that of the goal (0, .15, .4, .7).
        seed: of the order in which equal trials start.
    """

    judges_running: ClassVar[bool] = False

    goal: Goal = "order"
    target_tau: float | None = None
    min_fraction: float = 0.1
    reserve: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.goal not in get_args(Goal):
            raise ValueError(f"goal must be one of {', '.join(get_args(Goal))}, got {self.goal!r}")
        if self.target_tau is not None:
            require_number("target_tau", self.target_tau, above=0, below=1)
        require_number("min_fraction", self.min_fraction, above=0, below=1)
        if self.reserve is not None and not 0 <= self.reserve < 1:
            raise ValueError(f"reserve must be a share of the budget from 0 to below 1, got {self.reserve!r}")
        require_integer("seed", self.seed, at_least=0)

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        Raises:
            ValueError: the budget does not allow every trial to come to the first cut point.
        """
        rungs = self.rungs(curves, limits)
        alive = tuple(sorted(trial for trial, curve in curves.items() if _is_alive(curve)))
        here = _Situation(curves, limits, alive, rungs)
        steps, why = self._next(here)
        # Final values take longer than the order, and are not needed while trials are sent on.
        means, sds = ([math.nan] * len(alive),) * 2 if steps else here.finals()
        running = any(curve.state == "running" for curve in curves.values())
        decisions = {}
        going = {step.trial: step.reason for step in steps}
        for trial, curve in curves.items():
            if has_ended(curve, limits):
                decisions[trial] = ending(curve, limits)
                continue
            row = here.place[trial]
            mean, sd = means[row], sds[row]
            if trial in going or curve.state == "running":
                reason = going.get(trial, f"on its way to epoch {curve.until}")
                decisions[trial] = Decision("continue", reason, mean, sd)
            else:
                rest = waiting(curve, limits, why if not steps else "others gain more")
                decisions[trial] = Decision("pause", rest.reason, mean, sd, rest.saved_epochs)
        done = not steps and not running
        return Decisions(decisions, steps, "done" if done else "running", why)

    def rungs(self, curves: Mapping[str, Curve], limits: Limits) -> tuple[int, ...]:
        """Epochs at which trials wait for each other, rising up to the end of the schedule.

        Raises:
            ValueError: the budget does not allow every trial to come to the first cut point.
        """
        points, trials = limits.cut_points, len(curves)
        if limits.budget_epochs < points[0] * trials:
            raise ValueError(
                f"budget_epochs {limits.budget_epochs:g} is below {points[0] * trials}, {points[0]} for each of "
                f"{trials} trials; raise it or take fewer trials"
            )
        abreast = self._abreast(curves, limits)
        rungs = {abreast, points[-1]}
        if self.target_tau is not None:
            below = abreast / RUNG_RATIO
            while below >= self.min_fraction * points[-1] and below >= points[0]:
                rungs.add(_point(points, below))
                below /= RUNG_RATIO
        above = abreast * RUNG_RATIO
        while above < points[-1]:
            rungs.add(_point(points, above))
            above *= RUNG_RATIO
        return tuple(sorted(rungs))

    def _abreast(self, curves: Mapping[str, Curve], limits: Limits) -> int:
        """The furthest cut point that all trials that have not failed can reach."""
        alive = [curve for curve in curves.values() if _is_alive(curve)]
        lost = sum(curve.last_epoch for curve in curves.values()) - sum(curve.last_epoch for curve in alive)
        each = ((1 - self._reserve) * limits.budget_epochs - lost) / max(len(alive), 1)
        return _point(limits.cut_points, min(each, float(limits.schedule_epochs)))

    @property
    def _reserve(self) -> float:
        return RESERVES[self.goal] if self.reserve is None else self.reserve

    def _next(self, here: _Situation) -> tuple[tuple[Step, ...], str]:
        """The next steps, or none, and the reason."""
        curves, limits, rungs = here.curves, here.limits, here.rungs
        open_ = [c for c in (curves[t] for t in drawn_order(here.alive, self.seed)) if not has_ended(c, limits)]
        idle = [c for c in open_ if c.state != "running"]
        if not idle:
            return (), "all are running" if open_ else "every training has ended"
        first = [c for c in idle if c.last_epoch < rungs[0]]
        if first:
            together = [Step(c.trial, rungs[0], f"all train to epoch {rungs[0]}") for c in first]
            return affordable(together, curves, limits), f"all train to epoch {rungs[0]}"
        settled = self._settled(here, open_)
        if settled:
            return (), settled
        lowest = min(_rung(rungs, c.last_epoch) for c in idle)
        eligible = [c for c in idle if _rung(rungs, c.last_epoch) == lowest]
        until = rungs[lowest + 1]
        spare = limits.budget_epochs * (1 - self._reserve) - used_epochs(curves)
        price = sum(until - c.last_epoch for c in eligible)
        if price <= spare and until <= self._abreast(curves, limits):
            steps = [Step(c.trial, until, f"all train to epoch {until}") for c in eligible]
            return affordable(steps, curves, limits), f"all train to epoch {until}"
        if self._reserve > 0:
            top = self._top(here, idle)
            return (top, "the predicted top trains on") if top else ((), "the budget is spent")
        return self._by_gain(here, eligible, until)

    def _by_gain(self, here: _Situation, eligible: Sequence[Curve], until: int) -> tuple[tuple[Step, ...], str]:
        """The trials of the lowest rung with the largest expected gain in tau per epoch."""
        place, fit, rungs = here.place, here.fit, here.rungs
        rows = np.array([place[c.trial] for c in eligible])
        scores = np.nan_to_num(fit.scores)
        lowest = _rung(rungs, eligible[0].last_epoch)
        ahead = sorted({min(lowest + steps, len(rungs) - 1) for steps in HORIZONS} | {len(rungs) - 1})
        targets = np.array([rungs[rung] for rung in ahead])
        left = fit.variance_at[np.searchsorted(here.matrix.epochs, targets)]
        cost = targets[:, None] - np.array([c.last_epoch for c in eligible])  # (horizons, eligible)
        best = (tau_gains(scores, fit.variances, rows, left) / cost).max(axis=0)
        batch = max(here.limits.slots, math.ceil(BATCH_SHARE * len(here.alive)))
        # Sorting is stable: equal ones stay in the order that the seed has drawn.
        ranked = [i for i in np.argsort(-best, kind="stable") if best[i] > 0][:batch]
        steps = [Step(eligible[i].trial, until, f"expected tau gain per epoch: {best[i]:.2g}") for i in ranked]
        kept = affordable(steps, here.curves, here.limits)
        if kept:
            return kept, "the largest expected gains in tau train on"
        return (), "the budget is spent" if steps else "no further epoch would change the expected tau"

    def _top(self, here: _Situation, idle: Sequence[Curve]) -> tuple[Step, ...]:
        """The next of the predicted top: fewer from rung to rung, at equal cost per rung.

        When every rung has its number, what is left of the budget goes to the best of those that have not finished.
        """
        curves, climb = here.curves, self._climb(here)
        hopes = np.nan_to_num(here.fit.scores, nan=-np.inf) + 0.5 * np.sqrt(here.fit.variances)
        hope = {trial: hopes[row] for row, trial in enumerate(here.alive)}
        best_first = sorted(idle, key=lambda c: -hope[c.trial])
        start = self._abreast(curves, here.limits)
        for rung, (size, before) in climb.items():
            there = sum(c.target_epoch >= rung for c in curves.values())
            candidates = [c for c in best_first if before <= c.last_epoch < rung]
            sent = candidates[: max(size - there, 0)]
            if sent:
                why = f"among the {size} that are most likely to be at the top"
                return affordable([Step(c.trial, rung, why) for c in sent], curves, here.limits)
        beyond = [rung for rung in climb if rung > start]
        for curve in best_first:
            until = next(rung for rung in beyond if rung > curve.last_epoch)
            step = affordable(
                [Step(curve.trial, until, "the best of those that can be trained on")], curves, here.limits
            )
            if step:
                return step
        return ()

    def _climb(self, here: _Situation) -> dict[int, tuple[int, int]]:
        """Rungs above the common one: how many trials go there, and the rung before."""
        points, before = here.limits.cut_points, self._abreast(here.curves, here.limits)
        rungs, epoch = [before], float(before)
        while rungs[-1] < points[-1]:
            epoch *= RUNG_RATIO
            rungs.append(max(_point(points, epoch), points[bisect_right(points, rungs[-1])]))
        spare = self._reserve * here.limits.budget_epochs
        prices = [later - earlier for earlier, later in pairwise(rungs)]
        sizes = _wide_sizes(prices, spare, math.ceil(TENTH_MARGIN * len(here.alive))) if self.goal == "tenth" else None
        sizes = sizes or [max(1, int(spare / len(prices) / price)) for price in prices]
        return {rung: (size, earlier) for rung, size, earlier in zip(rungs[1:], sizes, rungs, strict=False)}

    def _settled(self, here: _Situation, open_: Sequence[Curve]) -> str:
        """Why the order is as settled as asked; empty if it is not."""
        if self.target_tau is None:
            return ""
        lowest = min(_rung(here.rungs, c.last_epoch) for c in open_)
        if len(here.alive) < FEWEST or here.rungs[lowest] < self.min_fraction * here.rungs[-1]:
            return ""
        if lowest < 1:
            return ""
        expected = here.fit.order().expected_tau()
        if expected >= self.target_tau:
            before = {t: _cut(here.curves[t], here.rungs[lowest - 1]) for t in here.alive}
            earlier = Ladder().forecast(curve_matrix(before, here.limits)).expected_tau()
            if earlier >= self.target_tau:
                return (
                    f"expected tau {expected:.2f} reaches {self.target_tau:g} at two successive rungs ({_guess(here)})"
                )
        return ""


def _wide_sizes(prices: Sequence[int], spare: float, least: int) -> list[int] | None:
    """How many trials go to each rung: an equal share of ``spare``, or ``least``, as far up as ``least`` can be paid.

    Rungs above have 0. Returns None if ``least`` trials cannot go to any rung.
    """
    steepest = list(accumulate(prices, max))  # the last rung may be near the one before; no rung has more than that one
    for last in range(len(prices), 0, -1):
        for free in range(last, -1, -1):
            left = spare - least * sum(prices[free:last])
            share = left / max(free, 1)
            if left >= 0 and (free == 0 or share >= least * steepest[free - 1]):
                wide = [int(share / price) for price in steepest[:free]]
                return wide + [least] * (last - free) + [0] * (len(prices) - last)
    return None


def _is_alive(curve: Curve) -> bool:
    return curve.state != "failed" and not curve.diverged


def _guess(here: _Situation) -> str:
    finished = sum(here.curves[t].last_epoch >= here.limits.schedule_epochs for t in here.alive)
    return (
        f"checked against {finished} complete trainings"
        if finished >= FEWEST
        else "a guess: too few trainings are complete"
    )


def _cut(curve: Curve, epoch: int) -> Curve:
    kept = bisect_right(curve.epochs, epoch)
    return Curve(curve.trial, curve.epochs[:kept], curve.values[:kept], curve.training[:kept], curve.features)


def _point(points: Sequence[int], epoch: float) -> int:
    """The last cut point up to an epoch."""
    return points[max(bisect_right(points, epoch + 1e-9) - 1, 0)]


def _rung(rungs: Sequence[int], epoch: int) -> int:
    """The highest rung that an epoch has reached, -1 for none."""
    return bisect_right(rungs, epoch) - 1
