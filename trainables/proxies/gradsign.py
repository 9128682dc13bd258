"""Agreement of single images on the sign of each gradient (GradSign)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, autograd

from taurank.trainables.proxies.gradients import loss_and_weights
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy


class GradSign(Proxy):
    """Sum over all weights of |sum over images of the sign of the image's gradient|.

    The gradients of the cross-entropy are taken one image at a time in training mode, as in the source, so that batch
    normalisation normalises an image over its own positions; where it has only one, the score is void. As many small
    passes as there are images. Between 0 and images * weights: it grows with size, compare equal batches only.
    """

    name = "gradsign"
    source = "Zhang and Jia 2022 (arXiv 2110.08616), section 3, algorithm 1"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    passes = 3.0
    published = Correlation(None, 0.765, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        images, labels, network = probe.batch.images, probe.labels, probe.fresh()
        weights: list[Tensor] = []
        agreement: list[Tensor] = []  # sum of signs, a tensor for each layer
        reached = torch.zeros((), device=images.device)  # images with a gradient, for each layer
        for index in range(len(images)):
            one = slice(index, index + 1)
            loss, weights = loss_and_weights(network, images[one], labels[one], on_norm=_check_positions)
            gradients = autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
            signs = [gradient.sign() for gradient in gradients]
            reached = reached + torch.stack([sign.abs().max() for sign in signs])
            agreement = [total + sign for total, sign in zip(agreement, signs, strict=True)] if agreement else signs
        read = [weight for weight, count in zip(weights, reached.tolist(), strict=True) if count > 0]
        if not read:
            raise VoidScoreError("the loss depends on no weight of a layer")
        by_layer = [total.abs().sum(dtype=torch.float64) for total in agreement]
        return Measured(float(torch.stack(by_layer).sum()), probe.covered(read))


def _check_positions(normalised: Tensor) -> None:
    if normalised.numel() == normalised.shape[1]:
        raise VoidScoreError("batch normalisation sees one value per channel of an image: take larger images")
