"""A stage of recorded trainings on simulated workers: who trains when, and what a scheduler makes of it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from schedulers.tune import PolicyScheduler
from trainables.table.recorded_training import METRIC, RecordedStep, RecordedTraining


@dataclass(frozen=True)
class Result:
    """One step of one trial.

    Attributes:
        trial: its key.
        step: what the training showed.
        prediction: of the final accuracy, where the scheduler stopped it here; None elsewhere.
        outcome: ``completed``, ``stopped``, or empty while the trial goes on.
        reason: of a stop.
    """

    trial: str
    step: RecordedStep
    prediction: float | None = None
    outcome: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Simulated:
    """What came of a stage.

    Attributes:
        results: in the order in which they came in.
        left: trials that did not come to their end: the budget was spent, or the scheduler left them paused.
        out_of_budget: whether the budget was spent.
        seconds: from the first start to the last result; in epochs where no time is recorded.
        timed: whether the seconds of all steps are recorded.
    """

    results: tuple[Result, ...]
    left: tuple[str, ...]
    out_of_budget: bool
    seconds: float
    timed: bool


class _Trial:
    """What a scheduler looks at of a trial."""

    def __init__(self, place: int, key: str, work: RecordedTraining) -> None:
        self.place, self.trial_id, self.config, self.work = place, key, {"trial": key}, work
        self.status = Trial.PENDING
        self.last_result: dict[str, Any] = {}


class SimulatedStage:
    """Calls a scheduler as Ray Tune does, result by result, on a clock that takes the recorded seconds.

    A trial holds a worker until it ends or pauses; then the scheduler says who is next. Of results at the same moment
    the trial that was started first comes first, so equal trainings give equal decisions.

    Args:
        trainings: one per trial, by key, in the order in which they start.
        scheduler: of ``schedulers.tune``: none, or one that drives a policy.
        workers: trials that train at once.
        budget_epochs: no step is begun that would spend more; None for no bound.
        epoch_seconds: of an epoch whose seconds are unknown.
    """

    def __init__(
        self,
        trainings: Mapping[str, RecordedTraining],
        scheduler: TrialScheduler,
        *,
        workers: int,
        budget_epochs: float | None = None,
        epoch_seconds: float = 1.0,
    ) -> None:
        self._trials = [_Trial(place, key, work) for place, (key, work) in enumerate(trainings.items())]
        self._scheduler, self._free, self._epoch_seconds = scheduler, workers, epoch_seconds
        self._left_epochs = math.inf if budget_epochs is None else budget_epochs
        self._now, self._timed, self._out_of_budget = 0.0, True, False
        self._queue: list[tuple[float, int, RecordedStep]] = []  # end, place of the trial, its step
        self._results: list[Result] = []
        for trial in self._trials:
            scheduler.on_trial_add(self, trial)

    def get_trials(self) -> list[_Trial]:
        """All trials; schedulers ask for them."""
        return self._trials

    def stop_trial(self, trial: _Trial) -> None:
        """Ends a trial; schedulers give up paused ones by it."""
        if trial.status == Trial.RUNNING:
            self._scheduler.on_trial_complete(self, trial, trial.last_result)
        else:
            self._scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED

    def run(self) -> Simulated:
        """Runs all trials to their ends."""
        self._fill_workers()
        while self._queue:
            self._now, place, step = heapq.heappop(self._queue)
            self._report(place, step)
            self._fill_workers()
        ended = {result.trial for result in self._results if result.outcome}
        left = tuple(trial.trial_id for trial in self._trials if trial.trial_id not in ended)
        return Simulated(tuple(self._results), left, self._out_of_budget, self._now, self._timed)

    def _fill_workers(self) -> None:
        while self._free and not self._out_of_budget:
            trial = self._scheduler.choose_trial_to_run(self)
            if trial is None:
                return
            trial.status = Trial.RUNNING
            self._free -= 1
            self._begin(trial.place)

    def _begin(self, place: int) -> None:
        """Puts the end of the trial's next step on the clock, where the budget allows it."""
        step = self._trials[place].work.step()
        if step.epochs > self._left_epochs + 1e-9:
            self._out_of_budget = True
            return
        self._left_epochs -= step.epochs
        self._timed &= step.seconds_known
        seconds = step.seconds if step.seconds_known else step.epochs * self._epoch_seconds
        heapq.heappush(self._queue, (self._now + seconds, place, step))

    def _report(self, place: int, step: RecordedStep) -> None:
        trial = self._trials[place]
        done = trial.work.finished
        trial.last_result = {"epoch": step.epoch, METRIC: step.metrics[METRIC], "done": done}
        if done:
            # Tune does not show a last result to the scheduler before the trial is over.
            self._results.append(Result(trial.trial_id, step, outcome="completed"))
            self.stop_trial(trial)
            self._free += 1
            return
        answer = self._scheduler.on_trial_result(self, trial, dict(trial.last_result))
        if answer == TrialScheduler.STOP:
            assert isinstance(self._scheduler, PolicyScheduler)
            decision = self._scheduler.decisions[trial.trial_id]
            reason = f"{decision.reason} after epoch {step.epoch}"
            self._results.append(Result(trial.trial_id, step, decision.prediction, "stopped", reason))
            self.stop_trial(trial)
            self._free += 1
            return
        self._results.append(Result(trial.trial_id, step))
        if answer == TrialScheduler.PAUSE:
            trial.status = Trial.PAUSED
            self._free += 1
        elif not self._out_of_budget:
            self._begin(place)
