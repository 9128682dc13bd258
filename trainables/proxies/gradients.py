"""Shared code of proxies that read the gradient of the loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Measured
from taurank.trainables.proxies.recorders import WeightRecorder


def sum_over_layers(probe: Probe, of_layer: Callable[[Tensor, Tensor], Tensor]) -> Measured:
    """Adds up a function of weight and gradient (of the mean cross-entropy in nats) over all layers, in float64.

    Coverage is the share of the network's weights that get a gradient.

    Raises:
        VoidScoreError: The batch has no labels, or the loss depends on no weight.
    """
    probe.labels  # noqa: B018  (raises where there are none)
    shared = probe.shared
    pairs = list(zip(shared.weights, shared.gradients, strict=True))
    moves = torch.stack([(gradient != 0).any() for _, gradient in pairs]).tolist()  # one wait for the device
    reached = [pair for pair, moved in zip(pairs, moves, strict=True) if moved]
    if not reached:
        raise VoidScoreError("the loss depends on no weight of a layer")
    total = torch.stack([of_layer(weight.double(), gradient.double()) for weight, gradient in reached]).sum()
    if float(total) == 0:
        raise VoidScoreError("the weights that the loss reaches are all zero: the last layer starts at zero")
    return Measured(float(total), probe.covered([weight for weight, _ in reached]))


def loss_and_weights(
    network: nn.Module, images: Tensor, labels: Tensor, on_norm: Callable[[Tensor], None] | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Mean cross-entropy, and the weights of the convolutions, linear and attention layers in order of first use.

    Args:
        network: Images to logits.
        images: (n, channels, height, width).
        labels: (n,).
        on_norm: Called with the input of every batch normalisation.

    Raises:
        VoidScoreError: The network has no such layer.
    """
    with WeightRecorder(on_norm) as layers:
        loss = functional.cross_entropy(network(images), labels)
    if not layers.weights:
        raise VoidScoreError("no convolution, linear or attention layer was computed")
    return loss, layers.weights
