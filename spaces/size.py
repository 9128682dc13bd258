"""Parameters and FLOPs of an architecture, counted on the meta device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from taurank.spaces.architecture import Architecture, SearchSpace, SpaceError, one_line
from taurank.spaces.weightless import build_weightless


@dataclass(frozen=True)
class Size:
    """Size of one network.

    Attributes:
        parameters: Number of trainable weights, those of dead edges included.
        flops: Multiply-accumulates of the convolutions and linear layers for one image; parts
            that are not computed do not count. This is the "FLOPs" of the literature, half the count of torch, which
            counts a multiply-accumulate as two. Biases, normalisation, activations, pooling and additions do not count;
            the best cell of NAS-Bench-201 has its published 153.27 MFLOPs (153,272,960).
    """

    parameters: int
    flops: int


def measure_size(
    space: SearchSpace, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int
) -> Size:
    """Counts parameters and FLOPs of an architecture; allocates no weights and draws no random numbers.

    Raises:
        SpaceError: The space cannot build the network for this task, or the network does not map an image to one row of
            logits.
    """
    network = build_weightless(lambda: space.build(architecture, input_shape=input_shape, classes=classes))
    # In training mode batch normalisation rejects a single value per channel, as of one small image.
    network.eval()
    parameters = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    # The counter registers hooks on the inputs of modules and fails where an input is a weight.
    network.requires_grad_(False)
    with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
        counter = FlopCounterMode(display=False)
        try:
            with counter:
                logits = network(torch.empty(1, *input_shape))
        except Exception as error:
            shape = "x".join(map(str, input_shape))
            raise SpaceError(f"input_shape: {architecture} cannot take {shape} images: {one_line(error)}") from error
    if space.foreign and (not isinstance(logits, torch.Tensor) or logits.shape != (1, classes)):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise SpaceError(
            f"code: {architecture} is not a classifier: for one image it returns {given}, not {classes} logits"
        )
    return Size(parameters=parameters, flops=counter.get_total_flops() // 2)


@torch.no_grad()
def count_flops(module: nn.Module, input_shape: Sequence[int]) -> int:
    """FLOPs of a part of a network for one input, counted as in `Size`, by a pass in evaluation mode.

    Args:
        module: Maps one tensor (1, *input_shape).
        input_shape: Shape of the input without the batch.
    """
    with FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros(1, *input_shape))
    return int(counter.get_total_flops() // 2)
