"""Grey images for networks that are made for colour."""

from __future__ import annotations

from torch import Tensor, nn


class RepeatedGrey(nn.Module):
    """Adapts a network for colour images to grey ones by repeating the channel three times.

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
