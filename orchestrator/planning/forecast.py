"""Forecasts: the tau that a budget is expected to reach, from replays and, during a run, from the run itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

import numpy as np
from scipy import stats

from taurank.orchestrator.planning.replayed_taus import Estimate, ReplayedTable, ReplayedTau, shipped_replays
from taurank.orchestrator.ranker import LEVEL, Certainty

STEP = 10
"""Budgets that are found are multiples of 1 / STEP."""
TRUST: dict[Certainty, float] = {"uncalibrated": 0.0, "doubtful": 0.5, "calibrated": 0.8}
"""Weight of the tau that a ranking expects of itself against the forecast from replays. Even a calibrated one describes
only the present, so a fifth of its difference from the forecast is attributed to chance."""
EDGE = 1 - 1e-6
"""Largest tau that has a finite artanh here."""


class ForecastError(ValueError):
    """A forecast that cannot be made; one line with the way out."""


@dataclass(frozen=True)
class Forecast:
    """The expected result of a budget.

    Attributes:
        candidates: how many are ranked.
        budget: how many times cheaper than one full training of all candidates.
        tau: expected Kendall's tau-b against the truth, higher is better.
        low: lower end of its 90 % interval, for one run.
        high: upper end.
        retained: expected tau / ceiling; 1 is as good as one full training of all candidates.
        basis: what it rests on, in words.
        near: the replayed cells it rests on.
    """

    candidates: int
    budget: float
    tau: float
    low: float
    high: float
    retained: float
    basis: str
    near: tuple[ReplayedTau, ...]


def forecast(
    space: str, candidates: int, budget: float, *, proxies: bool = False, replays: Sequence[ReplayedTau] | None = None
) -> Forecast:
    """The tau that ``candidates`` of ``space`` ranked ``budget`` times cheaper than full training will have.

    A space with a table of its own uses that table. Any other gets the mean over all tables. Variance of the 90 %
    interval: draws, error of their means, interpolation (see ``Estimate``), with Student's t of one degree of freedom
    less than the cells near have draws (all budgets share their candidates, so they do not add any); between k tables,
    for one that is not among them, their variance times (1 + 1 / k) with k - 1 degrees of freedom. One table alone
    does not constrain another space: then the interval is [-1, 1].

    Args:
        space: name of a search space, known or not.
        candidates: how many are ranked.
        budget: how many times cheaper than full training, 1 or above.
        proxies: whether zero-cost proxies are computed; a table that was replayed in one way only is taken as it is.
        replays: measured cells; by default those that come with taurank.

    Raises:
        ForecastError: fewer than 2 candidates, a budget below 1, or nothing was replayed.
    """
    if candidates < 2:
        raise ForecastError(f"candidates: {candidates} have no order; give 2 or more")
    if not 1 <= budget < math.inf:
        raise ForecastError(f"budget: {budget:g} is not how many times cheaper; give 1 or more")
    tables = _tables_for(space, proxies, replays)
    new = tables[0].space != space
    estimates = [table.estimate(candidates, budget) for table in tables]
    taus = [estimate.tau for estimate in estimates]
    tau = float(np.mean(taus))
    half = _half_width(estimates, new=new)
    near = tuple(row for estimate in estimates for row in estimate.rows)
    return Forecast(
        candidates,
        budget,
        tau,
        max(tau - half, -1.0),
        min(tau + half, 1.0),
        float(np.mean([estimate.retained for estimate in estimates])),
        _basis(tables, estimates, new=new),
        near,
    )


def budget_for(
    space: str,
    candidates: int,
    tau: float,
    *,
    proxies: bool = False,
    replays: Sequence[ReplayedTau] | None = None,
    correct: Callable[[Forecast], Forecast] = lambda found: found,
) -> Forecast | None:
    """The cheapest budget, to a tenth, whose predicted tau reaches ``tau``; none cheaper than was ever replayed.

    None where even full training does not: a second full training of all candidates agrees with the truth no better
    than the ceiling. ``correct`` is applied to every forecast (see ``update``); the other arguments are those of
    ``forecast``.
    """

    def at(budget: float) -> Forecast:
        return correct(forecast(space, candidates, budget, proxies=proxies, replays=replays))

    # Predicted tau never rises with the budget's factor: bisection over its tenths.
    cheapest = min(table.largest_budget for table in _tables_for(space, proxies, replays))
    reached, missed = STEP, math.floor(cheapest * STEP) + 1
    if at(1.0).tau < tau:
        return None
    while missed - reached > 1:
        middle = (reached + missed) // 2
        if at(middle / STEP).tau >= tau:
            reached = middle
        else:
            missed = middle
    return at(reached / STEP)


def update(
    now: Forecast, end: Forecast, *, expected_tau: float, interval: tuple[float, float], certainty: Certainty
) -> Forecast:
    """The forecast of a run's end, corrected by what the ranking expects of itself today.

    On the scale z = artanh(tau), with w = ``TRUST[certainty]``: ``z_end + w (z_expected - z_now)``, and half-widths
    ``sqrt(((1 - w) h_end)^2 + (w h_expected)^2)``. So an uncalibrated ranking changes nothing, and a calibrated one
    mostly replaces the forecast, to which only what the rest of the budget adds is left.

    Args:
        now: forecast for what has been spent so far.
        end: forecast for all that is going to be spent.
        expected_tau: tau that the ranking expects of itself; NaN changes nothing.
        interval: its 90 % interval.
        certainty: of the ranking.
    """
    weight = TRUST[certainty]
    if weight == 0 or not math.isfinite(expected_tau):
        return end
    centre = _z(end.tau) + weight * (_z(expected_tau) - _z(now.tau))
    below, above = (
        math.hypot((1 - weight) * (_z(ours) - _z(end.tau)), weight * (_z(its) - _z(expected_tau)))
        for ours, its in ((end.low, interval[0]), (end.high, interval[1]))
    )
    tau = math.tanh(centre)
    retained = end.retained * tau / end.tau if end.tau > 0 else math.nan
    basis = f"{end.basis}; corrected by what this run's {certainty} ranking expects of itself"
    return replace(
        end, tau=tau, low=math.tanh(centre - below), high=math.tanh(centre + above), retained=retained, basis=basis
    )


def _tables_for(space: str, proxies: bool, replays: Sequence[ReplayedTau] | None) -> list[ReplayedTable]:
    """Tables of the space; those of all where it has none."""
    tables = _tables(tuple(shipped_replays() if replays is None else replays), proxies)
    if not tables:
        raise ForecastError("nothing was replayed, so there is no forecast; replay a table of your own with --table")
    return [table for table in tables if table.space == space] or tables


@cache
def _tables(rows: tuple[ReplayedTau, ...], proxies: bool) -> list[ReplayedTable]:
    def table(row: ReplayedTau) -> tuple[str, str]:
        return row.space, row.data

    tables = []
    for _, group in groupby(sorted(rows, key=table), key=table):
        own = list(group)
        tables.append(ReplayedTable([row for row in own if (row.proxies > 0) == proxies] or own))
    return tables


def _half_width(estimates: Sequence[Estimate], *, new: bool) -> float:
    """Half of the 90 % interval; ``new``: for a table that is not among the estimates."""
    count = len(estimates)
    within = float(np.mean([(_quantile(estimate.draws) * estimate.sd) ** 2 for estimate in estimates]))
    if count == 1:
        return 2.0 if new else math.sqrt(within)
    spread = float(np.var([estimate.tau for estimate in estimates], ddof=1))
    return math.sqrt(within + _quantile(count) ** 2 * spread * (1 + 1 / count))


def _quantile(samples: int) -> float:
    """Half-width of a 90 % interval in standard deviations that so many samples gave (Student's t)."""
    return float(stats.t.ppf(0.5 + LEVEL / 2, samples - 1))


def _basis(tables: Sequence[ReplayedTable], estimates: Sequence[Estimate], *, new: bool) -> str:
    names = ", ".join(f"{table.space} on {table.data}" for table in tables)
    draws = sorted({row.draws for estimate in estimates for row in estimate.rows})
    counted = f"{draws[0]} draws each" if len(draws) == 1 else f"{draws[0]} to {draws[-1]} draws each"
    several = len(tables) > 1
    remarks = [
        f"{table.space} on {table.data}: {remark}" if several else remark
        for table, estimate in zip(tables, estimates, strict=True)
        for remark in estimate.remarks
    ]
    unknown = ["no recorded trainings of this space"] if new else []
    return "; ".join([f"replays of {names}, {counted}", *unknown, *remarks])


def _z(tau: float) -> float:
    return math.atanh(min(max(tau, -EDGE), EDGE))
