"""Networks of a fixed skeleton whose layers stand one after the other: stem, layers, last convolution, classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from taurank.spaces.mobile.shapes import LayerShape

LayerFactory = Callable[[int, LayerShape], nn.Module]
"""Makes the layer at a position, counted from 0, for a shape."""


class LayerwiseNetwork(nn.Module):
    """Computes its layers one after the other; images may have any size.

    Args:
        stem: Takes the images.
        layers: Take what the stem, then the layer before puts out.
        features: Takes what the last layer puts out.
        classifier: Takes the means (batch, channels) of the features over the map.
    """

    def __init__(
        self, stem: nn.Module, layers: Sequence[nn.Module], features: nn.Module, classifier: nn.Module
    ) -> None:
        super().__init__()
        self.stem = stem
        self.layers = nn.ModuleList(layers)
        self.features = features
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (batch, channels, height, width) to logits (batch, classes)."""
        features = self.stem(images)
        for layer in self.layers:
            features = layer(features)
        return self.classify(features)

    def classify(self, features: Tensor) -> Tensor:
        """What the last layer puts out, to logits (batch, classes)."""
        logits: Tensor = self.classifier(self.features(features).mean(dim=(2, 3)))
        return logits
