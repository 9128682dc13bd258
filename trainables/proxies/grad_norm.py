"""Norm of the gradient."""

from __future__ import annotations

from typing import ClassVar

from taurank.trainables.proxies.gradients import sum_over_layers
from taurank.trainables.proxies.probe import Part, Probe
from taurank.trainables.proxies.proxy import Correlation, Measured, Need, Proxy


class GradNorm(Proxy):
    """Sum over layers of the Euclidean norm of the loss's gradient with respect to the weights.

    On NAS-Bench-201 its order turns round among the best tenth of cells: it sorts out the bad ones only.
    """

    name = "grad_norm"
    source = "Abdelfattah et al. 2021 (arXiv 2101.08134), section 3.2"
    needs: ClassVar[frozenset[Need]] = frozenset({"labels"})
    parts: ClassVar[frozenset[Part]] = frozenset({"gradients"})
    published = Correlation(0.328, 0.438, "NAS-Bench-201 CIFAR-10, VKDNW table 1")

    def score(self, probe: Probe) -> Measured:
        """Higher is better."""
        return sum_over_layers(probe, lambda weight, gradient: gradient.norm())
