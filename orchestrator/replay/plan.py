"""The stages of a replay, checked against the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
from pydantic import BaseModel, ValidationError

from taurank.orchestrator.experiment import Budget, BudgetError, TrainingSpec, load_experiment, read_budget, read_factor
from taurank.orchestrator.planning import ROUNDING, plan_trainings
from taurank.orchestrator.ranker import KnowledgeSource, RankerOptions
from taurank.orchestrator.replay.bench import Bench, drawn_count
from taurank.orchestrator.replay.cheap import Cheap
from taurank.orchestrator.replay.known import known_encoding
from taurank.orchestrator.replay.truth import ReplayError
from taurank.orchestrator.stages import check_policy
from taurank.orchestrator.text import YamlError, problem_lines, read_yaml


@dataclass(frozen=True)
class ReplayPlan:
    """What every draw does.

    Attributes:
        candidates: how many are drawn.
        speed_up: how many times cheaper than one full training of all candidates the evidence has to be.
        seed: of the draws and of the ranking.
        workers: trainings at once.
        cheap: what is measured of every candidate before any training.
        trainings: stages of trainings, with the seeds that are recorded.
        budget_epochs: what the trainings may cost.
        adaptive: whether the stages were planned by default and may change with the evidence.
        knowledge: what is known from other data; it costs nothing.
        knowledge_encoding: see ``known.known_encoding``.
        budget: as it was asked for.
        images: of validation; None if that is unknown, and no pilot of short trainings is asked then.
        classes: of images; None if that is unknown.
        options: of the ranker.
    """

    candidates: int
    speed_up: float
    seed: int
    workers: int
    cheap: Cheap
    trainings: tuple[TrainingSpec, ...]
    budget_epochs: float
    adaptive: bool
    knowledge: tuple[KnowledgeSource, ...] = ()
    knowledge_encoding: pd.DataFrame | None = field(default=None, compare=False, repr=False)
    budget: Budget = field(default_factory=lambda: Budget(1.0))
    images: int | None = None
    classes: int | None = None
    options: RankerOptions = field(default_factory=RankerOptions)


class _Trainings(BaseModel):
    """A list of trainings as it stands in an experiment."""

    trainings: tuple[TrainingSpec, ...]


def plan_replay(
    bench: Bench,
    *,
    candidates: int | None = None,
    budget: str,
    seed: int,
    workers: int,
    cheap: Cheap,
    trainings: Sequence[TrainingSpec] | None = None,
    knowledge: Sequence[KnowledgeSource] = (),
) -> ReplayPlan:
    """Splits the budget, or checks that the trainings asked for keep to it.

    Args:
        bench: what is recorded.
        candidates: how many are drawn; None for ``CANDIDATES``, or all that can be candidates if these are fewer.
        budget: as an experiment has it. An amount of time is planned for the average architecture of the table.
        seed: of the draws and of the ranking.
        workers: trainings at once.
        cheap: what is measured of every candidate before any training.
        trainings: stages of trainings; None to split the budget.
        knowledge: what is known from other data.

    Raises:
        ReplayError: too many candidates, a budget that the proxies use up, or trainings that the table does not have.
    """
    there = len(bench.pool)
    candidates = drawn_count(candidates, bench.pool)
    if not 2 <= candidates <= there:
        ask = "" if bench.among == "all" or bench.space is None else "; --among all allows the most"
        ask += "".join(f"; {note}" for note in bench.notes)
        raise ReplayError(
            f"--candidates: {candidates:,} asked, but the table has {there:,} among {bench.described} with a full "
            f"training of seed {bench.truth.evidence_seed} and the truth; give 2 to {there:,}{ask}"
        )
    asked = _read(budget)
    speed_up = _speed_up(bench, asked, candidates, workers)
    whole = candidates * bench.full_epochs / speed_up
    left = whole - cheap.epochs(candidates)
    if left < -ROUNDING:
        raise ReplayError(
            f"--budget: {budget} of {candidates:,} x {bench.full_epochs} epochs is {whole:.1f} epochs, but proxies and "
            f"supernets cost {cheap.epochs(candidates):.1f}; lower it, or take fewer (--proxies none)"
        )
    left, adaptive = max(left, 0.0), trainings is None
    if trainings is None:
        trainings = _split(bench, candidates, left)
    for spec in trainings if not adaptive else ():
        _check_recorded(bench, spec, candidates)
    recorded = tuple(spec.model_copy(update={"seed": bench.seeds[spec.epochs]}) for spec in trainings)
    cost = sum(_cost(spec, candidates) for spec in recorded)
    if cost > left + ROUNDING:
        parts = ", ".join(f"{spec.stage} {_cost(spec, candidates):.1f}" for spec in recorded)
        raise ReplayError(
            f"--trainings: they cost up to {cost:.1f} epochs ({parts}), but {left:.1f} are left of {budget}; "
            "take fewer candidates, shorten them, give a scheduled one budget_epochs, or lower --budget"
        )
    described = known_encoding(bench, knowledge)
    return ReplayPlan(
        candidates, speed_up, seed, workers, cheap, recorded, left, adaptive, tuple(knowledge), described, asked
    )


def _speed_up(bench: Bench, budget: Budget, candidates: int, workers: int) -> float:
    """The budget as a factor: times cheaper than so many trainings of the average architecture of the table."""
    if not budget.is_time and budget.factor is not None:
        return budget.factor
    pace = bench.pace(bench.pool, workers=workers, device=budget.device or "core")
    try:
        of_all = pace.speed_up(budget, bench.full_epochs)
    except BudgetError as error:
        raise ReplayError(f"--{error}") from None
    return of_all if budget.factor is not None else max(1.0, of_all * candidates / len(bench.pool))


def _read(text: str) -> Budget:
    try:
        return read_budget(text)
    except BudgetError as error:
        raise ReplayError(f"--budget: {error}") from None


def parse_budget(text: str) -> float:
    """How many times cheaper ``10x`` is.

    Raises:
        ReplayError: it is not of that form, or below 1x.
    """
    try:
        return read_factor(text)
    except BudgetError as error:
        raise ReplayError(f"--budget: {error}") from None


def read_trainings(text: str) -> tuple[TrainingSpec, ...] | None:
    """Trainings from a YAML list or from an experiment file, whose other keys are ignored; None for none there.

    Raises:
        ReplayError: neither of the two.
        ExperimentError: a broken experiment.
    """
    if not text.lstrip().startswith(("[", "-")):
        found = load_experiment(text).trainings
        return None if found is None else tuple(found)
    try:
        content = {"trainings": read_yaml(text)}
    except YamlError as error:
        raise ReplayError(f"--trainings: {error}") from None
    try:
        return _Trainings.model_validate_json(json.dumps(content, default=str), strict=True).trainings
    except ValidationError as error:
        lines = problem_lines(error, _Trainings, content)
        raise ReplayError("\n".join(f"--{line}" for line in lines)) from None


def _split(bench: Bench, candidates: int, budget_epochs: float) -> list[TrainingSpec]:
    """The trainings that a budget is best spent on, of those that are recorded."""
    full, seed = bench.full_epochs, max(bench.truth.evidence_seed, 0)  # an unknown one is put in later
    schedules = sorted(bench.seeds)
    planned = plan_trainings(candidates, full_epochs=full, budget_epochs=budget_epochs, seed=seed, schedules=schedules)
    if all(bench.records(spec) for spec in planned):
        return planned
    # Nothing is recorded of how trainings begin, so there are none to cut short.
    fulls = min(candidates, int((budget_epochs + ROUNDING) // full))
    return [TrainingSpec(epochs=full, candidates=fulls, seed=seed)] if fulls else []


def _check_recorded(bench: Bench, spec: TrainingSpec, candidates: int) -> None:
    if spec.task is not None:
        raise ReplayError(f"--trainings: {spec.stage}: trainings by a pretext task are not recorded; leave it out")
    if spec.epochs not in bench.seeds:
        known = ", ".join(map(str, sorted(bench.seeds)))
        raise ReplayError(f"--trainings: {spec.stage}: no schedule of {spec.epochs} epochs is recorded, but {known}")
    if not bench.records(spec):
        raise ReplayError(f"--trainings: {spec.stage}: no epoch up to {spec.until} is recorded; `taurank table show`")
    if spec.candidates != "all" and spec.candidates > candidates:
        raise ReplayError(f"--trainings: {spec.stage} asks for {spec.candidates} candidates; there are {candidates}")
    try:
        check_policy(spec, candidates if spec.candidates == "all" else spec.candidates, points=bench.points(spec))
    except ValueError as error:
        raise ReplayError(f"--trainings: {spec.stage}: {error}") from None
    seed = bench.seeds[spec.epochs]
    if "seed" in spec.model_fields_set and spec.seed != seed:
        raise ReplayError(
            f"--trainings: {spec.stage}: seed {spec.seed} is not the evidence, but seed {seed} is; leave it out "
            "(--buy-seed chooses that of full trainings)"
        )


def _cost(spec: TrainingSpec, candidates: int) -> float:
    count = candidates if spec.candidates == "all" else spec.candidates
    return min(float(count * spec.last_epoch), spec.budget_epochs or float("inf"))
