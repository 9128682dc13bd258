"""Runs a stage through Ray Tune until every trial has ended or is frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import TrialScheduler

from taurank.orchestrator.cluster import TrialNames, WorkerKeepingGenerator, WorkerWatch
from taurank.orchestrator.evidence import (
    COMPLETED,
    ENDED,
    FAILED,
    FLOPS,
    FROZEN,
    LOST,
    PROXIES,
    STARTED,
    STOPPED,
    EvidenceLog,
    RankedMetric,
)
from taurank.orchestrator.planning import Purse, logged_pace
from taurank.orchestrator.stages.launch import Setting, StageStopper, launch
from taurank.orchestrator.stages.proxy_rows import left_to_score
from taurank.orchestrator.stages.recording import Recorder
from taurank.orchestrator.stages.resource_wait import ResourceWait
from taurank.orchestrator.stages.scheduling import kind_of, logged_curves
from taurank.orchestrator.stages.shared_results import SharedResults
from taurank.orchestrator.stages.stage import Stage
from taurank.schedulers.policies import Driver, make_policy
from taurank.schedulers.tune import make_scheduler
from taurank.trainables.trials import ArchitectureTrial, TrialSpec

OUT_OF_TIME = "the time of the run is up"
"""Why trials are frozen that a budget in time has ended."""
LAUNCHES = 3
"""Consecutive launches without a new result after which the remaining trials have failed."""


def run_stage(
    stage: Stage,
    setting: Setting,
    *,
    data: ray.ObjectRef,
    weights: ray.ObjectRef | None = None,
    results: SharedResults | None = None,
) -> None:
    """Runs the missing part of a stage; returns when every trial has ended, or is frozen by a policy that is done.

    Args:
        stage: the stage.
        setting: the environment of its trials.
        data: the images or the batch.
        weights: of the supernet that its trials start from.
        results: storage of complete trainings that runs share; None if they are not shared.

    Raises:
        RunInterruptedError: the user asked the run to end; finished results are in the log.
        ClusterError: the images are missing; finished results are in the log.
    """
    log = setting.log
    if stage.booking is not None:  # scores of untrained networks have no curves to log
        setting = replace(setting, loggers=(), keeps_tune=False)
    watch = setting.watch(stage.name, [spec.trial for spec in stage.specs])
    if results is not None and stage.trainable is ArchitectureTrial:
        # Trainings from scratch depend on their specs only.
        stage = replace(stage, specs=tuple(results.shared(spec) for spec in stage.specs))
    log.append_event(stage.name, "", STARTED)
    setting.display.start_stage(stage.title, trials=len(stage.specs), epochs=stage.cost, spent=stage.spent(log))
    fruitless = 0
    while fruitless < LAUNCHES and (waiting := _to_launch(stage, log, setting.purse)):
        known = watch.results
        stopper = _launch(stage, waiting, setting, watch=watch, data=data, weights=weights)
        left = [spec for spec in stage.specs if spec.trial not in log.outcomes()]
        setting.check(stage.name, watch)
        fruitless = 0 if watch.results > known else fruitless + 1
        lost = _lost(log, stage)
        for spec in left:
            if stopper.out_of_time:
                log.append_event(stage.name, spec.trial, FROZEN, OUT_OF_TIME)
            elif stopper.out_of_budget:
                log.append_event(stage.name, spec.trial, STOPPED, "the budget of the stage is spent")
            elif stage.scheduler.name != "none" and stage.limits is None and spec.trial not in lost:
                log.append_event(stage.name, spec.trial, STOPPED, f"by {stage.scheduler.name} while paused")
            elif fruitless == LAUNCHES:
                reason = lost.get(spec.trial, "it never ended")
                log.append_event(stage.name, spec.trial, FAILED, f"given up after {LAUNCHES} launches: {reason}")
        if stopper.out_of_time:
            break
    for spec in stage.specs:
        if spec.trial not in log.outcomes():  # no time was left to begin with
            log.append_event(stage.name, spec.trial, FROZEN, OUT_OF_TIME)
    _drop_checkpoints(stage, log)
    log.append_event(stage.name, "", ENDED)


def can_continue(stage: Stage, log: EvidenceLog) -> bool:
    """Whether the policy of a stage would start or resume a trial, for example because its budget has grown."""
    if stage.limits is None:
        return False
    curves = logged_curves(log, stage.name, stage.trials, stage.metric)
    limits = replace(stage.limits, metric=kind_of(stage.metric, curves))
    driver = Driver(make_policy(stage.scheduler.name, **stage.scheduler.options), limits, stage.trials)
    driver.load(curves)
    return driver.choose() is not None


def _to_launch(stage: Stage, log: EvidenceLog, purse: Purse | None = None) -> list[TrialSpec]:
    """Trials that have not ended, and frozen ones that their policy may resume; none once the time of the run is up.

    Those that the time has ended go on in an extended run.
    A chunk of untrained networks is reduced to those without logged scores. Schedulers of Ray are not stored: their
    state is rebuilt by trials that have ended, which come first, report their curves again and train nothing.
    """
    outcomes, last = log.outcomes(), log.last_epochs()
    if purse is not None and purse.left() <= 0:
        return []
    outcomes = {key: outcome for key, outcome in outcomes.items() if outcome != (FROZEN, OUT_OF_TIME)}
    open_ones = _unscored([spec for spec in stage.specs if spec.trial not in outcomes], log)
    if stage.limits is not None:
        resumable = [spec for spec in stage.specs if outcomes.get(spec.trial, (FROZEN, ""))[0] == FROZEN]
        return resumable if open_ones or can_continue(stage, log) else []
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
        return make_scheduler(
            name, schedule_epochs=stage.schedule_epochs, trials=trials, **_reported(stage.metric), **options
        )
    limits = stage.limits
    scheduler = make_scheduler(
        name,
        schedule_epochs=limits.schedule_epochs,
        trials=stage.trials,
        budget_epochs=limits.budget_epochs,
        slots=slots,
        points=limits.points,
        **_reported(stage.metric),
        **options,
    )
    scheduler.load_curves(logged_curves(log, stage.name, stage.trials, stage.metric))
    return scheduler


def _reported(metric: RankedMetric) -> dict[str, Any]:
    return {"metric": metric.name, "mode": metric.mode, "scale": None} if metric.is_own else {}


def _launch(
    stage: Stage,
    specs: list[TrialSpec],
    setting: Setting,
    *,
    watch: WorkerWatch,
    data: ray.ObjectRef,
    weights: ray.ObjectRef | None,
) -> StageStopper:
    by_key = {spec.trial: spec for spec in specs}
    setting.checkpoints.tidy()
    scheduler = _scheduler(stage, specs, setting.log, setting.slots())
    paces, in_seconds = _paces(stage, setting)
    recorder = Recorder(
        setting.log,
        stage=stage.name,
        source=stage.source,
        specs=stage.specs,
        schedule_epochs=stage.schedule_epochs,
        share=setting.slot.share,
        scheduler=scheduler,
        display=setting.display,
        checkpoints=setting.checkpoints,
        booking=stage.booking,
        watch=watch,
        places=setting.slots,
        wait=ResourceWait(setting.slot.resources),
        metric=stage.metric,
        paces=paces,
        in_seconds=in_seconds,
    )
    # A policy enforces the budget itself.
    budget = stage.budget_epochs if stage.limits is None else None
    stopper = StageStopper(recorder, setting.interruption, watch, budget, setting.purse)
    launch(
        setting,
        stage.trainable,
        shared={"specs": by_key, "data": data} | ({} if weights is None else {"weights": weights}),
        title=stage.title,
        names=TrialNames(by_key),
        scheduler=scheduler,
        recorder=recorder,
        stopper=stopper,
        param_space={"trial": tune.grid_search(list(by_key))},
        search_alg=WorkerKeepingGenerator(stopper.stop_all),
    )
    return stopper


def _paces(stage: Stage, setting: Setting) -> tuple[dict[str, float] | None, bool]:
    """What an epoch of each trial is expected to take beside the others, by trial, and whether that is in seconds.

    None for trials that are not trainings to a known epoch.
    """
    if stage.trainable is not ArchitectureTrial or stage.scheduler.name != "none":
        return None, False
    log, codes = setting.log, {spec.architectures[0] for spec in stage.specs}
    pace = logged_pace(log, codes)
    if pace is not None:
        by_code = {code: seconds / setting.slot.share for code, seconds in pace.epoch_seconds.items()}
    else:
        rows = log.evidence()
        of_size = rows[(rows["metric"] == FLOPS) & (rows["value"] > 0)]
        by_code = {str(code): float(flops) for code, flops in of_size.groupby("architecture")["value"].last().items()}
    if not codes <= by_code.keys():
        return None, False
    return {spec.trial: by_code[spec.architectures[0]] * spec.epoch_share for spec in stage.specs}, pace is not None


def _lost(log: EvidenceLog, stage: Stage) -> dict[str, str]:
    events = log.events()
    lost = events[(events["stage"] == stage.name) & (events["event"] == LOST)]
    return dict(zip(lost["trial"], lost["reason"], strict=True))


def _drop_checkpoints(stage: Stage, log: EvidenceLog) -> None:
    """Removes the states of complete trainings; stopped ones keep theirs, so that they can be resumed."""
    outcomes = log.outcomes()
    for spec in () if stage.keeps_states else stage.specs:
        if outcomes.get(spec.trial, ("", ""))[0] == COMPLETED:
            Path(spec.checkpoint).unlink(missing_ok=True)
