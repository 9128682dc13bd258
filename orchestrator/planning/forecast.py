"""Forecasts: the tau that a budget is expected to reach, from replays and, during a run, from the run itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cache
from itertools import groupby

import numpy as np
from scipy import stats

from taurank.orchestrator.planning.replayed_taus import (
    Estimate,
    ReplayedTable,
    ReplayedTau,
    Setting,
    shipped_replays,
)
from taurank.orchestrator.ranker import LEVEL, Certainty

STEP = 10
"""Budgets that are found are multiples of 1 / STEP."""
ERROR = 0.29
"""Half of the 90 % interval, on the scale artanh(tau), of what the expected tau of a ranking is wrong by beyond its own
interval: over all rankings that ``benchmarks/ranker/forecast_check.py`` looks at."""
NAMED = 2
"""Most lists that a forecast names."""
UNINFORMATIVE = 1.0
"""Width of an interval of tau that says hardly anything."""
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

    @property
    def is_informative(self) -> bool:
        """Whether the interval excludes enough for the expected tau to be worth stating."""
        return self.high - self.low < UNINFORMATIVE


def forecast(
    setting: Setting,
    candidates: int,
    budget: float,
    *,
    proxies: bool = False,
    replays: Sequence[ReplayedTau] | None = None,
) -> Forecast:
    """The tau that ``candidates`` ranked ``budget`` times cheaper than full training will have.

    Three cases, of which the first that applies is used. (1) The same space, images and length were replayed: that
    table; the 90 % interval has the variance of draws, error of their means and interpolation (see ``Estimate``), with
    Student's t of one degree of freedom less than the cells near have draws (all budgets share their candidates, so
    they do not add any). (2) The same space with other images: the mean of its tables; the interval also has the
    variance between tables of one space, from all spaces with several. (3) Otherwise: the mean of all spaces, and the
    variance between spaces. A variance between k means counts (1 + 1 / k) times, with Student's t of its degrees of
    freedom; where a single table was replayed the interval is [-1, 1].

    Args:
        setting: what is ranked.
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
    tables = _tables(replays, proxies)
    estimates = [(table.setting, table.estimate(candidates, budget)) for table in tables]
    kept = _relevant([table.setting for table in tables], setting)
    used = [pair for pair in estimates if pair[0] in kept]
    if kept == [setting]:
        tau, half, doubt = used[0][1].tau, math.sqrt(_within(used)), ""
    elif kept[0].resembles(setting):
        between = _between_tables(estimates) or _between_spaces(estimates)
        tau, half, doubt = _mean(used), _widened(used, between, len(used)), "other images than those of this list"
    else:
        means = [_mean(pairs) for pairs in _by_space(used)]
        tau, half = float(np.mean(means)), _widened(used, _between_spaces(used), len(means))
        doubt = "none of this space and length"
    return Forecast(
        candidates,
        budget,
        tau,
        max(tau - half, -1.0),
        min(tau + half, 1.0),
        float(np.mean([estimate.retained for _, estimate in used])),
        _basis(used, doubt),
        tuple(row for _, estimate in used for row in estimate.rows),
    )


