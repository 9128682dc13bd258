"""Runs the trainings of a search through Ray Tune: each free worker gets the next proposal."""

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
"""Interval of queries for the size of the cluster."""


class ProposalSearch(TuneSearcher):  # type: ignore[misc]
    """Adapter of a search to Ray Tune; keeps as many trials running as fit into the cluster.

    Args:
        proposals: of the search.
        waiting: trials that come before new proposals.
        places: returns the number of trials that fit into the cluster now.
        over: returns whether the run ends before the search does.
        expect: receives each trial before it starts.

    Attributes:
        problem: why no further trial can be proposed; running trials still finish.
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
        # Tune pickles it with its own state, which is never restored: the log has all results.
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The config of the next trial; None while no trial fits, or the next proposal depends on running ones."""
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
        """Frees the slot of a trial; its result is in the log."""
        self._running.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Saves nothing: the log has all results."""

    def restore(self, checkpoint_path: str) -> None:
        """Restores nothing; see `save`."""

    def _next(self) -> TrialSpec | None:
        if self._waiting:
            return self._waiting.pop(0)
        try:
            return self._proposals.following()
        except Exception as error:  # raising it here would make Tune kill running trials
            self.problem = error
            return None

    def _places_now(self) -> int:
        if time.monotonic() - self._looked >= PLACES_SECONDS:
            self._room, self._looked = max(1, self._places()), time.monotonic()
        return self._room


def run_search_stage(proposals: Proposals, setting: Setting, *, epochs: int, data: ray.ObjectRef) -> None:
    """Trains the proposals of a new or resumed search, for ``epochs`` each, until there are no more.

    Raises:
        RunInterruptedError: the user asked the run to end; finished results are in the log.
        ClusterError: the images are missing; finished results are in the log.
        SearchError, ExperimentError: nothing can be proposed; running trainings have finished.
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
    """Open trials, or else the next proposal, so that a search that cannot start fails before Tune starts."""
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
    """Trains waiting and new proposals; returns the problem that ended the search, if any."""
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
        num_samples=-1,  # the searcher ends it
    )
    return searcher.problem


def _label(trial: Trial) -> str:
    return str(trial.config["spec"].label)
