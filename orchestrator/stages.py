"""The stages of a run: each is a set of trials under one scheduler, launched through Ray Tune."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

from orchestrator.cluster import Slot
from orchestrator.display import Display
from orchestrator.evidence import BASELINE, EvidenceLog
from orchestrator.experiment import BaselineSpec, Experiment, SchedulerSpec, SupernetSpec, TrainingSpec
from orchestrator.interruption import Interruption, RunInterruptedError
from orchestrator.recording import Recorder
from schedulers.tune import make_scheduler
from spaces import Architecture
from trainables.recipe import Recipe
from trainables.supernet import SupernetConfig
from trainables.trials import ArchitectureTrial, SupernetTrial, TrialSpec

ATTEMPTS = 3
"""Launches of a stage: a trial whose worker dies is continued by Tune, and here once more where Tune gives up."""
WORKER_LOSSES = 3


@dataclass(frozen=True)
class Stage:
    """A set of trials under one scheduler.

    Attributes:
        name: name in the evidence log.
        source: what its trials produce.
        specs: one per trial, in the order in which they start.
        trainable: the trial class.
        scheduler: may end trials early.
        schedule_epochs: length of the trials' learning-rate schedule.
        planned_epochs: epoch-equivalents if nothing ends early.
        budget_epochs: the stage ends when this many have been spent; None for no bound.
    """

    name: str
    source: str
    specs: tuple[TrialSpec, ...]
    trainable: type[tune.Trainable]
    scheduler: SchedulerSpec
    schedule_epochs: int
    planned_epochs: float
    budget_epochs: float | None = None

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


class _StageStopper(tune.Stopper):  # type: ignore[misc]
    """Ends the whole stage when its budget is spent or the user wants the run to end."""

    def __init__(self, recorder: Recorder, interruption: Interruption, budget_epochs: float | None) -> None:
        self._recorder, self._interruption, self._budget_epochs = recorder, interruption, budget_epochs

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    @property
    def out_of_budget(self) -> bool:
        return self._budget_epochs is not None and self._recorder.spent_epochs >= self._budget_epochs

    def stop_all(self) -> bool:
        return self._interruption.requested or self.out_of_budget


def run_stage(
    stage: Stage,
    *,
    log: EvidenceLog,
    data: ray.ObjectRef,
    slot: Slot,
    run: Path,
    display: Display,
    interruption: Interruption,
) -> None:
    """Runs what the log lacks of a stage; returns when every trial has ended.

    Raises:
        RunInterruptedError: the user wants the run to end; what was finished is in the log.
    """
    log.append_event(stage.name, "", "started")
    display.start_stage(stage.name, trials=len(stage.specs), epochs=stage.cost, spent=log.spent_in(stage.name)[1])
    for attempt in range(1, ATTEMPTS + 1):
        waiting = _to_launch(stage, log)
        if not waiting:
            break
        stopper = _launch(
            stage, waiting, log=log, data=data, slot=slot, run=run, display=display, interruption=interruption
        )
        left = [spec for spec in stage.specs if spec.trial not in log.outcomes()]
        if interruption.requested:
            raise RunInterruptedError(stage.name)
        lost = _lost(log, stage)
        for spec in left:
            if stopper.out_of_budget:
                log.append_event(stage.name, spec.trial, "stopped", "the budget of the stage is spent")
            elif stage.scheduler.name != "none" and spec.trial not in lost:
                log.append_event(stage.name, spec.trial, "stopped", f"by {stage.scheduler.name} while paused")
            elif attempt == ATTEMPTS:
                reason = lost.get(spec.trial, "it never came to its end")
                log.append_event(stage.name, spec.trial, "failed", f"given up after {ATTEMPTS} launches: {reason}")
    _drop_checkpoints(stage, log)
    log.append_event(stage.name, "", "ended")


def _to_launch(stage: Stage, log: EvidenceLog) -> list[TrialSpec]:
    """Trials that have not ended; under a scheduler also those that have, to report their curves once more.

    A scheduler's state is the curves it has seen. It is never stored: ended trials replay theirs, train nothing, and
    come first.
    """
    outcomes, last = log.outcomes(), log.last_epochs()
    open_ones = [spec for spec in stage.specs if spec.trial not in outcomes]
    if stage.scheduler.name == "none" or not open_ones:
        return open_ones
    ended = [spec for spec in stage.specs if spec.trial in outcomes and spec.trial in last]
    return [replace(spec, last_epoch=last[spec.trial]) for spec in ended] + open_ones


def _launch(
    stage: Stage,
    specs: list[TrialSpec],
    *,
    log: EvidenceLog,
    data: ray.ObjectRef,
    slot: Slot,
    run: Path,
    display: Display,
    interruption: Interruption,
) -> _StageStopper:
    by_key = {spec.trial: spec for spec in specs}
    scheduler = make_scheduler(
        stage.scheduler.name, schedule_epochs=stage.schedule_epochs, candidates=len(specs), **stage.scheduler.options
    )
    recorder = Recorder(
        log,
        stage=stage.name,
        source=stage.source,
        seeds={spec.trial: spec.seed for spec in stage.specs},
        schedule_epochs=stage.schedule_epochs,
        share=slot.share,
        scheduler=scheduler,
        display=display,
    )
    stopper = _StageStopper(recorder, interruption, stage.budget_epochs)
    storage = run / "tune"
    trainable = tune.with_parameters(stage.trainable, specs=by_key, data=data, stage=f"{run.name} {stage.name}")
    trainable = tune.with_resources(trainable, slot.resources)
    trainable.__qualname__ = stage.trainable.__qualname__  # what the dashboard and process titles show
    tuner = tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search(list(by_key))},
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            reuse_actors=True,
            trial_name_creator=lambda trial: by_key[trial.config["trial"]].label,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=stage.name.replace(":", "-"),
            storage_path=str(storage.resolve()),
            verbose=0,
            callbacks=[recorder],
            stop=stopper,
            failure_config=tune.FailureConfig(max_failures=WORKER_LOSSES),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    interruption.graceful = True
    try:
        if not interruption.requested:
            tuner.fit()
    finally:
        interruption.graceful = False
    # Tune's own bookkeeping; nothing of ours is read from there.
    shutil.rmtree(storage, ignore_errors=True)
    return stopper


def _lost(log: EvidenceLog, stage: Stage) -> dict[str, str]:
    events = log.events()
    lost = events[(events["stage"] == stage.name) & (events["event"] == "lost")]
    return dict(zip(lost["trial"], lost["reason"], strict=True))


def _drop_checkpoints(stage: Stage, log: EvidenceLog) -> None:
    """Removes the states of trainings that are complete; stopped ones keep theirs and can be thawed later."""
    outcomes = log.outcomes()
    for spec in stage.specs:
        if outcomes.get(spec.trial, ("", ""))[0] == "completed" and spec.supernet is None:
            Path(spec.checkpoint).unlink(missing_ok=True)
