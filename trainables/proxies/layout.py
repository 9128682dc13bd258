"""One layout for what networks hand from layer to layer: (n, channels, height, width)."""

from __future__ import annotations

from torch import Tensor


def as_maps(features: Tensor, images: Tensor) -> Tensor | None:
    """Features with channels second: (n, channels, height, width); tokens become (n, channels, tokens, 1).

    Three dimensions are (n, tokens, channels). Of four, channels are the second or, in networks such as Swin, the last:
    they are taken for the last where only then height and width are in the proportion of the images.

    Args:
        features: What a layer put out.
        images: What the network was given, (n, channels, height, width).

    Returns:
        A view; None for features of other dimensions.
    """
    if features.dim() == 3:
        return features.transpose(1, 2).unsqueeze(3)
    if features.dim() != 4:
        return None
    height, width = images.shape[-2:]
    _, first, second, third = features.shape
    if second * width != third * height and first * width == second * height:
        return features.permute(0, 3, 1, 2)
    return features
