"""Lazy layers (`nn.LazyConv2d`, `nn.LazyLinear` ...), which learn their width from what they are given first."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from taurank.spaces.architecture import SpaceError


def complete(network: nn.Module, input_shape: tuple[int, int, int]) -> nn.Module:
    """Gives lazy layers their weights by a pass of one image, so that optimisers and counts see all of them.

    Their weights are drawn from torch's global random numbers, as those of other layers.

    Args:
        network: Changed in place; left in the mode in which it is. One without lazy layers is not run.
        input_shape: (channels, height, width).

    Raises:
        SpaceError: No image reaches some of them.
        Exception: Whatever the network raises.
    """
    if not _lazy_names(network):
        return network
    modes = {module: module.training for module in network.modules()}
    device = next(network.parameters()).device
    # Batch normalisation neither refuses a single image in this mode, nor takes its statistics for its own.
    network.eval()
    with torch.no_grad():
        network(torch.zeros(1, *input_shape, device=device))
    for module, training in modes.items():
        module.training = training
    if left := _lazy_names(network):
        raise SpaceError(f"code: no image reaches the lazy layers {', '.join(left)}; leave them out or give them sizes")
    return network


def _lazy_names(network: nn.Module) -> list[str]:
    """Names of modules with a parameter or a buffer whose shape is not known yet."""
    return [
        name or "network"
        for name, module in network.named_modules()
        for tensors in (module._parameters, module._buffers)
        if any(tensor is not None and is_lazy(tensor) for tensor in tensors.values())
    ]
