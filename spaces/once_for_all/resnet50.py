"""Once-for-all on ResNet-50: depths, widths and expansions of residual networks.

Source: Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment (ICLR 2020,
arXiv 1908.09791), and its code, github.com/mit-han-lab/once-for-all (OFAResNets).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, as_tuple, check_positive, check_task, check_variant
from taurank.spaces.decision_space import DecisionSpace, draw_weighted
from taurank.spaces.once_for_all.resnet50_design import BETWEEN, VARIANTS, ResNetSubnet, Stage, format_code, parse_code

if TYPE_CHECKING:
    from taurank.spaces.once_for_all.resnet50_network import OnceForAllResNet


class OnceForAllResNet50(DecisionSpace):
    """A code is resolution, stem and stages, such as r224_w1-conv-w1_w0.8-e0.2-e0.35_w1-e0.25-e0.25_...

    Args:
        variant: "imagenet" is the source's space; "mini" has two stages for images of 28x28.
        resolutions: Height and width that images may be resized to.
    """

    name = "once_for_all_resnet50"

    def __init__(self, variant: str = "imagenet", resolutions: Sequence[int] | None = None) -> None:
        check_variant(variant, VARIANTS)
        design = VARIANTS[variant]
        self.design = design if resolutions is None else replace(design, resolutions=_checked(resolutions))
        self._options = {"variant": variant, "resolutions": list(self.design.resolutions)}
        self._by_depth = [
            [len(design.expansions) ** depth for depth in design.depths_of(stage)]
            for stage in range(len(design.widths))
        ]
        ends = 2 * len(design.factors) ** 2  # of the stem
        stages = prod(len(design.factors) * sum(counts) for counts in self._by_depth)
        self.size = len(self.design.resolutions) * ends * stages
        self.feature_names = self._feature_names()

    @property
    def options(self) -> dict[str, Any]:
        """`variant` and `resolutions`."""
        return dict(self._options)

    def subnet(self, architecture: Architecture) -> ResNetSubnet:
        """Parses the architecture into its decisions."""
        return parse_code(self.code_of(architecture), self.design)

    def _enumerate(self) -> Iterator[Architecture]:
        design = self.design
        listed = [
            [
                Stage(factor, expansions)
                for factor in design.factors
                for depth in design.depths_of(stage)
                for expansions in product(design.expansions, repeat=depth)
            ]
            for stage in range(len(design.widths))
        ]
        for resolution, first, between, last in product(
            design.resolutions, design.factors, (False, True), design.factors
        ):
            for stages in product(*listed):
                yield self._architecture(ResNetSubnet(resolution, first, between, last, stages))

    def _draw(self, generator: np.random.Generator, *, functions: bool) -> Architecture:
        """Draws uniformly among all codes, which all differ as functions."""
        choices = [int(generator.integers(len(options))) for options in self.decisions]
        for stage, counts in enumerate(self._by_depth):
            choices[self.depth_decision(stage)] = draw_weighted(counts, generator)
        return self.choose(choices)

    @property
    def decisions(self) -> tuple[tuple[str, ...], ...]:
        """Expansion of each block, kept or not; width and depth of each stage; the three of the stem; resolution."""
        design = self.design
        expansions = tuple(f"e{expansion:g}" for expansion in design.expansions)
        factors = tuple(f"w{factor:g}" for factor in design.factors)
        stages: list[tuple[str, ...]] = []
        for stage in range(len(design.widths)):
            stages += [factors, tuple(f"d{depth}" for depth in design.depths_of(stage))]
        resolutions = tuple(f"r{resolution}" for resolution in design.resolutions)
        return (*[expansions] * len(design.blocks), *stages, factors, BETWEEN, factors, resolutions)

    def depth_decision(self, stage: int) -> int:
        """Position of a stage's depth among the decisions; that of its width comes before."""
        return len(self.design.blocks) + 2 * stage + 1

    def stem_decision(self) -> int:
        """Position of the stem's first width; its middle, its last width and the resolution come next."""
        return len(self.design.blocks) + 2 * len(self.design.widths)

    def _read(self, code: str) -> list[int]:
        """A missing block takes the options of the last block of its stage."""
        design, subnet = self.design, parse_code(code, self.design)
        blocks = []
        for stage, place in design.blocks:
            expansions = subnet.stages[stage].expansions
            blocks.append(design.expansions.index(expansions[min(place, len(expansions) - 1)]))
        stages = []
        for number, taken in enumerate(subnet.stages):
            depth = design.depths_of(number).index(len(taken.expansions))
            stages += [design.factors.index(taken.factor), depth]
        first, last = (design.factors.index(factor) for factor in (subnet.first, subnet.last))
        return [*blocks, *stages, first, int(subnet.between), last, design.resolutions.index(subnet.resolution)]

    def _write(self, choices: Sequence[int]) -> str:
        """Choices of missing blocks are ignored."""
        design = self.design
        expansions: list[list[float]] = [[] for _ in design.widths]
        for (stage, place), choice in zip(design.blocks, choices[: len(design.blocks)], strict=True):
            if place < design.depths_of(stage)[choices[self.depth_decision(stage)]]:
                expansions[stage].append(design.expansions[choice])
        stages = tuple(
            Stage(design.factors[choices[self.depth_decision(stage) - 1]], tuple(kept))
            for stage, kept in enumerate(expansions)
        )
        first, between, last, resolution = choices[self.stem_decision() :]
        return format_code(
            ResNetSubnet(
                design.resolutions[resolution], design.factors[first], bool(between), design.factors[last], stages
            )
        )

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Lists those with another resolution, width, middle of the stem or expansion, or one block more or less."""
        design, subnet = self.design, self.subnet(architecture)
        others = [replace(subnet, between=not subnet.between)]
        others += [replace(subnet, resolution=other) for other in design.resolutions if other != subnet.resolution]
        others += [replace(subnet, first=other) for other in design.factors if other != subnet.first]
        others += [replace(subnet, last=other) for other in design.factors if other != subnet.last]
        for number, stage in enumerate(subnet.stages):
            for changed in self._neighbouring_stages(number, stage):
                others.append(replace(subnet, stages=(*subnet.stages[:number], changed, *subnet.stages[number + 1 :])))
        return [self._architecture(other) for other in others]

    def _neighbouring_stages(self, number: int, stage: Stage) -> Iterator[Stage]:
        design, expansions = self.design, stage.expansions
        yield from (replace(stage, factor=other) for other in design.factors if other != stage.factor)
        for place, expansion in enumerate(expansions):
            for other in design.expansions:
                if other != expansion:
                    yield replace(stage, expansions=(*expansions[:place], other, *expansions[place + 1 :]))
        if len(expansions) - 1 in design.depths_of(number):
            yield replace(stage, expansions=expansions[:-1])
        if len(expansions) + 1 in design.depths_of(number):
            yield from (replace(stage, expansions=(*expansions, other)) for other in design.expansions)

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """Resolution, number of blocks, mean expansion; stem; width and depth by stage; expansion by block.

        A missing block has expansion 0.
        """
        subnet = self.subnet(architecture)
        kept = [expansion for stage in subnet.stages for expansion in stage.expansions]
        stages = [value for stage in subnet.stages for value in (stage.factor, len(stage.expansions))]
        by_block = [
            subnet.stages[stage].expansions[place] if place < len(subnet.stages[stage].expansions) else 0.0
            for stage, place in self.design.blocks
        ]
        return np.array(
            [
                subnet.resolution,
                len(kept),
                np.mean(kept),
                subnet.first,
                subnet.between,
                subnet.last,
                *stages,
                *by_block,
            ],
            dtype=np.float64,
        )

    def _feature_names(self) -> tuple[str, ...]:
        stages = range(1, len(self.design.widths) + 1)
        by_stage = [f"stage{stage}_{what}" for stage in stages for what in ("width", "depth")]
        by_block = [f"stage{stage + 1}_block{place + 1}_expansion" for stage, place in self.design.blocks]
        stem = ("stem_first", "stem_between", "stem_last")
        return ("resolution", "blocks", "mean_expansion", *stem, *by_stage, *by_block)

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> OnceForAllResNet:
        """Makes the network; images of any size, which it resizes. Draws its weights from torch's global generator."""
        from taurank.spaces.once_for_all.resnet50_network import OnceForAllResNet

        check_task(input_shape, classes)
        return OnceForAllResNet(self.design, self.subnet(architecture), channels=input_shape[0], classes=classes)

    def _architecture(self, subnet: ResNetSubnet) -> Architecture:
        return Architecture(self.name, format_code(subnet))


def _checked(resolutions: Sequence[int]) -> tuple[int, ...]:
    for resolution in as_tuple("resolutions", resolutions):
        check_positive("resolutions", resolution)
    return as_tuple("resolutions", resolutions, ascending=True)
