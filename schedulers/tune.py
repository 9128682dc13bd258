"""Schedulers for Ray Tune by name: the policies, and Ray's own."""

import math
from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from taurank.schedulers.curve_scheduler import CurveScheduler
from taurank.schedulers.policies import Limits, list_policies
from taurank.schedulers.ray_schedulers import METRIC, TIME, make_ray_asha, make_ray_hyperband
from taurank.schedulers.validation import check_scheduler, list_schedulers

__all__ = ["list_schedulers", "make_scheduler"]

LOSS = "train_loss"
_OF_RAY = {"ray-asha": make_ray_asha, "ray-hyperband": make_ray_hyperband}


def make_scheduler(
    name: str,
    *,
    schedule_epochs: int,
    trials: Mapping[str, tuple[float, ...]],
    budget_epochs: float = math.inf,
    slots: int = 1,
    points: tuple[int, ...] | None = None,
    metric: str = METRIC,
    mode: str = "max",
    scale: str | None = "accuracy",
    **options: Any,
) -> TrialScheduler:
    """Return a Ray Tune scheduler by name.

    ``none``: every trial runs to its end, in order of submission.

    The policies (``policies.list_policies``), under ``CurveScheduler``: they pause and promote, keep to the
    budget, and decide on all curves. Trials report ``epoch`` (counted from 1, the number of epochs trained),
    ``validation_accuracy`` in [0, 1], and where they have it ``train_loss`` in nats.

    ``ray-asha``, ``ray-hyperband``: Ray's own, which only stop trials and know no budget; see
    ``taurank.schedulers.ray_schedulers``.

    Args:
        name: one of ``list_schedulers()``.
        schedule_epochs: epochs of a full training, at which trials end by themselves.
        trials: keys of all trials, in the order of submission, with the features of their architectures.
        budget_epochs: epochs that all trials together may train.
        slots: trials that run at once.
        points: epochs at which trials report, rising up to ``schedule_epochs``; None for every epoch.
        metric: name of the value that trials report instead of ``validation_accuracy``.
        mode: which end of it is better.
        scale: what it is; see ``CurveScheduler``.
        options: of the policy or of Ray's scheduler.

    Raises:
        ValueError: unknown name or option, or a value outside its range.
    """
    check_scheduler(name, schedule_epochs=schedule_epochs, **options)
    if not trials:
        raise ValueError("trials must hold at least 1, got none")
    if name in list_policies():
        return CurveScheduler(
            name,
            TIME,
            schedule_epochs,
            metric,
            mode,
            budget_epochs,
            scale=scale,
            resolution=1,
            points=points,
            train_loss=LOSS,
            slots=slots,
            trials=trials,
            **options,
        )
    Limits(schedule_epochs, budget_epochs, slots, points=points)
    compared: dict[str, Any] = {"metric": metric, "mode": mode}
    return _OF_RAY[name](schedule_epochs, len(trials), **compared, **options) if name in _OF_RAY else FIFOScheduler()
