"""Seconds of an epoch of every candidate, measured by workers on a few batches before a run with a budget in time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import ray
from ray.exceptions import RayError

from taurank.orchestrator.cluster import ClusterError, Slot, connect, plan_slot
from taurank.orchestrator.evidence import COMPLETED, ENDED, PACE, STARTED, VOID, EvidenceLog
from taurank.orchestrator.experiment import Budget, BudgetError, Experiment, ExperimentError
from taurank.orchestrator.planning import Pace, book_pace, check_device
from taurank.orchestrator.text import progress_bar
from taurank.spaces import Architecture
from taurank.trainables.data import ImageData
from taurank.trainables.training import EpochTime, Recipe, batches_needed, describe_failure, measure_epoch


@dataclass
class MeasuredPace:
    """The measurements of candidates, and where they were made.

    Attributes:
        slot: what a training takes.
        workers: trainings at once.
        found: by code; the reason where a candidate cannot be trained.
        began: Unix seconds.
        ended: the same.
    """

    slot: Slot
    workers: int
    found: dict[str, EpochTime | str] = field(default_factory=dict)
    began: float = field(default_factory=time.time)
    ended: float = 0.0

    @property
    def pace(self) -> Pace:
        """The pace of the candidates; of those that cannot be trained it is the mean of the others.

        Raises:
            ExperimentError: none of them can be trained.
        """
        share = self.slot.share
        seconds = {code: one.seconds * share for code, one in self.found.items() if isinstance(one, EpochTime)}
        if not seconds:
            raise ExperimentError(f"no candidate can be trained: {next(iter(self.found.values()))}")
        mean = sum(seconds.values()) / len(seconds)
        return Pace({code: seconds.get(code, mean) for code in self.found}, self.workers, share, self.device)

    @property
    def device(self) -> str:
        """What seconds are counted of."""
        return "gpu" if self.slot.gpus else "core"

    @property
    def epochs(self) -> float:
        """What the measurements cost, in epochs of the average candidate."""
        spent = sum(one.spent_seconds for one in self.found.values() if isinstance(one, EpochTime))
        return spent * self.slot.share / self.pace.mean

    def check_left(self, budget: Budget, full_epochs: int) -> None:
        """Refuses a budget of which the measurements leave less than an epoch of the fastest candidate.

        Raises:
            BudgetError: it is one.
        """
        pace = self.pace
        left = len(self.found) * full_epochs / pace.speed_up(budget, full_epochs) - self.epochs
        if left < min(pace.epoch_seconds.values()) / pace.mean:
            raise BudgetError(
                f"budget: of {budget} too little is left for an epoch of the fastest candidate, after an epoch of each "
                f"was estimated from a few batches ({self.epochs * pace.mean:.2g} {self.device} seconds); give more"
            )

    def book(self, log: EvidenceLog) -> None:
        """Logs the measurements and their cost, and why a candidate could not be measured."""
        for trial in ("", PACE):
            log.append_event(PACE, trial, STARTED, at=self.began)
        seconds, costs, share = {}, {}, self.slot.share
        for code, one in self.found.items():
            if isinstance(one, str):
                log.append_event(PACE, f"{PACE}/{code}", VOID, one)
                seconds[code] = math.nan
            else:
                seconds[code] = one.seconds * share
                costs[code] = one.spent_seconds * share, one.spent_epochs
        book_pace(log, replace(self.pace, epoch_seconds=seconds), costs)
        log.append_event(PACE, PACE, COMPLETED, at=self.ended)
        log.append_event(PACE, "", ENDED, at=self.ended)


def measure_paces(
    experiment: Experiment, codes: Sequence[str], data: ImageData, *, address: str | None
) -> MeasuredPace:
    """Measures an epoch of each candidate, as many at once as would be trained at once, with a progress bar.

    Raises:
        ClusterError: no cluster, no room on it, or a lost worker.
        ExperimentError: no candidate can be trained.
    """
    space, resources = experiment.space.make(), experiment.resources
    recipes = {code: experiment.recipe_of(code) for code in codes}
    few = batches_needed(max(recipes.values(), key=lambda recipe: recipe.batch_size), data)
    counts = {"train_images": len(data.train), "validation_images": len(data.validation)}
    with connect(address, resources=resources) as cluster:
        slot = plan_slot(cluster, resources, trials=len(codes))
        measured = MeasuredPace(slot, min(cluster.places(slot), len(codes)))
        check_device(experiment.allowance, measured.device)
        images = ray.put(few)

        def measure(code: str, recipe: Recipe, few: ImageData) -> EpochTime | str:
            import torch

            torch.set_num_threads(max(1, int(slot.cpus)))
            architecture = Architecture(space.name, code)

            def build() -> torch.nn.Module:
                shape, classes = few.input_shape, len(few.classes)
                return space.build_with(architecture, recipe.model_options, input_shape=shape, classes=classes)

            device = "cuda" if slot.gpus and torch.cuda.is_available() else "cpu"
            try:
                return measure_epoch(build, recipe, few, device=device, **counts)
            except Exception as error:
                return describe_failure(error, doing="trained")

        task = ray.remote(num_cpus=slot.cpus, num_gpus=slot.gpus)(measure)
        calls = {task.remote(code, recipe, images): code for code, recipe in recipes.items()}
        answers: dict[str, EpochTime | str] = {}
        with progress_bar("measuring an epoch of each candidate") as progress:
            while calls:
                (done, *_), _ = ray.wait(list(calls))
                code = calls.pop(done)
                try:
                    answers[code] = ray.get(done)
                except RayError as error:
                    what = str(error).strip().splitlines()[-1].strip()[:300]
                    raise ClusterError(f"an epoch cannot be measured, its worker was lost: {what}") from None
                first = answers[code]
                if len(answers) == 1 and isinstance(first, EpochTime):
                    measured.began = time.time() - first.spent_seconds  # its worker was starting before
                progress(len(answers), len(codes))
    measured.found |= {code: answers[code] for code in codes}
    measured.ended = time.time()
    return measured
