"""Runs a stage through Ray Tune: what the log lacks of it, until every trial has ended or waits for good."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import TrialScheduler

from orchestrator import memory_kills
from orchestrator.checkpoints import CheckpointStore
from orchestrator.cluster import ClusterError, Slot
from orchestrator.display import Display
from orchestrator.evidence import FROZEN, PROXIES, EvidenceLog
from orchestrator.interruption import Interruption, RunInterruptedError
from orchestrator.proxy_evidence import left_to_score
from orchestrator.recording import Recorder
from orchestrator.resource_wait import ResourceWait
from orchestrator.scheduling import logged_curves
from orchestrator.shared_results import SharedResults
from orchestrator.stages import Stage
from orchestrator.submission import KeepsWorkers, TrialNames, trial_folder
from orchestrator.worker_watch import WorkerWatch
from schedulers.policies import make_policy
from schedulers.policies.driver import Driver
from schedulers.tune import make_scheduler
from trainables.trial_spec import TrialSpec
from trainables.trials import ArchitectureTrial

LAUNCHES = 3
"""Launches of a stage in a row that bring nothing new; then what is left has failed."""


class StageStopper(tune.Stopper):  # type: ignore[misc]
    """Ends the whole stage when its budget is spent, the user wants the run to end, or no trial can go on."""

    def __init__(
        self, recorder: Recorder, interruption: Interruption, watch: WorkerWatch, budget_epochs: float | None
    ) -> None:
        self._recorder, self._interruption, self._watch = recorder, interruption, watch
        self._budget_epochs = budget_epochs

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is ended alone."""
        return False

    @property
    def out_of_budget(self) -> bool:
        """Whether the budget is spent."""
        return self._budget_epochs is not None and self._recorder.spent_epochs >= self._budget_epochs

    def stop_all(self) -> bool:
        """Whether the stage ends now."""
        return self._interruption.requested or self.out_of_budget or bool(self._watch.problem)


def run_stage(
    stage: Stage,
    *,
    log: EvidenceLog,
    data: ray.ObjectRef,
    slot: Slot,
    slots: Callable[[], int],
    run: Path,
    display: Display,
    interruption: Interruption,
    weights: ray.ObjectRef | None = None,
    checkpoints: CheckpointStore | None = None,
    images: Path | None = None,
    patience: float | None = None,
    results: SharedResults | None = None,
) -> None:
    """Runs what the log lacks of a stage; returns when every trial has ended, or is frozen by a policy that is done.

    Args:
        stage: what to run.
        log: what is there of it, and where the rest goes.
        data: what its trials are given.
        slot: what a trial takes.
        slots: trials that a policy lets run at once; asked now and then.
        run: folder of the run.
        display: told about progress.
        interruption: asked whether to end.
        weights: of the supernet that its trials start from.
        checkpoints: where the trainings of the run keep their states, where these are bounded.
        images: file that trials read their images from; None where those are in memory.
        patience: seconds that a trial may take for a result; None for what follows from how long the others took.
        results: where its complete trainings are kept, and those of other runs taken from; None for nowhere.

    Raises:
        RunInterruptedError: the user wants the run to end; what was finished is in the log.
        ClusterError: the images are gone; the same.
    """
    watch = WorkerWatch(patience=patience, images=images, took=_took(log, stage, slot))
    if results is not None and stage.trainable is ArchitectureTrial:
        # Trainings from scratch: they depend on nothing but what their specs say.
        stage = replace(stage, specs=tuple(results.shared(spec) for spec in stage.specs))
    log.append_event(stage.name, "", "started")
    display.start_stage(stage.title, trials=len(stage.specs), epochs=stage.cost, spent=stage.spent(log))
    fruitless = 0
    while fruitless < LAUNCHES and (waiting := _to_launch(stage, log)):
        known = watch.results
        stopper = _launch(
            stage,
            waiting,
            watch=watch,
            log=log,
            data=data,
            weights=weights,
            slot=slot,
            slots=slots,
            run=run,
            display=display,
            interruption=interruption,
            checkpoints=checkpoints or CheckpointStore(run / "checkpoints"),
        )
        left = [spec for spec in stage.specs if spec.trial not in log.outcomes()]
        if interruption.requested:
            raise RunInterruptedError(stage.name)
        if watch.problem:
            raise ClusterError(f"the images are gone: {watch.problem}; bring them back, then: taurank resume {run}")
        fruitless = 0 if watch.results > known else fruitless + 1
        lost = _lost(log, stage)
        for spec in left:
            if stopper.out_of_budget:
                log.append_event(stage.name, spec.trial, "stopped", "the budget of the stage is spent")
            elif stage.scheduler.name != "none" and stage.limits is None and spec.trial not in lost:
                log.append_event(stage.name, spec.trial, "stopped", f"by {stage.scheduler.name} while paused")
            elif fruitless == LAUNCHES:
                reason = lost.get(spec.trial, "it never came to its end")
                log.append_event(stage.name, spec.trial, "failed", f"given up after {LAUNCHES} launches: {reason}")
    _drop_checkpoints(stage, log)
    log.append_event(stage.name, "", "ended")


def goes_on(stage: Stage, log: EvidenceLog) -> bool:
    """Whether the policy of a stage would start or thaw a trial, by what is in the log: its budget may have grown."""
    if stage.limits is None:
        return False
    driver = Driver(make_policy(stage.scheduler.name, **stage.scheduler.options), stage.limits, stage.trials)
    driver.load(logged_curves(log, stage.name, stage.trials))
    return driver.choose() is not None


