"""Networks built on the meta device, without memory for weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


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
    """Builds a network on the meta device: no memory for weights, no random numbers.

    Some code computes its layout with tensors and reads their values, which fails on the meta device. It is built a
    second time with these tensors on the CPU.

    Raises:
        Exception: Whatever `build` raises both times.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build()
        except Exception:
            with _EmptyOnMeta():
                network = build()
            return network.to("meta")
