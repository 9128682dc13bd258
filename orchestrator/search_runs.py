"""Runs the trainings of a search through Ray Tune: each worker that becomes free is given the next proposal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher as TuneSearcher

from orchestrator import memory_kills
from orchestrator.checkpoints import CheckpointStore
from orchestrator.cluster import ClusterError, Slot
from orchestrator.display import Display
from orchestrator.evidence import EvidenceLog
from orchestrator.interruption import Interruption, RunInterruptedError
from orchestrator.proposals import STAGE, Proposals
from orchestrator.recording import Recorder
from orchestrator.resource_wait import ResourceWait
from orchestrator.stage_runs import LAUNCHES, StageStopper
from orchestrator.submission import trial_folder
from orchestrator.worker_watch import WorkerWatch
from trainables.proposed_trial import ProposedTrial
from trainables.trial_spec import TrialSpec

PLACES_SECONDS = 5.0
"""For so long the number of places in the cluster is taken to stay."""


class AsksOurs(TuneSearcher):  # type: ignore[misc]
    """Ray Tune's face of a search: it is asked whenever a trial could start, and has as many under way as have room.

    Args:
        proposals: of the search.
        waiting: trials that come before new proposals.
        places: trials that the cluster has room for now.
        over: whether the run ends before the search does.
        expect: told of a trial before it starts.

    Attributes:
        problem: why the search cannot go on; what is under way still comes to its end.
    """

    def __init__(
        self,
        proposals: Proposals,
        waiting: list[TrialSpec],
        *,
        places: Callable[[], int],
        over: Callable[[], bool],
        expect: Callable[[TrialSpec], None],
    ) -> None:
        super().__init__()
        self._proposals, self._waiting = proposals, list(waiting)
        self._places, self._over, self._expect = places, over, expect
        self._running: set[str] = set()
        self._room, self._looked = 1, float("-inf")
        self.problem: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles it beside its own state, which we never restore from: the log is the truth.
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The config of the next trial; None while there is no room, or nothing to propose before others end."""
        if self._over() or self.problem is not None:
            return str(self.FINISHED)
        if len(self._running) >= self._places_now():
            return None
        spec = self._next()
        if spec is None:
            return str(self.FINISHED) if not self._running or self._proposals.is_complete else None
        self._running.add(trial_id)
        self._expect(spec)
        return {"trial": spec.trial, "spec": spec}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """There is room again; how the trial did is in the log."""
        self._running.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the log has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""

    def _next(self) -> TrialSpec | None:
        if self._waiting:
            return self._waiting.pop(0)
        try:
            return self._proposals.following()
        except Exception as error:  # not through Tune, which would cut off what is under way
            self.problem = error
            return None

    def _places_now(self) -> int:
        if time.monotonic() - self._looked >= PLACES_SECONDS:
            self._room, self._looked = max(1, self._places()), time.monotonic()
        return self._room


def run_search_stage(
    proposals: Proposals,
    *,
    log: EvidenceLog,
    epochs: int,
    data: ray.ObjectRef,
    slot: Slot,
    slots: Callable[[], int],
    run: Path,
    display: Display,
    interruption: Interruption,
    checkpoints: CheckpointStore,
    images: Path | None = None,
    patience: float | None = None,
) -> None:
    """Trains what is proposed until there are no more proposals and all have ended; goes on where the log ends.

    Args:
        proposals: of the search.
        log: what is there of it, and where the rest goes.
        epochs: of a training.
        data: the images.
        slot: what a trial takes.
        slots: trials that run at once; asked now and then.
        run: folder of the run.
        display: told about progress.
        interruption: asked whether to end.
        checkpoints: where the trainings of the run keep their states.
        images: file that trials read their images from; None where those are in memory.
        patience: seconds that a trial may take for a result; None for what follows from how long the others took.

    Raises:
        RunInterruptedError: the user wants the run to end; what was finished is in the log.
        ClusterError: the images are gone; the same.
        SearchError, ExperimentError: nothing can be proposed; what was under way has ended.
    """
    took = [seconds / slot.share for seconds in log.seconds_of_results(STAGE, set(proposals.specs))]
    watch = WorkerWatch(patience=patience, images=images, took=took)
    log.append_event(STAGE, "", "started")
    planned = float(proposals.evaluations * epochs)
    display.start_stage(STAGE, trials=proposals.evaluations, epochs=planned, spent=log.spent_in(STAGE)[1])
    fruitless = 0
    while waiting := _waiting(proposals):
        known = watch.results
        problem = _launch(
            proposals,
            waiting,
            log=log,
            epochs=epochs,
            data=data,
            slot=slot,
            slots=slots,
            run=run,
            display=display,
            interruption=interruption,
            checkpoints=checkpoints,
            watch=watch,
        )
        if interruption.requested:
            raise RunInterruptedError(STAGE)
        if watch.problem:
            raise ClusterError(f"the images are gone: {watch.problem}; bring them back, then: taurank resume {run}")
        if problem is not None:
            raise problem
        fruitless = 0 if watch.results > known else fruitless + 1
        if fruitless == LAUNCHES:
            for spec in proposals.open:
                log.append_event(STAGE, spec.trial, "failed", f"given up after {LAUNCHES} launches: it never ended")
            fruitless = 0
    outcomes = log.outcomes()
    for spec in proposals.specs.values():
        if outcomes[spec.trial][0] == "completed":
            Path(spec.checkpoint).unlink(missing_ok=True)
    log.append_event(STAGE, "", "ended")


def _waiting(proposals: Proposals) -> list[TrialSpec]:
    """Open trials, else the next one: a search that cannot begin ends before Tune does."""
    proposals.tell()
    if proposals.open:
        return proposals.open
    first = proposals.following()
    return [] if first is None else [first]


def _launch(
    proposals: Proposals,
    waiting: list[TrialSpec],
    *,
    log: EvidenceLog,
    epochs: int,
    data: ray.ObjectRef,
    slot: Slot,
    slots: Callable[[], int],
    run: Path,
    display: Display,
    interruption: Interruption,
    checkpoints: CheckpointStore,
    watch: WorkerWatch,
) -> Exception | None:
    """Has Tune train what waits and what is proposed then; gives what the search could not go on for."""
    checkpoints.tidy()
    scheduler = FIFOScheduler()
    recorder = Recorder(
        log,
        stage=STAGE,
        source="training",
        specs=list(proposals.specs.values()),
        schedule_epochs=epochs,
        share=slot.share,
        scheduler=scheduler,
        display=display,
        checkpoints=checkpoints,
        watch=watch,
        wait=ResourceWait(slot.resources),
    )
    stopper = StageStopper(recorder, interruption, watch, None)
    searcher = AsksOurs(proposals, waiting, places=slots, over=stopper.stop_all, expect=recorder.expect)
    trainable = tune.with_parameters(ProposedTrial, data=data, stage=f"{run.name} {STAGE}")
    trainable = tune.with_resources(trainable, slot.resources)
    trainable.__qualname__ = ProposedTrial.__qualname__  # what the dashboard and process titles show
    storage = run / "tune"
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            search_alg=searcher,
            num_samples=-1,  # the searcher says when it is enough
            reuse_actors=True,
            trial_name_creator=_label,
            trial_dirname_creator=trial_folder,
        ),
        run_config=tune.RunConfig(
            name=STAGE,
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
    return searcher.problem


def _label(trial: Trial) -> str:
    return str(trial.config["spec"].label)
