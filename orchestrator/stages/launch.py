"""What every launch of trials has in common: where they run, who is told, when they end; and Ray Tune itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from taurank.orchestrator.cluster import ClusterError, Slot, WorkerWatch, trial_folder, use_trial_actors
from taurank.orchestrator.evidence import EvidenceLog
from taurank.orchestrator.session import Interruption, RunInterruptedError
from taurank.orchestrator.stages.checkpoints import CheckpointStore
from taurank.orchestrator.stages.display import Display
from taurank.orchestrator.stages.recording import Recorder


@dataclass(frozen=True)
class Setting:
    """What the trials of a stage run in.

    Attributes:
        run: folder of the run.
        log: what is there of the stage, and where the rest goes.
        slot: what a trial takes.
        slots: trials that run at once; asked now and then.
        display: told about progress.
        interruption: asked whether to end.
        checkpoints: where the trainings of the run keep their states.
        images: file that trials read their images from; None where those are in memory.
        patience: seconds that a trial may take for a result; None for what follows from how long the others took.
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

    def watch(self, stage: str, trials: Collection[str]) -> WorkerWatch:
        """Watches the workers of a stage; knows how long results took which the log has already."""
        took = [seconds / self.slot.share for seconds in self.log.seconds_of_results(stage, set(trials))]
        return WorkerWatch(patience=self.patience, images=self.images, took=took)

    def check(self, stage: str, watch: WorkerWatch) -> None:
        """Whether the stage can go on after a launch has ended.

        Raises:
            RunInterruptedError: the user wants the run to end.
            ClusterError: the images are gone.
        """
        if self.interruption.requested:
            raise RunInterruptedError(stage)
        if watch.problem:
            raise ClusterError(
                f"the images are gone: {watch.problem}; bring them back, then: taurank resume {self.run}"
            )


class StageStopper(tune.Stopper):  # type: ignore[misc]
    """Ends the whole stage when its budget is spent, the user wants the run to end, or no trial can go on."""

    def __init__(
        self, recorder: Recorder, interruption: Interruption, watch: WorkerWatch, budget_epochs: float | None
    ) -> None:
        self._recorder, self._interruption, self._watch = recorder, interruption, watch
        self._budget_epochs = budget_epochs

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No trial is ended alone."""
        return False

    @property
    def out_of_budget(self) -> bool:
        """Whether the budget is spent."""
        return self._budget_epochs is not None and self._recorder.spent_epochs >= self._budget_epochs

    def stop_all(self) -> bool:
        """Whether the stage ends now."""
        return self._interruption.requested or self.out_of_budget or bool(self._watch.problem)


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
    """Has Ray Tune run trials until they or the stopper have ended.

    Args:
        setting: what they run in.
        trainable: class of the trials.
        shared: what all of them are given, by way of the object store.
        title: of the stage.
        names: short name of a trial.
        scheduler: ends or pauses them.
        recorder: told of every result.
        stopper: ends all of them.
        tuning: which trials there are: ``param_space``, and the rest of ``tune.TuneConfig``.
    """
    storage = setting.run / "tune"
    with_shared = tune.with_parameters(trainable, **shared, stage=f"{setting.run.name} {title}")
    placed = tune.with_resources(with_shared, setting.slot.resources)
    placed.__qualname__ = trainable.__qualname__  # what the dashboard and process titles show
    tuner = tune.Tuner(
        placed,
        param_space=tuning.pop("param_space", None),
        tune_config=tune.TuneConfig(
            scheduler=scheduler,
            reuse_actors=True,
            trial_name_creator=names,
            trial_dirname_creator=trial_folder,
            **tuning,
        ),
        run_config=tune.RunConfig(
            name=title.replace(":", "-").replace(" ", "-"),
            storage_path=str(storage.resolve()),
            verbose=0,
            callbacks=[recorder],
            stop=stopper,
            failure_config=tune.FailureConfig(max_failures=-1),  # the watch says when it is enough
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
        # Tune's own bookkeeping; nothing of ours is read from there.
        shutil.rmtree(storage, ignore_errors=True)
