"""Names and options of schedulers, checked without importing Ray, which takes more than a second."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from taurank.schedulers.policies import Limits, choices, list_policies, make_policy

NONE = "none"


def asha_settings(
    schedule_epochs: int, *, reduction_factor: float = 3, grace_period: int | None = None
) -> dict[str, Any]:
    """Return the options of ``make_ray_asha`` with their defaults.

    Raises:
        ValueError: a value outside its range.
    """
    _check_reduction_factor(reduction_factor)
    if grace_period is None:
        grace_period = math.ceil(schedule_epochs / 27)
    if not 1 <= grace_period <= schedule_epochs:
        raise ValueError(f"grace_period must lie between 1 and schedule_epochs {schedule_epochs}, got {grace_period!r}")
    return {"reduction_factor": reduction_factor, "grace_period": grace_period}


def hyperband_settings(schedule_epochs: int, *, reduction_factor: float = 3) -> dict[str, Any]:
    """Return the options of ``make_ray_hyperband`` with their defaults.

    Raises:
        ValueError: a value outside its range.
    """
    _check_reduction_factor(reduction_factor)
    return {"reduction_factor": reduction_factor}


_OF_RAY: dict[str, Callable[..., dict[str, Any]]] = {"ray-asha": asha_settings, "ray-hyperband": hyperband_settings}


def list_schedulers() -> list[str]:
    """Return the names that ``make_scheduler`` knows."""
    return [NONE, *list_policies(), *_OF_RAY]


def check_scheduler(name: str, *, schedule_epochs: int, **options: Any) -> None:
    """Refuses what ``make_scheduler`` would refuse.

    Raises:
        ValueError: unknown name or option, or a value outside its range.
    """
    if name not in list_schedulers():
        raise ValueError(f"unknown scheduler {name!r}; {choices(name, list_schedulers())}")
    Limits(schedule_epochs)
    if name in list_policies():
        make_policy(name, **options)
        return
    settings = _OF_RAY.get(name)
    parameters = inspect.signature(settings).parameters.values() if settings else ()
    allowed = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for option in options:
        if option not in allowed:
            raise ValueError(f"unknown option {option!r} of scheduler {name!r}; {choices(option, allowed)}")
    if settings:
        settings(schedule_epochs, **options)


def _check_reduction_factor(value: float) -> None:
    if not (math.isfinite(value) and value > 1):
        raise ValueError(f"reduction_factor must be a finite number above 1, got {value!r}")
