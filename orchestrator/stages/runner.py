"""Runs the stages of a run through Ray Tune, as far as their results are not logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import ray

from taurank.orchestrator.cluster import Cluster, Slot, measure_peak_memory, plan_slot
from taurank.orchestrator.evidence import BASELINE, FAILED, FLOPS, SIZE, EvidenceLog
from taurank.orchestrator.experiment import Experiment, TrainingSpec
from taurank.orchestrator.planning import Purse
from taurank.orchestrator.search import Proposals
from taurank.orchestrator.session import Interruption
from taurank.orchestrator.stages.checkpoints import CheckpointStore
from taurank.orchestrator.stages.display import Display
from taurank.orchestrator.stages.launch import Setting
from taurank.orchestrator.stages.less_data import StageImages
from taurank.orchestrator.stages.running import can_continue, run_stage
from taurank.orchestrator.stages.searching import run_search_stage
from taurank.orchestrator.stages.shared_results import FOLDER, SharedResults, images_of
from taurank.orchestrator.stages.stage import Stage, training_stage
from taurank.spaces import Architecture
from taurank.trainables.data import ImageData, digest_images
from taurank.trainables.own import find_own_code
from taurank.trainables.proxies import ProxyBatch

GIGABYTE = 1e9


class TrainableError(RuntimeError):
    """Own training code that fails for every candidate; one line with the first reason."""


def check_not_all_failed(stage: Stage, log: EvidenceLog) -> None:
    """Refuses to rank candidates that own training code cannot train.

    Raises:
        TrainableError: no training of the stage has come to a result.
    """
    outcomes = log.outcomes()
    reasons = [
        reason for spec in stage.specs for event, reason in [outcomes.get(spec.trial, ("", ""))] if event == FAILED
    ]
    if len(reasons) == len(stage.specs) > 1:
        raise TrainableError(
            f"{stage.title}: all {len(reasons)} trainings failed; the first: {reasons[0]}. Correct the trainable, and "
            "start a new run"
        )


class _Run(Protocol):
    """The part of a run that the runner uses."""

    @property
    def folder(self) -> Path: ...
    @property
    def experiment(self) -> Experiment: ...
    @property
    def candidates(self) -> tuple[str, ...]: ...
    @property
    def log(self) -> EvidenceLog: ...
    @property
    def purse(self) -> Purse | None: ...


class _OnRay(Protocol):
    """The part of a connected session that the runner uses."""

    @property
    def cluster(self) -> Cluster: ...
    @property
    def display(self) -> Display: ...
    @property
    def interruption(self) -> Interruption: ...


class StageRunner:
    """Runs the stages of one run while it is connected to Ray.

    Args:
        run: its folder, experiment, candidates and log.
        on_ray: cluster, display and interruption.
        data: all images of the run; put into the object store once.
        needed: stages whose final states other stages start from.

    Raises:
        ClusterError: the GPU memory of the largest candidate cannot be measured.
    """

    def __init__(self, run: _Run, on_ray: _OnRay, data: ImageData, *, needed: Iterable[Stage] = ()) -> None:
        self._run, self._on_ray, self._file = run, on_ray, data.file
        trainable = run.experiment.trainable
        self._images = ray.put(data if trainable is None else find_own_code(trainable))
        self._digest = digest_images(data) if run.experiment.share_results else ""
        states = [Path(spec.checkpoint) for stage in needed if stage.keeps_states for spec in stage.specs]
        most = run.experiment.resources.checkpoint_gigabytes * GIGABYTE
        self._checkpoints = CheckpointStore(run.folder / "checkpoints", most, states)
        self._less = StageImages(data, self._images, run.experiment, run.folder, run.log)
        self._peak_memory = self._measure_memory(data)

    def run(self, stage: Stage, data: ProxyBatch | None = None, weights: ray.ObjectRef | None = None) -> None:
        """Runs the missing part of a stage on ``data``, by default the images; see `run_stage`."""
        if not self._skip(stage):
            self._launch(stage, self._images if data is None else ray.put(data), self._digest, weights)

    def train(self, spec: TrainingSpec, codes: list[str]) -> None:
        """Trains these candidates, on the images of the stage."""
        run = self._run
        stage = training_stage(run.experiment, spec, codes, run.folder)
        if run.purse is not None and stage.limits is not None:
            # A policy plans ahead: it needs to know what the time that is left amounts to.
            left = (stage.spent(run.log) + run.purse.epochs_left) / spec.epoch_cost
            most = min(stage.limits.budget_epochs, max(left, len(codes)))
            stage = replace(stage, limits=replace(stage.limits, budget_epochs=most))
        if not self._skip(stage):
            reference_code = run.candidates[0]
            images = self._less.for_stage(spec, reference_code, self.slot(trials=1))
            self._launch(stage, images, images_of(self._digest, spec, reference_code))
        if run.experiment.trainable is not None:
            check_not_all_failed(stage, run.log)

    def search(self, proposals: Proposals, *, epochs: int, spare: Callable[[], float]) -> None:
        """Trains the proposals of a search and leaves ``spare()`` cores free; see `run_search_stage`."""
        setting = self._setting(self.slot(trials=proposals.evaluations), spare)
        run_search_stage(proposals, setting, epochs=epochs, data=self._images)

    def slot(self, *, trials: int) -> Slot:
        """Resources of each of so many trials."""
        resources = self._run.experiment.resources
        return plan_slot(self._on_ray.cluster, resources, trials=trials, peak_memory=self._peak_memory)

    def shared_results(self, *, trials: int) -> SharedResults | None:
        """Storage of trainings shared with other runs of the folder; None if they are not shared."""
        return self._results(self._digest, self.slot(trials=trials))

    def _skip(self, stage: Stage) -> bool:
        """Whether a stage is complete; an extended run may have added trials or budget to it."""
        log = self._run.log
        outcomes = log.outcomes()
        over = log.has_ended(stage.name) and all(spec.trial in outcomes for spec in stage.specs)
        if not over or can_continue(stage, log):
            return False
        self._on_ray.display.skip_stage(stage.title, epochs=stage.cost, spent=stage.spent(log))
        return True

    def _launch(self, stage: Stage, data: ray.ObjectRef, digest: str, weights: ray.ObjectRef | None = None) -> None:
        slot = self.slot(trials=len(stage.specs))
        setting = self._setting(slot)
        if stage.name != BASELINE:  # it scores the evidence, and is none
            setting = replace(setting, purse=self._run.purse)
        run_stage(stage, setting, data=data, weights=weights, results=self._results(digest, slot))

    def _setting(self, slot: Slot, spare: Callable[[], float] = lambda: 0.0) -> Setting:
        cluster = self._on_ray.cluster
        return Setting(
            run=self._run.folder,
            log=self._run.log,
            slot=slot,
            slots=lambda: math.floor(cluster.now().places(slot) - spare() / slot.cpus),
            display=self._on_ray.display,
            interruption=self._on_ray.interruption,
            checkpoints=self._checkpoints,
            images=self._file,
            patience=self._run.experiment.resources.patience,
            loggers=tuple(self._run.experiment.loggers),
            keeps_tune=self._run.experiment.keep_tune,
        )

    def _results(self, digest: str, slot: Slot) -> SharedResults | None:
        # What another run has trained has no weights here.
        if not self._run.experiment.share_results or self._run.experiment.checkpoints:
            return None
        return SharedResults(self._run.folder.parent / FOLDER, digest, "cuda" if slot.gpus else "cpu")

    def _measure_memory(self, data: ImageData) -> float | None:
        """Share of a GPU that the largest candidate takes; None if it is not needed, and in a search."""
        experiment = self._run.experiment
        if not self._on_ray.cluster.gpus or experiment.resources.gpus_per_trial != "auto" or experiment.search:
            return None
        if experiment.trainable is not None:  # not a network that can be built here: a whole GPU each
            return None
        rows, space = self._run.log.evidence(), experiment.space.make()
        flops = rows[(rows["source"] == SIZE) & (rows["metric"] == FLOPS)].set_index("architecture")["value"]
        largest = Architecture(space.name, str(flops.idxmax()))
        recipe = experiment.recipe_of(largest.code)
        return measure_peak_memory(space, largest, recipe, self._images, input_shape=data.input_shape)
