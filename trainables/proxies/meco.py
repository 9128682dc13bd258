"""Correlation of the channels of feature maps (MeCo)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from taurank.trainables.proxies.probe import Part, Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Proxy

SAMPLED = 8


class Meco(Proxy):
    """Smallest eigenvalue of the correlation matrix of a layer's channels, summed over layers; for one image.

    Layers are those with weights and the units with a bend at zero: what leaves them is counted once. The original also
    counts the outputs of normalisation, which have the same correlations, and of the modules that hold all these. A map
    with fewer positions than channels has an eigenvalue of zero and adds nothing: coverage is the share of maps that
    have more positions. Grows with the number of layers, and hangs on the resolution of the images.
    """

    name = "meco"
    source = "Jiang et al. 2023 (NeurIPS), MeCo, section 4; code of HamsterMimi/MeCo"
    parts: ClassVar[frozenset[Part]] = frozenset({"maps"})
    passes = 0.5
    published = Correlation(None, 0.89, "all of NAS-Bench-201, CIFAR-10: Jiang et al. 2023, abstract")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        maps = maps_of(probe)
        full = [features for features in maps if features.shape[1] > features.shape[0]]
        if not full:
            raise VoidScoreError("no feature map has more positions than channels")
        return Measured(sum_of_smallest(full), len(full) / len(maps))


class MecoOpt(Proxy):
    """MeCo of 8 channels drawn at random from each layer, times channels / 8.

    Costs less for wide layers, and maps with few positions count too: coverage is the share of maps with more positions
    than channels drawn. The draw adds noise: scores at several initialisations differ more than those of `meco`.
    """

    name = "meco_opt"
    source = "Jiang et al. 2023 (NeurIPS), MeCo, section 4; code of HamsterMimi/MeCo"
    parts: ClassVar[frozenset[Part]] = frozenset({"maps"})
    passes = 0.5

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        maps = maps_of(probe)
        drawn, factors = [], []
        for features in maps:
            channels = len(features)
            chosen = torch.randperm(channels, device=features.device)[:SAMPLED]
            if features.shape[1] > len(chosen):
                drawn.append(features[chosen])
                factors.append(channels / len(chosen))
        if not drawn:
            raise VoidScoreError(f"no feature map has more positions than channels are drawn from it ({SAMPLED})")
        return Measured(sum_of_smallest(drawn, factors), len(drawn) / len(maps))


def maps_of(probe: Probe) -> list[Tensor]:
    """Feature maps of the first image with two channels or more, (channels, positions).

    Raises:
        VoidScoreError: There are none, or they are not finite.
    """
    maps = [features for features in probe.shared.maps if len(features) > 1]
    if not maps:
        raise VoidScoreError("no layer puts out feature maps of more than one channel and position")
    if not bool(torch.stack([features.isfinite().all() for features in maps]).all()):
        raise VoidScoreError("some feature maps are not finite")
    return maps


def sum_of_smallest(maps: Sequence[Tensor], factors: Sequence[float] | None = None) -> float:
    """Sum over maps of factor times the smallest eigenvalue of the correlation matrix of the channels.

    A channel that is constant correlates with nothing, itself included: the eigenvalue is zero.

    Args:
        maps: Each (channels, positions).
        factors: One for each map; all are 1 without it.
    """
    by_size = defaultdict(list)
    for features, factor in zip(maps, factors or [1.0] * len(maps), strict=True):
        values = features.double()
        centred = values - values.mean(1, keepdim=True)
        unit = functional.normalize(centred, dim=1)
        by_size[len(unit)].append((unit @ unit.T, factor))
    # Matrices of one size at a time: eigenvalues of a stack cost one call, which matters on a GPU.
    sums = [
        (torch.linalg.eigvalsh(torch.stack([matrix for matrix, _ in same]))[:, 0].clamp_min(0))
        @ torch.tensor([factor for _, factor in same], dtype=torch.float64, device=maps[0].device)
        for same in by_size.values()
    ]
    return float(torch.stack(sums).sum())
