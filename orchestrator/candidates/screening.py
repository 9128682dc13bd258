"""Candidates against the constraints of an experiment, before anything is spent on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from taurank.orchestrator.experiment import ExperimentError
from taurank.orchestrator.hardware import Constraint
from taurank.spaces import Architecture, SearchSpace, Size, SpaceError, measure_size
from taurank.trainables.data import ImageData
from taurank.trainables.latency import CandidateLatency

DRAWS = 1_000
"""Consecutive draws without a suitable candidate after which drawing stops."""
SECONDS = 15.0
"""Seconds of sizing and measuring without a suitable candidate after which drawing stops."""
SAY_SECONDS = 3.0
"""Interval of the progress messages."""


@dataclass(frozen=True)
class Measured:
    """Size of a candidate and the seconds of its measurement."""

    size: Size
    seconds: float


class Latencies(Protocol):
    """A source of latencies."""

    def measure(self, codes: Sequence[str]) -> Mapping[str, CandidateLatency]:
        """Latencies by code."""
        ...


class Screen:
    """Filters candidates that violate a constraint, at the cost of their measurement only.

    Args:
        space: of the candidates.
        constraints: a candidate has to satisfy all of them.
        data: the images, on which sizes depend.
        latencies: needed for a constraint on latency.
        say: receives progress messages.

    Attributes:
        sizes: of all screened candidates, by code.
        violations: violated constraints, by code.
        problems: why a model does not accept the images, by code.
        nearest: violations of the candidate that is least beyond its bounds; empty without violations.
    """

    def __init__(
        self,
        space: SearchSpace,
        constraints: Sequence[Constraint],
        data: ImageData,
        latencies: Latencies | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._space, self._constraints, self._data, self._latencies = space, constraints, data, latencies
        self._say, self._said = say, time.monotonic()
        self.sizes: dict[str, Measured] = {}
        self.violations: dict[str, str] = {}
        self.problems: dict[str, str] = {}
        self.nearest = ""
        self._least = np.inf

    def fitting(self, codes: Sequence[str]) -> list[str]:
        """The candidates that accept the images and satisfy all constraints, in their order."""
        return self.of_fitting_latency([code for code in codes if self.has_fitting_size(code)])

    def has_fitting_size(self, code: str) -> bool:
        """Whether a candidate accepts the images and satisfies the constraints on its size."""
        by_size = [bound for bound in self._constraints if bound.measure != "latency"]
        fits = self._has_size(code) and self._keeps(code, by_size, self._size_values(code))
        self._report()
        return fits

    def of_fitting_latency(self, codes: Sequence[str]) -> list[str]:
        """Those of the candidates that keep the constraints on latency, in their order."""
        by_latency = [bound for bound in self._constraints if bound.measure == "latency"]
        if not by_latency or not codes:
            return list(codes)
        assert self._latencies is not None
        found = self._latencies.measure(codes)
        self.violations |= {
            code: f"its latency cannot be measured: {found[code].reason}" for code in codes if found[code].reason
        }
        left = [code for code in codes if not found[code].reason]
        return [code for code in left if self._keeps(code, by_latency, {"latency": found[code].milliseconds})]

    def _has_size(self, code: str) -> bool:
        started, architecture = time.perf_counter(), Architecture(self._space.name, code)
        try:
            size = measure_size(
                self._space, architecture, input_shape=self._data.input_shape, classes=len(self._data.classes)
            )
            if self._space.foreign:
                self._space.features(architecture)  # the ranker needs them: better a model less than no ranking
        except SpaceError as error:
            self.problems[code] = str(error)
            return False
        self.sizes[code] = Measured(size, time.perf_counter() - started)
        return True

    def _report(self) -> None:
        """A line about progress, now and then."""
        if time.monotonic() - self._said >= SAY_SECONDS:
            self._said = time.monotonic()
            against = f", {len(self.violations):,} of them violate the constraints" if self._constraints else ""
            self._say(f"  {len(self.sizes):,} candidates sized{against}")

    def _size_values(self, code: str) -> dict[str, float]:
        size = self.sizes[code].size
        return {"parameters": float(size.parameters), "flops": float(size.flops)}

    def _keeps(self, code: str, bounds: Sequence[Constraint], values: Mapping[str, float]) -> bool:
        broken = [bound for bound in bounds if not bound.allows(values[bound.measure])]
        if not broken:
            return True
        text = "; ".join(bound.violated_by(values[bound.measure]) for bound in broken)
        self.violations[code] = text
        beyond = max(bound.excess(values[bound.measure]) for bound in broken)
        if beyond < self._least:
            self._least = beyond
            self.nearest = f"{self._space.short(Architecture(self._space.name, code))}: {text}"
        return False


def screened(screen: Screen, codes: Iterator[str], wanted: int) -> list[str]:
    """The first ``wanted`` candidates that fit, or as many as are found before ``DRAWS`` or ``SECONDS`` in vain."""
    fitting: list[str] = []
    in_vain, last = 0, time.monotonic()
    while len(fitting) < wanted and in_vain < DRAWS and time.monotonic() - last < SECONDS:
        batch = list(islice(_of_fitting_size(screen, codes), wanted - len(fitting)))
        if not batch:
            break
        found = screen.of_fitting_latency(batch)
        fitting += found
        in_vain = 0 if found else in_vain + len(batch)
        last = time.monotonic() if found else last
    return fitting


def _of_fitting_size(screen: Screen, codes: Iterator[str]) -> Iterator[str]:
    """Candidates of a fitting size, until ``DRAWS`` or ``SECONDS`` in a row had none."""
    in_vain, last = 0, time.monotonic()
    for code in codes:
        if screen.has_fitting_size(code):
            yield code
            in_vain, last = 0, time.monotonic()
            continue
        in_vain += 1
        if in_vain >= DRAWS or time.monotonic() - last >= SECONDS:
            return


def endless_draws(space: SearchSpace, count: int, seed: int) -> Iterator[str]:
    """Different random codes, ``count`` at a time; the first ``count`` are those of a run without constraints.

    Ends where ``DRAWS`` codes in a row have been drawn before.

    Raises:
        SpaceError: the space has fewer.
    """
    generator = np.random.default_rng([seed, 0])
    seen: set[str] = set()
    repeated = 0
    while repeated < DRAWS:
        for drawn in space.sample(count, generator):
            if drawn.code in seen:
                repeated += 1
                continue
            repeated = 0
            seen.add(drawn.code)
            yield drawn.code


def check_enough(screen: Screen, found: int, wanted: int, *, drawn: bool) -> None:
    """Refuses too few candidates to rank.

    Raises:
        ExperimentError: fewer than asked for could be drawn, or fewer than two are left of a list.
    """
    if found >= (wanted if drawn else 2) or not screen.violations:
        return
    judged = len(screen.violations) + found
    nearest = f"; nearest: {screen.nearest}" if screen.nearest else ""
    if drawn and not found:
        raise ExperimentError(f"constraints: none of {judged:,} random candidates keeps them{nearest}; loosen them")
    if drawn:
        raise ExperimentError(
            f"constraints: only {found} of {judged:,} random candidates keep them, and {wanted} are asked for; ask for "
            "fewer, or loosen them"
        )
    raise ExperimentError(
        f"constraints: {found} of {judged:,} candidates keep them, and an order needs 2{nearest}; loosen them"
    )
