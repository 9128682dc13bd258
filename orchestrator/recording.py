"""The one callback that writes the evidence log while Ray Tune runs a stage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from orchestrator.checkpoints import CheckpointStore
from orchestrator.decision_events import DROPPED_EVENT, ended_event, paused_event, predicted_values, sent_event
from orchestrator.display import Counts, Display
from orchestrator.evidence import FINAL_EVENTS, FROZEN, Evidence, EvidenceLog
from orchestrator.proxy_evidence import VOID, ProxyBooking, score_key, score_rows
from schedulers.policy_scheduler import PolicyScheduler
from trainables.proxies.chunk import ScoreRow
from trainables.trials import TrialSpec

REFRESH_SECONDS = 0.5


class Recorder(tune.Callback):  # type: ignore[misc]
    """Turns results into evidence rows and what happens to trials into events, and keeps the display up to date.

    Under a policy each of its decisions is an event with its reason, and what it expects of trials that it stops or
    leaves waiting is a row of evidence (but for trials that end before their schedule: that is not what it predicts).

    Args:
        log: where rows go.
        stage: name of the stage.
        source: what its trials produce (see ``Evidence.source``).
        specs: its trials, also those that are not submitted.
        schedule_epochs: length of the trials' schedule.
        share: of a device that a trial holds (see ``Slot.share``); its seconds are multiplied with it.
        scheduler: asked for the reasons of its decisions, when it has any.
        display: told about progress.
        checkpoints: trimmed whenever a policy lets a trial wait.
        booking: how scores of untrained networks are booked, where the stage has any.
    """

    def __init__(
        self,
        log: EvidenceLog,
        *,
        stage: str,
        source: str,
        specs: Sequence[TrialSpec],
        schedule_epochs: int,
        share: float,
        scheduler: Any,
        display: Display,
        checkpoints: CheckpointStore,
        booking: ProxyBooking | None = None,
    ) -> None:
        self._checkpoints, self._booking = checkpoints, booking
        self._share = share
        self._log, self._stage, self._source = log, stage, source
        self._specs = {spec.trial: spec for spec in specs}
        self._schedule_epochs, self._scheduler, self._display = schedule_epochs, scheduler, display
        self._policy = scheduler if isinstance(scheduler, PolicyScheduler) else None
        self._outcomes = log.outcomes()
        self._begun = set(log.last_epochs())
        self._sent: dict[str, Any] = {}
        events = log.events()
        self._void = set(events.loc[events["event"] == VOID, "trial"])
        self._refreshed = 0.0
        self.spent_epochs = float(log.spent_in(stage)[1])

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles callbacks beside its own state, which we never restore from: the log is the truth.
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Notes that a worker has taken up the trial, and under a policy why; after a loss it has been said already."""
        key = trial.config["trial"]
        if self._policy is None:
            if key not in self._outcomes:
                self._log.append_event(self._stage, key, "started")
        elif self._sent.get(key) is not self._policy.steps[key]:
            self._sent[key] = self._policy.steps[key]
            self._log.append_event(self._stage, key, *sent_event(self._sent[key], again=key in self._begun))
            self._begun.add(key)
            self._outcomes.pop(key, None)  # frozen before

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Books the rows of a result and, when the trial has come to its end, how."""
        key = trial.config["trial"]
        rows = [
            self._row(key, architecture, epoch, metric, value, seconds, epochs)
            for architecture, epoch, metric, value, seconds, epochs in result.get("evidence", ())
        ]
        for score in result.get("scores", ()):
            assert self._booking is not None
            rows += score_rows(score, self._booking, share=self._share)
            self._note_void(score)
        if self._log.append(rows):  # a trial that starts over reports rows that are here already
            epochs = sum(row.epochs for row in rows)
            self.spent_epochs += epochs
            self._display.advance(epochs, [row for row in rows if row.metric == "validation_accuracy"])
        if result.get("outcome") in FINAL_EVENTS:
            self._end(key, result["outcome"], result["reason"])
        elif self._policy is not None:
            self._note_decision(key)
        elif result.get("done") and "outcome" in result:
            self._end(key, "stopped", f"by {type(self._scheduler).__name__} after epoch {result['epoch']}")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Notes what became of a trial that ends while it waits; of others that is known from their last result."""
        if self._policy is not None:
            self._note_end(trial.config["trial"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Notes that the trial was lost with its worker; the stage starts it again."""
        self._log.append_event(self._stage, trial.config["trial"], "lost", _last_line(trial))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Notes that the trial lost its worker and will be continued by another."""
        self._log.append_event(self._stage, trial.config["trial"], "recovered", _last_line(trial))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Refreshes the display, now and then."""
        now = time.monotonic()
        if now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        ended = [self._outcomes.get(key, ("", ""))[0] for key in self._specs]
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
        self._display.update(
            Counts(
                running=running,
                paused=paused + ended.count(FROZEN),
                stopped=ended.count("stopped"),
                done=ended.count("completed"),
                failed=ended.count("failed"),
                waiting=waiting,
            )
        )

    def _note_void(self, score: ScoreRow) -> None:
        """Why a score is void: before its row, so that the log never has one without a reason."""
        code, proxy, *_, reason = score
        key = score_key(proxy, code)
        if reason and key not in self._void:
            self._void.add(key)
            self._log.append_event(self._stage, key, VOID, reason)

    def _note_decision(self, key: str) -> None:
        """What the policy has just made of the trial that reported; nothing where it goes on."""
        assert self._policy is not None
        curve = self._policy.curves[key]
        if curve.state == "paused":
            self._log.append_event(self._stage, key, *paused_event(curve, self._policy.decisions[key]))
            for dropped in self._checkpoints.trim(self._policy.curves):
                self._log.append_event(self._stage, dropped, *DROPPED_EVENT)
        elif curve.state in ("stopped", "failed"):
            self._note_end(key)

    def _note_end(self, key: str) -> None:
        assert self._policy is not None
        curve, decision = self._policy.curves[key], self._policy.decisions.get(key)
        spec = self._specs[key]
        if spec.until is None:
            values = predicted_values(curve, decision)
            self._log.append(
                self._row(key, spec.architectures[0], curve.last_epoch, metric, value, 0.0, 0.0)
                for metric, value in values.items()
            )
        self._end(key, *ended_event(curve, decision, self._policy.latest.reason))

    def _end(self, key: str, event: str, reason: str) -> None:
        known = self._outcomes.get(key, (FROZEN, ""))
        if known[0] == FROZEN and known != (event, reason):
            self._outcomes[key] = (event, reason)
            self._log.append_event(self._stage, key, event, reason)

    def _row(
        self, key: str, architecture: str, epoch: int, metric: str, value: float, seconds: float, epochs: float
    ) -> Evidence:
        return Evidence(
            stage=self._stage,
            trial=key,
            architecture=architecture,
            source=self._source,
            epoch=epoch,
            schedule_epochs=self._schedule_epochs,
            seed=self._specs[key].seed,
            metric=metric,
            value=value,
            seconds=seconds * self._share,
            epochs=epochs,
            epoch_share=self._specs[key].epoch_share,
        )


def _last_line(trial: Trial) -> str:
    """What ended the worker: the last line of the error, which says it, without the traceback."""
    lines = str(trial.get_error() or "").strip().splitlines()
    return lines[-1].strip()[:300] if lines else "worker lost"
