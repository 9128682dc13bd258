"""Networks without weights: built on the meta device, to be counted and not to be run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class _EmptyOnMeta(TorchFunctionMode):
    """Sends only what layers make their weights of to the meta device; small tables stay where they can be read."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func is torch.empty and options.get("device") is None:
            options["device"] = "meta"
        return func(*args, **options)


def build_weightless(build: Callable[[], nn.Module]) -> nn.Module:
    """Makes a network on the meta device: no memory for weights, no random numbers.

    Some code computes its layout with tensors and reads the numbers back, which a tensor without data cannot give. It
    is built a second time, with such tensors on the CPU.

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
