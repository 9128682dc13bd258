"""Counts the trials of a stage by state, and the epochs saved by stopping or pausing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray.tune.experiment import Trial

from taurank.orchestrator.evidence import COMPLETED, FAILED, FROZEN, STOPPED
from taurank.orchestrator.session import Counts
from taurank.schedulers import CurveScheduler
from taurank.trainables.trials import TrialSpec

SPARED = (STOPPED, FROZEN)
"""Final events of trials that did not complete their schedule."""


class StageTally:
    """Counts the trials of a stage.

    Args:
        specs: of all its trials.
        schedule_epochs: length of the trials' schedule.
        last_epochs: highest epoch on record, by trial.
        policy: of the stage, if any.
    """

    def __init__(
        self,
        specs: Sequence[TrialSpec],
        *,
        schedule_epochs: int,
        last_epochs: Mapping[str, int],
        policy: CurveScheduler | None,
    ) -> None:
        self._schedule_epochs = schedule_epochs
        self._ends: dict[str, int] = {}
        for spec in specs:
            self.expect(spec)
        self._reached = {key: epoch for key, epoch in last_epochs.items() if key in self._ends}
        self._policy = policy

    def expect(self, spec: TrialSpec) -> None:
        """Adds a trial."""
        self._ends[spec.trial] = spec.until or self._schedule_epochs

    def reached(self, key: str, epoch: int) -> None:
        """Notes the trained epochs of a trial."""
        self._reached[key] = max(epoch, self._reached.get(key, 0))

    def saved(self, outcomes: Mapping[str, tuple[str, str]]) -> float:
        """Scheduled epochs that trials with these outcomes did not train."""
        return float(
            sum(
                max(0, end - self._reached.get(key, 0))
                for key, end in self._ends.items()
                if outcomes.get(key, ("", ""))[0] in SPARED
            )
        )

    def counts(self, trials: Sequence[Trial], outcomes: Mapping[str, tuple[str, str]]) -> Counts:
        """Number of trials by state; ``trials`` are those of Tune."""
        ended = [outcomes.get(key, ("", ""))[0] for key in self._ends]
        running = sum(trial.status == Trial.RUNNING for trial in trials)
        paused = sum(trial.status == Trial.PAUSED for trial in trials)
        waiting = sum(trial.status == Trial.PENDING for trial in trials)
        if self._policy is not None:
            # Tune also reports trials that have not started as paused.
            new = sum(
                trial.status == Trial.PAUSED and self._policy.curves[trial.config["trial"]].state == "new"
                for trial in trials
            )
            paused, waiting = paused - new, waiting + new
        return Counts(
            running=running,
            paused=paused + ended.count(FROZEN),
            stopped=ended.count(STOPPED),
            done=ended.count(COMPLETED),
            failed=ended.count(FAILED),
            waiting=waiting,
        )
