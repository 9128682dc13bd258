"""Shared weights of `once_for_all_resnet50`: the largest network, of which every candidate is a part.

Source: Cai et al., Once-for-All (ICLR 2020), and its code, github.com/mit-han-lab/once-for-all (OFAResNets).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.spaces import OnceForAllResNet50, SearchSpace
from taurank.spaces.once_for_all.network import resize
from taurank.spaces.once_for_all.resnet50_design import format_code, largest, middle_channels, parse_code
from taurank.spaces.once_for_all.resnet50_network import Bottleneck, OnceForAllResNet
from taurank.trainables.supernet.elastic import ElasticBatchNorm, ElasticConvolution, ElasticLinear
from taurank.trainables.supernet.network import Supernet


class OnceForAllResNet50Supernet(Supernet):
    """A candidate uses the first blocks of each stage and the first channels of each layer.

    Blocks that a candidate does not use get no gradient. Of a tensor that it uses in part, the rest gets a gradient of
    zero, so momentum and weight decay do move it.

    A gate is on what a block adds to its shortcut, that of a width and of a depth on what the first and the last block
    of the stage add, those of the stem and of the resolution on what its convolutions put out.
    """

    def __init__(self, space: SearchSpace, *, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        assert isinstance(space, OnceForAllResNet50)
        self._space, self._channels, self._classes = space, input_shape[0], classes
        self.network = self._make(format_code(largest(space.design)))
        _make_elastic(self.network)
        self.activate(format_code(largest(space.design)))

    def _make(self, path: str) -> OnceForAllResNet:
        design = self._space.design
        return OnceForAllResNet(design, parse_code(path, design), channels=self._channels, classes=self._classes)

    def activate(self, path: str) -> None:
        """Chooses resolution, stem, and widths, depths and expansions of the stages."""
        design = self._space.design
        self._subnet = parse_code(path, design)
        self._taken = self._space.choices(self._space.parse(path))
        inner, outer = design.stem_channels(self._subnet.first, self._subnet.last)
        _use(self.network.first, inner)
        _use(self._between, inner)
        _use(self.network.last, outer)
        for number, stage in enumerate(self._subnet.stages):
            channels = design.stage_channels(number, stage.factor)
            for place, expansion in enumerate(stage.expansions):
                block = self._block(number, place)
                _use(block.reduce, middle_channels(channels, expansion))
                _use(block.conv, middle_channels(channels, expansion))
                _use(block.expand, channels)
                if isinstance(block.shortcut, nn.Sequential):
                    _use(block.shortcut.conv, channels)

    @property
    def _between(self) -> nn.Sequential:
        assert self.network.between is not None
        return self.network.between.body

    def _block(self, stage: int, place: int) -> Bottleneck:
        block = self.network.stages[stage][place]  # type: ignore[index]
        assert isinstance(block, Bottleneck)
        return block

    def _gated(self, decision: int, features: Tensor) -> Tensor:
        return self.gated(decision, self._taken[decision], features)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of the chosen candidate; resizes the images to its resolution."""
        network, subnet, space = self.network, self._subnet, self._space
        first, between, last, resolution = range(space.stem_decision(), space.stem_decision() + 4)
        features = network.first(resize(images, subnet.resolution))
        features = self._gated(resolution, self._gated(first, features))
        added = self._between(features) if subnet.between else features.new_zeros(())
        features = features + self._gated(between, added)
        features = self._gated(last, network.last(features))
        features = network.pool(features)
        positions = {block: decision for decision, block in enumerate(space.design.blocks)}
        for number, stage in enumerate(subnet.stages):
            for place in range(len(stage.expansions)):
                block = self._block(number, place)
                body = self._gated(positions[number, place], block.body(features))
                if place == 0:
                    body = self._gated(space.depth_decision(number) - 1, body)
                if place == len(stage.expansions) - 1:
                    body = self._gated(space.depth_decision(number), body)
                features = functional.relu(block.shortcut(features) + body)
        logits: Tensor = network.classifier(features.mean(dim=(2, 3)))
        return logits

    @torch.no_grad()
    def inherited(self, path: str) -> dict[str, Tensor]:
        """The first blocks of each stage and the first channels of each layer."""
        with torch.device("meta"):
            alone = self._make(path).state_dict()
        own = self.network.state_dict()
        return {key: own[key][tuple(slice(length) for length in value.shape)] for key, value in alone.items()}


def _use(convolution: Tensor | nn.Module, channels: int) -> None:
    """Has a convolution put out this number of channels."""
    assert isinstance(convolution, nn.Sequential)
    assert isinstance(convolution.conv, ElasticConvolution)
    convolution.conv.active = channels


def _make_elastic(network: nn.Module) -> None:
    """Replaces every layer with weights by one of the same weights that can be used in part."""
    for name, child in network.named_children():
        elastic: nn.Module
        if isinstance(child, nn.Conv2d):
            kernel, stride = child.kernel_size[0], child.stride[0]
            elastic = ElasticConvolution(child.in_channels, child.out_channels, kernel, stride=stride)
        elif isinstance(child, nn.BatchNorm2d):
            elastic = ElasticBatchNorm(child.num_features)
        elif isinstance(child, nn.Linear):
            elastic = ElasticLinear(child.in_features, child.out_features)
        else:
            _make_elastic(child)
            continue
        elastic.load_state_dict(child.state_dict())
        setattr(network, name, elastic)
