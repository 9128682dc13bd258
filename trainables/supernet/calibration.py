"""Batch-norm recalibration: running statistics that belong to one path instead of to all of them mixed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def recalibrate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Re-estimates the running mean and variance of every batch norm that ``model`` passes through.

    The statistics become the plain average over the batches (equal to those of the concatenated images for the mean
    when the batches are of equal size; the variance is the mean within-batch variance). Weights are not touched.
    The running statistics of a supernet mix all paths that were trained; scored with them, the order is near random
    (Guo et al. 2020, section 3.4; Yu & Huang 2019).
    """
    layers = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    was_training = model.training
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    model.train()
    try:
        for batch in batches:
            model(batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.train(was_training)
