"""The stages of a run: each is a set of trials under one scheduler."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ray import tune

from orchestrator.evidence import BASELINE, PROXIES
from orchestrator.experiment import BaselineSpec, Experiment, ProxySpec, SchedulerSpec, SupernetSpec, TrainingSpec
from orchestrator.proxy_evidence import ProxyBooking, make_booking
from orchestrator.scheduling import training_limits
from schedulers.policies import Limits
from spaces import Architecture
from trainables.proxy_trial import ProxyTrial
from trainables.recipe import Recipe
from trainables.supernet import SupernetConfig
from trainables.trials import ArchitectureTrial, SupernetTrial, TrialSpec

CHUNK = 16
"""Untrained candidates that one trial scores, so that the last trial of a worker is short."""
MOST_CHUNKS = 256
"""Beyond so many trials chunks grow: Tune looks at all trials again and again."""


@dataclass(frozen=True)
class Stage:
    """A set of trials under one scheduler.

    Attributes:
        name: name in the evidence log.
        source: what its trials produce.
        specs: one per trial, in the order in which they start.
        trainable: the trial class.
        scheduler: says which trial goes on and which ends early.
        schedule_epochs: length of the trials' learning-rate schedule.
        planned_epochs: epoch-equivalents if nothing ends early.
        budget_epochs: the stage ends when this many have been spent; None for no bound.
        limits: what a policy has to keep to, but for the slots; None without a policy.
        features: numeric description of the architectures, by code, for a policy.
        booking: how scores of untrained networks are booked; None where its trials train.
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

    @property
    def trials(self) -> dict[str, tuple[float, ...]]:
        """Keys of the trials with the features of their architectures, in the order of submission."""
        return {spec.trial: self.features.get(spec.architectures[0], ()) for spec in self.specs}

    @property
    def cost(self) -> float:
        """Epoch-equivalents that the stage takes at most."""
        return min(self.planned_epochs, self.budget_epochs or self.planned_epochs)


def _spec(
    experiment: Experiment,
    stage: str,
    architectures: Sequence[str],
    recipe: Recipe,
    seed: int,
    run: Path,
    *,
    until: int | None = None,
) -> TrialSpec:
    space = experiment.space.make()
    alone = len(architectures) == 1
    label = space.short(Architecture(space.name, architectures[0])) if alone else f"{len(architectures)} candidates"
    trial = f"{stage}/{label}/seed {seed}"
    file = hashlib.sha256(trial.encode()).hexdigest()[:20]
    return TrialSpec(
        trial=trial,
        label=label,
        space=experiment.space.name,
        space_options=experiment.space.options,
        recipe=recipe,
        seed=seed,
        checkpoint=str(run / "checkpoints" / f"{file}.pt"),
        architectures=tuple(architectures),
        until=until,
    )


def training_stage(experiment: Experiment, spec: TrainingSpec, candidates: Sequence[str], run: Path) -> Stage:
    """Trainings of single candidates on a schedule of ``spec.epochs``."""
    recipe = experiment.recipe.of_length(spec.epochs)
    limits, features = None, {}
    if spec.scheduler.is_policy:
        space = experiment.space.make()
        limits = training_limits(spec)
        features = {code: tuple(space.features(Architecture(space.name, code))) for code in candidates}
    return Stage(
        name=spec.stage,
        source="training",
        specs=tuple(
            _spec(experiment, spec.stage, [code], recipe, spec.seed, run, until=spec.until) for code in candidates
        ),
        trainable=ArchitectureTrial,
        scheduler=spec.scheduler,
        schedule_epochs=spec.epochs,
        planned_epochs=float(len(candidates) * spec.last_epoch),
        budget_epochs=spec.budget_epochs,
        limits=limits,
        features=features,
    )


def proxy_stage(
    experiment: Experiment, spec: ProxySpec, candidates: Sequence[str], run: Path, *, train_images: int
) -> Stage:
    """Scores of all untrained candidates, a chunk of them a trial.

    A score counts as many training steps on its batch as it takes (``score_cost``): a pass over the training images is
    an epoch.
    """
    size = max(CHUNK, math.ceil(len(candidates) / MOST_CHUNKS))
    chunks = [candidates[start : start + size] for start in range(0, len(candidates), size)]
    by = ",".join(spec.names)
    return Stage(
        name=PROXIES,
        source=PROXIES,
        specs=tuple(
            replace(
                _spec(experiment, f"{PROXIES}/{by}/{number}", chunk, experiment.recipe, spec.seed, run),
                label=f"chunk {number} of {len(chunks)}",
                proxies=spec.config,
            )
            for number, chunk in enumerate(chunks, start=1)
        ),
        trainable=ProxyTrial,
        scheduler=SchedulerSpec(),
        schedule_epochs=1,  # nothing is trained, and no scheduler takes less
        planned_epochs=len(candidates) * spec.epochs(train_images),
        booking=make_booking(spec.config, images=spec.batch_images, train_images=train_images, seed=spec.seed),
    )


def supernet_stage(
    experiment: Experiment,
    spec: SupernetSpec,
    candidates: Sequence[str],
    run: Path,
    *,
    train_images: int,
    validation_images: int,
) -> Stage:
    """One supernet that scores all candidates; the scoring counts too, a forward pass a third of an epoch's."""
    recipe = experiment.recipe.of_length(spec.epochs, learning_rate=spec.learning_rate)
    config = SupernetConfig(
        sampler=spec.sampler,
        epsilon=spec.epsilon,
        random_rounds=spec.random_rounds,
        recalibrate=spec.recalibrate,
        calibration_images=spec.calibration_images,
    )
    calibration = min(spec.calibration_images, train_images) if spec.recalibrate else 0
    scoring = len(candidates) * (validation_images + calibration) / (3 * train_images)
    return Stage(
        name=spec.stage,
        source=spec.stage,
        specs=(replace(_spec(experiment, spec.stage, candidates, recipe, spec.seed, run), supernet=config),),
        trainable=SupernetTrial,
        scheduler=SchedulerSpec(),
        schedule_epochs=spec.epochs,
        planned_epochs=spec.epochs + scoring,
    )


def baseline_stage(experiment: Experiment, spec: BaselineSpec, candidates: Sequence[str], run: Path) -> Stage:
    """Full trainings of the candidates, one per seed; seed by seed, so that a cut-off baseline has whole seeds."""
    return Stage(
        name=BASELINE,
        source="training",
        specs=tuple(
            _spec(experiment, BASELINE, [code], experiment.recipe, seed, run)
            for seed in spec.seeds
            for code in candidates
        ),
        trainable=ArchitectureTrial,
        scheduler=SchedulerSpec(),
        schedule_epochs=experiment.recipe.epochs,
        planned_epochs=float(len(spec.seeds) * len(candidates) * experiment.recipe.epochs),
    )
