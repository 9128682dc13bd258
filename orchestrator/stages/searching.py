"""Runs the trainings of a search through Ray Tune: each worker that becomes free is given the next proposal."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher as TuneSearcher

from taurank.orchestrator.cluster import WorkerWatch
from taurank.orchestrator.evidence import COMPLETED, ENDED, FAILED, STARTED, TRAINING
from taurank.orchestrator.search import STAGE, Proposals
from taurank.orchestrator.stages.launch import Setting, StageStopper, launch
from taurank.orchestrator.stages.recording import Recorder
from taurank.orchestrator.stages.resource_wait import ResourceWait
from taurank.orchestrator.stages.running import LAUNCHES
from taurank.trainables.trials import ProposedTrial, TrialSpec

PLACES_SECONDS = 5.0
"""For so long the number of places in the cluster is taken to stay."""


class ProposalSearch(TuneSearcher):  # type: ignore[misc]
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


def run_search_stage(proposals: Proposals, setting: Setting, *, epochs: int, data: ray.ObjectRef) -> None:
    """Trains what is proposed until there are no more proposals and all have ended; goes on where the log ends.

    Args:
        proposals: of the search.
        setting: what the trainings run in.
        epochs: of a training.
        data: the images.

    Raises:
        RunInterruptedError: the user wants the run to end; what was finished is in the log.
        ClusterError: the images are gone; the same.
        SearchError, ExperimentError: nothing can be proposed; what was under way has ended.
    """
    log = setting.log
    watch = setting.watch(STAGE, proposals.specs)
    log.append_event(STAGE, "", STARTED)
    planned = float(proposals.evaluations * epochs)
    setting.display.start_stage(STAGE, trials=proposals.evaluations, epochs=planned, spent=log.spent_in(STAGE)[1])
    fruitless = 0
    while waiting := _waiting(proposals):
        known = watch.results
        problem = _launch(proposals, waiting, setting, epochs=epochs, data=data, watch=watch)
        setting.check(STAGE, watch)
        if problem is not None:
            raise problem
        fruitless = 0 if watch.results > known else fruitless + 1
        if fruitless == LAUNCHES:
            for spec in proposals.open:
                log.append_event(STAGE, spec.trial, FAILED, f"given up after {LAUNCHES} launches: it never ended")
            fruitless = 0
    outcomes = log.outcomes()
    for spec in proposals.specs.values():
        if outcomes[spec.trial][0] == COMPLETED:
            Path(spec.checkpoint).unlink(missing_ok=True)
    log.append_event(STAGE, "", ENDED)


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
    setting: Setting,
    *,
    epochs: int,
    data: ray.ObjectRef,
    watch: WorkerWatch,
) -> Exception | None:
    """Has Tune train what waits and what is proposed then; gives what the search could not go on for."""
    setting.checkpoints.tidy()
    scheduler = FIFOScheduler()
    recorder = Recorder(
        setting.log,
        stage=STAGE,
        source=TRAINING,
        specs=list(proposals.specs.values()),
        schedule_epochs=epochs,
        share=setting.slot.share,
        scheduler=scheduler,
        display=setting.display,
        checkpoints=setting.checkpoints,
        watch=watch,
        wait=ResourceWait(setting.slot.resources),
    )
    stopper = StageStopper(recorder, setting.interruption, watch, None)
    searcher = ProposalSearch(proposals, waiting, places=setting.slots, over=stopper.stop_all, expect=recorder.expect)
    launch(
        setting,
        ProposedTrial,
        shared={"data": data},
        title=STAGE,
        names=_label,
        scheduler=scheduler,
        recorder=recorder,
        stopper=stopper,
        search_alg=searcher,
        num_samples=-1,  # the searcher says when it is enough
    )
    return searcher.problem


def _label(trial: Trial) -> str:
    return str(trial.config["spec"].label)
