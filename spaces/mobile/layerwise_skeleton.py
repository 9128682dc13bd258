"""Skeleton of a space of one operation per layer: stem, layers, head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from taurank.spaces.architecture import SpaceError, as_tuple, check_factor, check_positive, check_variant
from taurank.spaces.mobile.shapes import LayerShape, round_channels


@dataclass(frozen=True)
class Skeleton:
    """Stages of layers; the first layer of a stage has its stride and output channels, the others keep the shape.

    Attributes:
        stem: Channels of the first convolution and of the block behind it; the last enters the layers.
        stem_stride: Stride of the first convolution.
        widths: Output channels of each stage.
        depths: Number of layers of each stage.
        strides: 1 or 2 for each stage.
        head: Input channels of the classifier.
        dropout: Dropout probability of the features.
    """

    stem: tuple[int, ...]
    stem_stride: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    strides: tuple[int, ...]
    head: int
    dropout: float

    @property
    def shapes(self) -> tuple[LayerShape, ...]:
        """Shapes of all layers, from input to output."""
        shapes, channels = [], self.stem[-1]
        for width, depth, stride in zip(self.widths, self.depths, self.strides, strict=True):
            shapes += [LayerShape(channels, width, stride), *[LayerShape(width, width, 1)] * (depth - 1)]
            channels = width
        return tuple(shapes)


def make_skeleton(
    variants: Mapping[str, Skeleton], variant: str, width: float, changes: Mapping[str, Any]
) -> tuple[Skeleton, dict[str, Any]]:
    """Returns the skeleton of a variant with some fields changed and its channels multiplied by `width`.

    Args:
        variants: The skeletons by name.
        variant: One of `variants`.
        width: Factor of all numbers of channels; unless it is 1, the results are rounded to multiples of 8.
        changes: Values of fields of the skeleton; None leaves a field as it is.

    Returns:
        The skeleton, and the options that reproduce it: `variant`, `width` and all fields of `changes`.

    Raises:
        SpaceError: An invalid value; the message names the field and the value.
    """
    check_variant(variant, variants)
    check_factor("width", width)
    plain = variants[variant]
    plain = replace(
        plain, **{field: _frozen(plain, field, value) for field, value in changes.items() if value is not None}
    )
    _check(plain)
    options = {"variant": variant, "width": width} | {field: getattr(plain, field) for field in changes}
    options = {field: list(value) if isinstance(value, tuple) else value for field, value in options.items()}
    if width == 1:
        return plain, options
    scaled = replace(
        plain,
        stem=tuple(round_channels(width * channels) for channels in plain.stem),
        widths=tuple(round_channels(width * channels) for channels in plain.widths),
        head=round_channels(width * plain.head),
    )
    return scaled, options


def _frozen(plain: Skeleton, field: str, value: Any) -> Any:
    return as_tuple(field, value) if isinstance(getattr(plain, field), tuple) else value


def _check(skeleton: Skeleton) -> None:
    for field in ("depths", "strides"):
        entries = getattr(skeleton, field)
        if len(entries) != len(skeleton.widths):
            stages = len(skeleton.widths)
            raise SpaceError(f"{field}: {len(entries)} entries, but widths has {stages}; give one a stage")
    for field in ("widths", "depths", "strides"):
        for value in getattr(skeleton, field):
            check_positive(field, value)
    check_positive("head", skeleton.head)
    for field, strides in (("strides", skeleton.strides), ("stem_stride", (skeleton.stem_stride,))):
        for stride in strides:
            if isinstance(stride, bool) or stride not in (1, 2):
                raise SpaceError(f"{field}: {stride!r} is not 1 or 2")
    for channels in skeleton.widths:
        if channels % 2:
            raise SpaceError(f"widths: {channels} is odd; numbers of channels have to be even")
    dropout = skeleton.dropout
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
        raise SpaceError(f"dropout: {dropout!r} is not a number of at least 0 and below 1")
