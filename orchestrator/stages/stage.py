"""The stages of a run: each is a set of trials under one scheduler."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ray import tune

from taurank.orchestrator.evidence import ACCURACY, BASELINE, PROXIES, TRAINING, EvidenceLog, RankedMetric
from taurank.orchestrator.experiment import (
    BaselineSpec,
    Experiment,
    ExperimentError,
    ProxySpec,
    SchedulerSpec,
    TrainingSpec,
)
from taurank.orchestrator.planning import ROUNDING, Pace, affordable_epochs
from taurank.orchestrator.stages.loggers import folder_name
from taurank.orchestrator.stages.proxy_rows import ProxyBooking, make_booking
from taurank.orchestrator.stages.scheduling import training_limits
from taurank.orchestrator.text import duration
from taurank.schedulers.policies import Limits
from taurank.spaces import Architecture
from taurank.trainables.training import Recipe
from taurank.trainables.trials import ArchitectureTrial, OwnTrial, ProxyTrial, TrialSpec

CHUNK = 16
"""Candidates scored by one trial; small, so that workers finish at about the same time."""
MOST_CHUNKS = 256
"""Largest number of trials; beyond it chunks grow, since Tune iterates over all trials repeatedly."""


WEIGHTS = "weights"
"""Folder of a run with the best weights of each training, where they are kept."""


def chunked(candidates: Sequence[str]) -> list[Sequence[str]]:
    """Candidates split into the chunks of trials."""
    size = max(CHUNK, math.ceil(len(candidates) / MOST_CHUNKS))
    return [candidates[start : start + size] for start in range(0, len(candidates), size)]


@dataclass(frozen=True)
class Stage:
    """A set of trials under one scheduler.

    Attributes:
        name: name in the evidence log; the stages of a supernet share one.
        source: see ``Evidence.source``.
        specs: one per trial, in the order in which they start.
        trainable: the trial class.
        scheduler: continues, pauses or stops trials.
        schedule_epochs: length of the trials' learning-rate schedule.
        planned_epochs: epoch-equivalents if nothing ends early.
        budget_epochs: budget of the stage in epoch-equivalents; None for no bound.
        limits: limits of a policy, except for slots; None without a policy.
        features: numeric description of the architectures, by code, for a policy.
        booking: cost of scores of untrained networks; None if its trials train.
        part: distinguishes stages of the same name.
        keeps_states: whether later stages need the final states of its trials.
        metric: that its trials report.
    """

    name: str
    source: str
    specs: tuple[TrialSpec, ...]
    trainable: type[tune.Trainable]
    scheduler: SchedulerSpec
    schedule_epochs: int
    planned_epochs: float
    budget_epochs: float | None = None
    limits: Limits | None = None
    features: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    booking: ProxyBooking | None = None
    part: str = ""
    keeps_states: bool = False
    metric: RankedMetric = ACCURACY

    @property
    def title(self) -> str:
        """Its displayed name."""
        return f"{self.name} {self.part}".rstrip()

    def spent(self, log: EvidenceLog) -> float:
        """Epoch-equivalents spent on it so far."""
        # Rows of untrained networks have other trial keys.
        own = None if self.booking else {spec.trial for spec in self.specs}
        return log.spent_in(self.name, own)[1]

    @property
    def trials(self) -> dict[str, tuple[float, ...]]:
        """Features of the architectures, by trial key, in the order of submission."""
        return {spec.trial: self.features.get(spec.architectures[0], ()) for spec in self.specs}

    @property
    def cost(self) -> float:
        """Upper bound of its epoch-equivalents."""
        return min(self.planned_epochs, self.budget_epochs or self.planned_epochs)


def trial_spec(
    experiment: Experiment,
    stage: str,
    architectures: Sequence[str],
    recipe: Recipe,
    seed: int,
    run: Path,
    *,
    until: int | None = None,
) -> TrialSpec:
    """The specification of a trial, with a unique key."""
    space = experiment.space.make()
    alone = len(architectures) == 1
    label = space.short(Architecture(space.name, architectures[0])) if alone else f"{len(architectures)} candidates"
    trial = f"{stage}/{label}/seed {seed}"
    file = hashlib.sha256(trial.encode()).hexdigest()[:20]
    return TrialSpec(
        trial=trial,
        label=label,
        space=experiment.space.name,
        space_options={} if experiment.trainable else experiment.space.options,
        recipe=recipe,
        seed=seed,
        checkpoint=str(run / "checkpoints" / f"{file}.pt"),
        architectures=tuple(architectures),
        until=until,
        trainable=experiment.trainable or "",
        metric=experiment.ranked_metric.name,
        lower_is_better=experiment.ranked_metric.lower_is_better,
        best=str(run / WEIGHTS / f"{folder_name(label, trial)}.pt") if experiment.checkpoints else "",
    )


def trial_class(experiment: Experiment) -> type[tune.Trainable]:
    """Class of the trials that train one candidate each."""
    return OwnTrial if experiment.trainable else ArchitectureTrial


def training_stage(experiment: Experiment, spec: TrainingSpec, candidates: Sequence[str], run: Path) -> Stage:
    """Trainings of single candidates on a schedule of ``spec.epochs``, with labels or by a pretext task."""
    limits, features = None, {}
    choosing = spec.subset.choosing_epochs
    if spec.scheduler.is_policy:
        space = experiment.space.make()
        limits = training_limits(spec)
        features = {code: tuple(space.features(Architecture(space.name, code))) for code in candidates}
    return Stage(
        name=spec.stage,
        source=spec.source,
        specs=tuple(
            replace(
                trial_spec(experiment, spec.stage, [code], recipe, spec.seed, run, until=spec.until),
                epoch_share=spec.epoch_share,
                task=spec.task,
            )
            for code in candidates
            for recipe in (experiment.short_recipe_of(code, spec.epochs),)
        ),
        trainable=trial_class(experiment),
        scheduler=spec.scheduler,
        schedule_epochs=spec.epochs,
        planned_epochs=spec.cost(len(candidates)) + choosing,
        budget_epochs=None if spec.budget_epochs is None else spec.budget_epochs + choosing,
        limits=limits,
        features=features,
        metric=experiment.ranked_metric,
    )


def proxy_stage(
    experiment: Experiment, spec: ProxySpec, candidates: Sequence[str], run: Path, *, train_images: int
) -> Stage:
    """Scores of all untrained candidates, one trial per chunk; costs are those of ``score_cost``."""
    chunks = chunked(candidates)
    by = ",".join(spec.names)
    return Stage(
        name=PROXIES,
        source=PROXIES,
        specs=tuple(
            replace(
                trial_spec(experiment, f"{PROXIES}/{by}/{number}", chunk, experiment.recipe, spec.seed, run),
                label=f"chunk {number} of {len(chunks)}",
                proxies=spec.config,
            )
            for number, chunk in enumerate(chunks, start=1)
        ),
        trainable=ProxyTrial,
        scheduler=SchedulerSpec(),
        schedule_epochs=1,  # nothing is trained, but schedulers need at least one epoch
        planned_epochs=len(candidates) * spec.epochs(train_images),
        booking=make_booking(spec.config, images=spec.batch_images, train_images=train_images, seed=spec.seed),
    )


def baseline_stage(experiment: Experiment, spec: BaselineSpec, candidates: Sequence[str], run: Path) -> Stage:
    """Full trainings of the candidates, seed by seed, so that an interrupted baseline has complete seeds."""
    return Stage(
        name=BASELINE,
        source=TRAINING,
        specs=tuple(
            trial_spec(experiment, BASELINE, [code], experiment.recipe_of(code), seed, run)
            for seed in spec.seeds
            for code in candidates
        ),
        trainable=trial_class(experiment),
        scheduler=SchedulerSpec(),
        schedule_epochs=experiment.recipe.epochs,
        planned_epochs=float(len(spec.seeds) * len(candidates) * experiment.recipe.epochs),
        metric=experiment.ranked_metric,
    )


def check_budget(
    experiment: Experiment,
    stages: Sequence[Stage],
    candidates: Sequence[str],
    *,
    pace: Pace | None = None,
    begun: bool = False,
) -> tuple[float, float]:
    """Upper bound of the cost of the evidence, and its budget, in epoch-equivalents.

    Args:
        experiment: what is run.
        stages: of the evidence.
        candidates: codes.
        pace: of the candidates, under a budget in time; then both are in epochs of the average candidate.
        begun: whether the run has begun. A budget in time then ends it, whatever its trainings really take.

    Raises:
        ExperimentError: the cost exceeds the budget; says by how much and what to change.
    """
    cost = sum(stage.cost for stage in stages)
    budget = affordable_epochs(experiment, len(candidates), pace)
    if cost <= budget + ROUNDING or (begun and experiment.allowance.is_time):
        return cost, budget
    parts = ", ".join(f"{stage.title} {stage.cost:.1f}" for stage in stages)
    if pace is not None and experiment.allowance.is_time:
        wall, device = (duration(3600 * hours) for hours in pace.hours(cost / len(candidates)))
        raise ExperimentError(
            f"budget: the evidence takes up to {wall} on the clock, {device} of {pace.device}s ({parts} epochs), which "
            f"is more than {experiment.budget}; shorten stages, give a scheduled one budget_epochs, or allow more time"
        )
    raise ExperimentError(
        f"budget: the evidence costs up to {cost:.1f} epochs ({parts}), but {experiment.budget} cheaper than full "
        f"training ({len(candidates)} x {experiment.recipe.epochs} epochs) is {budget:.1f}; "
        "shorten stages, give a scheduled one budget_epochs, or lower budget"
    )
