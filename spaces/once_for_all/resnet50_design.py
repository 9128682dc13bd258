"""Macro structure of the residual once-for-all space, and the text of an architecture.

A text is the resolution, the stem and the stages, separated by `_`, such as r224_w1-conv-w1_w0.8-e0.2-e0.35_...: the
factors of the channels of the stem's first and last convolution, and whether the one between them is computed (conv) or
not (skip); for each stage the factor of its channels and the expansion of each block that it keeps.

Source: Cai et al., Once-for-All (ICLR 2020), and its code, github.com/mit-han-lab/once-for-all (OFAResNets).
"""

from __future__ import annotations

from dataclasses import dataclass

from taurank.spaces.architecture import SpaceError
from taurank.spaces.mobile import round_channels


@dataclass(frozen=True)
class ResNetDesign:
    """Macro structure shared by all architectures, and the options of each decision.

    Attributes:
        stem: channels of the last convolution of the stem; half as many inside.
        stem_stride: stride of its first convolution.
        widths: output channels of each stage.
        strides: 1 or 2 for each stage.
        base_depths: number of blocks that each stage has at least.
        depths: how many more it may keep, ascending.
        expansions: how many times as many channels as its output the middle of a block may have, ascending.
        factors: of all channels, ascending; one is chosen for each stage and for both ends of the stem.
        resolutions: height and width that images may be resized to, ascending.
    """

    stem: int
    stem_stride: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    base_depths: tuple[int, ...]
    depths: tuple[int, ...]
    expansions: tuple[float, ...]
    factors: tuple[float, ...]
    resolutions: tuple[int, ...]

    def depths_of(self, stage: int) -> tuple[int, ...]:
        """Numbers of blocks that a stage may keep."""
        return tuple(self.base_depths[stage] + more for more in self.depths)

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Stage and place of every block that an architecture may have."""
        return tuple((stage, place) for stage in range(len(self.widths)) for place in range(self.depths_of(stage)[-1]))

    def stem_channels(self, first: float, last: float) -> tuple[int, int]:
        """Channels inside the stem and behind it, for their factors."""
        return round_channels(round_channels(first * self.stem) // 2), round_channels(last * self.stem)

    def stage_channels(self, stage: int, factor: float) -> int:
        """Channels that a stage puts out."""
        return round_channels(factor * self.widths[stage])


def middle_channels(channels_out: int, expansion: float) -> int:
    """Channels in the middle of a block."""
    return round_channels(round(channels_out * expansion))


@dataclass(frozen=True)
class Stage:
    """Channel factor and expansions of the blocks of a stage."""

    factor: float
    expansions: tuple[float, ...]


@dataclass(frozen=True)
class ResNetSubnet:
    """An architecture of the space.

    Attributes:
        resolution: height and width that images are resized to.
        first: factor of the channels of the stem's first convolution.
        between: whether the stem's middle convolution is computed.
        last: factor of the channels of the stem's last convolution.
        stages: factor and expansions of each stage.
    """

    resolution: int
    first: float
    between: bool
    last: float
    stages: tuple[Stage, ...]


BETWEEN = ("skip", "conv")
"""Whether the stem's middle convolution is computed."""

VARIANTS = {
    "imagenet": ResNetDesign(
        stem=64,
        stem_stride=2,
        widths=(256, 512, 1024, 2048),
        strides=(1, 2, 2, 2),
        base_depths=(2, 2, 4, 2),
        depths=(0, 1, 2),
        expansions=(0.2, 0.25, 0.35),
        factors=(0.65, 0.8, 1.0),
        resolutions=(128, 160, 192, 224),
    ),
    # For images of 28x28 on a CPU.
    "mini": ResNetDesign(
        stem=32,
        stem_stride=1,
        widths=(32, 64),
        strides=(1, 2),
        base_depths=(1, 1),
        depths=(0, 1),
        expansions=(0.25, 0.5),
        factors=(0.5, 1.0),
        resolutions=(20, 28),
    ),
}
"""The designs by name."""


def largest(design: ResNetDesign) -> ResNetSubnet:
    """Returns the architecture with the last option of every decision; its weights contain those of all others."""
    factor, expansion = design.factors[-1], design.expansions[-1]
    stages = tuple(Stage(factor, (expansion,) * design.depths_of(stage)[-1]) for stage in range(len(design.widths)))
    return ResNetSubnet(design.resolutions[-1], factor, True, factor, stages)


def format_code(subnet: ResNetSubnet) -> str:
    """Writes the text."""
    stem = f"w{subnet.first:g}-{BETWEEN[subnet.between]}-w{subnet.last:g}"
    stages = (
        "-".join((f"w{stage.factor:g}", *(f"e{expansion:g}" for expansion in stage.expansions)))
        for stage in subnet.stages
    )
    return "_".join((f"r{subnet.resolution}", stem, *stages))


def parse_code(text: str, design: ResNetDesign) -> ResNetSubnet:
    """Reads the text.

    Raises:
        SpaceError: The text is malformed or has a value outside the design.
    """
    parts = [part.split("-") for part in text.strip().split("_")]
    if len(parts) != 2 + len(design.widths) or len(parts[0]) != 1 or len(parts[1]) != 3:
        raise SpaceError(
            f"code: {text!r} is not a resolution, a stem of three and {len(design.widths)} stages; "
            f"the form is {format_code(largest(design))!r}"
        )
    resolution = _allowed("resolution", parts[0][0], "r", design.resolutions, text)
    first, between, last = parts[1]
    if between not in BETWEEN:
        raise SpaceError(f"code: the middle of the stem of {text!r} is {between!r}; allowed are {', '.join(BETWEEN)}")
    stages = []
    for number, (width, *blocks) in enumerate(parts[2:], start=1):
        depths = design.depths_of(number - 1)
        if len(blocks) not in depths:
            kept = ", ".join(map(str, depths))
            raise SpaceError(f"code: the depth of stage {number} of {text!r} is {len(blocks)}; allowed are {kept}")
        factor = _allowed(f"the width of stage {number}", width, "w", design.factors, text)
        expansions = tuple(
            _allowed(f"block {place} of stage {number}", block, "e", design.expansions, text)
            for place, block in enumerate(blocks, start=1)
        )
        stages.append(Stage(factor, expansions))
    return ResNetSubnet(
        int(resolution),
        _allowed("the first width of the stem", first, "w", design.factors, text),
        between == BETWEEN[True],
        _allowed("the last width of the stem", last, "w", design.factors, text),
        tuple(stages),
    )


def _allowed(what: str, entry: str, letter: str, options: tuple[float, ...], text: str) -> float:
    texts = [f"{letter}{option:g}" for option in options]
    if entry not in texts:
        raise SpaceError(f"code: {what} of {text!r} is {entry!r}; allowed are {', '.join(texts)}")
    return options[texts.index(entry)]
