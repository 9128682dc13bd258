"""Once-for-all: networks with a depth per stage and a kernel and width per block.

Source: Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment (ICLR 2020,
arXiv 1908.09791), section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, check_task
from taurank.spaces.decision_space import DecisionSpace, draw_weighted
from taurank.spaces.once_for_all.code import Block, Subnet, format_code, parse_code
from taurank.spaces.once_for_all.design import make_design

if TYPE_CHECKING:
    from taurank.spaces.once_for_all.network import OnceForAllNetwork

Kind: TypeAlias = Literal["kernel", "expansion", "depth", "resolution"]


class OnceForAll(DecisionSpace):
    """A once-for-all space; a code is the resolution and the kept blocks of each stage, such as r28_k3e2-k5e3_k3e2.

    Args:
        variant: "mobilenetv3" and "proxylessnas" are the source's spaces for ImageNet, the latter with a single block
            as its last stage; "mini" has two stages for images of 28x28. The source's third, of residual networks, is
            the space once_for_all_resnet50.
        width: Factor of all numbers of channels; the results are rounded to multiples of 8.
        depths: Numbers of blocks that a stage may keep.
        kernels: Sizes that the depthwise convolution of a block may have.
        expansions: How many times as many channels as its input the middle of a block may have.
        resolutions: Height and width that images may be resized to.
        widths: Channels that each stage puts out, before `width`.
        strides: Of the first block of each stage.
        activations: "relu", "relu6" or "h_swish", for each stage.
        squeeze: Whether blocks have squeeze and excitation, for each stage.

    All but the first two are the variant's by default.
    """

    name = "once_for_all"

    def __init__(
        self,
        variant: str = "mobilenetv3",
        width: float = 1.0,
        depths: Sequence[int] | None = None,
        kernels: Sequence[int] | None = None,
        expansions: Sequence[int] | None = None,
        resolutions: Sequence[int] | None = None,
        widths: Sequence[int] | None = None,
        strides: Sequence[int] | None = None,
        activations: Sequence[str] | None = None,
        squeeze: Sequence[bool] | None = None,
    ) -> None:
        changes: dict[str, Sequence[Any] | None] = {
            "depths": depths,
            "kernels": kernels,
            "expansions": expansions,
            "resolutions": resolutions,
            "widths": widths,
            "strides": strides,
            "activations": activations,
            "squeeze": squeeze,
        }
        design = make_design(variant, width, changes)
        self.design = design
        unscaled = make_design(variant, 1, changes)
        self._options = {"variant": variant, "width": width}
        self._options |= {field: list(getattr(unscaled, field)) for field in changes}
        self._blocks = list(product(design.kernels, design.expansions))
        stages = range(len(design.widths))
        self._stages_by_depth = [[len(self._blocks) ** depth for depth in design.depths_of(stage)] for stage in stages]
        self.size = len(design.resolutions) * prod(sum(counts) for counts in self._stages_by_depth)
        self.feature_names = self._feature_names()

    @property
    def options(self) -> dict[str, Any]:
        """`variant`, `width`, and what may be chosen or differs by stage."""
        return dict(self._options)

    def subnet(self, architecture: Architecture) -> Subnet:
        """The architecture's resolution and blocks."""
        return parse_code(self.code_of(architecture), self.design)

    def _enumerate(self) -> Iterator[Architecture]:
        listed = [
            [blocks for depth in self.design.depths_of(stage) for blocks in product(self._blocks, repeat=depth)]
            for stage in range(len(self.design.widths))
        ]
        for resolution in self.design.resolutions:
            for stages in product(*listed):
                yield self._architecture(Subnet(resolution, stages))

    def _draw(self, generator: np.random.Generator, *, functions: bool) -> Architecture:
        """Draws uniformly among all codes, which all differ as functions.

        In the source's space nearly nine of ten stages keep all four blocks.
        """
        stages = tuple(self._draw_stage(stage, generator) for stage in range(len(self.design.widths)))
        resolution = self.design.resolutions[generator.integers(len(self.design.resolutions))]
        return self._architecture(Subnet(resolution, stages))

    def _draw_stage(self, stage: int, generator: np.random.Generator) -> tuple[Block, ...]:
        depth = self.design.depths_of(stage)[draw_weighted(self._stages_by_depth[stage], generator)]
        return tuple(self._blocks[place] for place in generator.integers(len(self._blocks), size=depth))

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """For each block, kept or not, its kernel and its expansion; then the depth of each stage; the resolution."""
        design = self.design
        kernels = tuple(f"k{kernel}" for kernel in design.kernels)
        expansions = tuple(f"e{expansion}" for expansion in design.expansions)
        depths = [tuple(f"d{depth}" for depth in design.depths_of(stage)) for stage in range(len(design.widths))]
        resolutions = tuple(f"r{resolution}" for resolution in design.resolutions)
        return (*((kernels, expansions) * len(design.blocks)), *depths, resolutions)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kind of each of `decisions`."""
        block: list[Kind] = ["kernel", "expansion"]
        stage: list[Kind] = ["depth"]
        return (*(block * len(self.design.blocks)), *(stage * len(self.design.widths)), "resolution")

    def _read(self, code: str) -> list[int]:
        """A missing block takes the options of the last block of its stage."""
        design, subnet = self.design, parse_code(code, self.design)
        blocks = [
            choice
            for number, stage in enumerate(subnet.stages)
            for kernel, expansion in (*stage, *(stage[-1:] * (design.depths_of(number)[-1] - len(stage))))
            for choice in (design.kernels.index(kernel), design.expansions.index(expansion))
        ]
        depths = [design.depths_of(number).index(len(stage)) for number, stage in enumerate(subnet.stages)]
        return [*blocks, *depths, design.resolutions.index(subnet.resolution)]

    def _write(self, choices: Sequence[int]) -> str:
        """Choices of missing blocks are ignored."""
        design = self.design

        def block(stage: int, place: int) -> Block:
            decision = design.kernel_decision(stage, place)
            return design.kernels[choices[decision]], design.expansions[choices[decision + 1]]

        stages_of = range(len(design.widths))
        depths = [design.depths_of(stage)[choices[design.depth_decision(stage)]] for stage in stages_of]
        stages = tuple(tuple(block(stage, place) for place in range(depth)) for stage, depth in enumerate(depths))
        return format_code(Subnet(design.resolutions[choices[design.resolution_decision]], stages))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Lists those with another resolution, another kernel or expansion in one block, or one block more or less."""
        subnet = self.subnet(architecture)
        others = [Subnet(other, subnet.stages) for other in self.design.resolutions if other != subnet.resolution]
        for number, stage in enumerate(subnet.stages):
            for changed in self._neighbouring_stages(number, stage):
                stages = (*subnet.stages[:number], changed, *subnet.stages[number + 1 :])
                others.append(Subnet(subnet.resolution, stages))
        return [self._architecture(other) for other in others]

    def _neighbouring_stages(self, number: int, stage: tuple[Block, ...]) -> Iterator[tuple[Block, ...]]:
        design = self.design
        for place, (kernel, expansion) in enumerate(stage):
            changed = [(other, expansion) for other in design.kernels if other != kernel]
            changed += [(kernel, other) for other in design.expansions if other != expansion]
            for block in changed:
                yield (*stage[:place], block, *stage[place + 1 :])
        if len(stage) - 1 in design.depths_of(number):
            yield stage[:-1]
        if len(stage) + 1 in design.depths_of(number):
            for block in self._blocks:
                yield (*stage, block)

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Resolution, number of blocks, mean kernel and expansion, depth by stage, kernel and expansion by block.

        A missing block has kernel and expansion 0.
        """
        design, subnet = self.design, self.subnet(architecture)
        kept = np.array([block for stage in subnet.stages for block in stage])
        by_block = np.zeros((len(design.blocks), 2))
        for place, (number, position) in enumerate(design.blocks):
            if position < len(subnet.stages[number]):
                by_block[place] = subnet.stages[number][position]
        depths = [len(stage) for stage in subnet.stages]
        return np.array(
            [subnet.resolution, len(kept), *kept.mean(axis=0), *depths, *by_block.ravel()], dtype=np.float64
        )

    def build(
        self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int
    ) -> OnceForAllNetwork:
        """Makes the network; images of any size, which it resizes. Draws its weights from torch's global generator."""
        from taurank.spaces.once_for_all.network import build_network

        check_task(input_shape, classes)
        return build_network(self.design, self.subnet(architecture), channels=input_shape[0], classes=classes)

    def _feature_names(self) -> tuple[str, ...]:
        stages = range(1, len(self.design.widths) + 1)
        blocks = [f"stage{stage + 1}_block{place + 1}" for stage, place in self.design.blocks]
        by_block = [f"{block}_{what}" for block in blocks for what in ("kernel", "expansion")]
        depths = [f"stage{stage}_depth" for stage in stages]
        return ("resolution", "blocks", "mean_kernel", "mean_expansion", *depths, *by_block)

    def _architecture(self, subnet: Subnet) -> Architecture:
        return Architecture(self.name, format_code(subnet))
