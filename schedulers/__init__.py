"""When to stop a training, and which to run next.

``curves`` models learning curves and ``policies`` decides on them; both are pure functions. ``CurveScheduler`` puts a
policy in the place of a scheduler of Ray Tune, and so do the schedulers that bear the names of policies. These names
alone need Ray, which is imported when one of them is first used.

Example:
    >>> from taurank.schedulers import AshaScheduler
    >>> AshaScheduler(metric="val_loss", mode="min", max_t=27, grace_period=3).metric
    'val_loss'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taurank.schedulers.curve_scheduler import CurveScheduler
    from taurank.schedulers.final_forecasts import FinalForecast
    from taurank.schedulers.named_schedulers import (
        AshaScheduler,
        BeatingScheduler,
        FullScheduler,
        HyperbandScheduler,
        MedianScheduler,
        OrderSettlingScheduler,
        PashaScheduler,
        PenguinScheduler,
        SuccessiveHalvingScheduler,
        UniformScheduler,
    )

__all__ = [
    "AshaScheduler",
    "BeatingScheduler",
    "CurveScheduler",
    "FinalForecast",
    "FullScheduler",
    "HyperbandScheduler",
    "MedianScheduler",
    "OrderSettlingScheduler",
    "PashaScheduler",
    "PenguinScheduler",
    "SuccessiveHalvingScheduler",
    "UniformScheduler",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    modules = {"CurveScheduler": "curve_scheduler", "FinalForecast": "final_forecasts"}
    return getattr(import_module(f"{__name__}.{modules.get(name, 'named_schedulers')}"), name)
