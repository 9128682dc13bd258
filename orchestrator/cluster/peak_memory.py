"""Measures the GPU memory of the largest candidate."""

from __future__ import annotations

from typing import Any

import numpy as np
import ray
from ray.exceptions import GetTimeoutError, RayError

from taurank.orchestrator.cluster.cluster import ClusterError, one_line
from taurank.spaces import Architecture, SearchSpace
from taurank.trainables.data import ImageData
from taurank.trainables.training import EVALUATION_BATCH, Recipe, Training

MEMORY_SLACK = 1.1
"""Factor for variation from step to step: Ray does not limit GPU memory."""
MEASURE_SECONDS = 600.0


def measure_peak_memory(
    space: SearchSpace, largest: Architecture, recipe: Recipe, data: Any, *, input_shape: tuple[int, int, int]
) -> float | None:
    """Share of a GPU's memory that training ``largest`` takes at its peak, CUDA context included.

    Trains one epoch on two batches in a worker with a GPU of its own. None if no GPU is usable (a node may declare GPUs
    that it does not have); above 1 if the training does not fit.

    Raises:
        ClusterError: no GPU becomes free, or the worker fails.
    """

    def measure(images: ImageData) -> float | None:
        import dataclasses

        import torch

        if not torch.cuda.is_available():
            return None
        few = dataclasses.replace(
            images,
            train=images.train.take(np.arange(min(2 * recipe.batch_size, len(images.train)))),
            validation=images.validation.take(np.arange(min(EVALUATION_BATCH, len(images.validation)))),
            test=images.test.take(np.arange(1)),
        )

        def build() -> torch.nn.Module:
            options, classes = recipe.model_options, len(images.classes)
            return space.build_with(largest, options, input_shape=input_shape, classes=classes)

        try:
            Training(build, recipe.of_length(1), few, seed=0, device="cuda").step_epoch()
        except torch.OutOfMemoryError:
            return 2.0
        free, total = torch.cuda.mem_get_info()
        context = total - free - torch.cuda.memory_reserved()
        return MEMORY_SLACK * (torch.cuda.max_memory_reserved() + max(context, 0)) / total

    task = ray.remote(num_gpus=1, num_cpus=0, max_retries=0)(measure)
    try:
        share = ray.get(task.remote(data), timeout=MEASURE_SECONDS)
    except GetTimeoutError:
        raise ClusterError(
            f"no GPU was free for {MEASURE_SECONDS:.0f} s to measure the largest candidate; "
            "wait for other jobs, or set resources.gpus_per_trial"
        ) from None
    except RayError as error:
        raise ClusterError(
            f"the largest candidate cannot be measured on a GPU: {one_line(error)}; set resources.gpus_per_trial"
        ) from None
    return None if share is None else float(share)
