"""Counts the trials of a stage by state, and the epochs saved by stopping or pausing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray.tune.experiment import Trial

from taurank.orchestrator.evidence import COMPLETED, FAILED, FROZEN, STOPPED
from taurank.orchestrator.session import Counts, Work
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
        self._timed: dict[str, tuple[int, float]] = {}
        self._since: dict[str, float] = {}

    def expect(self, spec: TrialSpec) -> None:
        """Adds a trial."""
        self._ends[spec.trial] = spec.until or self._schedule_epochs

    def reached(self, key: str, epoch: int) -> None:
        """Notes the trained epochs of a trial."""
        self._reached[key] = max(epoch, self._reached.get(key, 0))

    def started(self, key: str, *, at: float) -> None:
        """Notes the time at which a trial was given to a worker."""
        self._since[key] = at

    def timed(self, key: str, *, at: float, seconds: float) -> None:
        """Notes the time of a new result.

        The time since the last one includes what Ray takes. That before the first may include the start of a worker, so
        its own seconds count.
        """
        epochs, before = self._timed.get(key, (0, 0.0))
        self._timed[key] = epochs + 1, before + (at - self._since[key] if epochs and key in self._since else seconds)
        self._since[key] = at

    def work(self, weights: Mapping[str, float], outcomes: Mapping[str, tuple[str, str]], *, at: float) -> list[Work]:
        """The trials that have not ended.

        Args:
            weights: of an epoch, by trial; see ``Work``.
            outcomes: of those that have ended, by trial.
            at: time of the question.
        """
        found = []
        for key, end in self._ends.items():
            epochs, seconds = self._timed.get(key, (0, 0.0))
            over = outcomes.get(key, (FROZEN, ""))[0] != FROZEN
            left = 0 if over else max(0, end - self._reached.get(key, 0))
            since = at - self._since[key] if key in self._since and left else None
            found.append(Work(weights[key], epochs, seconds, left, since))
        return found

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
