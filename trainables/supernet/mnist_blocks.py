"""Shared weights of `mnist_blocks`: a shallow network uses the first blocks of each stage of the deepest."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from taurank.spaces import SearchSpace
from taurank.spaces.mnist_blocks import DEPTHS, parse_depths
from taurank.spaces.mnist_blocks_network import BlockNetwork
from taurank.trainables.supernet.network import Supernet


def _depths_of(blocks: nn.ModuleList, features: Tensor) -> Callable[[int], Tensor]:
    """Features after the blocks of each depth, by position; shared blocks are computed once."""
    reached = [features]

    def behind(option: int) -> Tensor:
        while len(reached) <= DEPTHS[option]:
            reached.append(blocks[len(reached) - 1](reached[-1]))
        return reached[DEPTHS[option]]

    return behind


class MnistBlocksSupernet(Supernet):
    """The largest of the nine networks; a candidate uses the first blocks of each stage."""

    can_mix = True

    def __init__(self, space: SearchSpace, *, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        largest = f"{DEPTHS[-1]},{DEPTHS[-1]}"
        network = space.build(space.parse(largest), input_shape=input_shape, classes=classes)
        assert isinstance(network, BlockNetwork)
        self.network = network
        self.activate(largest)

    def activate(self, path: str) -> None:
        """Chooses the number of blocks in each stage."""
        self._depths = parse_depths(path)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of the chosen candidate."""
        network = self.network
        features = network.start(images)
        for stage, (blocks, depth) in enumerate(zip((network.stage1, network.stage2), self._depths, strict=True)):
            if stage == 1:
                features = network.middle(features)
            features = self.decided(stage, DEPTHS.index(depth), _depths_of(blocks, features))
        logits: Tensor = network.classifier(features)
        return logits

    def inherited(self, path: str) -> dict[str, Tensor]:
        """Weights outside of the stages, and those of the blocks that the candidate keeps."""
        depths = dict(zip(("stage1", "stage2"), parse_depths(path), strict=True))
        weights = {}
        for key, value in self.network.state_dict().items():
            part, index, *_ = key.split(".")
            if part not in depths or int(index) < depths[part]:
                weights[key] = value
        return weights
