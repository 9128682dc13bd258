"""The one callback that writes the evidence log while Ray Tune runs a stage."""

from __future__ import annotations

import time
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from orchestrator.display import Counts, Display
from orchestrator.evidence import FINAL_EVENTS, Evidence, EvidenceLog
from schedulers.tune import PolicyScheduler

REFRESH_SECONDS = 0.5


class Recorder(tune.Callback):  # type: ignore[misc]
    """Turns results into evidence rows and what happens to trials into events, and keeps the display up to date.

    Args:
        log: where rows go.
        stage: name of the stage.
        source: what its trials produce (see ``Evidence.source``).
        seeds: seed of each trial, by key.
        schedule_epochs: length of the trials' schedule.
        share: of a device that a trial holds (see ``Slot.share``); its seconds are multiplied with it.
        scheduler: asked for the reasons of its decisions, when it has any.
        display: told about progress.
    """

    def __init__(
        self,
        log: EvidenceLog,
        *,
        stage: str,
        source: str,
        seeds: dict[str, int],
        schedule_epochs: int,
        share: float,
        scheduler: Any,
        display: Display,
    ) -> None:
        self._share = share
        self._log, self._stage, self._source = log, stage, source
        self._seeds, self._schedule_epochs, self._scheduler, self._display = seeds, schedule_epochs, scheduler, display
        self._ended = {key: event for key, (event, _) in log.outcomes().items()}
        self._refreshed = 0.0
        self.spent_epochs = float(log.spent_in(stage)[1])

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles callbacks beside its own state, which we never restore from: the log is the truth.
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Notes that a worker has taken up the trial."""
        key = trial.config["trial"]
        if key not in self._ended:
            self._log.append_event(self._stage, key, "started")

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Books the rows of a result and, when the trial has come to its end, how."""
        key = trial.config["trial"]
        rows = [
            self._row(key, architecture, epoch, metric, value, seconds, epochs)
            for architecture, epoch, metric, value, seconds, epochs in result.get("evidence", ())
        ]
        decision = self._scheduler.decisions.get(key) if isinstance(self._scheduler, PolicyScheduler) else None
        if decision is not None and decision.action == "stop" and rows:
            rows.append(
                self._row(
                    key, rows[0].architecture, result["epoch"], "predicted_accuracy", decision.prediction, 0.0, 0.0
                )
            )
        if self._log.append(rows):  # a trial that starts over reports rows that are here already
            epochs = sum(row.epochs for row in rows)
            self.spent_epochs += epochs
            self._display.advance(epochs, [row for row in rows if row.metric == "validation_accuracy"])
        if result.get("outcome") in FINAL_EVENTS:
            self._end(key, result["outcome"], result["reason"])
        elif result.get("done") and "outcome" in result:
            reason = decision.reason if decision is not None else f"by {type(self._scheduler).__name__}"
            self._end(key, "stopped", f"{reason} after epoch {result['epoch']}")

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
        ended = [self._ended.get(key) for key in self._seeds]
        self._display.update(
            Counts(
                running=sum(trial.status == Trial.RUNNING for trial in trials),
                paused=sum(trial.status == Trial.PAUSED for trial in trials),
                stopped=ended.count("stopped"),
                done=ended.count("completed"),
                failed=ended.count("failed"),
                waiting=sum(trial.status == Trial.PENDING for trial in trials),
            )
        )

    def _end(self, key: str, event: str, reason: str) -> None:
        if key not in self._ended:
            self._ended[key] = event
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
            seed=self._seeds[key],
            metric=metric,
            value=value,
            seconds=seconds * self._share,
            epochs=epochs,
        )


def _last_line(trial: Trial) -> str:
    """What ended the worker: the last line of the error, which says it, without the traceback."""
    lines = str(trial.get_error() or "").strip().splitlines()
    return lines[-1].strip()[:300] if lines else "worker lost"
