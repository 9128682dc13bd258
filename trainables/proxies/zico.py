"""Stability of gradients between two halves of the batch (ZiCo)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, autograd

from taurank.trainables.proxies.gradients import loss_and_weights
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy


class Zico(Proxy):
    """Sum over layers of the log of the summed mean-to-spread ratios of the gradients of two half batches.

    With gradients g1 and g2 of the mean cross-entropy of the first and the second half of the images, in training mode:
    for each layer log(sum over its weights of (|g1| + |g2|) / |g1 - g2|), which is mean by standard deviation of the
    two. Weights with equal gradients drop out, and layers with none left. Of an odd number of images the last is left
    out. It grows with depth and size, and a few weights whose gradients happen to be close make most of a layer's sum.
    """

    name = "zico"
    source = "Li et al. 2023 (arXiv 2301.11300), section 3; two batches as in SLDGroup/ZiCo"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    published = Correlation(0.607, 0.802, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        images, labels, network = probe.batch.images, probe.labels, probe.fresh()
        half = len(images) // 2
        if half == 0:
            raise VoidScoreError("a batch of one image has no halves")
        weights: list[Tensor] = []
        halves: list[tuple[Tensor, ...]] = []
        for rows in (slice(0, half), slice(half, 2 * half)):
            loss, weights = loss_and_weights(network, images[rows], labels[rows])
            halves.append(autograd.grad(loss, weights, allow_unused=True, materialize_grads=True))
        by_layer = torch.stack([steadiness(one, two) for one, two in zip(*halves, strict=True)])
        varying = by_layer > 0
        reached = [weight for weight, varies in zip(weights, varying.tolist(), strict=True) if varies]
        if not reached:
            raise VoidScoreError("no gradient differs between the two halves of the batch")
        return Measured(float(by_layer[varying].log().sum()), probe.covered(reached))


def steadiness(one: Tensor, two: Tensor) -> Tensor:
    """Sum of (|g1| + |g2|) / |g1 - g2| over the weights whose gradients differ, float64, ( ); 0 if none does."""
    one, two = one.double(), two.double()
    spread = (one - two).abs()
    return torch.where(spread > 0, (one.abs() + two.abs()) / spread.where(spread > 0, 1), 0).sum()
