"""Condition number of the neural tangent kernel (TE-NAS)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Proxy

IMAGES = 16
"""Images that the kernel is made of: the first ones of the batch. Time grows with their square."""

ROUNDING = 1e-7
"""Smallest share of the largest eigenvalue that gradients in single precision can distinguish from zero."""


def tangent_kernel(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Products of the gradients of the summed logits of each pair of images, float64, (n, n).

    Gradients are with respect to all parameters but biases: those of batch normalisation too, and others than weights
    (class tokens, scales of layers) where a network has them. Batch normalisation in training mode couples the images,
    so that every image needs a backward pass through the whole batch. Holds n times the parameters in memory.

    Args:
        network: In the mode to evaluate.
        images: (n, channels, height, width).

    Returns:
        The kernel, and the parameters that the logits depend on.

    Raises:
        VoidScoreError: The network has no such parameters, or its output depends on none.
    """
    parameters = [value for name, value in network.named_parameters() if "bias" not in name and value.requires_grad]
    outputs = network(images).flatten(1).sum(1)
    if not parameters or not outputs.requires_grad:
        raise VoidScoreError("the output depends on no weight")
    rows = [torch.autograd.grad(output, parameters, retain_graph=True, allow_unused=True) for output in outputs]
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)
    reached: list[Tensor] = []
    for parameter, gradients in zip(parameters, zip(*rows, strict=True), strict=True):
        if all(gradient is None for gradient in gradients):
            continue
        reached.append(parameter)
        jacobian = torch.stack(
            [torch.zeros_like(parameter) if gradient is None else gradient for gradient in gradients]
        ).flatten(1)  # (n, entries)
        kernel += jacobian.double() @ jacobian.double().T
    return kernel, reached


def condition_number(kernel: Tensor) -> float:
    """Largest by smallest eigenvalue of a kernel (n, n).

    Raises:
        VoidScoreError: It is not finite, zero, or singular in single precision.
    """
    if not bool(torch.isfinite(kernel).all()):
        raise VoidScoreError("the gradients are not finite")
    smallest, largest = torch.linalg.eigvalsh(kernel)[[0, -1]].tolist()
    if largest <= 0:
        raise VoidScoreError("the output depends on no weight")
    if smallest <= ROUNDING * largest:
        raise VoidScoreError("the tangent kernel is singular: gradients of different images are linearly dependent")
    return float(largest / smallest)


class NtkCondition(Proxy):
    """Natural logarithm of the condition number of the neural tangent kernel: how hard the network is to train.

    ln(largest / smallest eigenvalue) of J J^T, where row i of J is the gradient of the sum of the logits of image i
    with respect to the weights. The logarithm makes means over initialisations readable; it changes no order.

    It uses the first 16 images of the batch, in training mode, with the weights that the network has. The source
    takes 72, and redraws weights as He et al. (normal, by fan-out). A kernel of more images has a larger condition
    number: compare equal batches only. On NAS-Bench-201 FLOPs alone are more informative than both with
    `linear_regions`.
    """

    name = "ntk_condition"
    direction = -1
    source = "Chen et al. 2021, TE-NAS (arXiv 2102.11535), section 3.1.1"
    passes = 2.6
    published = Correlation(0.536, 0.722, "NAS-Bench-201 CIFAR-10, VKDNW table 1, with linear_regions as TE-NAS")

    def score(self, probe: Probe) -> Measured:
        """Lower is better."""
        probe.check_distinct()
        kernel, reached = tangent_kernel(probe.fresh(), probe.batch.images[:IMAGES])
        weights = [parameter for parameter in reached if parameter.dim() > 1]
        return Measured(math.log(condition_number(kernel)), probe.covered(weights))
