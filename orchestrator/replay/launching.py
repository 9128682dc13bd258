"""How the trainings of a replay are run: on the simulated clock, or as trials of Ray Tune."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import ray

from taurank.orchestrator.cluster import Slot, connect
from taurank.orchestrator.evidence import FINAL_EVENTS, FROZEN, Evidence, EvidenceLog
from taurank.orchestrator.experiment import ResourceSpec, TrainingSpec
from taurank.orchestrator.planning import Purse
from taurank.orchestrator.replay.bench import Bench
from taurank.orchestrator.replay.clock import InTurn, Result, SimulatedStage
from taurank.orchestrator.replay.truth import ReplayError
from taurank.orchestrator.session import Interruption
from taurank.orchestrator.stages import (
    CheckpointStore,
    Display,
    Setting,
    Stage,
    ended_event,
    features_by_code,
    logged_curves,
    paused_event,
    predicted_values,
    run_stage,
    sent_event,
    training_limits,
)
from taurank.orchestrator.text import Console
from taurank.schedulers.policies import Curve, Decision, Driver, Policy, Step, list_policies, make_policy
from taurank.trainables.table import RecordedTable, RecordedTraining
from taurank.trainables.training import Recipe
from taurank.trainables.trials import TableTrial, TrialSpec

SIMULATED = ("none", *list_policies())
"""Schedulers that run without Ray: no scheduler, and the policies."""


class Launch(Protocol):
    """Runs trainings of candidates and leaves their rows in a log, until ``purse``, a budget in time, is spent."""

    purse: Purse | None

    @property
    def wall_seconds(self) -> float:
        """Seconds on the clock so far, one launch after another; NaN where they are not known."""
        ...

    def __call__(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        """Trains the candidates, each as ``spec`` says, and returns when all have ended."""
        ...


SLOT = Slot(cpus=1.0)
"""What a recorded training takes under Ray."""
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

    Attributes:
        purse: a budget in time; trainings end when it is spent.
    """

    def __init__(self, bench: Bench, log: EvidenceLog, workers: int) -> None:
        self._bench, self._log, self._workers = bench, log, workers
        self.purse: Purse | None = None
        self._seconds, self._timed = 0.0, True

    @property
    def wall_seconds(self) -> float:
        """Seconds on the simulated clock, one launch after another; NaN where some are not recorded."""
        return self._seconds if self._timed else math.nan

    def __call__(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        """Trains the candidates, by the order in which they are given, until all have ended or are frozen."""
        log, stage = self._log, spec.stage
        codes_of = {trial_key(self._bench, spec, code): code for code in codes}
        begun = set(log.last_epochs())
        log.append_event(stage, "", "started")
        driver = self._driver(spec, codes_of)
        simulated = SimulatedStage(
            {
                key: RecordedTraining(self._bench.table, code, spec.epochs, spec.seed, spec.until)
                for key, code in codes_of.items()
                if driver.curves[key].waits
            },
            driver,
            epoch_seconds=self._bench.epoch_seconds,
        )
        rows: list[Evidence] = []
        events: list[tuple[str, str, str]] = []
        left, spent = math.inf if self.purse is None else self.purse.left(), 0.0
        by_clock = self.purse is not None and self.purse.budget.is_wall
        for happened in simulated.run() if left > 0 else ():
            if isinstance(happened, Step):
                again = happened.trial in begun
                begun.add(happened.trial)
                sent = sent_event(happened, again=again) if spec.scheduler.is_policy else ("started", "")
                events.append((happened.trial, *sent))
                continue
            trial, curve, decision = happened.trial, happened.curve, happened.decision
            spent = simulated.seconds if by_clock else spent + happened.step.seconds
            rows.extend(_rows(spec, codes_of[trial], happened))
            if happened.action == "stop":
                rows.extend(_predictions(spec, codes_of[trial], curve, decision))
                events.append((trial, *ended_event(curve, decision, "")))
            elif happened.action == "pause" and decision is not None and spec.scheduler.is_policy:
                events.append((trial, *paused_event(curve, decision)))
            if spent >= left:
                break
        over = {trial for trial, event, _ in events if event in FINAL_EVENTS}
        resumed = {trial for trial, event, _ in events if event == "resumed"}
        outcomes = log.outcomes()
        for key, code in codes_of.items():
            if key in over or outcomes.get(key, (FROZEN, ""))[0] != FROZEN:
                continue
            curve, decision = driver.curves[key], driver.decisions.get(key)
            rows.extend(_predictions(spec, code, curve, decision))
            ended = ended_event(curve, decision, driver.latest.reason)
            if not spec.scheduler.is_policy:
                ended = ("stopped", "the budget of the stage is spent")
            if key in resumed or outcomes.get(key) != ended:
                events.append((key, *ended))
        log.append(rows)
        for event in events:
            log.append_event(stage, *event)
        log.append_event(stage, "", "ended")
        self._seconds += simulated.seconds
        self._timed &= simulated.timed

    def _driver(self, spec: TrainingSpec, codes_of: Mapping[str, str]) -> Driver:
        policy: Policy = InTurn()
        features: dict[str, tuple[float, ...]] = {}
        if spec.scheduler.is_policy:
            policy = make_policy(spec.scheduler.name, **spec.scheduler.options)
            features = features_by_code(self._bench.encoding(list(codes_of.values())))
        limits = training_limits(spec, slots=self._workers, points=self._bench.points(spec))
        driver = Driver(policy, limits, {key: features.get(code, ()) for key, code in codes_of.items()})
        driver.load(logged_curves(self._log, spec.stage, codes_of))
        return driver


def _rows(spec: TrainingSpec, code: str, result: Result) -> list[Evidence]:
    step = result.step
    at = (step.epoch, spec.epochs, spec.seed)
    return [
        Evidence(spec.stage, result.trial, code, "training", *at, name, value, *step.cost_of(name))
        for name, value in step.metrics.items()
    ]


def _predictions(spec: TrainingSpec, code: str, curve: Curve, decision: Decision | None) -> list[Evidence]:
    if not spec.scheduler.is_policy or spec.until is not None:
        return []
    at = (curve.last_epoch, spec.epochs, spec.seed)
    return [
        Evidence(spec.stage, curve.trial, code, "training", *at, metric, value)
        for metric, value in predicted_values(curve, decision).items()
    ]


@contextmanager
def ray_launcher(bench: Bench, workers: int) -> Iterator[Launcher]:
    """Starts a local Ray, with a core for each training; what it needs on disk is removed in the end.

    Args:
        bench: what is recorded.
        workers: trainings at once under a policy, if there are so many cores.

    Raises:
        RunInterruptedError: the user wants it to end.
    """
    with tempfile.TemporaryDirectory(prefix="taurank-replay-") as name, Interruption() as interruption:
        folder = Path(name)
        with connect(None, resources=ResourceSpec(), dashboard=False, log_file=folder / "run.log") as cluster:
            interruption.install()  # Ray takes SIGTERM when it starts
            rows = bench.table.rows
            trained = rows[(rows["source"] == "training") & rows["architecture"].isin(bench.pool)]
            reference = ray.put(RecordedTable(bench.table.info, trained))

            def make(log: EvidenceLog, draw: int) -> Launch:
                run = folder / f"draw-{draw}"
                (run / "checkpoints").mkdir(parents=True)
                return _RayLaunch(bench, log, reference, run, interruption, min(workers, cluster.places(SLOT)))

            yield make


class _RayLaunch:
    """Trainings as trials of Ray Tune, through the same code as those of a run."""

    wall_seconds = math.nan

    def __init__(
        self, bench: Bench, log: EvidenceLog, data: ray.ObjectRef, run: Path, interruption: Interruption, slots: int
    ) -> None:
        self._bench, self._log, self._data, self._run, self._interruption = bench, log, data, run, interruption
        self._slots = slots
        self.purse: Purse | None = None

    def __call__(self, spec: TrainingSpec, codes: Sequence[str]) -> None:
        epochs = float(len(codes) * spec.last_epoch)
        limits, features = None, {}
        if spec.scheduler.is_policy:
            limits = training_limits(spec, points=self._bench.points(spec))
            features = features_by_code(self._bench.encoding(codes))
        stage = Stage(
            name=spec.stage,
            source="training",
            specs=tuple(self._spec(spec, code) for code in codes),
            trainable=TableTrial,
            scheduler=spec.scheduler,
            schedule_epochs=spec.epochs,
            planned_epochs=epochs,
            budget_epochs=spec.budget_epochs,
            limits=limits,
            features=features,
        )
        with Display(Console(quiet=True), total_epochs=epochs, budget_epochs=epochs, names={}) as display:
            setting = Setting(
                run=self._run,
                log=self._log,
                slot=SLOT,
                slots=lambda: self._slots,
                display=display,
                interruption=self._interruption,
                checkpoints=CheckpointStore(self._run / "checkpoints"),
                purse=self.purse,
            )
            run_stage(stage, setting, data=self._data)

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
