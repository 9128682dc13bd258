"""The loss on labelled images, with the weights that took part in it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from trainables.proxies.proxy import VoidScoreError
from trainables.proxies.recorders import WeightRecorder


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
