"""Shared weights of `once_for_all`: the largest network, of which every candidate is a part.

Source: Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment (ICLR 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor

from taurank.spaces import SearchSpace
from taurank.spaces.once_for_all import (
    OnceForAll,
    OnceForAllNetwork,
    build_network,
    format_code,
    largest,
    middle_channels,
    parse_code,
    resize,
)
from taurank.trainables.supernet.elastic_block import ElasticBlock
from taurank.trainables.supernet.network import Supernet


class OnceForAllSupernet(Supernet):
    """A candidate uses the first blocks of each stage, the first channels of each block, a kernel made of the largest.

    Blocks and kernel matrices that a candidate does not use get no gradient. Of a tensor that it uses in part, the rest
    gets a gradient of zero, so momentum and weight decay do move it.

    A gate is on what a block adds to its input, that of a depth on what the last block adds, that of the resolution on
    what the stem puts out. The batch norms ahead undo any change of scale of the whole, so a gate on that would have no
    effect; for the same reason, of a block's options only the one taken gets a gradient other than zero.
    """

    def __init__(self, space: SearchSpace, *, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        assert isinstance(space, OnceForAll)
        self._design, self._channels, self._classes = space.design, input_shape[0], classes
        design = space.design
        self.network = OnceForAllNetwork(
            design,
            design.resolutions[-1],
            [design.depths_of(stage)[-1] for stage in range(len(design.widths))],
            self._make_block,
            channels=input_shape[0],
            classes=classes,
        )
        self.activate(format_code(largest(design)))

    def _make_block(self, stage: int, place: int) -> ElasticBlock:
        design = self._design
        channels_in, channels_out, stride = design.block_shape(stage, place)
        return ElasticBlock(
            channels_in,
            channels_out,
            widths=tuple(middle_channels(channels_in, expansion) for expansion in design.expansions),
            kernels=design.kernels,
            stride=stride,
            activation=design.activations[stage],
            squeeze=design.squeeze[stage],
        )

    def _block(self, stage: int, place: int) -> ElasticBlock:
        block = self.network.stages[stage][place]  # type: ignore[index]
        assert isinstance(block, ElasticBlock)
        return block

    def activate(self, path: str) -> None:
        """Chooses resolution, depths, kernels and expansions."""
        self._subnet = parse_code(path, self._design)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of the chosen candidate; resizes the images to its resolution."""
        design, network, subnet = self._design, self.network, self._subnet
        features = network.stem(resize(images, subnet.resolution))
        features = self.gated(design.resolution_decision, design.resolutions.index(subnet.resolution), features)
        features = network.first(features)
        for stage, blocks in enumerate(subnet.stages):
            for place, (kernel, expansion) in enumerate(blocks):
                block = self._block(stage, place)
                block.take(kernel=kernel, width=middle_channels(features.shape[1], expansion))
                body = block.body(features)
                decision = design.kernel_decision(stage, place)
                body = self.gated(decision, design.kernels.index(kernel), body)
                body = self.gated(decision + 1, design.expansions.index(expansion), body)
                if place == len(blocks) - 1:
                    depth = design.depths_of(stage).index(len(blocks))
                    body = self.gated(design.depth_decision(stage), depth, body)
                features = features + body if block.residual else body
        return network.classify(features)

    @torch.no_grad()
    def inherited(self, path: str) -> dict[str, Tensor]:
        """The first blocks and channels, and the depthwise kernels as the candidate uses them."""
        subnet = parse_code(path, self._design)
        with torch.device("meta"):
            alone = build_network(self._design, subnet, channels=self._channels, classes=self._classes).state_dict()
        own = self.network.state_dict()
        weights = {key: own[key][tuple(slice(length) for length in value.shape)] for key, value in alone.items()}
        for stage, blocks in enumerate(subnet.stages):
            for place, (kernel, _) in enumerate(blocks):
                key = f"stages.{stage}.{place}.depthwise.conv.weight"
                weights[key] = self._block(stage, place).kernel(kernel=kernel, width=alone[key].shape[0])
        return weights

    def sort_channels(self, level: int) -> None:
        """Brings the channels of all blocks into descending order of importance; see `ElasticBlock.sort_channels`.

        Candidates that use only the largest expansion and the `level` ones below it compute what they did before.
        """
        for stage, place in self._design.blocks:
            self._block(stage, place).sort_channels(level)
