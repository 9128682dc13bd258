"""Networks with shared weights: one module that holds every candidate of a space as a path."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spaces import SearchSpace, SpaceError
from spaces.mnist_blocks import DEPTHS, BlockNetwork, parse_depths
from spaces.nasbench201 import EDGES, OPERATIONS, MacroNetwork, format_code, live_edges, make_operation, parse_code


class Supernet(nn.Module):
    """A network that computes the candidate it was last told to, with weights that all candidates share."""

    @abstractmethod
    def activate(self, path: str) -> None:
        """Chooses the candidate, by its code, that ``forward`` computes from now on."""

    @abstractmethod
    def inherited(self, path: str) -> dict[str, Tensor]:
        """The candidate's share of the weights and buffers, under the keys of the candidate built alone.

        The tensors are the supernet's own, not copies.
        """


class MnistBlocksSupernet(Supernet):
    """The largest of the nine networks; a candidate uses the first blocks of each stage."""

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
        logits: Tensor = self.network(images, self._depths)
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


class MixedCell(nn.Module):
    """A NAS-Bench-201 cell that holds all operations on every edge and computes one of them on each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # `none` adds nothing and is never computed.
        self.edges = nn.ModuleList(
            nn.ModuleDict({name: make_operation(name, channels) for name in OPERATIONS if name != "none"})
            for _ in EDGES
        )

    def forward(self, features: Tensor, operations: tuple[str, ...], live: tuple[bool, ...]) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape; zeros if no path leads to the output."""
        nodes: dict[int, Tensor] = {0: features}
        for edge, (source, target) in enumerate(EDGES):
            if live[edge]:
                arriving = self.edges[edge][operations[edge]](nodes[source])  # type: ignore[index]
                nodes[target] = nodes[target] + arriving if target in nodes else arriving
        last = EDGES[-1][1]
        return nodes[last] if last in nodes else torch.zeros_like(features)


class NasBench201Supernet(Supernet):
    """The skeleton of NAS-Bench-201 with mixed cells."""

    def __init__(self, space: SearchSpace, *, input_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.network = MacroNetwork(
            MixedCell,
            width=space.options["width"],
            cells_per_stage=space.options["cells_per_stage"],
            channels=input_shape[0],
            classes=classes,
        )
        self.activate(format_code(["nor_conv_3x3"] * len(EDGES)))

    def activate(self, path: str) -> None:
        """Chooses the operation of each edge."""
        self._operations = parse_code(path)
        self._live = live_edges(self._operations)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of the chosen candidate."""
        logits: Tensor = self.network(images, self._operations, self._live)
        return logits

    def inherited(self, path: str) -> dict[str, Tensor]:
        """Weights outside of the cells, and those of the chosen operation of each edge."""
        operations = parse_code(path)
        weights = {}
        for key, value in self.network.state_dict().items():
            before, found, rest = key.partition(".edges.")
            if not found:
                weights[key] = value
                continue
            edge, operation, parameter = rest.split(".", 2)
            if operations[int(edge)] == operation:
                weights[f"{before}.edges.{edge}.{parameter}"] = value
        return weights


_SUPERNETS: dict[str, Callable[..., Supernet]] = {
    "mnist_blocks": MnistBlocksSupernet,
    "nasbench201": NasBench201Supernet,
}


def list_supernets() -> list[str]:
    """Spaces that have a supernet."""
    return sorted(_SUPERNETS)


def make_supernet(space: SearchSpace, *, input_shape: tuple[int, int, int], classes: int) -> Supernet:
    """The supernet of a space for images of ``input_shape`` (channels, height, width).

    Raises:
        SpaceError: the space has no supernet.
    """
    if space.name not in _SUPERNETS:
        raise SpaceError(f"space {space.name!r} has no supernet; spaces that have one: {', '.join(list_supernets())}")
    return _SUPERNETS[space.name](space, input_shape=input_shape, classes=classes)
