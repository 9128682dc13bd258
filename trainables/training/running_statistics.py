"""Running statistics of batch normalisation that follow a short training."""

from torch import nn

_OF_A_TRAINING = 0.1
"""Share of a training that running statistics are a mean over, at most."""
_HIGHEST = 0.1
"""PyTorch's momentum: no layer is given a higher one."""


def keep_pace(model: nn.Module, steps: int) -> None:
    """Raises the momentum of batch normalisation that is too slow for a training of so many optimiser steps.

    A running mean with momentum m is one over 1 / m steps. torchvision's MobileNetV3 has 0.01 and its MNASNet 0.0003,
    for trainings of hundreds of thousands of steps; after two hundred steps such a network still normalises by what it
    began with, and its accuracy is that of chance although it has learned (Wu & Johnson 2021, arXiv 2105.07576, section
    3, measure how far such a mean lags behind). Here it is one over the last tenth of the training at most. Layers with
    PyTorch's momentum of 0.1, and long trainings, stay as they are.

    Args:
        model: its layers are changed.
        steps: of the whole training.

    Examples:
        >>> layer = nn.BatchNorm2d(4, momentum=0.01)
        >>> keep_pace(layer, steps=200)
        >>> layer.momentum
        0.05
    """
    needed = min(1 / (_OF_A_TRAINING * steps), _HIGHEST)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is not None:
            module.momentum = max(module.momentum, needed)
