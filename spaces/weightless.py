"""Networks built on the meta device, where shapes are computed but no values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from taurank.spaces.architecture import SpaceError


class _EmptyOnMeta(TorchFunctionMode):
    """Creates only `torch.empty` tensors, which layers use for weights, on the meta device."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func is torch.empty and options.get("device") is None:
            options["device"] = "meta"
        return func(*args, **options)


def build_weightless(build: Callable[[], nn.Module]) -> nn.Module:
    """Builds a network on the meta device: no memory for weights, and torch's random numbers are unchanged.

    Some code computes its layout with tensors and reads their values, which fails on the meta device. It is built a
    second time with these tensors on the CPU, and a third time with all tensors there where it reads its weights.

    Raises:
        Exception: Whatever `build` raises each time.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build()
        except Exception:
            try:
                with _EmptyOnMeta():
                    network = build()
            except Exception as error:
                if is_refusal(error):
                    raise
                network = build()
        return network.to("meta")


def is_refusal(error: Exception) -> bool:
    """Whether our own code rejects the network, so that tensors with data would not help."""
    return isinstance(error, SpaceError) and error.__cause__ is None


def lacks_data(error: BaseException | None) -> bool:
    """Whether an error is caused by the meta device, whose tensors have no data."""
    while error is not None:
        if re.search(r"\bmeta\b", str(error), re.IGNORECASE):
            return True
        error = error.__cause__ or error.__context__
    return False
