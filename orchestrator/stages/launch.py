"""Launches trials through Ray Tune: their setting, their end, and the Tuner."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from taurank.orchestrator.cluster import ClusterError, Slot, WorkerWatch, use_trial_actors
from taurank.orchestrator.evidence import EvidenceLog
from taurank.orchestrator.planning import Purse
from taurank.orchestrator.session import Interruption, RunInterruptedError
from taurank.orchestrator.stages.checkpoints import CheckpointStore
from taurank.orchestrator.stages.display import Display
from taurank.orchestrator.stages.loggers import folder_name, make_loggers
from taurank.orchestrator.stages.recording import Recorder

STATE_FILES = ("*.pkl", "*state-*.json", ".validate_storage_marker")
"""What Tune writes of itself beside the folders of trials."""


@dataclass(frozen=True)
class Setting:
    """The environment of the trials of a stage.

    Attributes:
        run: folder of the run.
        log: the evidence log.
        slot: resources of a trial.
        slots: returns the current number of concurrent trials.
        display: the progress display.
        interruption: the user's request to end.
        checkpoints: states of the trainings of the run.
        images: file with the images; None if they are in memory.
        patience: hang limit in seconds; None to derive it from earlier results.
        loggers: of Ray, beside the evidence log.
        keeps_tune: whether Tune's own state and results stay.
        purse: a budget of the run in time; None if the stage does not count against one.
    """

    run: Path
    log: EvidenceLog
    slot: Slot
    slots: Callable[[], int]
    display: Display
    interruption: Interruption
    checkpoints: CheckpointStore
    images: Path | None = None
    patience: float | None = None
    loggers: tuple[str, ...] = ()
    keeps_tune: bool = False
    purse: Purse | None = None

    def watch(self, stage: str, trials: Collection[str]) -> WorkerWatch:
        """A watch of the workers of a stage, initialised with the durations of logged results."""
        took = [seconds / self.slot.share for seconds in self.log.seconds_of_results(stage, set(trials))]
        return WorkerWatch(patience=self.patience, images=self.images, took=took)

    def check(self, stage: str, watch: WorkerWatch) -> None:
        """Checks that the stage can continue after a launch.

        Raises:
            RunInterruptedError: the user asked the run to end.
            ClusterError: the images are missing.
        """
        if self.interruption.requested:
            raise RunInterruptedError(stage)
        if watch.problem:
            raise ClusterError(
                f"the images are gone: {watch.problem}; bring them back, then: taurank resume {self.run}"
            )


class StageStopper(tune.Stopper):  # type: ignore[misc]
    """Ends the whole stage if its budget is spent, the user asked the run to end, or no trial can continue.

    A budget in time is spent when the results of trials have taken it, or the clock has; the epochs under way are lost.
    """

    def __init__(
        self,
        recorder: Recorder,
        interruption: Interruption,
        watch: WorkerWatch,
        budget_epochs: float | None,
        purse: Purse | None = None,
    ) -> None:
        self._recorder, self._interruption, self._watch = recorder, interruption, watch
        self._budget_epochs, self._purse = budget_epochs, purse
        self._seconds_left = math.inf if purse is None else purse.left()
        self._spent_before = recorder.spent_seconds

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never ends single trials."""
        return False

    @property
    def out_of_time(self) -> bool:
        """Whether a budget of the run in time is spent."""
        if self._purse is None:
            return False
        spent = self._recorder.spent_seconds - self._spent_before
        if self._purse.budget.is_wall:
            spent = time.monotonic() - (self._recorder.began or time.monotonic())
        return spent >= self._seconds_left

    @property
    def out_of_budget(self) -> bool:
        """Whether the budget of the stage is spent."""
        return self._budget_epochs is not None and self._recorder.spent_epochs >= self._budget_epochs

    def stop_all(self) -> bool:
        """Whether the stage ends now."""
        over = self.out_of_budget or self.out_of_time
        return self._interruption.requested or over or bool(self._watch.problem)


def launch(
    setting: Setting,
    trainable: type[tune.Trainable],
    *,
    shared: dict[str, Any],
    title: str,
    names: Callable[[Trial], str],
    scheduler: TrialScheduler,
    recorder: Recorder,
    stopper: StageStopper,
    **tuning: Any,
) -> None:
    """Runs trials through Ray Tune until all have ended or the stopper ends them.

    Args:
        setting: their environment.
        trainable: class of the trials.
        shared: arguments of all trials, sent through the object store.
        title: of the stage.
        names: returns the displayed name of a trial.
        scheduler: stops or pauses trials.
        recorder: receives all results.
        stopper: ends all trials.
        tuning: ``param_space``, and further arguments of ``tune.TuneConfig``.
    """
    storage, name = setting.run / "tune", title.replace(":", "-").replace(" ", "-")
    # A result grid is made of the files of these two.
    wanted = dict.fromkeys((*setting.loggers, *(("json", "csv") if setting.keeps_tune else ())))
    loggers = make_loggers(list(wanted), run=setting.run.name, folder=storage / name, labels=names)
    with_shared = tune.with_parameters(trainable, **shared, stage=f"{setting.run.name} {title}")
    placed = tune.with_resources(with_shared, setting.slot.resources)
    placed.__qualname__ = trainable.__qualname__  # shown by the dashboard and in process titles
    tuner = tune.Tuner(
        placed,
        param_space=tuning.pop("param_space", None),
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            reuse_actors=True,
            trial_name_creator=names,
            trial_dirname_creator=lambda trial: folder_name(names(trial), trial.config["trial"]),
            **tuning,
        ),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(storage.resolve()),
            verbose=0,
            callbacks=[recorder, *loggers],
            stop=stopper,
            failure_config=tune.FailureConfig(max_failures=-1),  # the watch limits failures
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )
    use_trial_actors()
    setting.interruption.graceful = True
    try:
        if not setting.interruption.requested:
            tuner.fit()
    finally:
        setting.interruption.graceful = False
        if not setting.keeps_tune:
            _drop_state(storage, keep_logs=bool(loggers))


def _drop_state(storage: Path, *, keep_logs: bool) -> None:
    """Removes Tune's own state, which taurank never reads, and all else unless loggers have written there."""
    if not keep_logs:
        shutil.rmtree(storage, ignore_errors=True)
        return
    for pattern in STATE_FILES:
        for file in storage.glob(f"*/{pattern}"):
            file.unlink(missing_ok=True)
