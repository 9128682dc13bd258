"""Grey images for networks that are made for colour."""

from __future__ import annotations

from torch import Tensor, nn


class RepeatedGrey(nn.Module):
    """Lets a network for colour images look at grey ones: the one channel is shown three times.

    Args:
        network: images (batch, 3, height, width) to logits.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (batch, 1, height, width) to logits (batch, classes)."""
        logits: Tensor = self.network(images.expand(-1, 3, -1, -1))
        return logits
