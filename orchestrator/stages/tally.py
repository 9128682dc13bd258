"""What became of the trials of a stage: how many are in which state, and the epochs that they did not need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray.tune.experiment import Trial

from taurank.orchestrator.evidence import COMPLETED, FAILED, FROZEN, STOPPED
from taurank.orchestrator.session import Counts
from taurank.schedulers.policy_scheduler import PolicyScheduler
from taurank.trainables.trials import TrialSpec

SPARED = (STOPPED, FROZEN)
"""Final events of trials that have not come to their end."""


class StageTally:
    """Counts the trials of a stage.

    Args:
        specs: of all its trials.
        schedule_epochs: length of the trials' schedule.
        last_epochs: highest epoch on record, by trial.
        policy: where one decides.
    """

    def __init__(
        self,
        specs: Sequence[TrialSpec],
        *,
        schedule_epochs: int,
        last_epochs: Mapping[str, int],
        policy: PolicyScheduler | None,
    ) -> None:
        self._schedule_epochs = schedule_epochs
        self._ends: dict[str, int] = {}
        for spec in specs:
            self.expect(spec)
        self._reached = {key: epoch for key, epoch in last_epochs.items() if key in self._ends}
        self._policy = policy

    def expect(self, spec: TrialSpec) -> None:
        """One more trial belongs to the stage."""
        self._ends[spec.trial] = spec.until or self._schedule_epochs

    def reached(self, key: str, epoch: int) -> None:
        """A trial has trained that many epochs."""
        self._reached[key] = max(epoch, self._reached.get(key, 0))

    def saved(self, outcomes: Mapping[str, tuple[str, str]]) -> float:
        """Epochs that trials with these outcomes did not train of their schedules."""
        return float(
            sum(
                max(0, end - self._reached.get(key, 0))
                for key, end in self._ends.items()
                if outcomes.get(key, ("", ""))[0] in SPARED
            )
        )

    def counts(self, trials: Sequence[Trial], outcomes: Mapping[str, tuple[str, str]]) -> Counts:
        """How many are in which state; ``trials`` are those that Tune has."""
        ended = [outcomes.get(key, ("", ""))[0] for key in self._ends]
        running = sum(trial.status == Trial.RUNNING for trial in trials)
        paused = sum(trial.status == Trial.PAUSED for trial in trials)
        waiting = sum(trial.status == Trial.PENDING for trial in trials)
        if self._policy is not None:
            # Tune holds those that have not begun as paused ones.
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
