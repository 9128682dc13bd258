"""How good the orders of replays were, by candidates and budget, and what lies between the measured points.

One row is one cell of ``forecasts.csv``, which ``benchmarks.ranker.forecast_grid`` measures.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from itertools import groupby, pairwise

import numpy as np
from sklearn.isotonic import isotonic_regression

FORECASTS = resources.files("taurank.orchestrator.planning") / "forecasts.csv"
MEASURES = ("tau", "retained")
FEWEST_DRAWS = 2
"""One draw gives no estimate of how much draws differ."""
SAME_LENGTH = 2.0
"""Factor within which full trainings are of about the same length."""


@dataclass(frozen=True)
class Setting:
    """What is ranked, for how much a forecast of one list says of another.

    Attributes:
        space: name of the search space; empty for one that nothing is known of.
        data: name of the data set; empty if unknown.
        full_epochs: length of full training.
    """

    space: str
    data: str
    full_epochs: int

    def resembles(self, other: Setting) -> bool:
        """Whether the other has the same space, and trainings of about the same length; images may differ."""
        ratio = self.full_epochs / other.full_epochs
        return self.space == other.space and 1 / SAME_LENGTH <= ratio <= SAME_LENGTH


@dataclass(frozen=True)
class ReplayedTau:
    """The draws of one replay in one.

    Attributes:
        space: search space of the recorded trainings.
        data: their data set.
        full_epochs: length of their full trainings.
        proxies: how many were computed for every candidate.
        n: candidates of a draw.
        budget: how many times cheaper than training all of them.
        draws: how many.
        tau: mean of Kendall's tau-b of order and truth.
        tau_sd: standard deviation over the draws (of a sample).
        retained: mean of tau / ceiling.
        retained_sd: its standard deviation.
        ceiling: mean tau of one full training of all candidates.
        shorts: short trainings, mean.
        fulls: full trainings, mean.
        cost: share of one full training of all candidates, mean.
    """

    space: str
    data: str
    full_epochs: int
    proxies: int
    n: int
    budget: float
    draws: int
    tau: float
    tau_sd: float
    retained: float
    retained_sd: float
    ceiling: float
    shorts: float
    fulls: float
    cost: float

    @property
    def units(self) -> float:
        """The budget in full trainings."""
        return self.n / self.budget

    @property
    def setting(self) -> Setting:
        """What was ranked."""
        return Setting(self.space, self.data, self.full_epochs)


@dataclass(frozen=True)
class Estimate:
    """The estimate of one table's replays for a point between them.

    Attributes:
        tau: expected Kendall's tau-b.
        retained: expected tau / ceiling.
        sd: standard deviation of one order's tau around it: draws, error of their means, interpolation.
        rows: the measured cells it rests on.
        remarks: what had to be clamped, in words.
    """

    tau: float
    retained: float
    sd: float
    rows: tuple[ReplayedTau, ...]
    remarks: tuple[str, ...]

    @property
    def draws(self) -> int:
        """Of the cell with the fewest."""
        return min(row.draws for row in self.rows)


@dataclass(frozen=True)
class _Corner:
    """A point that a value is interpolated from; full training of all candidates has no row."""

    weight: float
    tau: float
    retained: float
    row: ReplayedTau | None


@cache
def shipped_replays() -> tuple[ReplayedTau, ...]:
    """The cells that come with taurank; none before the first is measured."""
    if not FORECASTS.is_file():
        return ()
    return read_replays(csv.DictReader(FORECASTS.read_text(encoding="utf-8").splitlines()))


def read_replays(rows: Iterable[Mapping[str, str]]) -> tuple[ReplayedTau, ...]:
    """Cells from the rows of a CSV with the columns of ``ReplayedTau``."""
    types = {"str": str, "int": int, "float": float}
    return tuple(
        ReplayedTau(**{field.name: types[str(field.type)](row[field.name]) for field in fields(ReplayedTau)})
        for row in rows
    )


def summarise_cell(draws: Sequence[Mapping[str, float]], setting: Setting, *, proxies: int) -> ReplayedTau:
    """The draws of one number of candidates and one budget, as ``replay_draws`` gives them, in one cell.

    Raises:
        ValueError: a single draw.
    """
    if len(draws) < FEWEST_DRAWS:
        raise ValueError(f"draws: {len(draws)} given, but how much they differ takes {FEWEST_DRAWS}")

    def mean(name: str) -> float:
        return float(np.mean([draw[name] for draw in draws]))

    def spread(name: str) -> float:
        return float(np.std([draw[name] for draw in draws], ddof=1))

    return ReplayedTau(
        space=setting.space,
        data=setting.data,
        full_epochs=setting.full_epochs,
        proxies=proxies,
        n=int(draws[0]["n"]),
        budget=float(draws[0]["budget"]),
        draws=len(draws),
        tau=mean("tau"),
        tau_sd=spread("tau"),
        retained=mean("retained"),
        retained_sd=spread("retained"),
        ceiling=mean("ceiling"),
        shorts=mean("shorts"),
        fulls=mean("fulls"),
        cost=mean("cost"),
    )


class ReplayedTable:
    """The cells of one table of recorded trainings, of any set of budgets for each number of candidates."""

    def __init__(self, rows: Sequence[ReplayedTau]) -> None:
        by_size = groupby(sorted(rows, key=lambda row: (row.n, row.units)), key=lambda row: row.n)
        self._series = {n: _Series(list(group)) for n, group in by_size}
        self.setting = rows[0].setting
        self.largest_budget = max(row.budget for row in rows)

    def estimate(self, candidates: int, budget: float) -> Estimate:
        """Tau and retained tau, linear in log(candidates) and log(full trainings' worth) between the cells.

        Beyond the most expensive cell the line continues to full training of all candidates, which retains all by
        definition. Fewer candidates than were ever replayed count as the fewest for the same share of the cost; more as
        the most for the same number of full trainings, since what is learned does not depend on the other candidates; a
        budget below the smallest as that.
        """
        sizes = sorted(self._series)
        n = min(max(candidates, sizes[0]), sizes[-1])
        units = n / budget if candidates <= n else min(candidates / budget, n)
        weights = _between(n, sizes)
        used = [self._series[size] for size in weights]
        top = n / max(series.smallest_budget for series in used)
        corners = [
            _Corner(weight * corner.weight, corner.tau, corner.retained, corner.row)
            for size, weight in weights.items()
            for corner in self._series[size].corners(min(units, top))
        ]
        if units > top:
            ceiling = sum(weight * self._series[size].ceiling for size, weight in weights.items())
            corners = _towards_full_training(corners, ceiling, math.log(units / top) / math.log(n / top))
        tau, retained = (sum(corner.weight * getattr(corner, name) for corner in corners) for name in MEASURES)
        of_draws = sum(weight * self._series[size].variance for size, weight in weights.items())
        # Sampling error of a mean over pairs; with more than were replayed it is not taken to shrink.
        of_draws *= max(n / candidates, 1.0)
        of_means = sum(corner.weight**2 / corner.row.draws for corner in corners if corner.row)
        # A curve that rises lies between its neighbours.
        between = sum(corner.weight * (corner.tau - tau) ** 2 for corner in corners)
        rows = tuple(dict.fromkeys(corner.row for corner in corners if corner.row))
        sd = math.sqrt(of_draws * (1 + of_means) + between)
        return Estimate(tau, retained, sd, rows, tuple(self._remarks(candidates, budget, used)))

    def _remarks(self, candidates: int, budget: float, used: Sequence[_Series]) -> list[str]:
        sizes, remarks = sorted(self._series), []
        if candidates < sizes[0]:
            remarks.append(f"{candidates:,} candidates taken as {sizes[0]:,}, the fewest replayed")
        if candidates > sizes[-1]:
            remarks.append(
                f"{candidates:,} candidates taken as {sizes[-1]:,}, the most replayed, with as many full trainings"
            )
        largest = max(series.largest_budget for series in used)
        smallest = max(series.smallest_budget for series in used)
        if budget > largest:
            remarks.append(f"{budget:.4g}x taken as {largest:g}x, the cheapest replayed")
        if 1 < budget < smallest:
            remarks.append(f"{budget:.4g}x lies between {smallest:g}x and full training, which retains all")
        return remarks


class _Series:
    """The cells of one number of candidates; more budget never predicts less (isotonic regression)."""

    def __init__(self, rows: Sequence[ReplayedTau]) -> None:
        self._rows = rows
        self._units = np.log([row.units for row in rows])
        draws = np.array([row.draws for row in rows], dtype=float)
        self._tau, self._retained = (
            isotonic_regression([getattr(row, name) for row in rows], sample_weight=draws) for name in MEASURES
        )
        self.ceiling = float(np.average([row.ceiling for row in rows], weights=draws))
        self.variance = float(np.average([row.tau_sd**2 for row in rows], weights=draws - 1))
        """Of tau over draws, from all budgets together: it depends little on the budget, and draws are few."""
        self.smallest_budget, self.largest_budget = rows[-1].budget, rows[0].budget

    def corners(self, units: float) -> list[_Corner]:
        """The one or two cells around a budget in full trainings; the nearest where it lies outside."""
        place = float(np.interp(math.log(units), self._units, np.arange(len(self._rows))))
        below = math.floor(place)
        share = place - below
        return [
            _Corner(weight, float(self._tau[index]), float(self._retained[index]), self._rows[index])
            for index, weight in ((below, 1 - share), (below + 1, share))
            if weight > 0
        ]


def _between(n: int, sizes: Sequence[int]) -> dict[int, float]:
    """The one or two sizes around ``n`` and their weights, linear in the logarithm."""
    if n in sizes:
        return {n: 1.0}
    low, high = next((low, high) for low, high in pairwise(sizes) if low < n < high)
    share = math.log(n / low) / math.log(high / low)
    return {low: 1 - share, high: share}


def _towards_full_training(corners: Sequence[_Corner], ceiling: float, share: float) -> list[_Corner]:
    tau, retained = (sum(corner.weight * getattr(corner, name) for corner in corners) for name in MEASURES)
    kept = [_Corner((1 - share) * corner.weight, corner.tau, corner.retained, corner.row) for corner in corners]
    # An order from many candidates can be better than one full training of each.
    return [*kept, _Corner(share, max(ceiling, tau), max(1.0, retained), None)]
