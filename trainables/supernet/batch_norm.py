"""Batch-norm statistics of a single path: recalibrated, or those of each batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@torch.no_grad()
def recalibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Re-estimates the running mean and variance of every batch norm that ``model`` passes through.

    The statistics become the averages over the batches, each with the weight of its size: the mean is that of all
    images together, the variance the mean of the (unbiased) variances within the batches. A batch norm that is not
    passed through is reset to mean 0, variance 1. Only batch norms are in training mode meanwhile, so that dropout
    does not distort what they see and nothing random is drawn. Weights and modes stay as they were.

    The running statistics of a supernet mix all paths that were trained; scored with them, the order is near random
    (Guo et al. 2020, section 3.4; Yu & Huang 2019).

    Args:
        model: the network; of a supernet the active path is used.
        batches: images ``(b, C, H, W)``; they should be training images, never those it is scored on.

    Raises:
        ValueError: no batches.
    """
    seen = 0
    with _only_norms_training(model) as layers:
        for layer in layers:
            layer.reset_running_stats()
        for batch in batches:
            seen += len(batch)
            for layer in layers:
                layer.momentum = len(batch) / seen  # the average so far, extended by this batch
            model(batch)
    if seen == 0:
        raise ValueError("batches is empty; recalibration needs at least one batch of images")


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Within the block the model is in evaluation mode, but batch norm normalises by the statistics of its batch.

    The running statistics stay as they are. A score then depends on which images share a batch, so all paths need the
    same batches, and large ones.
    """
    with _only_norms_training(model) as layers:
        counts = [
            (layer.num_batches_tracked, layer.num_batches_tracked.clone())
            for layer in layers
            if layer.num_batches_tracked is not None
        ]
        for layer in layers:
            layer.momentum = 0.0
        try:
            yield
        finally:
            for counter, count in counts:
                counter.copy_(count)


@contextmanager
def _only_norms_training(model: nn.Module) -> Iterator[list[nn.modules.batchnorm._BatchNorm]]:
    """Puts batch norms in training mode and all else in evaluation mode; restores modes and momenta afterwards."""
    modes = {module: module.training for module in model.modules()}
    layers = [module for module in modes if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    model.eval()
    try:
        for layer in layers:
            layer.train()
        yield layers
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
