"""The text of a once-for-all architecture, such as r28_k3e2-k5e3_k3e2.

The resolution, then the stages, separated by `_`; the blocks of a stage are separated by `-`, and each states its
kernel and its expansion. A stage has as many blocks as it keeps, so equal networks have equal texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from taurank.spaces.architecture import SpaceError
from taurank.spaces.once_for_all.design import Design

Block: TypeAlias = tuple[int, int]
"""Kernel and expansion."""


@dataclass(frozen=True)
class Subnet:
    """An architecture of a once-for-all space.

    Attributes:
        resolution: height and width that images are resized to.
        stages: kernel and expansion of each block that is kept, by stage.
    """

    resolution: int
    stages: tuple[tuple[Block, ...], ...]


def format_code(subnet: Subnet) -> str:
    """Writes the text."""
    stages = ("-".join(f"k{kernel}e{expansion}" for kernel, expansion in stage) for stage in subnet.stages)
    return "_".join((f"r{subnet.resolution}", *stages))


def parse_code(text: str, design: Design) -> Subnet:
    """Reads the text.

    Raises:
        SpaceError: The text is malformed or has a value outside the design.
    """
    first, *rest = text.strip().split("_")
    resolution = re.fullmatch(r"r(\d+)", first)
    if not resolution:
        raise SpaceError(f"code: {text!r} begins with {first!r}, not with a resolution; the form is {_form(design)}")
    if len(rest) != len(design.widths):
        raise SpaceError(
            f"code: {text!r} has {len(rest)} stages, not {len(design.widths)}; the form is {_form(design)}"
        )
    stages = tuple(_parse_stage(number, stage, text, design) for number, stage in enumerate(rest, start=1))
    return Subnet(_allowed("resolution", resolution[1], design.resolutions, text), stages)


def largest(design: Design) -> Subnet:
    """Returns the architecture with the last option of every decision; its weights contain those of all others."""
    block = (design.kernels[-1], design.expansions[-1])
    stages = tuple((block,) * design.depths_of(stage)[-1] for stage in range(len(design.widths)))
    return Subnet(design.resolutions[-1], stages)


def _parse_stage(number: int, stage: str, text: str, design: Design) -> tuple[Block, ...]:
    blocks = stage.split("-")
    _allowed(f"the depth of stage {number}", str(len(blocks)), design.depths_of(number - 1), text)
    parsed = []
    for place, block in enumerate(blocks, start=1):
        match = re.fullmatch(r"k(\d+)e(\d+)", block)
        where = f"block {place} of stage {number}"
        if not match:
            raise SpaceError(f"code: {where} of {text!r} is {block!r}; the form is {_form(design)}")
        kernel = _allowed(f"the kernel of {where}", match[1], design.kernels, text)
        parsed.append((kernel, _allowed(f"the expansion of {where}", match[2], design.expansions, text)))
    return tuple(parsed)


def _allowed(what: str, value: str, options: tuple[int, ...], text: str) -> int:
    if value not in map(str, options):
        raise SpaceError(f"code: {what} of {text!r} is {value}; allowed are {', '.join(map(str, options))}")
    return int(value)


def _form(design: Design) -> str:
    subnet = largest(design)
    shortest = (stage[: design.depths_of(number)[0]] for number, stage in enumerate(subnet.stages))
    return repr(format_code(Subnet(subnet.resolution, tuple(shortest))))
