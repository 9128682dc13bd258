"""A NAS-Bench-201 network whose edges hold several operations at once, and what TE-NAS measures on it."""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from taurank.spaces.nasbench201 import EDGES, OPERATIONS, ClassifierHead, MacroNetwork, live_edges, make_operation
from taurank.trainables.proxies.initialisation import initialise
from taurank.trainables.proxies.linear_regions import CROPS, count_linear_regions, draw_crops
from taurank.trainables.proxies.ntk_condition import condition_number, tangent_kernel
from taurank.trainables.proxies.probe import VoidScoreError
from taurank.trainables.proxies.pruning import Active


class AveragedCell(nn.Module):
    """A cell whose edges give the mean of the operations that are active on them; `none` counts as zeros.

    The mean is the source's softmax over equal architecture parameters, so that removing an operation gives the others
    more weight. An edge without an active operation gives nothing; only edges on a path to the output are computed.

    Source: VITA-Group/TENAS, NAS201SearchCell.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(
            nn.ModuleDict({name: make_operation(name, channels) for name in OPERATIONS if name != "none"})
            for _ in EDGES
        )
        self.activate((OPERATIONS,) * len(EDGES))

    def activate(self, active: Active) -> None:
        """Chooses the operations of each edge, in the order of `EDGES`."""
        self._active = active
        self._live = live_edges(
            [next((name for name in names if name != "none"), "none") for names in active]
        )  # one operation stands for all of its edge: it matters only whether there is one

    def forward(self, features: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape; zeros if no path leads to the output."""
        nodes: dict[int, Tensor] = {0: features}
        for edge, (source, target) in enumerate(EDGES):
            if not self._live[edge]:
                continue
            operations = cast(nn.ModuleDict, self.edges[edge])
            terms = [operations[name](nodes[source]) for name in self._active[edge] if name != "none"]
            arriving = torch.stack(terms).sum(0) / len(self._active[edge])
            nodes[target] = nodes[target] + arriving if target in nodes else arriving
        last = EDGES[-1][1]
        return nodes[last] if last in nodes else torch.zeros_like(features)


class AveragedNetwork:
    """Condition number and linear regions of a NAS-Bench-201 network with several operations on its edges.

    Called with the active operations and a seed, it is the `measure` of `pruning.prune_by_importance`. The kernel is
    that of the whole skeleton with all images, the regions are those of one cell of one channel. The seed draws weights
    and crops: sets of operations that are measured with one seed share the weights of what they share.

    Args:
        images: (n, channels, height, width), on the device on which to measure.
        classes: Number of logits.
        width: Channels of the first stage; the source has 3.
        cells_per_stage: The source has 1.
    """

    def __init__(self, images: Tensor, *, classes: int, width: int = 3, cells_per_stage: int = 1) -> None:
        self.images = images
        with torch.random.fork_rng(devices=[]):
            self._network: nn.Module = MacroNetwork(
                AveragedCell,
                width=width,
                cells_per_stage=cells_per_stage,
                channels=images.shape[1],
                classes=classes,
            )
            self._thin: nn.Module = nn.Sequential(AveragedCell(1), ClassifierHead(1, classes))
        for network in (self._network, self._thin):
            network.to(images.device).train()

    def __call__(self, active: Active, seed: int) -> tuple[float, float]:
        """Condition number (infinite if the kernel is singular or there is none) and number of linear regions."""
        device = self.images.device
        for network in (self._network, self._thin):
            for cell in network.modules():
                if isinstance(cell, AveragedCell):
                    cell.activate(active)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            initialise(self._network, partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"))
            try:
                condition = condition_number(tangent_kernel(self._network, self.images)[0])
            except VoidScoreError:
                condition = math.inf
            initialise(self._thin, partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"))
            regions = count_linear_regions(self._thin, draw_crops(self.images, CROPS))
        return condition, float(regions)
