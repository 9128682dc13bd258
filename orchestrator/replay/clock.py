"""A stage of recorded trainings on simulated workers: the order of steps and the decisions of a policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from taurank.schedulers.policies import (
    Action,
    Curve,
    Decision,
    Decisions,
    Driver,
    Limits,
    Report,
    Reported,
    Sent,
    Step,
    run_simulated,
)
from taurank.trainables.table import METRIC, RecordedStep, RecordedTraining

LOSS = "train_loss"


@dataclass(frozen=True)
class Result:
    """One step of one trial.

    Attributes:
        trial: its key.
        step: what the training showed.
        action: the driver's answer to it.
        curve: of the trial so far.
        decision: on the trial; None while nothing was decided.
    """

    trial: str
    step: RecordedStep
    action: Action
    curve: Curve
    decision: Decision | None


@dataclass(frozen=True)
class InTurn:
    """Trains one trial after the other to its end, in the order of submission: what Ray Tune does by itself."""

    judges_running: ClassVar[bool] = False

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Name all that wait, in order; the driver cuts what the budget does not allow."""
        waiting = [trial for trial, curve in curves.items() if curve.waits]
        steps = tuple(Step(trial, limits.schedule_epochs, "its turn") for trial in waiting)
        return Decisions({trial: Decision("continue", "its turn") for trial in curves}, steps)


class SimulatedStage:
    """Lets a driver send recorded trainings to workers, on a clock that takes the recorded seconds.

    A trial holds a worker until it ends or pauses; then the driver chooses the next. Of results at the same moment the
    trial that was submitted first comes first, so equal trainings give equal decisions.

    Args:
        trainings: those that may be sent, by key; one that was trained before continues after its last epoch.
        driver: of these trials, and of others that have ended.
        epoch_seconds: of an epoch whose seconds are unknown.

    Attributes:
        seconds: from the first start to the last result so far; in epochs where no time is recorded.
        timed: whether the seconds of all steps so far are recorded.
    """

    def __init__(
        self, trainings: Mapping[str, RecordedTraining], driver: Driver, *, epoch_seconds: float = 1.0
    ) -> None:
        self._trainings, self._driver, self._epoch_seconds = trainings, driver, epoch_seconds
        self._steps: dict[str, RecordedStep] = {}
        self.seconds, self.timed = 0.0, True

    def run(self) -> Iterator[Step | Result]:
        """Runs until the driver sends no trial; yields the steps and their results in order."""
        reports = {trial: self._reports(trial, work) for trial, work in self._trainings.items()}
        for event in run_simulated(self._driver, reports):
            self.seconds = event.seconds
            yield event.step if isinstance(event, Sent) else self._result(event)

    def _reports(self, trial: str, work: RecordedTraining) -> Iterator[Report]:
        while work.epoch < self._driver.curves[trial].last_epoch:
            work.step()
        while not work.finished:
            step = work.step()
            self._steps[trial] = step
            self.timed &= step.seconds_known
            yield Report(
                step.epoch,
                step.metrics[METRIC],
                step.metrics.get(LOSS, float("nan")),
                step.seconds if step.seconds_known else step.epochs * self._epoch_seconds,
            )

    def _result(self, event: Reported) -> Result:
        trial = event.trial
        curve, decision = self._driver.curves[trial], self._driver.decisions.get(trial)
        return Result(trial, self._steps[trial], event.action, curve, decision)
