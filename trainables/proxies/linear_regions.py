"""Number of linear regions of a thin network (TE-NAS)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy
from taurank.trainables.proxies.recorders import CodeRecorder

CROPS = 3000
"""Number of inputs, an upper bound of the count."""

SIZE = 3
"""Height and width of a crop in pixels."""

NETWORKS = 3
"""Thin networks with weights of their own that the count is averaged over."""


def draw_crops(images: Tensor, count: int) -> Tensor:
    """Cuts squares of one channel out of random places of random images, with torch's global random numbers.

    Args:
        images: (n, channels, height, width).
        count: How many.

    Returns:
        (count, 1, 3, 3).

    Raises:
        VoidScoreError: The images are smaller than a crop.
    """
    n, channels, height, width = images.shape
    if min(height, width) < SIZE:
        raise VoidScoreError(f"the images are {height}x{width} pixels; crops of {SIZE}x{SIZE} are cut out of them")
    steps = torch.arange(SIZE)
    image = torch.randint(n, (count, 1, 1))
    channel = torch.randint(channels, (count, 1, 1))
    row = torch.randint(height - SIZE + 1, (count, 1, 1)) + steps[:, None]
    column = torch.randint(width - SIZE + 1, (count, 1, 1)) + steps
    return images[tuple(index.to(images.device) for index in (image, channel, row, column))][:, None]


def count_linear_regions(network: nn.Module, inputs: Tensor) -> int:
    """Counts the linear regions that the inputs lie in: the number of different on/off codes of all units.

    Args:
        network: In the mode to evaluate.
        inputs: (n, ...).

    Raises:
        VoidScoreError: There is no unit that could switch.
    """
    codes: list[Tensor] = []

    def keep(code: Tensor) -> None:
        if code.dim() > 1 and len(code) == len(inputs):  # one code an input: not a unit on weights, for instance
            codes.append(code.flatten(1))

    with torch.no_grad(), CodeRecorder(keep):
        network(inputs)
    if not codes:
        raise VoidScoreError("no unit with a bend at zero (ReLU, GELU, SiLU ...) is computed")
    return len(torch.unique(torch.cat(codes, 1), dim=0))


class LinearRegions(Proxy):
    """Number of linear regions of a thin network of the same architecture, a measure of expressivity.

    Different on/off codes of all units over 3,000 crops of 3x3 pixels and one channel; the mean over three draws of
    weights and crops. The thin network is the space's (`SearchSpace.thin`): one cell of one channel. A whole network
    has so many units that every image has a region of its own, which is uninformative; so a network without a thin one
    has no score. With smooth units (GELU, SiLU) the regions are those of the signs.

    A single draw is noisy: on NAS-Bench-201 the spread between draws is half of that between cells. FLOPs alone are
    more informative there than it is with `ntk_condition`. The source takes the crops from 3,000 images, in three
    batches.
    """

    name = "linear_regions"
    source = "Chen et al. 2021, TE-NAS (arXiv 2102.11535), section 3.1.2"
    needs: ClassVar[frozenset[Need]] = frozenset({"thin network"})
    passes = 0.1
    published = Correlation(0.536, 0.722, "NAS-Bench-201 CIFAR-10, VKDNW table 1, with ntk_condition as TE-NAS")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        if probe.thin is None:
            raise VoidScoreError("there is no thin network whose regions could be counted")
        counts, inputs = [], []
        for _ in range(NETWORKS):
            network = probe.thin().to(probe.batch.images.device).train()
            crops = draw_crops(probe.batch.images, CROPS)
            counts.append(count_linear_regions(network, crops))
            inputs.append(len(torch.unique(crops.flatten(1), dim=0)))
        if max(counts) == 1:
            raise VoidScoreError("all inputs lie in one linear region: no unit tells them apart")
        if counts == inputs:
            raise VoidScoreError("every input lies in a region of its own: the thin network is too large to count them")
        return Measured(sum(counts) / NETWORKS)