def budget_for(
    setting: Setting,
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
        return correct(forecast(setting, candidates, budget, proxies=proxies, replays=replays))

    # Predicted tau never rises with the budget's factor: bisection over its tenths.
    tables = {table.setting: table for table in _tables(replays, proxies)}
    cheapest = min(tables[known].largest_budget for known in _relevant(list(tables), setting))
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

    On the scale z = artanh(tau), with h the half-widths of the 90 % intervals: what the ranking expects has
    ``h_own^2 = h_interval^2 + ERROR^2``, its weight is ``w = h_end^2 / (h_end^2 + h_own^2)``, and the result
    is ``z_end + w (z_expected - z_now)`` with the half-widths ``sqrt(((1 - w) h_end)^2 + (w h_own)^2)``. So what the
    ranking expects replaces a forecast that rests on other lists, and hardly changes one that rests on many replays of
    the same; the forecast still determines what the rest of the budget adds.

    Args:
        now: forecast for what has been spent so far.
        end: forecast for all that is going to be spent.
        expected_tau: tau that the ranking expects of itself; NaN changes nothing.
        interval: its 90 % interval.
        certainty: of the ranking.
    """
    if not math.isfinite(expected_tau):
        return end
    own = math.hypot(_half(*interval), ERROR)
    before = _half(end.low, end.high)
    weight = before**2 / (before**2 + own**2)
    centre = _z(end.tau) + weight * (_z(expected_tau) - _z(now.tau))
    half = math.hypot((1 - weight) * before, weight * own)
    tau = math.tanh(centre)
    retained = end.retained * tau / end.tau if end.tau > 0 else math.nan
    basis = f"{end.basis}; corrected by what this run's {certainty} ranking expects of itself"
    return replace(
        end, tau=tau, low=math.tanh(centre - half), high=math.tanh(centre + half), retained=retained, basis=basis
    )


def _half(low: float, high: float) -> float:
    """Half of an interval of tau on the scale artanh(tau)."""
    return (_z(high) - _z(low)) / 2


_Replayed = tuple[Setting, Estimate]


def _relevant(replayed: Sequence[Setting], setting: Setting) -> list[Setting]:
    """The setting itself, else those that resemble it, else all."""
    same = [known for known in replayed if known == setting]
    return same or [known for known in replayed if known.resembles(setting)] or list(replayed)


def _by_space(estimates: Sequence[_Replayed]) -> list[list[_Replayed]]:
    return [list(group) for _, group in groupby(estimates, key=lambda pair: pair[0].space)]


def _between_tables(estimates: Sequence[_Replayed]) -> tuple[float, int] | None:
    """Variance of tau between tables of a space, and its degrees of freedom; None where no space has several."""
    groups = [[estimate.tau for _, estimate in pairs] for pairs in _by_space(estimates)]
    freedom = sum(len(taus) - 1 for taus in groups)
    squares = sum(float(np.var(taus)) * len(taus) for taus in groups)
    return (squares / freedom, freedom) if freedom else None


def _between_spaces(estimates: Sequence[_Replayed]) -> tuple[float, int] | None:
    """The same between the means of the spaces; None where there is a single one."""
    means = [_mean(pairs) for pairs in _by_space(estimates)]
    return (float(np.var(means, ddof=1)), len(means) - 1) if len(means) > 1 else None


def _mean(pairs: Sequence[_Replayed]) -> float:
    return float(np.mean([estimate.tau for _, estimate in pairs]))


def _within(pairs: Sequence[_Replayed]) -> float:
    """Square of the half-width that draws alone give."""
    return float(np.mean([(_quantile(estimate.draws - 1) * estimate.sd) ** 2 for _, estimate in pairs]))


def _widened(pairs: Sequence[_Replayed], between: tuple[float, int] | None, count: int) -> float:
    """Half of the interval for a table that is not among ``count`` ones with this variance between them."""
    if between is None:
        return 2.0
    variance, freedom = between
    return math.sqrt(_within(pairs) + _quantile(freedom) ** 2 * variance * (1 + 1 / count))


def _tables(replays: Sequence[ReplayedTau] | None, proxies: bool) -> list[ReplayedTable]:
    """The tables by space; with proxies or without, where both were replayed."""
    tables = _grouped(tuple(shipped_replays() if replays is None else replays), proxies)
    if not tables:
        raise ForecastError("nothing was replayed, so there is no forecast; replay a table of your own with --table")
    return tables


@cache
def _grouped(rows: tuple[ReplayedTau, ...], proxies: bool) -> list[ReplayedTable]:
    tables = []
    for _, group in groupby(sorted(rows, key=_setting_of), key=_setting_of):
        own = list(group)
        tables.append(ReplayedTable([row for row in own if (row.proxies > 0) == proxies] or own))
    return tables


def _setting_of(row: ReplayedTau) -> tuple[str, str, int]:
    return astuple(row.setting)


def _quantile(freedom: int) -> float:
    """Half-width of a 90 % interval in standard deviations that have so many degrees of freedom (Student's t)."""
    return float(stats.t.ppf(0.5 + LEVEL / 2, freedom))


def _basis(used: Sequence[_Replayed], doubt: str) -> str:
    names = ", ".join(f"{setting.space} on {setting.data}" for setting, _ in used)
    if len(used) > NAMED:
        names = f"{len(used)} recorded lists"
    remarks = list(dict.fromkeys(remark for _, estimate in used for remark in estimate.remarks))
    return "; ".join(filter(None, [f"replays of {names}", doubt, *remarks]))


def _z(tau: float) -> float:
    return math.atanh(min(max(tau, -EDGE), EDGE))
