"""Selects the candidates of an experiment and measures their size."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from taurank.orchestrator.candidates.screening import Latencies, Measured, Screen, check_enough, endless_draws, screened
from taurank.orchestrator.evidence import (
    CONSTRAINTS,
    DEPTH,
    DRAWN_AGAIN,
    ENDED,
    FAMILY,
    FLOPS,
    LEFT_OUT,
    PARAMETERS,
    SET_ASIDE,
    SIZE,
    STARTED,
    VOID,
    Evidence,
    EvidenceLog,
)
from taurank.orchestrator.experiment import Experiment, ExperimentError
from taurank.spaces import Architecture, SearchSpace, SpaceError, get_space, measure_size
from taurank.trainables.data import ImageData

SIDES = (32, 64, 96, 128, 160, 192, 224, 256, 288, 384)
"""Sizes of square images to try for a model that does not accept the images of the experiment."""
MOST_TRIED = 5
"""Models for which all sizes are tried, which takes some seconds each."""


@dataclass(frozen=True)
class Candidates:
    """The selected candidates.

    Attributes:
        codes: of the candidates, in order.
        sizes: by code; empty if no candidate had to be built.
        left_out: reason by code, for models that do not accept the images.
        set_aside: reason by code, for listed candidates that violate a constraint.
        drawn_again: number of drawn candidates that violate a constraint.
    """

    codes: tuple[str, ...]
    sizes: Mapping[str, Measured]
    left_out: Mapping[str, str]
    set_aside: Mapping[str, str] = field(default_factory=dict)
    drawn_again: int = 0


def choose_candidates(
    experiment: Experiment,
    data: ImageData,
    latencies: Latencies | None = None,
    *,
    within: SearchSpace | None = None,
    there: Collection[str] = (),
    say: Callable[[str], None] = print,
) -> Candidates:
    """Selects the candidates of an experiment.

    Models of external libraries are tried on an image of this size, without weights. One that does not accept it is
    left out, so that the others are ranked. A listed candidate that violates a constraint is set aside; a drawn one is
    replaced by another draw.

    Args:
        experiment: its ``candidates`` and constraints.
        data: its images.
        latencies: measured for a constraint on latency.
        within: a part of the space to draw from.
        there: candidates that the run already has. They count towards the number of candidates, but are neither
            screened again nor returned.
        say: receives progress messages.

    Raises:
        ExperimentError: too few candidates are left; names a model that does not accept the images, with the sizes that
            it accepts.
        SpaceError: the space has too few architectures.
    """
    space, known = within or experiment.space.make(), set(there)
    if not space.foreign and not experiment.bounds:
        new = [code for code in _asked(experiment, space) if code not in known]
        wanted = experiment.candidates - len(known) if isinstance(experiment.candidates, int) else len(new)
        return Candidates(tuple(new[:wanted]), {}, {})
    screen = Screen(space, experiment.bounds, data, latencies, say)
    named: list[str] = []
    if isinstance(experiment.candidates, int):
        wanted = experiment.candidates - len(known)
        fitting = screened(screen, (code for code in _draws(experiment, space) if code not in known), wanted)
        check_enough(screen, len(fitting), wanted, drawn=True)
    else:
        if isinstance(experiment.candidates, list):
            named, _ = experiment.listed()
        fitting = screen.fitting([code for code in _asked(experiment, space) if code not in known])
    problems = dict(screen.problems)
    problems |= _ways_out(space, [code for code in named if code in problems], problems, data)
    enough = len(known) + len(fitting) >= 2
    if not enough:
        check_enough(screen, len(fitting), 2, drawn=False)
        reason = f"; {next(iter(problems.values()))}" if problems else ""
        raise ExperimentError(
            f"candidates: {len(problems)} of {len(problems) + len(fitting)} models cannot take these images, and an "
            f"order needs 2{reason}"
        )
    drawn = isinstance(experiment.candidates, int)
    return Candidates(
        codes=tuple(fitting),
        sizes={code: screen.sizes[code] for code in fitting},
        left_out=problems,
        set_aside={} if drawn else screen.violations,
        drawn_again=len(screen.violations) if drawn else 0,
    )


def _draws(experiment: Experiment, space: SearchSpace) -> Iterator[str]:
    """Random codes without repeats."""
    assert isinstance(experiment.candidates, int)
    if not space.foreign:
        yield from endless_draws(space, experiment.candidates, experiment.seed)
        return
    codes = [architecture.code for architecture in space.enumerate()]
    for place in np.random.default_rng([experiment.seed, 0]).permutation(len(codes)):
        yield codes[place]


def _asked(experiment: Experiment, space: SearchSpace) -> tuple[str, ...]:
    if isinstance(experiment.candidates, list):
        named, matched = experiment.listed()
        return (*named, *matched)
    if experiment.candidates == "all":
        return tuple(architecture.code for architecture in space.enumerate())
    drawn = space.sample(experiment.candidates, np.random.default_rng([experiment.seed, 0]))
    return tuple(architecture.code for architecture in drawn)


def _ways_out(space: SearchSpace, wrong: list[str], problems: Mapping[str, str], data: ImageData) -> dict[str, str]:
    """Why each named model does not accept the images, with the sizes that it accepts."""
    channels, found = data.input_shape[0], {}
    for number, code in enumerate(wrong):
        line = problems[code].removeprefix("input_shape: ").removeprefix("code: ")
        if number < MOST_TRIED and problems[code].startswith("input_shape"):
            sides = sides_taken(space, Architecture(space.name, code), channels=channels, classes=len(data.classes))
            listed = ", ".join(map(str, sides or SIDES))
            line += f"; data.size may be {listed}" if sides else f"; it takes no data.size of {listed}"
        found[code] = line
    return found


def sides_taken(space: SearchSpace, architecture: Architecture, *, channels: int, classes: int) -> list[int]:
    """The image sizes of ``SIDES`` that a network accepts."""
    taken = []
    for side in SIDES:
        try:
            measure_size(space, architecture, input_shape=(channels, side, side), classes=classes)
        except SpaceError:
            continue
        taken.append(side)
    return taken


@cache
def _warm_up() -> None:
    """Sizes a network that is no candidate: the first one of a process waits a second for what torch loads then."""
    space = get_space("mnist_blocks")
    measure_size(space, space.parse("1,1"), input_shape=(1, 8, 8), classes=2)


def _measure(space: SearchSpace, code: str, data: ImageData) -> Measured:
    _warm_up()
    started = time.perf_counter()
    size = measure_size(space, Architecture(space.name, code), input_shape=data.input_shape, classes=len(data.classes))
    return Measured(size, time.perf_counter() - started)


def book_candidates(log: EvidenceLog, experiment: Experiment, candidates: Candidates) -> None:
    """Logs the candidates that were left out or set aside, and the known sizes."""
    for code, reason in candidates.left_out.items():
        log.append_event(SIZE, code, LEFT_OUT, reason)
    for code, reason in candidates.set_aside.items():
        log.append_event(CONSTRAINTS, code, SET_ASIDE, reason)
    if candidates.drawn_again:
        log.append_event(CONSTRAINTS, "", DRAWN_AGAIN, str(candidates.drawn_again))
    book_sizes(log, experiment, candidates.sizes)


def book_sizes(log: EvidenceLog, experiment: Experiment, sizes: Mapping[str, Measured]) -> None:
    """Notes sizes that were measured when candidates were chosen; nothing where none had to be."""
    if sizes:
        _book_sizes(log, experiment, sizes.items())


def measure_sizes(log: EvidenceLog, experiment: Experiment, codes: Collection[str], data: ImageData) -> None:
    """Parameters, FLOPs and depth of the candidates that the log has none of: what every other source has to beat.

    One that cannot be sized is noted with its reason and stays a candidate: its training will say more.

    Raises:
        SpaceError: none can be sized.
    """
    if log.has_ended(SIZE):
        return
    if experiment.trainable is not None:
        _book_given_sizes(log, experiment, codes)
        return
    space, known, problems = experiment.space.make(), log.architectures(SIZE), dict[str, SpaceError]()

    def sized(left: Iterable[str]) -> Iterator[tuple[str, Measured]]:
        for code in left:
            try:
                yield code, _measure(space, code, data)
            except SpaceError as error:
                problems[code] = error
        if problems and len(problems) == len(codes):
            raise next(iter(problems.values()))

    _book_sizes(log, experiment, sized([code for code in codes if code not in known]))
    for code, error in problems.items():
        log.append_event(SIZE, f"size/{code}", VOID, str(error))


def _book_given_sizes(log: EvidenceLog, experiment: Experiment, codes: Collection[str]) -> None:
    """Logs the sizes that are among the features of candidates which own training code trains."""
    known, given = log.architectures(SIZE), experiment.space.options.get("features", {})
    log.append(
        Evidence(SIZE, f"size/{code}", code, SIZE, 0, 0, 0, metric, float(given[metric][code]), 0.0, 0.0)
        for metric in (PARAMETERS, FLOPS, DEPTH)
        for code in codes
        if metric in given and code not in known
    )


def add_size(
    log: EvidenceLog, experiment: Experiment, code: str, data: ImageData, known: Mapping[str, Measured]
) -> None:
    """Logs parameters, FLOPs and depth of one more candidate, measured unless known."""
    if code not in log.architectures(SIZE):
        space = experiment.space.make()
        _book_size(log, experiment, space, code, known[code] if code in known else _measure(space, code, data))


def _book_sizes(log: EvidenceLog, experiment: Experiment, sizes: Iterable[tuple[str, Measured]]) -> None:
    log.append_event(SIZE, "", STARTED)
    space = experiment.space.make()
    for code, measured in sizes:
        _book_size(log, experiment, space, code, measured)
    log.append_event(SIZE, "", ENDED)


def _book_size(log: EvidenceLog, experiment: Experiment, space: SearchSpace, code: str, measured: Measured) -> None:
    size = measured.size
    values = ((PARAMETERS, size.parameters, measured.seconds), (FLOPS, size.flops, 0.0), (DEPTH, size.depth, 0.0))
    log.append(
        Evidence(SIZE, f"size/{code}", code, SIZE, 0, 0, 0, metric, float(value), cost)
        for metric, value, cost in values
        if value is not None
    )
    if experiment.families is not None:
        log.append_event(SIZE, f"size/{code}", FAMILY, space.family(Architecture(space.name, code)))
