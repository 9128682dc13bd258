"""What Ray Tune knows of trials, searches and the cluster, in the terms of the policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from ray.tune.result import SHOULD_CHECKPOINT
from ray.tune.trainable import FunctionTrainable, Trainable

_MOST_EXPECTED = 1_000_000
"""Tune counts the samples of an endless search to the largest integer: their number is not known."""


def keeps_checkpoints(trial: Any, result: Mapping[str, Any]) -> bool:
    """Whether a trial can be paused: a class that saves itself, or a function that has reported a checkpoint."""
    trainable = trial.get_trainable_cls()
    if issubclass(trainable, FunctionTrainable):
        return bool(result.get(SHOULD_CHECKPOINT)) or trial.has_checkpoint()
    return trainable.save_checkpoint is not Trainable.save_checkpoint


def trials_to_come(search: Any, submitted: int, announced: int | None) -> int:
    """How many trials a search algorithm has still to submit; 1 if it has no end and none were announced."""
    if search is None or search.is_finished():
        return 0
    total: float = announced or search.total_samples
    return max(0, int(total) - submitted) if total < _MOST_EXPECTED else 1


def trials_that_fit(trial: Any) -> int | None:
    """How many trials like this the cluster has resources for, at least 1; None if it takes none."""
    wanted = trial.placement_group_factory.required_resources
    there = ray.cluster_resources()
    fit = [there.get(name, 0) / amount for name, amount in wanted.items() if amount > 0]
    return max(1, int(min(fit) + 1e-9)) if fit else None
