"""Sensitivity of a network with Gaussian weights to a small change of its input (Zen-score)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from taurank.trainables.proxies.initialisation import initialise
from taurank.trainables.proxies.layout import as_maps
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy
from taurank.trainables.proxies.recorders import LayerRecorder, UnitRecorder

IMAGES = 16
REPEATS = 4
STEP = 0.01


class Zen(Proxy):
    """Expected change of the last feature map, with the scale that batch normalisation took away put back.

    log E |f(x) - f(x + 0.01 e)|_1 + sum over batch normalisations of log(square root of the mean variance that they
    divide by). Weights, x and e are standard normal: 16 inputs, and the mean over 4 draws of everything. f is the last
    map with more than one position that a layer with weights or a unit with a bend at zero puts out, before global
    pooling; batch normalisations behind it do not count, and coverage is the share of those before it.

    Made for spaces of networks that are all alike but for depth and width, without residual connections; the original
    takes these out, which cannot be done to any network. It fails on NAS-Bench-201 (tau .10): there the sum is driven
    by how many paths a cell adds up, not by what it can learn.
    """

    name = "zen"
    source = "Lin et al. 2021 (arXiv 2102.01063), algorithm 1; code of idstcv/ZenNAS"
    needs: ClassVar[frozenset[Need]] = frozenset({"batch-norm"})
    passes = 2.2
    published = Correlation(0.102, 0.103, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        network, images = probe.fresh(), probe.batch.images
        changes, scales, share = [], [], 0.0
        with torch.no_grad():
            for _ in range(REPEATS):
                initialise(network, nn.init.normal_)
                inputs = torch.randn(IMAGES, *images.shape[1:], device=images.device)
                step = STEP * torch.randn_like(inputs)
                last, deviations, share = _last_map(network, inputs)
                moved, _, _ = _last_map(network, inputs + step)
                changes.append((last - moved).abs().double().flatten(1).sum(1).mean())
                scales.append(torch.stack(deviations).log().sum())
        change = torch.stack(changes)
        if not bool((change > 0).all()):
            raise VoidScoreError("the last feature map does not depend on the images")
        return Measured(float((change.log() + torch.stack(scales)).mean()), share)


def _last_map(network: nn.Module, inputs: Tensor) -> tuple[Tensor, list[Tensor], float]:
    """The last map with more than one position, the scale of each batch normalisation before it, their share of all."""
    maps: list[Tensor] = []
    deviations: list[Tensor] = []
    before = 0

    def on_output(output: Tensor) -> None:
        nonlocal before
        features = as_maps(output, inputs)
        if features is not None and len(features) == len(inputs) and features[0, 0].numel() > 1:
            maps[:] = [output]
            before = len(deviations)

    def on_norm(features: Tensor) -> None:
        variance = features.var([0, *range(2, features.dim())], correction=0)
        deviations.append(variance.double().mean().sqrt())

    with LayerRecorder(lambda weights, output: on_output(output), on_norm), UnitRecorder(on_output):
        network(inputs)
    if not deviations:
        raise VoidScoreError("the network has no batch normalisation")
    if not maps or before == 0:
        raise VoidScoreError("no feature map of more than one position lies behind a batch normalisation")
    return maps[0], deviations[:before], before / len(deviations)
