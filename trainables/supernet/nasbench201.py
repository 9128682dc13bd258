"""Shared weights of `nasbench201`: every cell holds all operations on every edge."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from taurank.spaces import SearchSpace
from taurank.spaces.nasbench201 import (
    EDGES,
    OPERATIONS,
    MacroNetwork,
    format_code,
    live_edges,
    make_operation,
    parse_code,
)
from taurank.trainables.supernet.network import Supernet

Decide = Callable[[int, int, Callable[[int], Tensor]], Tensor]
"""``Supernet.decided``: edge, operation and what each operation puts out, to what arrives at the next node."""


class MixedCell(nn.Module):
    """A NAS-Bench-201 cell that holds all operations on every edge and computes one of them on each, or a mixture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # `none` adds nothing and is never computed.
        self.edges = nn.ModuleList(
            nn.ModuleDict({name: make_operation(name, channels) for name in OPERATIONS if name != "none"})
            for _ in EDGES
        )

    def forward(
        self, features: Tensor, operations: tuple[str, ...], computed: tuple[bool, ...], decide: Decide
    ) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape; zeros if no path leads to the output."""
        nodes: dict[int, Tensor] = {0: features}
        for edge, (source, target) in enumerate(EDGES):
            if computed[edge]:
                taken = OPERATIONS.index(operations[edge])
                arriving = decide(edge, taken, partial(self._operate, edge, nodes[source]))
                nodes[target] = nodes[target] + arriving if target in nodes else arriving
        last = EDGES[-1][1]
        return nodes[last] if last in nodes else torch.zeros_like(features)

    def _operate(self, edge: int, features: Tensor, operation: int) -> Tensor:
        name = OPERATIONS[operation]
        if name == "none":
            return torch.zeros_like(features)
        output: Tensor = self.edges[edge][name](features)  # type: ignore[index]
        return output


class NasBench201Supernet(Supernet):
    """The skeleton of NAS-Bench-201 with mixed cells."""

    can_mix = True

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
        # With gates every edge matters, even where it does not reach the output.
        computed = self._live if self.gates is None else (True,) * len(EDGES)
        logits: Tensor = self.network(images, self._operations, computed, self.decided)
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
