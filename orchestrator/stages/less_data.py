"""The training images of each stage: all, or a part that is selected once for all its candidates."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import ray
from ray.exceptions import RayError
from torch import nn

from taurank.orchestrator.cluster import ClusterError, Slot
from taurank.orchestrator.evidence import DIFFICULTY, TRAIN_LOSS, Evidence, EvidenceLog
from taurank.orchestrator.experiment import Experiment, TrainingSpec
from taurank.spaces import Architecture
from taurank.trainables.data import ImageData, ImageSet, Losses, less_data
from taurank.trainables.training import COST, EPOCHS, Training, measure_difficulty


def _without_labels(data: ImageData) -> ImageData:
    """The data with a single training class, so that the selection cannot depend on labels."""
    train = ImageSet(data.train.images, np.zeros_like(data.train.labels))
    return replace(data, train=train)


class StageImages:
    """Provides the images of each training stage, as references that its workers share.

    Args:
        data: all images.
        reference: the same in the object store.
        experiment: of the run.
        folder: of the run; stores losses, so that a resumed run selects the same images.
        log: receives the cost of the selection.
    """

    def __init__(
        self, data: ImageData, reference: ray.ObjectRef, experiment: Experiment, folder: Path, log: EvidenceLog
    ) -> None:
        self._data, self._reference = data, reference
        self._experiment, self._folder, self._log = experiment, folder, log

    def for_stage(self, spec: TrainingSpec, code: str, slot: Slot) -> ray.ObjectRef:
        """Images of a stage.

        Args:
            spec: the stage.
            code: the candidate whose short training measures the difficulty of images.
            slot: resources of that training.

        Raises:
            DataError: too little data is left.
            ClusterError: the short training failed.
        """
        if spec.epoch_share == 1:
            return self._reference
        subset, data = spec.subset, self._data
        if spec.task is not None:
            data = _without_labels(data)
        losses = self._losses(spec, code, slot) if subset.by == "difficulty" and subset.share < 1 else None
        return ray.put(
            less_data(data, share=subset.share, by=subset.by, resolution=spec.resolution, seed=spec.seed, losses=losses)
        )

    def _losses(self, spec: TrainingSpec, code: str, slot: Slot) -> Losses:
        file = self._folder / f"{spec.stage}.{DIFFICULTY}.npy"
        if file.is_file():
            kept: Losses = np.load(file, allow_pickle=False)
            return kept
        experiment = self._experiment
        space = experiment.space.make()
        recipe = experiment.recipe_of(code).of_length(EPOCHS)

        def measure(images: ImageData) -> Losses:
            def build() -> nn.Module:
                architecture = Architecture(space.name, code)
                shape, classes = images.input_shape, len(images.classes)
                return space.build_with(architecture, recipe.model_options, input_shape=shape, classes=classes)

            device = "cuda" if slot.gpus else "cpu"
            return measure_difficulty(Training(build, recipe, images, seed=spec.seed, device=device))

        started = time.perf_counter()
        task = ray.remote(num_cpus=slot.cpus, num_gpus=slot.gpus)(measure)
        try:
            losses: Losses = ray.get(task.remote(self._reference))
        except RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ClusterError(
                f"the short training of {code} that measures the difficulty of images failed: {reason};"
                " select images by stratified or k-center"
            ) from None
        self._log.append(
            [
                Evidence(
                    stage=spec.stage,
                    trial=f"{spec.stage}/{DIFFICULTY}",
                    architecture="",
                    source=DIFFICULTY,
                    epoch=recipe.epochs,
                    schedule_epochs=recipe.epochs,
                    seed=spec.seed,
                    metric=TRAIN_LOSS,
                    value=float(losses.mean()),
                    seconds=(time.perf_counter() - started) * slot.share,
                    epochs=COST,
                )
            ]
        )
        partial = file.with_suffix(".partial.npy")
        np.save(partial, losses)
        partial.replace(file)
        return losses
