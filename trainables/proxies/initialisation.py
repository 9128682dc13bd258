"""Re-initialisation of the weights of a network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def initialise(network: nn.Module, draw: Callable[[Tensor], object]) -> None:
    """Draws every weight with two or more dimensions, in place; biases become 0, scales of normalisations 1.

    Parameters that are neither weight nor bias keep their values: class tokens, positions, scales of layers.

    Args:
        network: Changed in place.
        draw: Called with each weight; fills it.
    """
    with torch.no_grad():
        for module in network.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if isinstance(module, _NORMS):
                    parameter.fill_(1.0 if name == "weight" else 0.0)
                elif parameter.dim() > 1 and name.endswith("weight"):
                    draw(parameter)
                elif parameter.dim() == 1 and name.endswith("bias"):
                    parameter.zero_()
