"""Policies by name."""

import difflib
import inspect
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

from taurank.schedulers.policies.policy import Policy

# Module and class; imported only when asked for, as some need SciPy.
_POLICIES = {
    "full": ("full", "FullPolicy"),
    "uniform": ("uniform", "UniformCutPolicy"),
    "successive-halving": ("successive_halving", "SuccessiveHalvingPolicy"),
    "hyperband": ("hyperband", "HyperbandPolicy"),
    "asha": ("asha", "AshaPolicy"),
    "pasha": ("pasha", "PashaPolicy"),
    "median": ("median", "MedianPolicy"),
    "penguin": ("penguin", "PenguinPolicy"),
    "beating": ("beating", "BeatingPolicy"),
    "order-settling": ("order_settling", "OrderSettlingPolicy"),
}


def list_policies() -> list[str]:
    """Return the names that ``make_policy`` knows."""
    return list(_POLICIES)


def policy_class(name: str) -> type[Policy]:
    """Return the class of a policy, which documents its options.

    Raises:
        ValueError: unknown name.
    """
    if name not in _POLICIES:
        raise ValueError(f"unknown policy {name!r}; {choices(name, list_policies())}")
    module, class_name = _POLICIES[name]
    return cast(type[Policy], getattr(import_module(f"taurank.schedulers.policies.{module}"), class_name))


def make_policy(name: str, **options: Any) -> Policy:
    """Return a policy by name; its class documents the options.

    Example:
        >>> make_policy("asha", reduction_factor=4).reduction_factor
        4

    Raises:
        ValueError: unknown name or option, or a value outside its range.
    """
    policy = policy_class(name)
    allowed = list(inspect.signature(policy).parameters)
    for option in options:
        if option not in allowed:
            raise ValueError(f"unknown option {option!r} of policy {name!r}; {choices(option, allowed)}")
    return policy(**options)


def choices(wrong: str, allowed: Sequence[str]) -> str:
    """Ends a message about an unknown name: what is allowed, and which of these was probably meant."""
    close = difflib.get_close_matches(wrong, allowed, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"allowed: {', '.join(allowed) or 'none'}{hint}"
