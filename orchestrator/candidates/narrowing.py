"""Narrows a space to the options with the most capacity per millisecond, before candidates are drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from taurank.orchestrator.candidates.latencies import Meter, Say
from taurank.orchestrator.evidence import NARROWED, EvidenceLog
from taurank.orchestrator.experiment import Experiment, ExperimentError
from taurank.spaces import RestrictedSpace, SpaceError
from taurank.trainables.data import ImageData
from taurank.trainables.latency import LatencyError, every_option, select_options


def narrowed_space(experiment: Experiment, data: ImageData, meter: Meter, *, say: Say = print) -> RestrictedSpace:
    """Measures the options of every decision, or looks them up, and keeps the best of each decision.

    Raises:
        ExperimentError: latencies cannot be measured or looked up, or too few candidates are left.
        ClusterError: the worker was lost.
    """
    spec, space = experiment.narrow, experiment.space.make()
    assert spec is not None
    assert isinstance(experiment.candidates, int)
    say("latency of every option, to narrow the space ...")
    try:
        options = select_options(
            space,
            meter.table_of(every_option(space)),
            input_shape=data.input_shape,
            classes=len(data.classes),
            capacity=spec.capacity,
            keep=spec.keep,
        )
    except (LatencyError, SpaceError) as error:
        raise ExperimentError(f"narrow: {error}") from None
    narrowed = RestrictedSpace(space, options)
    check_size(narrowed, experiment.candidates, way_out=f"raise keep above {spec.keep}")
    return narrowed


def check_size(narrowed: RestrictedSpace, candidates: int, *, way_out: str) -> None:
    """Checks that a narrowed space has enough candidates.

    Raises:
        ExperimentError: it has fewer; suggests fewer candidates, or ``way_out``.
    """
    try:
        narrowed.sample(candidates, np.random.default_rng(0))
    except SpaceError as error:
        found = str(error).partition(";")[0].removeprefix("count: ")
        raise ExperimentError(f"narrow: {found}; ask for fewer candidates, or {way_out}") from None


def logged_narrowing(log: EvidenceLog, experiment: Experiment) -> RestrictedSpace | None:
    """The narrowed space of a run, from its log; None if it was not narrowed."""
    noted = log.noted(NARROWED)
    return None if noted is None else RestrictedSpace(experiment.space.make(), json.loads(noted)["options"])


def book_narrowing(log: EvidenceLog, experiment: Experiment, narrowed: RestrictedSpace) -> None:
    """Logs the kept options and the settings."""
    assert experiment.narrow is not None
    noted = experiment.narrow.model_dump() | {
        "options": narrowed.decisions,
        "codes": narrowed.size,
        "of": narrowed.base.size,
    }
    log.note(NARROWED, json.dumps(noted))


def narrowing_line(log: EvidenceLog) -> str | None:
    """The options of the narrowed space of a run, as text; None if it was not narrowed."""
    noted = log.noted(NARROWED)
    if noted is None:
        return None
    found = json.loads(noted)
    codes = "" if found["codes"] is None or found["of"] is None else f" ({found['codes']:,} of {found['of']:,} codes)"
    return (
        f"narrowed to the {found['keep']} options of each decision with the most {found['capacity']} a "
        f"millisecond{codes}: {_by_decision(found['options'])}"
    )


def _by_decision(options: Sequence[Sequence[str]]) -> str:
    """Such as ``1-2 k3e6 k5e6; 3 k5e6 id``."""
    texts, place = [], 1
    for kept, run in groupby(options):
        last = place + len(list(run)) - 1
        texts.append(f"{place if place == last else f'{place}-{last}'} {' '.join(kept)}")
        place = last + 1
    return "; ".join(texts)
