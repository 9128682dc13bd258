"""How the trainings of a replay are run: on the simulated clock, or as trials of Ray Tune."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import ray
from rich.console import Console

from orchestrator.cluster import Slot, connect
from orchestrator.display import Display
from orchestrator.evidence import Evidence, EvidenceLog
from orchestrator.experiment import ResourceSpec, TrainingSpec
from orchestrator.interruption import Interruption
from orchestrator.replay.bench import Bench
from orchestrator.replay.clock import Result, SimulatedStage
from orchestrator.replay.errors import ReplayError
from orchestrator.stages import Stage, run_stage
from schedulers.tune import make_scheduler
from trainables.recipe import Recipe
from trainables.table import RecordedTable
from trainables.table.recorded_training import RecordedTraining
from trainables.trials import TableTrial, TrialSpec

SIMULATED = ("none", "penguin")
"""Schedulers that run without Ray: no scheduler, and those that drive a policy of ours."""


class Launch(Protocol):
    """Runs trainings of candidates and leaves their rows in a log."""

    @property
    def wall_seconds(self) -> float:
        """Seconds on the clock so far, one launch after another; NaN where they are not known."""
        ...

    def __call__(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        """Trains the candidates, each as ``spec`` says, and returns when all have ended."""
        ...


Launcher = Callable[[EvidenceLog, int], Launch]
"""Makes what launches the trainings of one draw, from its log and its number."""


def trial_key(bench: Bench, spec: TrainingSpec, code: str) -> str:
    """The name of a training in the evidence log."""
    return f"{spec.stage}/{bench.short(code)}/seed {spec.seed}"


def check_simulated(trainings: Sequence[TrainingSpec]) -> None:
    """Refuses what the simulated clock cannot run.

    Raises:
        ReplayError: a scheduler that lives in Ray.
    """
    for spec in trainings:
        if spec.scheduler.name not in SIMULATED:
            raise ReplayError(f"{spec.stage}: scheduler {spec.scheduler.name} is Ray's own and needs Ray; add --ray")


class ClockLaunch:
    """Trainings on a simulated clock; same rows and events as those of Ray Tune, in memory and at once.

    Args:
        bench: what is recorded.
        log: where rows go.
        workers: trainings at once.
    """

    def __init__(self, bench: Bench, log: EvidenceLog, workers: int) -> None:
        self._bench, self._log, self._workers = bench, log, workers
        self._seconds, self._timed = 0.0, True

    @property
    def wall_seconds(self) -> float:
        """Seconds on the simulated clock, one launch after another; NaN where some are not recorded."""
        return self._seconds if self._timed else math.nan

    def __call__(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        """Trains the candidates, by the order in which they are given, until all have ended."""
        log, stage, scheduler = self._log, spec.stage, spec.scheduler
        ended = log.outcomes()
        architectures = {trial_key(self._bench, spec, code): code for code in codes}
        trainings = {
            key: RecordedTraining(self._bench.table, code, spec.epochs, spec.seed, spec.until)
            for key, code in architectures.items()
            if key not in ended
        }
        log.append_event(stage, "", "started")
        budget = None if spec.budget_epochs is None else spec.budget_epochs - log.spent_in(stage)[1]
        simulated = SimulatedStage(
            trainings,
            make_scheduler(
                scheduler.name, schedule_epochs=spec.epochs, candidates=max(1, len(trainings)), **scheduler.options
            ),
            workers=self._workers,
            budget_epochs=budget,
            epoch_seconds=self._bench.epoch_seconds,
        ).run()
        log.append(row for result in simulated.results for row in _rows(spec, architectures[result.trial], result))
        for key in dict.fromkeys(result.trial for result in simulated.results):
            log.append_event(stage, key, "started")
        for result in simulated.results:
            if result.outcome:
                log.append_event(stage, result.trial, result.outcome, result.reason)
        reason = "the budget of the stage is spent" if simulated.out_of_budget else f"by {scheduler.name} while paused"
        for key in simulated.left:
            log.append_event(stage, key, "stopped", reason)
        log.append_event(stage, "", "ended")
        self._seconds += simulated.seconds
        self._timed &= simulated.timed


def _rows(spec: TrainingSpec, code: str, result: Result) -> list[Evidence]:
    def row(metric: str, value: float, seconds: float = 0.0, epochs: float = 0.0) -> Evidence:
        at = (result.step.epoch, spec.epochs, spec.seed)
        return Evidence(spec.stage, result.trial, code, "training", *at, metric, value, seconds, epochs)

    rows = [row(name, value, *result.step.cost_of(name)) for name, value in result.step.metrics.items()]
    if result.prediction is not None:
        rows.append(row("predicted_accuracy", result.prediction))
    return rows


@contextmanager
def ray_launcher(bench: Bench) -> Iterator[Launcher]:
    """Starts a local Ray, with a core for each training; what it needs on disk is removed in the end.

    Raises:
        RunInterruptedError: the user wants it to end.
    """
    with tempfile.TemporaryDirectory(prefix="taurank-replay-") as name, Interruption() as interruption:
        folder = Path(name)
        with connect(None, resources=ResourceSpec(), dashboard=False, log_file=folder / "run.log"):
            interruption.install()  # Ray takes SIGTERM when it starts
            rows = bench.table.rows
            trained = rows[(rows["source"] == "training") & rows["architecture"].isin(bench.pool)]
            reference = ray.put(RecordedTable(bench.table.info, trained))

            def make(log: EvidenceLog, draw: int) -> Launch:
                run = folder / f"draw-{draw}"
                (run / "checkpoints").mkdir(parents=True)
                return _RayLaunch(bench, log, reference, run, interruption)

            yield make


class _RayLaunch:
    """Trainings as trials of Ray Tune, through the same code as those of a run."""

    wall_seconds = math.nan

    def __init__(
        self, bench: Bench, log: EvidenceLog, data: ray.ObjectRef, run: Path, interruption: Interruption
    ) -> None:
        self._bench, self._log, self._data, self._run, self._interruption = bench, log, data, run, interruption

    def __call__(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        epochs = float(len(codes) * spec.last_epoch)
        stage = Stage(
            name=spec.stage,
            source="training",
            specs=tuple(self._spec(spec, code) for code in codes),
            trainable=TableTrial,
            scheduler=spec.scheduler,
            schedule_epochs=spec.epochs,
            planned_epochs=epochs,
            budget_epochs=spec.budget_epochs,
        )
        with Display(Console(quiet=True), total_epochs=epochs, budget_epochs=epochs, names={}) as display:
            run_stage(
                stage,
                log=self._log,
                data=self._data,
                slot=Slot(cpus=1.0),
                run=self._run,
                display=display,
                interruption=self._interruption,
            )

    def _spec(self, spec: TrainingSpec, code: str) -> TrialSpec:
        key = trial_key(self._bench, spec, code)
        info = self._bench.table.info
        return TrialSpec(
            trial=key,
            label=self._bench.short(code),
            space=info.space,
            space_options=info.space_options,
            recipe=Recipe(epochs=spec.epochs),
            seed=spec.seed,
            checkpoint=str(self._run / "checkpoints" / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.pt"),
            architectures=(code,),
            until=spec.until,
        )
