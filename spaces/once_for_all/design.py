"""Macro structure of a once-for-all space and the options of each decision.

Source: Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment (ICLR 2020), and its
code, github.com/mit-han-lab/once-for-all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from taurank.spaces.architecture import SpaceError, as_tuple, check_factor, check_positive, check_variant
from taurank.spaces.mobile import ACTIVATIONS, DIVISOR, round_channels


@dataclass(frozen=True)
class Design:
    """Macro structure shared by all architectures, and the options of each decision.

    An architecture keeps the first blocks of each stage; the first block of a stage has its stride.
    The last stage may be a single block that is always kept.

    Attributes:
        stem: channels of the first convolution and of the fixed block behind it (kernel 3, expansion 1).
        stem_stride: stride of the first convolution.
        widths: output channels of each stage.
        strides: 1 or 2 for each stage.
        activations: name of the activation for each stage.
        squeeze: for each stage, whether its blocks have squeeze and excitation.
        ends: name of the activation of the first convolution and of the head, and of the fixed block.
        head: channels of the last convolution, and of a second one before the classifier if present.
        batch_norm_eps: epsilon of batch normalisation.
        last_single: whether the last stage is a single block.
        dropout: dropout probability of the features.
        depths: numbers of blocks that a stage may keep, ascending.
        kernels: odd sizes that a depthwise convolution may have, ascending.
        expansions: how many times as many channels as its input the middle of a block may have, ascending.
        resolutions: height and width that images may be resized to, ascending.
    """

    stem: tuple[int, int]
    stem_stride: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    activations: tuple[str, ...]
    squeeze: tuple[bool, ...]
    ends: tuple[str, str]
    head: tuple[int, ...]
    batch_norm_eps: float
    last_single: bool
    dropout: float
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expansions: tuple[int, ...]
    resolutions: tuple[int, ...]

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Stage and place of every block that an architecture may have."""
        return tuple((stage, place) for stage in range(len(self.widths)) for place in range(self.depths_of(stage)[-1]))

    def depths_of(self, stage: int) -> tuple[int, ...]:
        """Numbers of blocks that a stage may keep."""
        return (1,) if self.last_single and stage == len(self.widths) - 1 else self.depths

    def kernel_decision(self, stage: int, place: int) -> int:
        """Position of a block's kernel among the decisions; its expansion comes next."""
        return 2 * (stage * self.depths[-1] + place)

    def depth_decision(self, stage: int) -> int:
        """Position of a stage's depth among the decisions."""
        return 2 * len(self.blocks) + stage

    @property
    def resolution_decision(self) -> int:
        """Position of the resolution among the decisions: the last."""
        return 2 * len(self.blocks) + len(self.widths)

    def block_shape(self, stage: int, place: int) -> tuple[int, int, int]:
        """Channels in, channels out and stride of a block."""
        if place > 0:
            return self.widths[stage], self.widths[stage], 1
        return (self.widths[stage - 1] if stage > 0 else self.stem[1]), self.widths[stage], self.strides[stage]


def middle_channels(channels_in: int, expansion: int) -> int:
    """Channels in the middle of a block."""
    return round_channels(channels_in * expansion)


VARIANTS = {
    "mobilenetv3": Design(
        stem=(16, 16),
        stem_stride=2,
        widths=(24, 40, 80, 112, 160),
        strides=(2, 2, 2, 1, 2),
        activations=("relu", "relu", "h_swish", "h_swish", "h_swish"),
        squeeze=(False, True, False, True, True),
        ends=("h_swish", "relu"),
        head=(960, 1280),
        batch_norm_eps=1e-5,
        last_single=False,
        dropout=0.1,
        depths=(2, 3, 4),
        kernels=(3, 5, 7),
        expansions=(3, 4, 6),
        resolutions=(128, 160, 192, 224),
    ),
    "proxylessnas": Design(
        stem=(32, 16),
        stem_stride=2,
        widths=(24, 40, 80, 96, 192, 320),
        strides=(2, 2, 2, 1, 2, 1),
        activations=("relu6",) * 6,
        squeeze=(False,) * 6,
        ends=("relu6", "relu6"),
        head=(1280,),
        batch_norm_eps=1e-3,
        last_single=True,
        dropout=0.1,
        depths=(2, 3, 4),
        kernels=(3, 5, 7),
        expansions=(3, 4, 6),
        resolutions=(128, 160, 192, 224),
    ),
    # For images of 28x28 on a CPU.
    "mini": Design(
        stem=(8, 8),
        stem_stride=1,
        widths=(16, 24),
        strides=(2, 2),
        activations=("relu", "h_swish"),
        squeeze=(False, True),
        ends=("h_swish", "relu"),
        head=(96, 128),
        batch_norm_eps=1e-5,
        last_single=False,
        dropout=0.0,
        depths=(1, 2),
        kernels=(3, 5),
        expansions=(2, 3),
        resolutions=(20, 28),
    ),
}
"""The designs by name."""

_BY_STAGE = ("widths", "strides", "activations", "squeeze")
_ASCENDING = ("depths", "kernels", "expansions", "resolutions")


def make_design(variant: str, width: float, changes: dict[str, Sequence[Any] | None]) -> Design:
    """Returns the design of a variant with some fields changed and its channels multiplied by `width`.

    Args:
        variant: One of `VARIANTS`.
        width: Factor of all numbers of channels; the results are rounded to multiples of 8.
        changes: Fields of the design that are tuples by stage or of options; None leaves a field as it is.

    Raises:
        SpaceError: An invalid value; the message names the field and the value.
    """
    residual = "; residual networks are the space once_for_all_resnet50" if "resnet" in str(variant) else ""
    check_variant(variant, VARIANTS, more=residual)
    check_factor("width", width)
    given: dict[str, Any] = {field: as_tuple(field, values) for field, values in changes.items() if values is not None}
    design = replace(VARIANTS[variant], **given)
    _check(design)
    return replace(
        design,
        stem=(round_channels(width * design.stem[0]), round_channels(width * design.stem[1])),
        widths=tuple(round_channels(width * channels) for channels in design.widths),
        head=tuple(round_channels(width * channels) for channels in design.head),
    )


def _check(design: Design) -> None:
    for field in _BY_STAGE[1:]:
        entries = getattr(design, field)
        if len(entries) != len(design.widths):
            raise SpaceError(f"{field}: {len(entries)} entries, but widths has {len(design.widths)}; give one a stage")
    for field in ("widths", *_ASCENDING):
        for value in getattr(design, field):
            check_positive(field, value)
    for field in _ASCENDING:
        as_tuple(field, getattr(design, field), ascending=True)
    for field, allowed in (("strides", (1, 2)), ("activations", tuple(ACTIVATIONS)), ("squeeze", (False, True))):
        for value in getattr(design, field):
            if not any(value is option or (type(value) is type(option) and value == option) for option in allowed):
                raise SpaceError(f"{field}: {value!r} is not among {', '.join(map(str, allowed))}")
    for kernel in design.kernels:
        if kernel % 2 == 0:
            raise SpaceError(f"kernels: {kernel} is even; a kernel needs a centre")
    for channels in design.widths:
        if channels % DIVISOR:
            raise SpaceError(f"widths: {channels} is not a multiple of {DIVISOR}")