def _to_launch(stage: Stage, log: EvidenceLog) -> list[TrialSpec]:
    """Trials that have not ended; frozen ones too, where their policy may thaw them.

    Of a chunk of untrained networks only those are left that the log has no scores of.

    Under a scheduler of Ray's also those that have ended, to report their curves once more: its state is the curves it
    has seen, and it is never stored. They replay their curves, train nothing, and come first.
    """
    outcomes, last = log.outcomes(), log.last_epochs()
    open_ones = _unscored([spec for spec in stage.specs if spec.trial not in outcomes], log)
    if stage.limits is not None:
        thawable = [spec for spec in stage.specs if outcomes.get(spec.trial, (FROZEN, ""))[0] == FROZEN]
        return thawable if open_ones or goes_on(stage, log) else []
    if stage.scheduler.name == "none" or not open_ones:
        return open_ones
    ended = [spec for spec in stage.specs if spec.trial in outcomes and spec.trial in last]
    return [replace(spec, last_epoch=last[spec.trial]) for spec in ended] + open_ones


def _unscored(specs: list[TrialSpec], log: EvidenceLog) -> list[TrialSpec]:
    there = log.trials_of(PROXIES)

    def left(spec: TrialSpec) -> TrialSpec:
        if spec.proxies is None:
            return spec
        proxies, architectures = left_to_score(spec.proxies, spec.architectures, there)
        return replace(spec, proxies=proxies, architectures=architectures)

    return [left(spec) for spec in specs]


def _scheduler(stage: Stage, specs: list[TrialSpec], log: EvidenceLog, slots: int) -> TrialScheduler:
    name, options = stage.scheduler.name, stage.scheduler.options
    if stage.limits is None:
        trials: dict[str, tuple[float, ...]] = {spec.trial: () for spec in specs}
        return make_scheduler(name, schedule_epochs=stage.schedule_epochs, trials=trials, **options)
    limits = stage.limits
    scheduler = make_scheduler(
        name,
        schedule_epochs=limits.schedule_epochs,
        trials=stage.trials,
        budget_epochs=limits.budget_epochs,
        slots=slots,
        points=limits.points,
        **options,
    )
    scheduler.load_curves(logged_curves(log, stage.name, stage.trials))
    return scheduler


def _launch(
    stage: Stage,
    specs: list[TrialSpec],
    *,
    log: EvidenceLog,
    data: ray.ObjectRef,
    watch: WorkerWatch,
    weights: ray.ObjectRef | None,
    slot: Slot,
    slots: Callable[[], int],
    run: Path,
    display: Display,
    interruption: Interruption,
    checkpoints: CheckpointStore,
) -> StageStopper:
    by_key = {spec.trial: spec for spec in specs}
    checkpoints.tidy()
    scheduler = _scheduler(stage, specs, log, slots())
    recorder = Recorder(
        log,
        stage=stage.name,
        source=stage.source,
        specs=stage.specs,
        schedule_epochs=stage.schedule_epochs,
        share=slot.share,
        scheduler=scheduler,
        display=display,
        checkpoints=checkpoints,
        booking=stage.booking,
        watch=watch,
        places=slots,
        wait=ResourceWait(slot.resources),
    )
    # A policy keeps to the budget itself, to the epoch.
    stopper = StageStopper(recorder, interruption, watch, stage.budget_epochs if stage.limits is None else None)
    storage = run / "tune"
    shared = {"specs": by_key, "data": data, "stage": f"{run.name} {stage.title}"}
    if weights is not None:
        shared["weights"] = weights
    trainable = tune.with_parameters(stage.trainable, **shared)
    trainable = tune.with_resources(trainable, slot.resources)
    trainable.__qualname__ = stage.trainable.__qualname__  # what the dashboard and process titles show
    tuner = tune.Tuner(
        trainable,
        param_space={"trial": tune.grid_search(list(by_key))},
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            search_alg=KeepsWorkers(stopper.stop_all),
            reuse_actors=True,
            trial_name_creator=TrialNames(by_key),
            trial_dirname_creator=trial_folder,
        ),
        run_config=tune.RunConfig(
            name=stage.title.replace(":", "-").replace(" ", "-"),
            storage_path=str(storage.resolve()),
            verbose=0,
            callbacks=[recorder],
            stop=stopper,
            failure_config=tune.FailureConfig(max_failures=-1),  # the watch says when it is enough
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    memory_kills.install()
    interruption.graceful = True
    try:
        if not interruption.requested:
            tuner.fit()
    finally:
        interruption.graceful = False
        # Tune's own bookkeeping; nothing of ours is read from there.
        shutil.rmtree(storage, ignore_errors=True)
    return stopper


def _took(log: EvidenceLog, stage: Stage, slot: Slot) -> list[float]:
    """Seconds that results took which the stage has already."""
    return [
        seconds / slot.share for seconds in log.seconds_of_results(stage.name, {spec.trial for spec in stage.specs})
    ]


def _lost(log: EvidenceLog, stage: Stage) -> dict[str, str]:
    events = log.events()
    lost = events[(events["stage"] == stage.name) & (events["event"] == "lost")]
    return dict(zip(lost["trial"], lost["reason"], strict=True))


def _drop_checkpoints(stage: Stage, log: EvidenceLog) -> None:
    """Removes the states of trainings that are complete; stopped ones keep theirs and can be thawed later."""
    outcomes = log.outcomes()
    for spec in () if stage.keeps_states else stage.specs:
        if outcomes.get(spec.trial, ("", ""))[0] == "completed":
            Path(spec.checkpoint).unlink(missing_ok=True)
