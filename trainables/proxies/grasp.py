"""Change of the gradient along the weights (GraSP)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import autograd
from torch.nn.attention import SDPBackend, sdpa_kernel

from taurank.trainables.proxies.gradients import loss_and_weights
from taurank.trainables.proxies.probe import Probe, VoidScoreError
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy


class Grasp(Proxy):
    """Sum over all weights of -weight * (Hessian times gradient) of the loss.

    With gradient g and Hessian H of the mean cross-entropy with respect to the weights W of convolutions, linear and
    attention layers, in training mode: -sum(W * (H g)); H g is the gradient of g . stop_gradient(g). The sign is that
    of Abdelfattah et al., the opposite of the original, since accuracy falls with the original criterion; the score has
    either sign. Large terms of both signs cancel, so that the score is noisy. It takes second derivatives, which
    torch does not have of every unit (hard-sigmoid, for instance): the score is void there.
    """

    name = "grasp"
    source = "Wang et al. 2020 (arXiv 2002.07376), section 4; Abdelfattah et al. 2021 (arXiv 2101.08134), section 3.2"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    passes = 4.3
    published = Correlation(0.352, 0.505, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        labels = probe.labels
        # Fused kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            loss, weights = loss_and_weights(probe.fresh(), probe.batch.images, labels)
            gradients = autograd.grad(loss, weights, create_graph=True, allow_unused=True, materialize_grads=True)
            squared = torch.stack([(gradient * gradient.detach()).sum() for gradient in gradients])
            reached = [weight for weight, norm in zip(weights, squared.tolist(), strict=True) if norm > 0]
            if not reached:
                raise VoidScoreError("the loss depends on no weight of a layer")
            products = autograd.grad(squared.sum(), weights, allow_unused=True, materialize_grads=True)
        terms = [
            (weight.detach().double() * product.double()).sum()
            for weight, product in zip(weights, products, strict=True)
        ]
        return Measured(-float(torch.stack(terms).sum()), probe.covered(reached))
