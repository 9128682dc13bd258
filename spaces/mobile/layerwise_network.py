"""Sequential networks of a fixed skeleton: stem, layers, last convolution, classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from taurank.spaces.mobile.shapes import LayerShape

LayerFactory = Callable[[int, LayerShape], nn.Module]
"""Makes the layer at a position, counted from 0, for a shape."""


class LayerwiseNetwork(nn.Module):
    """Sequence of stem, layers, features and classifier; accepts images of any size.

    Args:
        stem: Maps the images.
        layers: In order from input to output.
        features: Maps the output of the last layer.
        classifier: Maps the spatial means (batch, channels) of the features.
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
        """Maps the output of the last layer to logits (batch, classes)."""
        logits: Tensor = self.classifier(self.features(features).mean(dim=(2, 3)))
        return logits
