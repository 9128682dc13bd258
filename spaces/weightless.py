"""Networks without weights: built on the meta device, where shapes are computed and numbers are not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from taurank.spaces.architecture import SpaceError


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
    """Makes a network on the meta device: no memory for weights, and torch's random numbers stay as they are.

    Some code computes its layout with tensors and reads the numbers back, which a tensor without data cannot give. It
    is built a second time, with such tensors on the CPU; and a third time with all tensors there, where it reads the
    numbers of its weights.

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
    """Whether code of ours says that a network cannot be had: data for its tensors would not change that."""
    return isinstance(error, SpaceError) and error.__cause__ is None


def lacks_data(error: BaseException | None) -> bool:
    """Whether an error says that it comes of the meta device, whose tensors have shapes but no numbers."""
    while error is not None:
        if re.search(r"\bmeta\b", str(error), re.IGNORECASE):
            return True
        error = error.__cause__ or error.__context__
    return False
