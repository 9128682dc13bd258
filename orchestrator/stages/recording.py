"""The callback that writes the evidence log while Ray Tune runs a stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from taurank.orchestrator.cluster import WorkerWatch
from taurank.orchestrator.evidence import (
    ACCURACY,
    FAILED,
    FINAL_EVENTS,
    FROZEN,
    LOST,
    RECOVERED,
    STARTED,
    STOPPED,
    TAKEN,
    VOID,
    Evidence,
    EvidenceLog,
    RankedMetric,
)
from taurank.orchestrator.session import check_after_loss, trainings_left
from taurank.orchestrator.stages.checkpoints import CheckpointStore
from taurank.orchestrator.stages.decisions import (
    DROPPED_EVENT,
    ended_event,
    paused_event,
    predicted_values,
    sent_event,
    unsaved_event,
)
from taurank.orchestrator.stages.display import Display
from taurank.orchestrator.stages.proxy_rows import ProxyBooking, score_key, score_rows
from taurank.orchestrator.stages.resource_wait import ResourceWait
from taurank.orchestrator.stages.tally import StageTally
from taurank.schedulers import CurveScheduler
from taurank.trainables.proxies import ScoreRow
from taurank.trainables.trials import TrialSpec

REFRESH_SECONDS = 0.5
SHOWN_FAILURES = 5
"""Failed trials of a stage that get a line each."""


class Recorder(tune.Callback):  # type: ignore[misc]
    """Logs results as evidence rows and state changes of trials as events, and updates the display.

    Each decision of a policy is an event with its reason. Predictions for stopped and paused trials are evidence rows,
    except for trials that end before their schedule, which policies do not predict.

    Args:
        log: the evidence log.
        stage: name of the stage.
        source: see ``Evidence.source``.
        specs: its trials, including those that are not submitted.
        schedule_epochs: length of the trials' schedule.
        share: devices that a trial holds (see ``Slot.share``); multiplies its seconds.
        scheduler: of the stage; a policy gives reasons for its decisions.
        display: the progress display.
        checkpoints: trimmed when they take too much disk space.
        booking: cost of the scores of untrained networks.
        watch: of the workers.
        places: returns the number of trials that fit into the cluster now.
        wait: detects that all trials wait for resources.
        metric: that its trials report.
        paces: what an epoch of each trial is expected to take beside the others, by trial, if that is known.
        in_seconds: whether these are seconds.
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
        watch: WorkerWatch | None = None,
        places: Callable[[], int] | None = None,
        wait: ResourceWait | None = None,
        metric: RankedMetric = ACCURACY,
        paces: Mapping[str, float] | None = None,
        in_seconds: bool = False,
    ) -> None:
        self._metric = metric
        self._watch, self._places, self._wait = watch or WorkerWatch(), places, wait
        self._checkpoints, self._booking = checkpoints, booking
        self._paces, self._in_seconds = paces, in_seconds
        self._share = share
        self._log, self._stage, self._source = log, stage, source
        self._specs = {spec.trial: spec for spec in specs}
        self._files = {spec.trial: Path(spec.checkpoint) for spec in specs}
        self._said_unsaved = False
        self._failed = 0
        self._schedule_epochs, self._scheduler, self._display = schedule_epochs, scheduler, display
        self._policy = scheduler if isinstance(scheduler, CurveScheduler) else None
        self._outcomes = log.outcomes()
        last_epochs = log.last_epochs()
        self._begun = set(last_epochs)
        self._tally = StageTally(specs, schedule_epochs=schedule_epochs, last_epochs=last_epochs, policy=self._policy)
        self._sent: dict[str, Any] = {}
        events = log.events()
        self._void = set(events.loc[events["event"] == VOID, "trial"])
        self._taken = set(events.loc[events["event"] == TAKEN, "trial"])
        self._refreshed = 0.0
        # A worker that has just ended a trial is given the next one before the next step: between the two it is idle.
        self._running: set[str] = set()
        self._most_running = 0
        self.began: float | None = None
        self.spent_seconds, self.spent_epochs = log.spent_in(stage)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles callbacks with its own state, which is never restored: the log has all results.
        return {}

    def expect(self, spec: TrialSpec) -> None:
        """Adds a trial that a search has proposed."""
        self._specs[spec.trial], self._files[spec.trial] = spec, Path(spec.checkpoint)
        self._tally.expect(spec)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Logs the start of a trial, with the reason under a policy; a restart after a loss is already logged."""
        key = trial.config["trial"]
        self.began = self.began or time.monotonic()
        self._watch.started(key)
        self._tally.started(key, at=time.monotonic())
        self._running.add(key)
        self._most_running = max(self._most_running, len(self._running))
        if self._policy is None:
            if key not in self._outcomes:
                self._log.append_event(self._stage, key, STARTED)
        elif self._sent.get(key) is not self._policy.steps[key]:
            self._sent[key] = self._policy.steps[key]
            self._log.append_event(self._stage, key, *sent_event(self._sent[key], again=key in self._begun))
            self._begun.add(key)
            self._outcomes.pop(key, None)  # it was frozen

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Logs the rows of a result and, at the end of a trial, its outcome."""
        key = trial.config["trial"]
        rows = [
            self._row(key, architecture, epoch, metric, value, seconds, epochs)
            for architecture, epoch, metric, value, seconds, epochs in result.get("evidence", ())
        ]
        for score in result.get("scores", ()):
            assert self._booking is not None
            rows += score_rows(score, self._booking, share=self._share)
            self._note_void(score)
        self._note_taken(key, result.get("taken_from", ""))
        new = self._log.append(rows) > 0  # a trial that starts over reports known rows again
        self._watch.heard(key, new=new, seconds=sum(row.seconds for row in rows) / self._share)
        self._watch.allow(trial)
        if new:
            epochs = sum(row.epochs for row in rows)
            self.spent_epochs += epochs
            self.spent_seconds += sum(row.seconds for row in rows)
            self._tally.reached(key, max(row.epoch for row in rows))
            seconds = sum(row.seconds for row in rows) / self._share
            self._tally.timed(key, at=time.monotonic(), seconds=seconds)
            self._display.advance(epochs, [row for row in rows if row.metric == self._metric.name])
        if result.get("outcome") in FINAL_EVENTS:
            self._end(key, result["outcome"], result["reason"])
        elif self._policy is not None:
            self._note_decision(key)
        elif result.get("done") and "outcome" in result:
            self._end(key, STOPPED, f"by {type(self._scheduler).__name__} after epoch {result['epoch']}")
        self._note_unsaved(key, result.get("unsaved", ""))
        self._checkpoints.written(self._files[key])
        if self._checkpoints.is_full:
            for dropped in self._checkpoints.trim(self._files, self._idle()):
                self._log.append_event(self._stage, dropped, *DROPPED_EVENT)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Logs the end of a paused trial; other trials report it with their last result."""
        self._running.discard(trial.config["trial"])
        if self._policy is not None:
            self._note_end(trial.config["trial"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Logs the loss of a worker; the trial has failed after too many, else it starts again."""
        key = trial.config["trial"]
        self._running.discard(key)
        reason, too_many = self._watch.lost(key, _error(trial))
        check_after_loss(self._log.path.parent, reason)
        if too_many and not self._watch.problem:
            self._end(key, FAILED, f"lost its worker too often: {reason}")
        else:
            self._log.append_event(self._stage, key, LOST, reason)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Logs that another worker continues the trial after a loss."""
        reason, _ = self._watch.lost(trial.config["trial"], _error(trial))
        check_after_loss(self._log.path.parent, reason)
        self._watch.allow(trial)
        self._log.append_event(self._stage, trial.config["trial"], RECOVERED, reason)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Checks the workers and refreshes the display."""
        if self._watch.look(trials) and self._policy is not None and self._places is not None:
            self._policy.set_slots(max(1, self._places()))
        now = time.monotonic()
        if now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        counts = self._tally.counts(trials, self._outcomes)
        idle = min(max(0, self._most_running - counts.running), counts.waiting)
        counts = replace(counts, running=counts.running + idle, waiting=counts.waiting - idle)
        self._running = {trial.config["trial"] for trial in trials if trial.status == Trial.RUNNING}
        self._most_running = len(self._running)
        waiting = None
        if self._wait is not None:
            ready = sum(trial.status == Trial.PENDING for trial in trials)
            waiting = self._wait.look(running=counts.running, ready=ready)
        saved = self._tally.saved(self._outcomes)
        left = None
        if self._paces is not None:
            work = self._tally.work(self._paces, self._outcomes, at=now)
            left = trainings_left(work, max(counts.running, 1), in_seconds=self._in_seconds)
        self._display.update(counts, saved=saved, waiting=waiting, patience=self._watch.patience, left=left)

    def _note_taken(self, key: str, run: str) -> None:
        """Logs once that the training is of another run, before its rows, which would count as measured here."""
        if run and key not in self._taken:
            self._taken.add(key)
            self._log.append_event(self._stage, key, TAKEN, f"trained by {run}")

    def _note_unsaved(self, key: str, reason: str) -> None:
        """Logs once that a state could not be saved; the trial continues without."""
        if reason and not self._said_unsaved:
            self._said_unsaved = True
            self._log.append_event(self._stage, key, *unsaved_event(reason))
            self._display.say(f"states of trainings are not saved: {reason}; they continue without")

    def _idle(self) -> list[str]:
        """Trials whose state may be dropped: ended ones, then paused ones, each with the cheapest to repeat first.

        Under a scheduler of Ray's, paused trials keep their states: it knows a curve only as long as it is continued.
        """
        if self._policy is None:
            return sorted(key for key in self._specs if key in self._outcomes)
        idle = [curve for curve in self._policy.curves.values() if curve.state != "running"]
        return [curve.trial for curve in sorted(idle, key=lambda one: (one.waits, one.last_epoch, one.trial))]

    def _note_void(self, score: ScoreRow) -> None:
        """Logs why a score is void, before its row, so that no void score lacks a reason."""
        code, proxy, *_, reason = score
        key = score_key(proxy, code)
        if reason and key not in self._void:
            self._void.add(key)
            self._log.append_event(self._stage, key, VOID, reason)

    def _note_decision(self, key: str) -> None:
        """Logs the decision of the policy on the trial that reported, unless it continues."""
        assert self._policy is not None
        curve = self._policy.curves[key]
        if curve.state == "paused":
            self._running.discard(key)
            self._log.append_event(self._stage, key, *paused_event(curve, self._policy.decisions[key]))
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
            if event == FAILED:
                self._say_failed(self._specs[key].label, reason)

    def _say_failed(self, label: str, reason: str) -> None:
        """Prints the first failures of the stage; the log has all."""
        self._failed += 1
        if self._failed <= SHOWN_FAILURES:
            self._display.say(f"  failed: {label}: {reason}")
        elif self._failed == SHOWN_FAILURES + 1:
            self._display.say("  more trials failed; taurank why NAME gives the reason of each")

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


def _error(trial: Trial) -> str:
    """The error file of a trial; ``Trial.get_error`` reads a copy that is written later."""
    try:
        return Path(trial.error_file).read_text(encoding="utf-8")
    except (OSError, TypeError):
        return ""
